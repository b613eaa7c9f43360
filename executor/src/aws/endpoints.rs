//! Where a service is: what the configuration says, else AWS's rule by partition.
//!
//! The tests hold the rule against botocore's for every service in `schemas/aws`, so that one which differs is noticed when
//! it is added. ECS and Auto Scaling resolve theirs in their own SDK clients.

use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;
use belay_schemas::aws::ServiceFacts;

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// `https://…`, without a slash at the end.
    pub url: String,
    /// The region of the signature; IAM has one for a whole partition.
    pub signing_region: String,
}

/// A partition: AWS's name of it, its regions' prefixes, and its domains.
pub(super) struct Partition {
    /// As it stands in ARNs.
    pub name: &'static str,
    prefixes: &'static [&'static str],
    domain: &'static str,
    dual_stack: &'static str,
}

/// The first is the one of regions that no prefix names.
const PARTITIONS: [Partition; 8] = [
    partition("aws", &[], "amazonaws.com", "api.aws"),
    partition("aws-cn", &["cn-"], "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    partition("aws-us-gov", &["us-gov-"], "amazonaws.com", "api.aws"),
    partition("aws-iso", &["us-iso-"], "c2s.ic.gov", "api.aws.ic.gov"),
    partition("aws-iso-b", &["us-isob-"], "sc2s.sgov.gov", "api.aws.scloud"),
    partition("aws-iso-e", &["eu-isoe-"], "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    partition("aws-iso-f", &["us-isof-"], "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    partition("aws-eusc", &["eusc-"], "amazonaws.eu", "api.amazonwebservices.eu"),
];

const fn partition(
    name: &'static str,
    prefixes: &'static [&'static str],
    domain: &'static str,
    dual_stack: &'static str,
) -> Partition {
    Partition { name, prefixes, domain, dual_stack }
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
pub(super) fn configured(facts: &ServiceFacts, config: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(&facts.service_id)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    let own = config.service_config().and_then(|service| service.load_config(key));
    own.or_else(|| config.endpoint_url().map(str::to_owned))
}

/// AWS's rule.
pub(super) fn by_rule(facts: &ServiceFacts, region: &str, fips: bool, dual: bool) -> Endpoint {
    let partition = partition_of(region);
    let prefix = &*facts.endpoint_prefix;
    let fips = if fips && !is_fips_already(prefix, partition, dual) { "-fips" } else { "" };
    if prefix == "iam" {
        let (place, signing_region) = iam(partition, region, dual);
        return Endpoint { url: format!("https://iam{fips}.{place}"), signing_region };
    }
    if prefix == "route53" {
        let (place, signing_region) = route53(partition, !fips.is_empty(), dual);
        return Endpoint { url: format!("https://route53{fips}.{place}"), signing_region };
    }
    let url = match (prefix, dual) {
        ("s3", true) => format!("https://s3{fips}.dualstack.{region}.{}", partition.domain),
        ("api.ecr", true) => format!("https://ecr{fips}.{region}.{}", partition.dual_stack),
        (_, true) => format!("https://{prefix}{fips}.{region}.{}", partition.dual_stack),
        (_, false) => format!("https://{prefix}{fips}.{region}.{}", partition.domain),
    };
    Endpoint { url, signing_region: region.to_owned() }
}

/// IAM is the same in all regions of a partition: the rest of its host name, and the region that it signs for.
fn iam(partition: &Partition, region: &str, dual: bool) -> (String, String) {
    let (place, home) = match partition.name {
        "aws" => ("", "us-east-1"),
        "aws-cn" => ("cn-north-1.", "cn-north-1"),
        "aws-us-gov" => ("us-gov.", "us-gov-west-1"),
        _ => return (format!("{region}.{}", partition.domain), region.to_owned()),
    };
    let host = match (dual, partition.name) {
        (true, "aws-us-gov") => format!("{place}{}", partition.dual_stack),
        (true, _) => format!("global.{}", partition.dual_stack),
        (false, _) => format!("{place}{}", partition.domain),
    };
    (host, home.to_owned())
}

/// Route 53 is the same in all regions of a partition, too.
fn route53(partition: &Partition, fips: bool, dual: bool) -> (String, String) {
    let home = match partition.name {
        "aws" => "us-east-1",
        "aws-cn" => "cn-northwest-1",
        "aws-us-gov" => "us-gov-west-1",
        "aws-iso" => "us-iso-east-1",
        "aws-iso-b" => "us-isob-east-1",
        "aws-iso-e" => "eu-isoe-west-1",
        "aws-iso-f" => "us-isof-south-1",
        _ => "eusc-de-east-1",
    };
    let domain = if dual { partition.dual_stack } else { partition.domain };
    let place = match partition.name {
        "aws-us-gov" => "us-gov.",
        "aws" if dual => "global.",
        "aws-cn" | "aws-eusc" if dual && !fips => "global.",
        _ => "",
    };
    (format!("{place}{domain}"), home.to_owned())
}

/// GovCloud's ordinary endpoints of these are FIPS endpoints; that of Service Quotas is one where it is not dual-stack.
fn is_fips_already(prefix: &str, partition: &Partition, dual: bool) -> bool {
    let listed = || {
        matches!(
            prefix,
            "application-autoscaling"
                | "autoscaling"
                | "ec2"
                | "elasticloadbalancing"
                | "events"
                | "iam"
                | "logs"
                | "monitoring"
                | "route53"
                | "sts"
        )
    };
    partition.name == "aws-us-gov" && (listed() || prefix == "servicequotas" && !dual)
}
