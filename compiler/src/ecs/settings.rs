//! The environment's ec2-ecs settings, with defaults filled in and names taken apart.

use std::collections::BTreeMap;

use belay_schemas::environment::{DiscoveryMode, Ebs, EcsConfig, Efs, Environment, Volume};
use belay_schemas::scope::is_zone_id;

use crate::diagnostics::{Diagnostic, Place, Report};

use super::records;

/// Seconds without progress before a deployment has failed.
pub const DEFAULT_TIMEOUT: u64 = 120;
/// Seconds in total before a deployment has failed.
pub const DEFAULT_OVERALL_TIMEOUT: u64 = 500;
/// Seconds for which the final state has to last.
pub const DEFAULT_UPDATE_MONITOR: u64 = 5;
/// Seconds between two looks at what is waited for.
pub const DEFAULT_POLL_INTERVAL: u64 = 5;

/// Resolved settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Region of the environment file or of the cluster's ARN.
    pub region: Option<String>,
    /// Account in the cluster's ARN.
    pub account: Option<String>,
    /// Short name of the cluster.
    pub cluster: String,
    /// Seconds without progress.
    pub timeout: u64,
    /// Seconds in total.
    pub overall_timeout: u64,
    /// Seconds of the final state.
    pub update_monitor: u64,
    /// Seconds between two looks at what is waited for.
    pub poll_interval: u64,
    /// Name or ARN of the Cloud Map namespace in which components find each other.
    pub namespace: Option<String>,
    /// `dnsSearchDomains` of every container.
    pub discovery_zone: Option<String>,
    /// The hosted zone in which Belay keeps records of such components.
    pub records: Option<RecordSetting>,
    /// Whether components listed in `lb` have an implied load balancer.
    pub elb_manual: bool,
    /// Load balancers by gateway or component name.
    pub balancers: BTreeMap<String, BalancerSetting>,
    /// Volumes by logical name.
    pub volumes: BTreeMap<String, VolumeSetting>,
    /// Prefix of the ownership tags.
    pub tag_prefix: String,
}

/// Where Belay keeps records of components.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSetting {
    /// The hosted zone: its name, or its id.
    pub zone: String,
    /// What the names of records end with: `discovery_zone`.
    pub suffix: String,
    /// Where the hosted zone is named.
    pub place: Place,
}

/// One load balancer that the environment names.
#[derive(Debug, Clone)]
pub struct BalancerSetting {
    /// What it is, as far as the text tells.
    pub reference: Reference,
    /// IAM role for ECS.
    pub role: Option<String>,
    /// How traffic is shifted to another target group.
    pub switch: Option<SwitchSetting>,
    /// Where it is named.
    pub place: Place,
}

/// How traffic is shifted, as the environment says it.
#[derive(Debug, Clone)]
pub struct SwitchSetting {
    /// The other target group.
    pub to: Reference,
    /// The rule for users' traffic: its name or ARN.
    pub rule: String,
    /// The rule for test traffic.
    pub test_rule: Option<String>,
    /// IAM role for ECS.
    pub role: String,
}

/// A load balancer or target group as the environment names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A target group's ARN.
    TargetGroup(String),
    /// A classic load balancer's name, out of its ARN.
    Classic(String),
    /// A plain name: what it is has to be observed.
    Name(String),
    /// A target group that Belay makes, by its key.
    Made(String),
}

impl BalancerSetting {
    /// Whether it names the target group that Belay makes under this key.
    pub fn names(&self, key: &str) -> bool {
        let to = self.switch.as_ref().map(|switch| &switch.to);
        std::iter::once(&self.reference).chain(to).any(|reference| *reference == Reference::Made(key.to_owned()))
    }
}

/// One volume that the environment offers.
#[derive(Debug, Clone)]
pub struct VolumeSetting {
    /// Where its data is.
    pub kind: VolumeKind,
    /// Where it is defined.
    pub place: Place,
}

