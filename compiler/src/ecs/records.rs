//! Records of Route 53 by which components find each other through load balancers of their own: which are wanted, whose
//! those are that there are, which of them nobody wants any more.
//!
//! Invariants: a record is ours by the text beside it, which comes and goes with it; one that somebody else made is neither
//! changed nor hidden, and where it says what is wanted already, it does.

use std::collections::BTreeSet;

use belay_schemas::scope::RECORD_TAG;
use serde_json::{Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};

use super::Context;
use super::desired::{Attachment, Balancer, own_balancer};
use super::facts::Facts;
use super::json::{items, tag, text};

/// Seconds for which resolvers keep the text beside a record.
const TEXT_TTL: u64 = 300;
/// Types of records that decide where a name leads, or that are ours beside one.
const TYPES: [&str; 4] = ["A", "AAAA", "CNAME", "TXT"];

/// The record of a component.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The component.
    pub component: String,
    /// Its whole name, without a dot at the end.
    pub name: String,
    /// Id of the hosted zone.
    pub zone: String,
    /// The load balancer that it leads to, as `AliasTarget`.
    pub target: Value,
    /// What asks for it.
    pub place: Place,
}

impl Record {
    /// Its name beside its zone, as the tag of the service tells it.
    pub fn key(&self) -> String {
        key(&self.zone, &self.name)
    }
}

fn key(zone: &str, name: &str) -> String {
    format!("{zone}/{name}")
}

/// An id of Route 53 without what stands before it: `/hostedzone/Z1` is `Z1`.
pub fn bare(id: &str) -> &str {
    id.rsplit_once('/').map_or(id, |(_, id)| id)
}

/// A name of the DNS as it is compared: in small letters, without a dot at the end.
pub fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// The name of a component's record, where Belay keeps one.
pub fn name(context: Context<'_>, component: &str) -> Option<String> {
    let setting = context.settings.records.as_ref()?;
    Some(format!("{}.{}", component.to_ascii_lowercase(), setting.suffix))
}

/// Whether a component has a load balancer of its own, so that it has a record.
pub fn has_one(context: Context<'_>, component: &str) -> bool {
    context.settings.records.is_some() && own_balancer(context, component).is_some()
}

/// The record that a component is to have; what is wrong goes to the report.
pub fn wanted(
    context: Context<'_>,
    component: &str,
    attachments: &[Attachment],
    report: &mut Report,
) -> Option<Record> {
    let setting = context.settings.records.as_ref()?;
    let attachment = attachments.iter().find(|attachment| attachment.is_implied())?;
    let name = name(context, component)?;
    let Some(facts) = context.facts else {
        report.push(
            Diagnostic::error("B345", format!("the hosted zone `{}` has to be looked up", setting.zone))
                .at(setting.place.clone())
                .help("compile with `--observed FILE` (see `belayc scope` and `belay observe`)"),
        );
        return None;
    };
    let zone = zone(context, facts, report)?;
    if facts.record_sets(zone, &name).is_none() {
        let diagnostic = Diagnostic::error("B505", format!("the observed state does not look at records of `{name}`"));
        report.push(
            diagnostic.at(setting.place.clone()).help("run `belayc scope` and `belay observe` again with these inputs"),
        );
        return None;
    }
    let Some(target) = target(facts, &attachment.balancer) else {
        report.push(
            Diagnostic::error("B351", format!("no load balancer leads to `{component}` that `{name}` could stand for"))
                .at(attachment.named_at.clone())
                .related(setting.place.clone(), "its record is asked for here")
                .help("let a listener lead to its target group first, and observe again; or name another one")
                .help("where Belay makes the target group and its rule, deploy once without `discovery_records`"),
        );
        return None;
    };
    let record =
        Record { component: component.to_owned(), name, zone: zone.to_owned(), target, place: setting.place.clone() };
    check(context, facts, &record, &attachment.named_at, report);
    Some(record)
}

/// The id of the hosted zone.
fn zone<'a>(context: Context<'_>, facts: &Facts<'a>, report: &mut Report) -> Option<&'a str> {
    let setting = context.settings.records.as_ref()?;
    let all = facts.hosted_zones(&setting.zone);
    let private = |zone: &&&Value| zone.pointer("/Config/PrivateZone") == Some(&Value::Bool(true));
    let private: Vec<&Value> = all.iter().filter(private).copied().collect();
    let found = match (all.as_slice(), private.as_slice()) {
        ([one], _) | (_, [one]) => *one,
        ([], _) => {
            let looked =
                facts.scope.and_then(|s| s.ecs.as_ref()).is_some_and(|ecs| ecs.record_zones.contains(&setting.zone));
            report.push(match looked {
                true => Diagnostic::error("B351", format!("there is no hosted zone `{}`", setting.zone))
                    .at(setting.place.clone())
                    .help("create it first, or name another one with `zone`: its name or its id; then observe again"),
                false => {
                    Diagnostic::error("B505", format!("the observed state does not look at zone `{}`", setting.zone))
                        .at(setting.place.clone())
                        .help("run `belayc scope` and `belay observe` again with these inputs")
                }
            });
            return None;
        }
        (several, _) => {
            let ids: Vec<&str> = several.iter().filter_map(|zone| text(zone, "Id")).map(bare).collect();
            report.push(
                Diagnostic::error("B351", format!("there are several hosted zones `{}`", setting.zone))
                    .at(setting.place.clone())
                    .help(format!("write the id of the one that you mean as `zone`: {}", ids.join(", "))),
            );
            return None;
        }
    };
    let apex = plain(text(found, "Name")?);
    if setting.suffix != apex && !setting.suffix.ends_with(&format!(".{apex}")) {
        report.push(
            Diagnostic::error("B351", format!("`{}` is not within the hosted zone `{apex}`", setting.suffix))
                .at(super::settings::place(&["discovery_zone"]))
                .related(setting.place.clone(), "the hosted zone is named here")
                .help("name the hosted zone that holds `discovery_zone`"),
        );
        return None;
    }
    text(found, "Id").map(bare)
}

