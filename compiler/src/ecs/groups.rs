//! Target groups that Belay makes: what they should be, which of them are there, which have to go.
//!
//! Invariants: a group is ours by its tags; what AWS cannot change in place is refused with the way out, which is another
//! name; every setting has a value, so that one that is left out goes back to its default.
//!
//! Source: CreateTargetGroup and ModifyTargetGroup in the Elastic Load Balancing API reference.

use std::collections::BTreeMap;

use belay_schemas::environment::{CheckProtocol, TargetCheck, TargetGroup, TargetProtocol, TargetType};
use belay_schemas::plan::Mode;
use serde_json::{Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};

use super::desired::{self, network};
use super::facts::Facts;
use super::json::{number, text};
use super::ownership::{self, Leftovers};
use super::settings::{self, Reference};
use super::{Context, leads, made, names};

/// The attribute that says how long a target answers what it was asked before.
pub const DELAY: &str = "deregistration_delay.timeout_seconds";
/// Its default, in seconds; classic load balancers have the same one.
pub const DEFAULT_DELAY: u16 = 300;
/// Longest name.
const LONGEST: usize = 32;
/// What AWS sets once and for all, and the key that says it.
const FIXED: [(&str, &str); 4] = [("Protocol", "protocol"), ("Port", "port"), ("TargetType", "type"), ("VpcId", "vpc")];

/// A wanted group.
#[derive(Debug, Clone)]
pub struct Group<'a> {
    /// Its name in the environment.
    pub key: &'a str,
    /// Its name in AWS.
    pub name: String,
    /// CreateTargetGroup's input, but for its tags.
    pub content: Value,
    /// Its deregistration delay in seconds.
    pub delay: u16,
    /// Where it is said.
    pub place: Place,
    /// The group that is there, as DescribeTargetGroups tells it.
    pub running: Option<&'a Value>,
}

/// A group of ours that nobody asks for any more.
#[derive(Debug, Clone, Copy)]
pub struct Surplus<'a> {
    /// Its name in AWS.
    pub name: &'a str,
    /// Its ARN.
    pub arn: &'a str,
}

/// The groups of the environment.
#[derive(Debug, Default)]
pub struct Groups<'a> {
    /// By name.
    pub wanted: Vec<Group<'a>>,
    /// What has to go.
    pub surplus: Vec<Surplus<'a>>,
}

fn all<'a>(context: Context<'a>) -> Option<&'a BTreeMap<String, TargetGroup>> {
    context.loaded.environment.plugin_config.as_ref()?.ecs.as_ref().map(|config| &config.target_groups)
}

fn written<'a>(context: Context<'a>, key: &str) -> Option<&'a TargetGroup> {
    all(context)?.get(key)
}

/// The name of a group in AWS.
pub fn name(context: Context<'_>, key: &str) -> String {
    let given = written(context, key).and_then(|group| group.name.clone());
    given.unwrap_or_else(|| format!("{}-{key}", context.options.project))
}

/// The ARN of a group, or what stands for it until the plan has made the group.
pub fn arn(context: Context<'_>, key: &str) -> String {
    let name = name(context, key);
    let ours = context.facts.and_then(|facts| running(context, facts, &name)).and_then(|g| text(g, "TargetGroupArn"));
    ours.map_or_else(|| made::group(&name, key), str::to_owned)
}

/// The group of that name, if it is this project's.
fn running<'a>(context: Context<'_>, facts: &Facts<'a>, name: &str) -> Option<&'a Value> {
    let group = facts.target_group(name)?;
    let owner = facts.tag(text(group, "TargetGroupArn")?, &context.tag("project"));
    (owner == Some(context.options.project.as_str())).then_some(group)
}

