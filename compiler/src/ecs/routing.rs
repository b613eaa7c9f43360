//! Rules of listeners: which requests go to which gateway, by host and path.
//!
//! Invariants: a rule is ours by its tags; a priority is one rule's, so a plan whose rules would meet is refused before
//! anything is called; what others put at a listener is neither changed nor hidden.

use std::collections::{BTreeMap, BTreeSet};

use belay_schemas::environment::ListenerRule;
use serde_json::{Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};

use super::Context;
use super::facts::{Facts, Rule};
use super::json::{items, text};
use super::leads::{self, Lead};
use super::ownership::{self, Leftovers};
use super::settings::{self, BalancerSetting, Reference};
use super::{groups, made};

/// The last priority that a rule can have.
const LAST: u32 = 50_000;
/// Values of all conditions of a rule at most.
const MAX_VALUES: usize = 5;

/// A wanted rule.
#[derive(Debug, Clone)]
pub struct Route<'a> {
    /// Its name in the environment.
    pub name: &'a str,
    /// The listener's name in the environment.
    pub at: &'a str,
    /// ARN of the listener.
    pub listener: &'a str,
    /// Its place among the listener's rules.
    pub priority: u32,
    /// Host names.
    pub hosts: &'a [String],
    /// Paths.
    pub paths: &'a [String],
    /// ARN of the target group that gets the requests.
    pub group: String,
    /// ARN of the target group to which ECS may have shifted them: how they are shared, only ECS says then.
    pub alternate: Option<String>,
    /// Components behind it.
    pub components: Vec<&'a str>,
    /// Where it is said.
    pub place: Place,
    /// The rule that is there.
    pub running: Option<Rule<'a>>,
}

/// A rule of ours that is not wanted any more.
#[derive(Debug, Clone, Copy)]
pub struct Surplus<'a> {
    /// The name in its tag.
    pub name: &'a str,
    /// The listener's name in the environment.
    pub at: &'a str,
    /// ARN of the listener.
    pub listener: &'a str,
    /// The rule.
    pub rule: Rule<'a>,
    /// A priority behind all others, which it has until it is deleted.
    pub last: u32,
}

/// What the listeners should have.
#[derive(Debug, Default)]
pub struct Routing<'a> {
    /// By name.
    pub wanted: Vec<Route<'a>>,
    /// Of network load balancers, by name.
    pub leads: Vec<Lead<'a>>,
    /// What has to go.
    pub surplus: Vec<Surplus<'a>>,
}

/// Hosts, paths and target group of a rule as AWS describes it.
pub fn content(rule: &Value) -> Value {
    let of = |field: &str, config: &str| -> Vec<Value> {
        let conditions = items(rule, "Conditions").iter().filter(|c| text(c, "Field") == Some(field));
        // Values stand in one of two places, or in both.
        let values = conditions.flat_map(|c| c.get(config).map_or_else(|| items(c, "Values"), |c| items(c, "Values")));
        values.cloned().collect()
    };
    let target = items(rule, "Actions").first().and_then(|a| a.get("TargetGroupArn")).cloned().unwrap_or_default();
    json!({
        "Hosts": of("host-header", "HostHeaderConfig"),
        "Paths": of("path-pattern", "PathPatternConfig"),
        "Target": target,
    })
}

/// Its hosts and its paths.
pub fn lists(content: &Value) -> (&[Value], &[Value]) {
    (items(content, "Hosts"), items(content, "Paths"))
}

/// What it is for.
pub fn words(content: &Value) -> String {
    let (hosts, paths) = lists(content);
    let join = |list: &[Value]| list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    match (hosts.is_empty(), paths.is_empty()) {
        (false, true) => join(hosts),
        (true, _) => join(paths),
        (false, false) => format!("{} of {}", join(paths), join(hosts)),
    }
}

/// The listener of a rule, or a listener of a network load balancer itself, by an ARN of either.
pub fn listener_of(arn: &str) -> Option<String> {
    if leads::is_network(arn) {
        return Some(arn.to_owned());
    }
    let (listener, _) = arn.rsplit_once('/').filter(|(rest, _)| rest.contains(":listener-rule/app/"))?;
    Some(listener.replacen(":listener-rule/", ":listener/", 1))
}