/// The load balancer before a target, as an alias names it.
fn target(facts: &Facts<'_>, balancer: &Balancer) -> Option<Value> {
    let (name, zone) = match balancer {
        Balancer::Classic { name } => {
            let found = facts.classic(name)?;
            (text(found, "DNSName")?, text(found, "CanonicalHostedZoneNameID")?)
        }
        Balancer::TargetGroup { arn } => {
            let group = facts.target_group(arn)?;
            let found = items(group, "LoadBalancerArns").first().and_then(Value::as_str);
            let found = found.and_then(|arn| facts.load_balancer(arn))?;
            (text(found, "DNSName")?, text(found, "CanonicalHostedZoneId")?)
        }
    };
    Some(json!({"DNSName": format!("{}.", plain(name)), "EvaluateTargetHealth": false, "HostedZoneId": zone}))
}

/// Where record sets lead, as far as it counts.
pub fn alias(sets: &[Value]) -> Option<Value> {
    let target = sets.iter().find(|set| text(set, "Type") == Some("A"))?.get("AliasTarget")?;
    Some(json!({"DNSName": target["DNSName"], "HostedZoneId": target["HostedZoneId"]}))
}

/// The record sets of a component's record, in the shape in which they are sent.
pub fn sets(context: Context<'_>, record: &Record) -> Vec<Value> {
    let name = format!("{}.", record.name);
    vec![
        json!({"Name": name, "Type": "A", "AliasTarget": record.target}),
        json!({
            "Name": name, "Type": "TXT", "TTL": TEXT_TTL,
            "ResourceRecords": [{"Value": words(context, &record.component)}],
        }),
    ]
}

/// What the text beside a record says: whose it is. A zone is one for all regions and clusters.
fn words(context: Context<'_>, component: &str) -> String {
    let said =
        [("project", context.options.project.as_str()), ("cluster", &cluster(context)), ("component", component)];
    said.map(|(key, value)| format!("\"{}={value}\"", context.tag(key))).join(" ")
}

/// The cluster with its region.
fn cluster(context: Context<'_>) -> String {
    let region = context.facts.map_or("", |facts| facts.region);
    format!("{region}/{}", context.settings.cluster)
}

