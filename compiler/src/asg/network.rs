//! Where instances run: the VPC, its subnets, its security groups.
//!
//! Invariant: at most one subnet per availability zone, and every one in the VPC.

use std::collections::BTreeMap;

use belay_schemas::environment::Subnets;
use serde_json::Value;

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::json::text;

use super::Context;
use super::facts::{Facts, tag_of};
use super::settings::{Placed, place};

fn look_up(what: &str, at: Place) -> Diagnostic {
    Diagnostic::error("B345", format!("{what} has to be looked up"))
        .at(at)
        .help("compile with `--observed FILE` (see `belayc scope` and `belay observe`)")
}

/// Checks that there is a VPC to look in; its id, where it is known. Told once, not for each component.
pub fn vpc<'a>(context: Context<'a>, report: &mut Report) -> Option<&'a str> {
    let config = &context.settings.config;
    let home = config.home_vpc == Some(true);
    if config.vpc.is_none() && !home {
        report.push(
            Diagnostic::error("B604", "the environment does not say in which VPC instances run")
                .at(place(&[]).key())
                .help("add `vpc:` with the name or id of the VPC, or `home_vpc: true` where Belay observes from an EC2 instance in it")
                .help("for groups that somebody else has made (`PROJECT.COMPONENT_A` and `_B`), leave everything out but `lb`"),
        );
        return None;
    }
    let facts = context.facts?;
    let named = config.vpc.as_deref().map(|wanted| named_vpc(facts, wanted, report));
    if !home {
        return named?;
    }
    let at = place(&["home_vpc"]);
    let found = facts.home_vpc.and_then(|h| h.vpc_id.as_deref());
    let Some(id) = found else {
        let why = facts.home_vpc.and_then(|h| h.error.as_deref()).unwrap_or("the observation did not look for it");
        report.push(
            Diagnostic::error("B605", format!("the VPC of the host that observed is not known: {why}")).at(at).help(
                "run `belay observe` on an EC2 instance in the VPC, or name the VPC in `vpc` and remove `home_vpc`",
            ),
        );
        return None;
    };
    if let Some(Some(named)) = named
        && named != id
    {
        report.push(
            Diagnostic::error("B605", format!("the host that observed is in VPC {id}, but `vpc` is {named}"))
                .at(at)
                .related(place(&["vpc"]), "the VPC is named here")
                .help("observe from an instance in that VPC, or remove `home_vpc`"),
        );
        return None;
    }
    Some(id)
}

fn named_vpc<'a>(facts: &Facts<'a>, wanted: &str, report: &mut Report) -> Option<&'a str> {
    let matches = |vpc: &&Value| text(vpc, "VpcId") == Some(wanted) || tag_of(vpc, "Name") == Some(wanted);
    let found: Vec<&str> = facts.vpcs().filter(matches).filter_map(|v| text(v, "VpcId")).collect();
    match found.as_slice() {
        [one] => Some(one),
        [] => {
            report.push(
                Diagnostic::error("B606", format!("there is no VPC `{wanted}` in the account and region"))
                    .at(place(&["vpc"]))
                    .help("correct the name or id, or observe again after it was created"),
            );
            None
        }
        several => {
            report.push(
                Diagnostic::error("B606", format!("several VPCs are called `{wanted}`: {}", several.join(", ")))
                    .at(place(&["vpc"]))
                    .help("write the id of the one that you mean"),
            );
            None
        }
    }
}

/// The ids of the subnets of a component, sorted.
pub fn subnets(context: Context<'_>, vpc: Option<&str>, wanted: &Placed<Subnets>, report: &mut Report) -> Vec<String> {
    let Some(facts) = context.facts else {
        if let Subnets::List(list) = &wanted.value
            && list.iter().all(|name| name.starts_with("subnet-"))
        {
            let mut ids = list.clone();
            ids.sort();
            return ids;
        }
        report.push(look_up("which subnets the VPC has", wanted.place.clone()));
        return Vec::new();
    };
    let Some(vpc) = vpc else { return Vec::new() };
    let here: Vec<&Value> = facts.subnets().filter(|s| text(s, "VpcId") == Some(vpc)).collect();
    let mut found: Vec<(&Value, Place)> = Vec::new();
    match &wanted.value {
        Subnets::Wildcard(pattern) => {
            let all = here.iter().filter(|s| fits(pattern, tag_of(s, "Name").unwrap_or_default()));
            found.extend(all.map(|s| (*s, wanted.place.clone())));
            if found.is_empty() {
                report.push(unknown_subnet(
                    format!("no subnet of VPC {vpc} fits `{pattern}`"),
                    &here,
                    wanted.place.clone(),
                ));
            }
        }
        Subnets::List(list) => {
            for (index, name) in list.iter().enumerate() {
                let at = wanted.place.child(index.to_string());
                let matches = |s: &&&Value| text(s, "SubnetId") == Some(name) || tag_of(s, "Name") == Some(name);
                let fitting: Vec<&&Value> = here.iter().filter(matches).collect();
                match fitting.as_slice() {
                    [] => report.push(unknown_subnet(format!("VPC {vpc} has no subnet `{name}`"), &here, at)),
                    [one] => found.push((one, at)),
                    several => report.push(
                        Diagnostic::error(
                            "B607",
                            format!("{} subnets of VPC {vpc} are called `{name}`", several.len()),
                        )
                        .at(at)
                        .help("write the id of the one that you mean"),
                    ),
                }
            }
        }
    }
    one_a_zone(&found, report);
    let mut ids: Vec<String> = found.iter().filter_map(|(s, _)| text(s, "SubnetId")).map(str::to_owned).collect();
    ids.sort();
    ids.dedup();
    ids
}

