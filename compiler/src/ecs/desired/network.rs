//! Where tasks with network interfaces of their own are: names of subnets and security groups become ids.

use std::collections::BTreeSet;

use belay_schemas::model::Network;
use serde_json::{Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::Context;
use crate::ecs::facts::Facts;
use crate::ecs::json::{items, text};

/// `awsvpcConfiguration` of a service; what is wrong goes to the report.
pub fn configuration(context: Context<'_>, network: &Network, place: &Place, report: &mut Report) -> Value {
    let mut vpcs = BTreeSet::new();
    let subnets = subnets(context, network, place, &mut vpcs, report);
    if vpcs.len() > 1 {
        let named: Vec<&str> = vpcs.iter().copied().collect();
        report.push(
            Diagnostic::error("B421", format!("the subnets are in several VPCs: {}", named.join(", ")))
                .at(place.child("subnets"))
                .help("name the VPC with `vpc:`, or write names or ids of the subnets of one VPC"),
        );
    }
    let groups = groups(context, network, place, &vpcs, report);
    let mut out = json!({
        "subnets": subnets,
        "assignPublicIp": if network.public_ip == Some(true) { "ENABLED" } else { "DISABLED" },
    });
    if !groups.is_empty() {
        out["securityGroups"] = json!(groups);
    }
    json!({"awsvpcConfiguration": out})
}

/// Whether an entry is an id of that kind rather than a name.
pub fn is_id(entry: &str, prefix: &str) -> bool {
    let rest = entry.strip_prefix(prefix).unwrap_or_default();
    rest.len() >= 8 && rest.bytes().all(|b| b.is_ascii_hexdigit())
}

fn subnets<'a>(
    context: Context<'a>,
    network: &Network,
    place: &Place,
    vpcs: &mut BTreeSet<&'a str>,
    report: &mut Report,
) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let wanted_vpcs = network.vpc.as_deref().and_then(|vpc| vpc_ids(context, vpc, &place.child("vpc"), report));
    for (index, entry) in network.subnets.iter().enumerate() {
        let at = place.child("subnets").child(index.to_string());
        let Some(facts) = known(context, entry, "subnet-", "subnet", &at, report) else {
            found.insert(entry.clone());
            continue;
        };
        let all = facts.subnets.iter().copied().filter(|s| called(s, entry, "SubnetId", name_tag(s)));
        let in_vpc: Vec<&Value> = all
            .filter(|s| wanted_vpcs.as_ref().is_none_or(|vpcs| text(s, "VpcId").is_some_and(|v| vpcs.contains(v))))
            .collect();
        if in_vpc.is_empty() {
            report.push(absent(facts, "subnet", entry, at));
        }
        found.extend(in_vpc.iter().filter_map(|s| text(s, "SubnetId")).map(str::to_owned));
        vpcs.extend(in_vpc.iter().filter_map(|s| text(s, "VpcId")));
    }
    found
}

fn groups(
    context: Context<'_>,
    network: &Network,
    place: &Place,
    vpcs: &BTreeSet<&str>,
    report: &mut Report,
) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (index, entry) in network.security_groups.iter().enumerate() {
        let at = place.child("security_groups").child(index.to_string());
        let Some(facts) = known(context, entry, "sg-", "security group", &at, report) else {
            found.insert(entry.clone());
            continue;
        };
        let all: Vec<&Value> = facts
            .security_groups
            .iter()
            .copied()
            .filter(|g| called(g, entry, "GroupId", text(g, "GroupName")))
            .collect();
        let in_vpc: Vec<&str> = all
            .iter()
            .filter(|g| vpcs.is_empty() || text(g, "VpcId").is_some_and(|v| vpcs.contains(v)))
            .filter_map(|g| text(g, "GroupId"))
            .collect();
        if let (true, Some(other)) = (in_vpc.is_empty(), all.first().and_then(|g| text(g, "VpcId"))) {
            let subnets: Vec<&str> = vpcs.iter().copied().collect();
            report.push(
                Diagnostic::error(
                    "B421",
                    format!("security group `{entry}` is in VPC {other}, the subnets are in {}", subnets.join(", ")),
                )
                .at(at)
                .related(place.child("subnets"), "the subnets are named here")
                .help("name a security group of the subnets' VPC"),
            );
        } else if in_vpc.is_empty() {
            report.push(absent(facts, "security group", entry, at));
        }
        found.extend(in_vpc.into_iter().map(str::to_owned));
    }
    found
}