/// Kinds of volumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeKind {
    /// Empty, gone with the task.
    Empty,
    /// A directory of the container instance.
    Host(String),
    /// A named Docker volume of the container instance.
    Docker(String),
    /// A file system of Amazon EFS.
    Efs(Efs),
    /// A volume of Amazon EBS for each task.
    Ebs(Ebs),
}

const CONFIG: [&str; 2] = ["plugin_config", "ec2-ecs"];

/// The place of a setting.
pub fn place(tokens: &[&str]) -> Place {
    Place::environment(CONFIG.iter().chain(tokens))
}

/// Fills in defaults and takes names apart; what is wrong goes to the report.
pub fn resolve(environment: &Environment, report: &mut Report) -> Settings {
    let empty = EcsConfig::default();
    let config = environment.plugin_config.as_ref().and_then(|p| p.ecs.as_ref()).unwrap_or(&empty);
    refuse_credentials(config, report);
    let (cluster, arn) = cluster(config, report);
    let region = match (&config.region, &arn) {
        (Some(region), Some(arn)) if *region != arn.region => {
            report.push(
                Diagnostic::error(
                    "B330",
                    format!("the region is {region}, but the cluster's ARN is in {}", arn.region),
                )
                .at(place(&["region"]))
                .related(place(&["cluster"]), "the cluster is named here")
                .help("remove `region`, or name the cluster of that region"),
            );
            Some(region.clone())
        }
        (Some(region), _) => Some(region.clone()),
        (None, arn) => arn.as_ref().map(|a| a.region.clone()),
    };
    let overall_timeout = config.overall_timeout.map_or(DEFAULT_OVERALL_TIMEOUT, u64::from);
    let timeout = config.timeout.map_or(DEFAULT_TIMEOUT.min(overall_timeout), u64::from);
    if timeout > overall_timeout {
        report.push(
            Diagnostic::error(
                "B331",
                format!("`timeout` ({timeout} s without progress) is longer than `overall_timeout` ({overall_timeout} s in total)"),
            )
            .at(place(&["timeout"]))
            .help(format!("write a `timeout` of at most {overall_timeout}, or raise `overall_timeout`")),
        );
    }
    // Every wait looks more than once before it gives up.
    let poll_interval = config.poll_interval.map_or(DEFAULT_POLL_INTERVAL.min(timeout), u64::from);
    if poll_interval > timeout {
        report.push(
            Diagnostic::error(
                "B331",
                format!("`poll_interval` ({poll_interval} s between two looks) is longer than `timeout` ({timeout} s without progress)"),
            )
            .at(place(&["poll_interval"]))
            .help(format!("write a `poll_interval` of at most {timeout}, or raise `timeout`")),
        );
    }
    if let (Some(a), Some(b)) = (config.discovery_mode, config.service_discovery_mode)
        && a != b
    {
        report.push(
            Diagnostic::error(
                "B332",
                "`discovery_mode` and `service_discovery_mode` are two spellings of one setting and differ",
            )
            .at(place(&["service_discovery_mode"]))
            .related(place(&["discovery_mode"]), "the other value is here")
            .help("keep `discovery_mode` only"),
        );
    }
    let mode = config.discovery_mode.or(config.service_discovery_mode).unwrap_or_default();
    let elb_manual = mode == DiscoveryMode::ElbManual;
    Settings {
        region,
        account: arn.map(|a| a.account),
        cluster,
        timeout,
        overall_timeout,
        update_monitor: config.update_monitor.map_or(DEFAULT_UPDATE_MONITOR, u64::from),
        poll_interval,
        namespace: config.namespace.clone(),
        discovery_zone: config.discovery_zone.clone(),
        records: records(config, elb_manual, report),
        elb_manual,
        balancers: balancers(config, report),
        volumes: volumes(config, report),
        tag_prefix: config.tag_prefix.clone().unwrap_or_else(|| "belay".to_owned()),
    }
}