/// The ARN of a rule that the environment names, or what stands for it until the plan has made the rule.
pub fn reference(context: Context<'_>, written: &str, place: &Place, report: &mut Report) -> Option<String> {
    if written.starts_with("arn:") {
        return Some(written.to_owned());
    }
    let config = context.loaded.environment.plugin_config.as_ref().and_then(|p| p.ecs.as_ref());
    let rules = config.map(|c| &c.rules);
    let Some(rule) = rules.and_then(|rules| rules.get(written)) else {
        let names: Vec<&str> = rules.into_iter().flat_map(|rules| rules.keys().map(String::as_str)).collect();
        let known = if names.is_empty() { "there are none".to_owned() } else { names.join(", ") };
        report.push(
            Diagnostic::error("B430", format!("`{written}` is neither the ARN of a rule nor one of `rules`"))
                .at(place.clone())
                .help(format!("the rules of the environment are: {known}")),
        );
        return None;
    };
    let listener = config.and_then(|c| c.listeners.get(&rule.listener));
    if let Some(arn) = listener.filter(|arn| leads::is_network(arn)) {
        report.push(
            Diagnostic::error("B430", format!("rule `{written}` stands for a listener of a network load balancer"))
                .at(place.clone())
                .help(format!("write the listener's ARN: {arn}")),
        );
        return None;
    }
    let key = context.tag("rule");
    let running = context.facts.zip(listener).and_then(|(facts, listener)| {
        facts.rules(listener).find(|rule| ours(context, rule) && rule.tag(&key) == Some(written))
    });
    Some(running.map_or_else(|| made::rule(written), |rule| rule.arn().to_owned()))
}

/// Resolves the environment's rules; what is wrong goes to the report. `deploy`: they are wanted, else all of ours go.
pub fn resolve<'a>(context: Context<'a>, deploy: bool, report: &mut Report) -> Routing<'a> {
    let Some(config) = context.loaded.environment.plugin_config.as_ref().and_then(|p| p.ecs.as_ref()) else {
        return Routing::default();
    };
    let known = |arn: &str| arn.contains(":listener/app/") || leads::is_network(arn);
    for (name, arn) in config.listeners.iter().filter(|(_, arn)| !known(arn)) {
        report.push(
            Diagnostic::error("B443", format!("`{arn}` is not the ARN of a listener"))
                .at(settings::place(&["listeners", name]))
                .help("it holds `:listener/app/`, or `:listener/net/` for a network load balancer"),
        );
    }
    let mut routing = Routing::default();
    if deploy {
        for (name, rule) in &config.rules {
            let place = settings::place(&["rules", name]);
            match config_listener(context, rule).filter(|(_, arn)| leads::is_network(arn)) {
                Some(listener) => routing.leads.extend(leads::lead(context, name, rule, (place, listener), report)),
                None => routing.wanted.extend(route(context, name, rule, place, &config.listeners, report)),
            }
        }
        leads::one_each(&routing.leads, report);
        meet(&routing.wanted, report);
        routing.wanted.retain(|route| included(context, route.components.iter().copied(), false));
        routing.leads.retain(|lead| included(context, lead.components.iter().copied(), false));
    }
    let Some(facts) = context.facts else { return routing };
    let key = context.tag("rule");
    for (at, arn) in &config.listeners {
        if !facts.looked_at(arn) {
            let place = settings::place(&["listeners", at]);
            let asked = facts.scope.and_then(|s| s.ecs.as_ref()).is_some_and(|s| s.listeners.contains(arn));
            report.push(match asked {
                true => Diagnostic::error("B443", format!("there is no listener `{arn}`"))
                    .at(place)
                    .help("correct the ARN, or create the listener first; then observe again"),
                false => Diagnostic::error("B505", format!("the observed state does not look at listener `{at}`"))
                    .at(place)
                    .help("run `belayc scope` and `belay observe` again with these inputs"),
            });
        }
        let mut last = free(facts, arn, &routing.wanted);
        for rule in facts.rules(arn) {
            let name = rule.tag(&key).filter(|_| ours(context, &rule));
            let wanted = routing.wanted.iter_mut().find(|r| Some(r.name) == name && r.listener == arn);
            match (wanted, name) {
                (Some(wanted), _) if wanted.running.is_none() => wanted.running = Some(rule),
                (_, Some(name)) if goes(context, name, config.rules.get(name), deploy, report) => {
                    let last = last.next().unwrap_or(LAST);
                    routing.surplus.push(Surplus { name, at, listener: arn, rule, last });
                }
                _ => {}
            }
        }
    }
    taken(context, &routing, facts, report);
    routing
}

/// The name and the ARN of the listener that a rule stands at.
pub fn config_listener<'a>(context: Context<'a>, rule: &ListenerRule) -> Option<(&'a String, &'a String)> {
    let config = context.loaded.environment.plugin_config.as_ref().and_then(|p| p.ecs.as_ref())?;
    config.listeners.get_key_value(&rule.listener)
}