/// Whose the record sets of a name are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner<'a> {
    /// There is none.
    Free,
    /// This component's of the project.
    Ours(&'a str),
    /// Of another cluster of the project.
    Elsewhere(&'a str),
    /// Another project's.
    Other(&'a str),
    /// Nothing says whose.
    Nobody,
}

fn owner<'a>(context: Context<'_>, sets: &[&'a Value]) -> Owner<'a> {
    if !sets.iter().any(|set| text(set, "Type").is_some_and(|kind| TYPES.contains(&kind))) {
        return Owner::Free;
    }
    // Where others keep texts under the name as well, it is theirs, too.
    let alone = |set: &&&Value| text(set, "Type") == Some("TXT") && items(set, "ResourceRecords").len() == 1;
    let values = sets
        .iter()
        .filter(alone)
        .flat_map(|set| items(set, "ResourceRecords"))
        .filter_map(|record| text(record, "Value"));
    let said = |key: &str| {
        let mut words = values.clone().flat_map(|value| value.split("\" \"")).map(|word| word.trim_matches('"'));
        words.find_map(|word| word.strip_prefix(&context.tag(key))?.strip_prefix('='))
    };
    match (said("project"), said("cluster"), said("component")) {
        (Some(project), Some(where_), Some(component)) if project == context.options.project => {
            if where_ == cluster(context) { Owner::Ours(component) } else { Owner::Elsewhere(where_) }
        }
        (Some(project), ..) => Owner::Other(project),
        (None, ..) => Owner::Nobody,
    }
}

/// Whether a name leads to a load balancer already. The console of Route 53 writes `dualstack.` before its name, and a CNAME
/// leads there, too.
fn leads_to(sets: &[&Value], target: &Value) -> bool {
    let bare = |name: &str| plain(name).trim_start_matches("dualstack.").to_owned();
    let wanted = text(target, "DNSName").map(bare);
    sets.iter().any(|set| {
        let alias = set.get("AliasTarget").filter(|_| text(set, "Type") == Some("A"));
        let other = items(set, "ResourceRecords").first().filter(|_| text(set, "Type") == Some("CNAME"));
        let name = alias.and_then(|a| text(a, "DNSName")).or_else(|| text(other?, "Value"));
        name.map(bare) == wanted
    })
}

/// What has to be done about a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// It is not there.
    Create,
    /// It leads elsewhere: what there is of it.
    Change(Vec<Value>),
    /// Nothing.
    None,
}

/// What has to be done about a record.
pub fn work(context: Context<'_>, record: &Record) -> Work {
    let Some(found) = context.facts.and_then(|facts| facts.record_sets(&record.zone, &record.name)) else {
        return Work::None;
    };
    match owner(context, found) {
        Owner::Free => Work::Create,
        Owner::Ours(_) if !leads_to(found, &record.target) => {
            Work::Change(found.iter().copied().filter(|set| is_ours(set)).cloned().collect())
        }
        _ => Work::None,
    }
}

/// Whether a set is one of the two of a record.
fn is_ours(set: &Value) -> bool {
    matches!(text(set, "Type"), Some("A" | "TXT"))
}

/// Refuses names that are somebody else's and lead elsewhere.
fn check(context: Context<'_>, facts: &Facts<'_>, record: &Record, at: &Place, report: &mut Report) {
    let Some(found) = facts.record_sets(&record.zone, &record.name) else { return };
    let name = &record.name;
    let (message, help) = match owner(context, found) {
        Owner::Free => return,
        Owner::Ours(component) if component == record.component => {
            // Beside ours, others of the name would win or answer otherwise.
            let beside = |set: &&&Value| {
                matches!(text(set, "Type"), Some("AAAA" | "CNAME")) || set.get("SetIdentifier").is_some()
            };
            let Some(other) = found.iter().find(beside) else { return };
            let kind = text(other, "Type").unwrap_or_default();
            let policy = if other.get("SetIdentifier").is_some() { ", with a routing policy" } else { "" };
            (
                format!("beside the record `{name}` there is one of the type {kind}{policy}"),
                "delete it, and observe again",
            )
        }
        Owner::Ours(component) => (
            format!("the record `{name}` belongs to component `{component}`"),
            "give the component another name, or let that one give it up first, and deploy twice",
        ),
        Owner::Elsewhere(cluster) => (
            format!("the record `{name}` belongs to this project in cluster `{cluster}`"),
            "write another `discovery_zone` for each of the two; or tear it down there first",
        ),
        Owner::Other(project) => (
            format!("the record `{name}` belongs to project `{project}`"),
            "give the component another name, or write another `discovery_zone`: Belay never touches what another project owns",
        ),
        // As Skopos has it: it was made by hand, and is right.
        Owner::Nobody if leads_to(found, &record.target) => return,
        Owner::Nobody => (
            format!(
                "there are records of `{name}` already, which do not lead to its load balancer, and nothing says that they are Belay's"
            ),
            "delete them, or let them lead there; or leave `discovery_records` out, and they stay as they are",
        ),
    };
    report.push(
        Diagnostic::error("B501", message)
            .at(record.place.clone())
            .related(at.clone(), "its load balancer is named here")
            .help(help),
    );
}

/// One of ours that nobody wants any more.
#[derive(Debug, Clone, PartialEq)]
pub struct Surplus<'a> {
    /// The component that it was for.
    pub component: &'a str,
    /// Id of its hosted zone.
    pub zone: &'a str,
    /// Its name, without a dot at the end.
    pub name: &'a str,
    /// What there is of it.
    pub sets: Vec<&'a Value>,
}

/// Those of ours that are none of `wanted`, by their keys, as far as they were looked at: by the names of components, and by
/// what the tags of services tell.
pub fn surplus<'a>(context: Context<'a>, wanted: &BTreeSet<String>) -> Vec<Surplus<'a>> {
    let Some(facts) = context.facts else { return Vec::new() };
    let ours = facts.all_record_sets().filter(|(zone, name, _)| !wanted.contains(&key(zone, name)));
    let ours = ours.filter_map(|(zone, name, found)| {
        let Owner::Ours(component) = owner(context, found) else { return None };
        Some(Surplus { component, zone, name, sets: found.iter().copied().filter(|set| is_ours(set)).collect() })
    });
    ours.collect()
}

/// The name under which others look a component up that runs, and the one under which they are to.
pub fn renamed<'a>(context: Context<'a>, component: &str) -> Option<(&'a str, String)> {
    let service = context.facts?.service(&context.service_name(component))?;
    let (_, before) = tag(items(service, "tags"), &context.tag(RECORD_TAG))?.split_once('/')?;
    let after = name(context, component).filter(|_| has_one(context, component))?;
    (before != after).then_some((before, after))
}