/// Records are of names within `discovery_zone`, and of components that are found through load balancers.
fn records(config: &EcsConfig, elb_manual: bool, report: &mut Report) -> Option<RecordSetting> {
    let written = config.discovery_records.as_ref()?;
    let at = place(&["discovery_records"]);
    let (Some(zone), true) = (&config.discovery_zone, elb_manual) else {
        let (missing, help) = match elb_manual {
            true => {
                ("`discovery_zone`", "add `discovery_zone: myapp.internal`, the zone in which components are looked up")
            }
            false => (
                "`discovery_mode: elb-manual`",
                "add it; components without load balancers of their own are found by `discovery` or `connect`",
            ),
        };
        let message = format!("records of components need {missing} as well");
        report.push(Diagnostic::error("B351", message).at(at.key()).help(help));
        return None;
    };
    let suffix = records::plain(zone);
    let (zone, place) = match &written.zone {
        Some(zone) if is_zone_id(zone) => (zone.clone(), at.child("zone")),
        Some(zone) => (records::plain(zone), at.child("zone")),
        None => (suffix.clone(), at),
    };
    Some(RecordSetting { zone, suffix, place })
}

fn refuse_credentials(config: &EcsConfig, report: &mut Report) {
    let given = [
        ("access_key_id", &config.access_key_id),
        ("secret_access_key", &config.secret_access_key),
        ("secret_acces_key", &config.secret_acces_key),
    ];
    for (name, value) in given {
        if value.is_some() {
            report.push(
                Diagnostic::error("B310", format!("`{name}` puts AWS credentials into a file"))
                    .at(place(&[name]).key())
                    .label("remove this key")
                    .help("credentials are only needed by `belay`, which finds them as the AWS CLI does: set AWS_PROFILE, sign in with SSO, or run it with an instance, task or web-identity role")
                    .help("if this key was ever committed, deactivate it in IAM"),
            );
        }
    }
}

struct ClusterArn {
    region: String,
    account: String,
}

fn cluster(config: &EcsConfig, report: &mut Report) -> (String, Option<ClusterArn>) {
    let text = config.cluster.as_deref().unwrap_or("default");
    let (name, arn) = if text.starts_with("arn:") {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        match parts.as_slice() {
            ["arn", _, "ecs", region, account, resource] if resource.starts_with("cluster/") => (
                resource.trim_start_matches("cluster/").to_owned(),
                Some(ClusterArn { region: (*region).to_owned(), account: (*account).to_owned() }),
            ),
            _ => {
                report.push(
                    Diagnostic::error("B333", format!("`{text}` is not the ARN of an ECS cluster"))
                        .at(place(&["cluster"]))
                        .help("write the short name, such as `default`, or arn:aws:ecs:REGION:ACCOUNT:cluster/NAME"),
                );
                return ("default".to_owned(), None);
            }
        }
    } else {
        (text.to_owned(), None)
    };
    if !super::names::is_ecs_name(&name) {
        report.push(
            Diagnostic::error("B401", format!("`{name}` cannot be the name of an ECS cluster"))
                .at(place(&["cluster"]))
                .help("ECS names have 1 to 255 letters, digits, hyphens and underscores"),
        );
    }
    (name, arn)
}

fn balancers(config: &EcsConfig, report: &mut Report) -> BTreeMap<String, BalancerSetting> {
    let mut all = BTreeMap::new();
    let lists = [("lb", &config.lb), ("gateways", &config.gateways)];
    for (list, entries) in lists {
        for (name, entry) in entries {
            let Some(entry) = entry else { continue };
            let at = place(&[list, name]);
            let Some(named) = reference(config, &entry.name, &at, report) else { continue };
            let switch = entry.switch.as_ref().and_then(|switch| {
                Some(SwitchSetting {
                    to: reference(config, &switch.to, &at.child("switch").child("to"), report)?,
                    rule: switch.rule.clone(),
                    test_rule: switch.test_rule.clone(),
                    role: switch.role.clone(),
                })
            });
            let setting = BalancerSetting { reference: named, role: entry.role.clone(), switch, place: at.clone() };
            if let Some(first) = all.insert(name.clone(), setting) {
                report.push(
                    Diagnostic::error("B334", format!("the load balancer of `{name}` is given twice"))
                        .at(at.key())
                        .related(first.place.key(), "first given here")
                        .help("`lb` and `gateways` are two names of one setting: keep one of the two entries"),
                );
            }
        }
    }
    all
}

