//! Where a service is: what the configuration says, else AWS's rule by partition.
//!
//! The rules of services that follow the common pattern; the exceptions stand in tables. The tests hold them against
//! botocore's endpoint rules. ECS and Auto Scaling resolve theirs in their own SDK clients.

use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;
use belay_schemas::aws::ServiceFacts;

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// `https://…`, without a slash at the end.
    pub url: String,
    /// The region of the signature; services that are not regional have theirs in one.
    pub signing_region: String,
}

/// A partition: AWS's name of it, its regions' prefixes, and its domains.
pub(super) struct Partition {
    /// As it stands in ARNs.
    pub name: &'static str,
    prefixes: &'static [&'static str],
    domain: &'static str,
    dual_stack: &'static str,
    /// The region of services that are not regional.
    global: &'static str,
}

/// The first is the one of regions that no prefix names.
const PARTITIONS: [Partition; 8] = [
    partition("aws", &[], "amazonaws.com", "api.aws", "us-east-1"),
    partition("aws-cn", &["cn-"], "amazonaws.com.cn", "api.amazonwebservices.com.cn", "cn-northwest-1"),
    partition("aws-us-gov", &["us-gov-"], "amazonaws.com", "api.aws", "us-gov-west-1"),
    partition("aws-iso", &["us-iso-"], "c2s.ic.gov", "api.aws.ic.gov", "us-iso-east-1"),
    partition("aws-iso-b", &["us-isob-"], "sc2s.sgov.gov", "api.aws.scloud", "us-isob-east-1"),
    partition("aws-iso-e", &["eu-isoe-"], "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk", "eu-isoe-west-1"),
    partition("aws-iso-f", &["us-isof-"], "csp.hci.ic.gov", "api.aws.hci.ic.gov", "us-isof-south-1"),
    partition("aws-eusc", &["eusc-"], "amazonaws.eu", "api.amazonwebservices.eu", "eusc-de-east-1"),
];

const fn partition(
    name: &'static str,
    prefixes: &'static [&'static str],
    domain: &'static str,
    dual_stack: &'static str,
    global: &'static str,
) -> Partition {
    Partition { name, prefixes, domain, dual_stack, global }
}

/// The partition of a region.
pub(super) fn partition_of(region: &str) -> &'static Partition {
    let named = |partition: &&Partition| partition.prefixes.iter().any(|prefix| region.starts_with(prefix));
    PARTITIONS.iter().find(named).unwrap_or(&PARTITIONS[0])
}

/// The endpoint of a service.
pub(super) fn of(facts: &ServiceFacts, region: &str, config: &SdkConfig) -> Endpoint {
    let (fips, dual) = (config.use_fips().unwrap_or(false), config.use_dual_stack().unwrap_or(false));
    let rule = by_rule(facts, region, fips, dual);
    match configured(facts, config) {
        Some(url) => Endpoint { url: url.trim_end_matches('/').to_owned(), ..rule },
        None => rule,
    }
}

/// `AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2`, the profile's service section, `AWS_ENDPOINT_URL`, the profile.
fn configured(facts: &ServiceFacts, config: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(&facts.service_id)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    let own = config.service_config().and_then(|service| service.load_config(key));
    own.or_else(|| config.endpoint_url().map(str::to_owned))
}

fn by_rule(facts: &ServiceFacts, region: &str, fips: bool, dual: bool) -> Endpoint {
    let partition = partition_of(region);
    let prefix = &*facts.endpoint_prefix;
    if let Some(host) = global(facts, partition) {
        return Endpoint { url: format!("https://{host}"), signing_region: partition.global.to_owned() };
    }
    let host = match (prefix, fips, dual) {
        ("s3", fips, true) => {
            format!("s3{}.dualstack.{region}.{}", if fips { "-fips" } else { "" }, partition.domain)
        }
        (_, fips, dual) => {
            let fips = if fips && !is_fips_already(prefix, partition) { "-fips" } else { "" };
            format!("{prefix}{fips}.{region}.{}", if dual { partition.dual_stack } else { partition.domain })
        }
    };
    Endpoint { url: format!("https://{host}"), signing_region: region.to_owned() }
}

/// GovCloud's ordinary endpoints of these are FIPS endpoints.
fn is_fips_already(prefix: &str, partition: &Partition) -> bool {
    partition.name == "aws-us-gov"
        && matches!(
            prefix,
            "ec2" | "elasticloadbalancing" | "autoscaling" | "application-autoscaling" | "sts" | "logs" | "events"
        )
}

/// Services with one endpoint for a whole partition.
fn global(facts: &ServiceFacts, partition: &Partition) -> Option<&'static str> {
    Some(match (&*facts.name, partition.name) {
        ("iam", "aws") => "iam.amazonaws.com",
        ("iam", "aws-cn") => "iam.cn-north-1.amazonaws.com.cn",
        ("iam", "aws-us-gov") => "iam.us-gov.amazonaws.com",
        ("route53", "aws") => "route53.amazonaws.com",
        ("route53", "aws-cn") => "route53.amazonaws.com.cn",
        ("route53", "aws-us-gov") => "route53.us-gov.amazonaws.com",
        _ => return None,
    })
}