/// A group by its ARN, or by what stands for that: as it is, or else as it will be. Members that have to be looked up may be
/// missing.
pub fn described(context: Context<'_>, arn: &str) -> Option<Value> {
    match made::group_of(arn) {
        Some((name, key)) => {
            let group = written(context, key)?;
            let mut content = check(group);
            content["TargetGroupName"] = json!(name);
            content["TargetType"] = json!(kind(context, key, group).name());
            content["Protocol"] = json!(group.protocol.unwrap_or_default().name());
            // What is wrong with it is told where the group is resolved.
            let id = vpc(context, key).and_then(|(vpc, at)| network::vpc(context, vpc, &at, &mut Report::new()));
            if let Some(id) = id {
                content["VpcId"] = json!(id);
            }
            Some(content)
        }
        None => context.facts?.target_group(arn).cloned(),
    }
}

/// Seconds until a target counts as healthy, and until one that leaves is gone, as the environment says it for the group
/// with this ARN; nothing if it is not one of ours.
pub fn pace(context: Context<'_>, arn: &str) -> Option<(u64, u64)> {
    let group = match made::group_of(arn) {
        Some((_, key)) => written(context, key)?,
        None => {
            let called = text(context.facts?.target_group(arn)?, "TargetGroupName")?;
            let (_, group) = all(context)?.iter().find(|(key, _)| name(context, key) == called)?;
            group
        }
    };
    let check = check(group);
    let of = |member: &str| number(&check, member).unwrap_or_default();
    let delay = u64::from(group.deregistration_delay.unwrap_or(DEFAULT_DELAY));
    Some((of("HealthCheckIntervalSeconds") * of("HealthyThresholdCount"), delay))
}

/// How targets are checked, as ModifyTargetGroup takes it.
fn check(group: &TargetGroup) -> Value {
    let http = speaks_http(group.protocol.unwrap_or_default());
    let none = TargetCheck::default();
    let check = group.health_check.as_ref().unwrap_or(&none);
    let protocol = check_protocol(group);
    let interval = check.interval.unwrap_or(30);
    let timeout = check.timeout.unwrap_or(if http { 5 } else { 10 }.min(interval.saturating_sub(1)));
    let mut out = json!({
        "HealthCheckProtocol": protocol.name(),
        "HealthCheckPort": check.port.map_or("traffic-port".to_owned(), |port| port.to_string()),
        "HealthCheckIntervalSeconds": interval,
        "HealthCheckTimeoutSeconds": timeout,
        "HealthyThresholdCount": check.healthy.unwrap_or(5),
        "UnhealthyThresholdCount": check.unhealthy.unwrap_or(2),
    });
    if protocol != CheckProtocol::Tcp {
        let codes = check.codes.as_ref().map_or(if http { "200" } else { "200-399" }, |codes| codes.0.as_str());
        out["HealthCheckPath"] = json!(check.path.as_deref().unwrap_or("/"));
        out["Matcher"] = json!({"HttpCode": codes});
    }
    out
}

fn speaks_http(protocol: TargetProtocol) -> bool {
    matches!(protocol, TargetProtocol::Http | TargetProtocol::Https)
}

fn check_protocol(group: &TargetGroup) -> CheckProtocol {
    let usual = if speaks_http(group.protocol.unwrap_or_default()) { CheckProtocol::Http } else { CheckProtocol::Tcp };
    group.health_check.as_ref().and_then(|check| check.protocol).unwrap_or(usual)
}

/// Components whose tasks are in a group.
fn behind<'a>(context: Context<'a>, key: &str) -> impl Iterator<Item = &'a str> {
    let settings = context.settings.balancers.iter().filter(move |(_, setting)| setting.names(key));
    settings.flat_map(move |(name, _)| {
        let gateway = context.loaded.model.gateways.get(name);
        gateway.map_or_else(|| vec![name.as_str()], |gateway| gateway.target.0.iter().map(String::as_str).collect())
    })
}

/// What is registered in a group: what the tasks behind it need, unless the environment says otherwise.
fn kind(context: Context<'_>, key: &str, group: &TargetGroup) -> TargetType {
    let own = |component: &str| {
        let model = context.loaded.model.components.get(component);
        model.is_some_and(|model| {
            desired::network_mode(context, &desired::settle(context, component, model)) == "awsvpc"
        })
    };
    group.kind.unwrap_or(if behind(context, key).any(own) { TargetType::Ip } else { TargetType::Instance })
}