/// The id of a VPC by its id or name; what is wrong goes to the report.
pub fn vpc(context: Context<'_>, vpc: &str, at: &Place, report: &mut Report) -> Option<String> {
    if context.facts.is_none() && is_id(vpc, "vpc-") {
        return Some(vpc.to_owned());
    }
    let ids = vpc_ids(context, vpc, at, report)?;
    if ids.len() > 1 {
        let found: Vec<&str> = ids.iter().copied().collect();
        report.push(
            Diagnostic::error("B421", format!("several VPCs are called `{vpc}`: {}", found.join(", ")))
                .at(at.clone())
                .help("write the id of the one that you mean"),
        );
        return None;
    }
    ids.first().map(|id| (*id).to_owned())
}

fn vpc_ids<'a>(context: Context<'a>, vpc: &str, at: &Place, report: &mut Report) -> Option<BTreeSet<&'a str>> {
    let facts = known(context, vpc, "vpc-", "VPC", at, report)?;
    let ids: BTreeSet<&str> =
        facts.vpcs.iter().filter(|v| called(v, vpc, "VpcId", name_tag(v))).filter_map(|v| text(v, "VpcId")).collect();
    if ids.is_empty() {
        report.push(absent(facts, "VPC", vpc, at.clone()));
        return None;
    }
    Some(ids)
}

/// What was observed, or nothing: then an id is taken as it is, and a name is an error.
fn known<'a>(
    context: Context<'a>,
    entry: &str,
    prefix: &str,
    what: &str,
    at: &Place,
    report: &mut Report,
) -> Option<&'a Facts<'a>> {
    if context.facts.is_none() && !is_id(entry, prefix) {
        report.push(
            Diagnostic::error("B345", format!("which {what} `{entry}` is has to be looked up"))
                .at(at.clone())
                .help(format!("compile with `--observed FILE` (see `belayc scope` and `belay observe`), or write the id, {prefix}…")),
        );
    }
    context.facts
}

fn absent(facts: &Facts<'_>, what: &str, entry: &str, at: Place) -> Diagnostic {
    let looked = facts.scope.and_then(|s| s.ecs.as_ref()).is_some_and(|s| s.network.names().any(|name| name == entry));
    if looked {
        Diagnostic::error("B421", format!("there is no {what} `{entry}` in this account and region"))
            .at(at)
            .help("correct the name, or create it first; then observe again")
    } else {
        Diagnostic::error("B505", format!("the observed state does not look at {what} `{entry}`"))
            .at(at)
            .help("run `belayc scope` and `belay observe` again with these inputs")
    }
}

fn name_tag(item: &Value) -> Option<&str> {
    items(item, "Tags").iter().find(|t| text(t, "Key") == Some("Name")).and_then(|t| text(t, "Value"))
}

/// Whether an entry means this thing: by its id, or by its name with `*` and `?` for any characters.
fn called(item: &Value, entry: &str, id: &str, name: Option<&str>) -> bool {
    text(item, id) == Some(entry) || name.is_some_and(|name| like(entry.as_bytes(), name.as_bytes()))
}

fn like(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, _) => name.is_empty(),
        (Some((b'*', rest)), _) => (0..=name.len()).any(|skip| like(rest, &name[skip..])),
        (Some((b'?', rest)), Some((_, tail))) => like(rest, tail),
        (Some((c, rest)), Some((d, tail))) => c == d && like(rest, tail),
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_are_told_apart() {
        assert!(
            is_id("subnet-0a000001", "subnet-") && !is_id("subnet-private", "subnet-") && !is_id("subnet-1", "subnet-")
        );
        assert!(like(b"private-*", b"private-a") && like(b"?-a", b"x-a") && !like(b"private", b"private-a"));
    }
}