fn unknown_subnet(message: String, here: &[&Value], at: Place) -> Diagnostic {
    let names: Vec<&str> = here.iter().filter_map(|s| tag_of(s, "Name").or_else(|| text(s, "SubnetId"))).collect();
    Diagnostic::error("B607", message).at(at).help(match names.is_empty() {
        true => "the VPC has no subnets at all: create them first, then observe again".to_owned(),
        false => format!("its subnets are {}", names.join(", ")),
    })
}

/// Auto Scaling spreads instances over zones: two subnets of one zone would only hide which of them is used.
fn one_a_zone(found: &[(&Value, Place)], report: &mut Report) {
    let mut zones: BTreeMap<&str, (&str, &Place)> = BTreeMap::new();
    for (subnet, at) in found {
        let (Some(zone), Some(id)) = (text(subnet, "AvailabilityZone"), text(subnet, "SubnetId")) else { continue };
        let Some((other, first)) = zones.get(zone).filter(|(other, _)| *other != id) else {
            zones.insert(zone, (id, at));
            continue;
        };
        let diagnostic =
            Diagnostic::error("B608", format!("subnets {other} and {id} are both in availability zone {zone}"));
        report.push(
            diagnostic
                .at(at.clone())
                .related((*first).clone(), "the other one is chosen here")
                .help("choose one subnet per availability zone: list them, or let the wildcard fit one of each"),
        );
    }
}

/// The zones of subnets.
pub fn zones<'a>(facts: &Facts<'a>, ids: &[String]) -> Vec<&'a str> {
    let of = |s: &&Value| text(s, "SubnetId").is_some_and(|id| ids.iter().any(|i| i == id));
    let mut zones: Vec<&str> = facts.subnets().filter(of).filter_map(|s| text(s, "AvailabilityZone")).collect();
    zones.sort_unstable();
    zones
}

/// The ids of security groups, in the order in which they are written.
pub fn security_groups(
    context: Context<'_>,
    vpc: Option<&str>,
    wanted: &Placed<Vec<String>>,
    report: &mut Report,
) -> Vec<String> {
    let mut ids = Vec::new();
    for (index, name) in wanted.value.iter().enumerate() {
        let at = wanted.place.child(index.to_string());
        let (Some(facts), Some(vpc)) = (context.facts, vpc) else {
            if name.starts_with("sg-") {
                ids.push(name.clone());
            } else if context.facts.is_none() {
                report.push(look_up(&format!("the id of security group `{name}`"), at));
            }
            continue;
        };
        let fits = |g: &&Value| {
            text(g, "VpcId") == Some(vpc) && (text(g, "GroupId") == Some(name) || text(g, "GroupName") == Some(name))
        };
        match facts.security_groups().find(fits).and_then(|g| text(g, "GroupId")) {
            Some(id) => ids.push(id.to_owned()),
            None => report.push(
                Diagnostic::error("B609", format!("VPC {vpc} has no security group `{name}`"))
                    .at(at)
                    .help("correct the name or id; security groups belong to one VPC"),
            ),
        }
    }
    ids
}

/// Shell-style wildcards: `*`, `?`, `[a-c]` and `[!a-c]`.
pub fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    fit(&pattern, &text)
}

fn fit(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => (0..=text.len()).any(|at| fit(rest, &text[at..])),
        Some(('?', rest)) => !text.is_empty() && fit(rest, &text[1..]),
        Some(('[', rest)) => match rest.iter().skip(1).position(|c| *c == ']').map(|at| at + 1) {
            Some(end) => {
                let (set, tail) = (&rest[..end], &rest[end + 1..]);
                let (negated, set) = match set.split_first() {
                    Some(('!', others)) if !others.is_empty() => (true, others),
                    _ => (false, set),
                };
                text.split_first().is_some_and(|(c, others)| within(set, *c) != negated && fit(tail, others))
            }
            None => text.first() == Some(&'[') && fit(rest, &text[1..]),
        },
        Some((c, rest)) => text.first() == Some(c) && fit(rest, &text[1..]),
    }
}

fn within(set: &[char], c: char) -> bool {
    match set {
        [low, '-', high, rest @ ..] => (*low..=*high).contains(&c) || within(rest, c),
        [one, rest @ ..] => *one == c || within(rest, c),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn wildcards_fit_as_in_a_shell() {
        for (pattern, text) in
            [("*", ""), ("app-?", "app-a"), ("app-[a-c]", "app-b"), ("*-[!x]", "app-b"), ("a*b*c", "aXbYc")]
        {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("app-?", "app-"), ("app-[a-c]", "app-d"), ("app-[!b]", "app-b"), ("a", "ab")] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }
}