/// The VPC of a group as it is written, and where: its own one, or the one of all networks.
pub fn vpc<'a>(context: Context<'a>, key: &str) -> Option<(&'a str, Place)> {
    let own = written(context, key)?.vpc.as_deref().map(|vpc| (vpc, settings::place(&["target_groups", key, "vpc"])));
    let config = context.loaded.environment.plugin_config.as_ref().and_then(|p| p.ecs.as_ref());
    let common = config.and_then(|config| config.network.as_ref()?.vpc.as_deref());
    own.or_else(|| common.map(|vpc| (vpc, settings::place(&["network", "vpc"]))))
}

/// Keys of the groups that a load balancer of the model is to use.
pub fn used<'a>(context: Context<'a>) -> impl Iterator<Item = &'a str> {
    let model = &context.loaded.model;
    let asked = |key: &str| {
        context.settings.balancers.iter().any(|(name, setting)| {
            (model.gateways.contains_key(name) || model.components.contains_key(name)) && setting.names(key)
        })
    };
    all(context).into_iter().flat_map(|groups| groups.keys()).map(String::as_str).filter(move |key| asked(key))
}

/// Resolves the environment's groups; what is wrong goes to the report.
pub fn resolve<'a>(context: Context<'a>, report: &mut Report) -> Groups<'a> {
    let mut groups = Groups::default();
    if context.options.mode == Mode::Deploy {
        for (key, group) in all(context).into_iter().flatten() {
            let place = settings::place(&["target_groups", key]);
            if !used(context).any(|used| used == key) {
                report.push(
                    Diagnostic::warning("B343", format!("no load balancer uses target group `{key}`: it is not made"))
                        .at(place.clone().key())
                        .help(format!("name it under `lb`: `GATEWAY: {key}`; or remove it")),
                );
                continue;
            }
            groups.wanted.extend(resolve_one(context, key, group, place, report));
        }
        apart(&groups.wanted, report);
        // Those of components that a limited plan leaves out are neither made nor changed.
        groups.wanted.retain(|group| behind(context, group.key).any(|name| context.options.includes(name)));
    }
    groups.surplus = surplus(context, &groups.wanted, report);
    groups
}

fn resolve_one<'a>(
    context: Context<'a>,
    key: &'a str,
    group: &TargetGroup,
    place: Place,
    report: &mut Report,
) -> Option<Group<'a>> {
    let name = name(context, key);
    judge(key, &name, group, &place, report);
    let vpc = match vpc(context, key) {
        Some((vpc, at)) => network::vpc(context, vpc, &at, report),
        None => {
            report.push(
                Diagnostic::error("B447", format!("nothing says in which VPC target group `{key}` is"))
                    .at(place.clone())
                    .help("write `vpc:` with its id or name"),
            );
            None
        }
    };
    let running = running_or_refused(context, &name, &place, report)?;
    let mut content = check(group);
    content["Name"] = json!(name);
    content["Protocol"] = json!(group.protocol.unwrap_or_default().name());
    content["Port"] = json!(group.port.unwrap_or(80));
    content["TargetType"] = json!(kind(context, key, group).name());
    content["VpcId"] = json!(vpc?);
    if let Some(running) = running {
        fixed(&name, &content, running, &place, report);
    }
    let delay = group.deregistration_delay.unwrap_or(DEFAULT_DELAY);
    Some(Group { key, name, content, delay, place, running })
}