/// Whether a rule is this project's.
fn ours(context: Context<'_>, rule: &Rule<'_>) -> bool {
    rule.tag(&context.tag("project")) == Some(context.options.project.as_str())
}

/// Whether a plan that is limited to some components is about these: about one of them, or about each of them.
fn included<'a>(context: Context<'_>, mut components: impl Iterator<Item = &'a str>, each: bool) -> bool {
    let is = |name: &str| context.options.includes(name);
    context.options.only.is_empty() || if each { components.all(is) } else { components.any(is) }
}

/// Whether a rule of ours that is not wanted is deleted. A plan that is limited leaves alone what others get requests by,
/// and what nobody can tell the components of.
fn goes(context: Context<'_>, name: &str, said: Option<&ListenerRule>, deploy: bool, report: &mut Report) -> bool {
    if context.options.only.is_empty() {
        let leftovers = Leftovers::of(&context.loaded.model, context.options);
        if leftovers == Leftovers::Stay {
            ownership::left_alone(&format!("rule `{name}` is not asked for any more"), false, report);
        }
        return leftovers == Leftovers::Go;
    }
    let gateway = said.and_then(|rule| context.loaded.model.gateways.get(&rule.to)).filter(|_| !deploy);
    gateway.is_some_and(|gateway| included(context, gateway.target.0.iter().map(String::as_str), true))
}

fn route<'a>(
    context: Context<'a>,
    name: &'a str,
    rule: &'a ListenerRule,
    place: Place,
    listeners: &'a BTreeMap<String, String>,
    report: &mut Report,
) -> Option<Route<'a>> {
    let mut refuse = |message: String, key: &str, help: String| {
        report.push(Diagnostic::error("B443", message).at(place.child(key)).help(help));
    };
    let known = |names: Vec<&str>| if names.is_empty() { "there are none".to_owned() } else { names.join(", ") };
    let Some((at, listener)) = listeners.get_key_value(&rule.listener) else {
        let names = listeners.keys().map(String::as_str).collect();
        let help = format!("name one of `listeners`: {}", known(names));
        refuse(
            format!("rule `{name}` is to stand at listener `{}`, which nobody names", rule.listener),
            "listener",
            help,
        );
        return None;
    };
    let values = rule.host.len() + rule.path.len();
    if values == 0 || values > MAX_VALUES {
        let what = if values == 0 { "no host and no path".to_owned() } else { format!("{values} hosts and paths") };
        let help = format!(
            "a rule has 1 to {MAX_VALUES} of them; requests that no rule fits go where the listener sends the rest"
        );
        refuse(format!("rule `{name}` has {what}"), if values == 0 { "listener" } else { "host" }, help);
        return None;
    }
    let Some(priority) = rule.priority else {
        let help = "write `priority: 10`, or another number from 1 to 50000: the lowest is tried first";
        refuse(format!("rule `{name}` has no priority"), "listener", help.to_owned());
        return None;
    };
    let (setting, group, components) = target(context, name, rule, &place, report)?;
    let switched =
        setting.switch.as_ref().filter(|switch| switch.rule == name || switch.test_rule.as_deref() == Some(name));
    let alternate = switched.and_then(|switch| match (&switch.to, context.facts) {
        (Reference::TargetGroup(arn), None) => Some(arn.clone()),
        (Reference::Made(key), _) => Some(groups::arn(context, key)),
        (Reference::TargetGroup(to) | Reference::Name(to), Some(facts)) => {
            facts.target_group(to).and_then(|group| text(group, "TargetGroupArn")).map(str::to_owned)
        }
        // The gateway itself says that it has to be looked up, or is no target group.
        _ => None,
    });
    Some(Route {
        name,
        at,
        listener,
        priority,
        hosts: &rule.host,
        paths: &rule.path,
        group,
        alternate,
        components,
        place,
        running: None,
    })
}