fn reference(config: &EcsConfig, text: &str, at: &Place, report: &mut Report) -> Option<Reference> {
    if config.target_groups.contains_key(text) {
        return Some(Reference::Made(text.to_owned()));
    }
    if !text.starts_with("arn:") {
        return Some(Reference::Name(text.to_owned()));
    }
    let resource = text.splitn(6, ':').nth(5).unwrap_or_default();
    let is_elb = text.split(':').nth(2) == Some("elasticloadbalancing");
    match resource.split_once('/') {
        Some(("targetgroup", _)) if is_elb => Some(Reference::TargetGroup(text.to_owned())),
        Some(("loadbalancer", rest)) if is_elb && !rest.contains('/') => Some(Reference::Classic(rest.to_owned())),
        Some(("loadbalancer", rest)) if is_elb => {
            let kind = rest.split('/').next().unwrap_or_default();
            let kind = if kind == "net" { "a network" } else { "an application" };
            report.push(
                Diagnostic::error("B335", format!("`{text}` is the ARN of {kind} load balancer")).at(at.clone()).help(
                    "ECS attaches services to target groups: write the ARN or the name of the target group instead",
                ),
            );
            None
        }
        _ => {
            report.push(
                Diagnostic::error("B335", format!("`{text}` is the ARN of neither a classic load balancer nor a target group"))
                    .at(at.clone())
                    .help("write arn:aws:elasticloadbalancing:REGION:ACCOUNT:targetgroup/NAME/ID, …:loadbalancer/NAME for a classic one, or a plain name"),
            );
            None
        }
    }
}

fn volumes(config: &EcsConfig, report: &mut Report) -> BTreeMap<String, VolumeSetting> {
    let mut all = BTreeMap::new();
    for (name, volume) in &config.volumes {
        let at = place(&["volumes", name]);
        let written = volume.as_ref();
        let from = written.and_then(|v| v.from.as_deref());
        let stored = match written {
            Some(Volume { efs: Some(efs), ebs: None, from: None }) => Some(VolumeKind::Efs(efs.clone())),
            Some(Volume { efs: None, ebs: Some(ebs), from: None }) => Some(VolumeKind::Ebs(ebs.clone())),
            Some(Volume { efs: None, ebs: None, .. }) | None => None,
            Some(_) => {
                report.push(
                    Diagnostic::error("B413", format!("volume `{name}` is of several kinds at once"))
                        .at(at.clone())
                        .help("keep one of `from`, `efs` and `ebs`"),
                );
                continue;
            }
        };
        let kind = match from {
            None => stored.unwrap_or(VolumeKind::Empty),
            Some(path) if path.starts_with('/') => VolumeKind::Host(path.to_owned()),
            Some(other) if super::names::is_ecs_name(other) => VolumeKind::Docker(other.to_owned()),
            Some(other) => {
                report.push(
                    Diagnostic::error("B336", format!("volume `{name}` comes from `{other}`, which is neither an absolute path nor the name of a Docker volume"))
                        .at(place(&["volumes", name, "from"]))
                        .help("write a path that starts with `/`, or a name of letters, digits, hyphens and underscores"),
                );
                continue;
            }
        };
        if !super::names::is_ecs_name(name) {
            report.push(
                Diagnostic::error("B401", format!("`{name}` cannot be the name of a volume"))
                    .at(at.clone().key())
                    .help("ECS names have 1 to 255 letters, digits, hyphens and underscores"),
            );
        }
        all.insert(name.clone(), VolumeSetting { kind, place: at });
    }
    all
}