/// What is there under a name; nothing at all when that is not for Belay to touch.
fn running_or_refused<'a>(
    context: Context<'a>,
    name: &str,
    place: &Place,
    report: &mut Report,
) -> Option<Option<&'a Value>> {
    let Some(facts) = context.facts else { return Some(None) };
    let looked = facts.scope.and_then(|s| s.ecs.as_ref()).is_some_and(|s| s.made_groups.contains(name));
    if !looked {
        report.push(
            Diagnostic::error("B505", format!("the observed state does not look at target group `{name}`"))
                .at(place.clone())
                .help("run `belayc scope` and `belay observe` again with these inputs"),
        );
        return None;
    }
    let found = running(context, facts, name);
    if found.is_none() && facts.target_group(name).is_some() {
        report.push(
            Diagnostic::error(
                "B501",
                format!("target group `{name}` is there already, and its tags do not say that it is this project's"),
            )
            .at(place.clone())
            .help("give it another `name`; or name the one that is there under `lb`, and remove it here"),
        );
        return None;
    }
    Some(found)
}

/// What AWS would refuse.
fn judge(key: &str, name: &str, group: &TargetGroup, place: &Place, report: &mut Report) {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if !names::is_ecs_name(key) {
        report.push(
            Diagnostic::error("B401", format!("`{key}` cannot be the name of a target group here"))
                .at(place.clone().key())
                .help("use letters, digits, hyphens and underscores"),
        );
    } else if name.is_empty()
        || name.len() > LONGEST
        || !name.bytes().all(legal)
        || name.starts_with('-')
        || name.ends_with('-')
    {
        let at = if group.name.is_some() { place.child("name") } else { place.clone().key() };
        report.push(
            Diagnostic::error("B401", format!("`{name}` cannot be the name of a target group"))
                .at(at)
                .help(format!("it has 1 to {LONGEST} letters, digits and hyphens, with a hyphen neither first nor last: give it a `name`")),
        );
    }
    let Some(written) = &group.health_check else { return };
    let at = |member: &str| place.child("health_check").child(member);
    let mut refuse = |message: String, member: &str, help: String| {
        report.push(Diagnostic::error("B447", message).at(at(member)).help(help));
    };
    let protocol = group.protocol.unwrap_or_default();
    let check = check(group);
    let of = |member: &str| number(&check, member).unwrap_or_default();
    let (interval, timeout) = (of("HealthCheckIntervalSeconds"), of("HealthCheckTimeoutSeconds"));
    if timeout >= interval {
        refuse(
            format!("a check of `{key}` waits {timeout} s for its answer, and the next one comes after {interval} s"),
            if written.timeout.is_some() { "timeout" } else { "interval" },
            format!("write a `timeout` below {interval}, or a longer `interval`"),
        );
    }
    if speaks_http(protocol) && written.protocol == Some(CheckProtocol::Tcp) {
        refuse(
            format!("targets of the protocol {} cannot be checked by TCP", protocol.name()),
            "protocol",
            "write HTTP or HTTPS, or leave it out".to_owned(),
        );
    }
    if check_protocol(group) == CheckProtocol::Tcp {
        for (member, given) in [("path", written.path.is_some()), ("codes", written.codes.is_some())] {
            if given {
                refuse(
                    format!("a check by TCP asks for nothing, so it has no `{member}`"),
                    member,
                    format!("remove `{member}`, or write `protocol: HTTP` beside it"),
                );
            }
        }
        return;
    }
    let highest = if speaks_http(protocol) { 499 } else { 599 };
    if let Some(codes) = written.codes.as_ref().filter(|codes| !are_codes(&codes.0, highest)) {
        refuse(
            format!("`{}` are not codes that pass", codes.0),
            "codes",
            format!("write numbers from 200 to {highest} and ranges of them, such as `200,204` or `200-299`"),
        );
    }
}

fn are_codes(codes: &str, highest: u16) -> bool {
    let code = |text: &str| text.parse::<u16>().ok().filter(|code| (200..=highest).contains(code));
    codes.split(',').all(|part| match part.split_once('-') {
        Some((low, high)) => code(low).zip(code(high)).is_some_and(|(low, high)| low < high),
        None => code(part).is_some(),
    })
}