/// The gateway's setting, target group and components to which a rule leads.
pub fn target<'a>(
    context: Context<'a>,
    name: &str,
    rule: &'a ListenerRule,
    place: &Place,
    report: &mut Report,
) -> Option<(&'a BalancerSetting, String, Vec<&'a str>)> {
    let mut refuse = |message: String, help: String| {
        report.push(Diagnostic::error("B443", message).at(place.child("to")).help(help));
    };
    let gateways = &context.loaded.model.gateways;
    let (Some(gateway), Some(setting)) = (gateways.get(&rule.to), context.settings.balancers.get(&rule.to)) else {
        let names: Vec<&str> =
            gateways.keys().filter(|n| context.settings.balancers.contains_key(*n)).map(String::as_str).collect();
        let known = if names.is_empty() { "there are none".to_owned() } else { names.join(", ") };
        refuse(
            format!("rule `{name}` leads to `{}`, which is no gateway with a target group", rule.to),
            format!("name a gateway of the model that `lb` gives a target group: {known}"),
        );
        return None;
    };
    let group = match (&setting.reference, context.facts) {
        (Reference::TargetGroup(arn), _) => Some(arn.clone()),
        (Reference::Made(key), _) => Some(groups::arn(context, key)),
        (Reference::Name(name), Some(facts)) => {
            facts.target_group(name).and_then(|group| text(group, "TargetGroupArn")).map(str::to_owned)
        }
        // The gateway itself says that it has to be looked up.
        (Reference::Name(_), None) => return None,
        (Reference::Classic(_), _) => None,
    };
    let Some(group) = group else {
        refuse(
            format!("gateway `{}` has no target group to which rule `{name}` could lead", rule.to),
            "name a target group under `lb`; classic load balancers have no rules".to_owned(),
        );
        return None;
    };
    let components = gateway.target.0.iter().map(String::as_str).collect();
    let protocol = groups::described(context, &group).and_then(|g| text(&g, "Protocol").map(str::to_owned));
    let network = config_listener(context, rule).is_some_and(|(_, arn)| leads::is_network(arn));
    if let Some(protocol) = protocol.filter(|protocol| protocol.starts_with("HTTP") == network) {
        let help = match network {
            true => "a network load balancer leads to target groups of the protocols TCP, TLS, UDP and TCP_UDP",
            false => "an application load balancer leads to target groups of the protocols HTTP and HTTPS",
        };
        refuse(
            format!("rule `{name}` leads to a target group of the protocol {protocol}, which its listener cannot"),
            help.to_owned(),
        );
        return None;
    }
    Some((setting, group, components))
}

/// No two rules of the environment have one priority.
fn meet(wanted: &[Route<'_>], report: &mut Report) {
    let mut seen: BTreeMap<(&str, u32), &Route<'_>> = BTreeMap::new();
    for route in wanted {
        if let Some(first) = seen.insert((route.listener, route.priority), route) {
            report.push(
                Diagnostic::error(
                    "B443",
                    format!(
                        "rules `{}` and `{}` have one priority at listener `{}`: {}",
                        first.name, route.name, route.at, route.priority
                    ),
                )
                .at(route.place.child("priority"))
                .related(first.place.child("priority"), "the other one is here")
                .help("the rule with the lower number is tried first: write two different ones"),
            );
        }
    }
}

/// No wanted rule gets a priority that another rule has and keeps.
fn taken(context: Context<'_>, routing: &Routing<'_>, facts: &Facts<'_>, report: &mut Report) {
    let running = routing.wanted.iter().filter_map(|r| r.running);
    let moving: BTreeSet<&str> = running.chain(routing.surplus.iter().map(|s| s.rule)).map(|rule| rule.arn()).collect();
    for route in &routing.wanted {
        let number = route.priority.to_string();
        let at = |rule: &Rule<'_>| text(rule.rule, "Priority") == Some(&number) && !moving.contains(rule.arn());
        let Some(other) = facts.rules(route.listener).find(at) else { continue };
        report.push(
            Diagnostic::error(
                "B443",
                format!("priority {number} of listener `{}` is taken by the rule for {}", route.at, words(&content(other.rule))),
            )
            .at(route.place.child("priority"))
            .help(match other.tag(&context.tag("rule")).filter(|_| ours(context, &other)) {
                Some(name) if !context.options.only.is_empty() => format!(
                    "it is rule `{name}` of this project, which `--only` leaves as it is: name its component as well, or take another priority"
                ),
                Some(name) => format!(
                    "it is rule `{name}` of this project, which `teardown_orphans: never` keeps: take another priority"
                ),
                None => "take another priority: the rule belongs to somebody else".to_owned(),
            }),
        );
    }
}

/// Priorities that no rule has or gets, from the last one on.
fn free<'f>(facts: &'f Facts<'_>, listener: &'f str, wanted: &[Route<'_>]) -> impl Iterator<Item = u32> + use<'f> {
    let mut used: BTreeSet<u32> = wanted.iter().filter(|r| r.listener == listener).map(|r| r.priority).collect();
    used.extend(facts.rules(listener).filter_map(|rule| text(rule.rule, "Priority")?.parse::<u32>().ok()));
    (1..=LAST).rev().filter(move |priority| !used.contains(priority))
}