/// No two groups have one name.
fn apart(wanted: &[Group<'_>], report: &mut Report) {
    let mut seen: BTreeMap<&str, &Group<'_>> = BTreeMap::new();
    for group in wanted {
        if let Some(first) = seen.insert(&group.name, group) {
            report.push(
                Diagnostic::error(
                    "B320",
                    format!("target groups `{}` and `{}` are both called `{}`", first.key, group.key, group.name),
                )
                .at(group.place.clone().key())
                .related(first.place.clone().key(), "the other one is here")
                .help("give one of them another `name`"),
            );
        }
    }
}

/// What is set once and for all is as it was.
fn fixed(name: &str, wanted: &Value, running: &Value, place: &Place, report: &mut Report) {
    for (member, key) in FIXED {
        let (from, to) = (running.get(member), wanted.get(member));
        if from.is_none() || from == to {
            continue;
        }
        let shown = |value: Option<&Value>| match value {
            Some(Value::String(text)) => text.clone(),
            other => other.cloned().unwrap_or_default().to_string(),
        };
        report.push(
            Diagnostic::error(
                "B530",
                format!("the {key} of target group `{name}` is {}, and AWS cannot make it {}", shown(from), shown(to)),
            )
            .at(place.child(key))
            .help("give the group another `name` as well: a new one is then made beside it, services move to that and rules after them (B458), and the old one is deleted after the commit point"),
        );
    }
}

/// Groups of ours that are neither wanted nor named by anybody.
fn surplus<'a>(context: Context<'a>, wanted: &[Group<'_>], report: &mut Report) -> Vec<Surplus<'a>> {
    let Some(facts) = context.facts else { return Vec::new() };
    let leftovers = Leftovers::of(&context.loaded.model, context.options);
    // Groups are no component's, so a teardown of some components leaves them.
    if !context.options.only.is_empty() {
        return Vec::new();
    }
    let (project, key) = (context.tag("project"), context.tag("target-group"));
    let mut surplus = Vec::new();
    for group in facts.target_groups() {
        let (Some(name), Some(arn)) = (text(group, "TargetGroupName"), text(group, "TargetGroupArn")) else { continue };
        let ours = facts.tag(arn, &project) == Some(context.options.project.as_str());
        if !ours || facts.tag(arn, &key).is_none() {
            continue;
        }
        if wanted.iter().any(|group| group.name == name) || is_named(context, name, arn) {
            continue;
        }
        if leftovers == Leftovers::Stay {
            ownership::left_alone(&format!("target group `{name}` is not asked for any more"), false, report);
            continue;
        }
        let mut leading = facts.leading_to(arn).filter(|leads| !leads::is_turned(context, leads));
        let foreign = leading.find(|rule| facts.tag(rule, &project) != Some(&context.options.project));
        if let Some(rule) = foreign {
            report.push(
                Diagnostic::warning(
                    "B506",
                    format!(
                        "target group `{name}` is not asked for any more, but `{rule}` leads to it: it is left alone"
                    ),
                )
                .at(settings::place(&["target_groups"]).key())
                .help("let that rule lead elsewhere; the group is then deleted by the next plan"),
            );
            continue;
        }
        surplus.push(Surplus { name, arn });
    }
    surplus
}

/// Whether the environment names a group as one that is there.
fn is_named(context: Context<'_>, name: &str, arn: &str) -> bool {
    let is = |reference: &Reference| match reference {
        Reference::TargetGroup(named) => named == arn,
        Reference::Name(named) => named == name,
        Reference::Made(_) | Reference::Classic(_) => false,
    };
    context.options.mode == Mode::Deploy
        && context
            .settings
            .balancers
            .values()
            .any(|s| is(&s.reference) || s.switch.as_ref().is_some_and(|switch| is(&switch.to)))
}

#[cfg(test)]
mod tests {
    use super::are_codes;

    #[test]
    fn codes_are_numbers_and_ranges() {
        for good in ["200", "200,204", "200-299", "200-299,301"] {
            assert!(are_codes(good, 499), "{good}");
        }
        for bad in ["", "200,", "299-200", "199", "500", "ok", "200 204"] {
            assert!(!are_codes(bad, 499), "{bad}");
        }
        assert!(are_codes("200-599", 599));
    }
}
