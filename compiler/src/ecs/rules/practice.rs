//! Best practices: what AWS takes and what most likely nobody means. All of these are warnings, and a component whose
//! authors know better says so with `accept: {CODE: "why"}`.
//!
//! Invariant: a warning needs a sign that something is missing, never the mere absence of a setting that many leave out
//! with good reason; so each of these looks at what other components, gateways and containers say.
//!
//! Source: ECS developer guide, "Best practices" (task definitions, health checks, logging, security).

use std::collections::BTreeSet;

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;
use serde_json::Value;

use crate::diagnostics::{Place, Report};
use crate::ecs::desired::{Kind, behind_classic};
use crate::ecs::json::{flag, items, number, text};
use crate::ecs::names;
use crate::ecs::records::{self, Work};

use super::{Subject, advice};

pub fn check(subject: &Subject<'_>, report: &mut Report) {
    purpose(subject, report);
    single(subject, report);
    if !followed(subject, report) {
        moved(subject, report);
    }
    readiness(subject, report);
    privileges(subject, report);
    for (name, container) in subject.containers() {
        limit(subject, name, container, report);
        output(subject, name, container, report);
    }
}

/// Containers of one task start, stop and scale together: without anything that ties them they are two components.
fn purpose(subject: &Subject<'_>, report: &mut Report) {
    let essential: Vec<&str> =
        subject.containers().filter(|(_, c)| flag(c, "essential").unwrap_or(true)).map(|(name, _)| name).collect();
    let [first, others @ ..] = essential.as_slice() else { return };
    if others.is_empty() || subject.task().get("proxyConfiguration").is_some() {
        return;
    }
    let parts = tied(subject);
    let part_of = |name: &str| parts.iter().position(|part| part.contains(&name));
    let Some(apart) = others.iter().find(|name| part_of(name) != part_of(first)) else { return };
    report.push(
        advice("B450", format!("nothing ties container `{apart}` to `{first}`, and the task ends with either of them"), subject.in_container(apart, ["name"]).key(), "make it a component of its own, which is placed, scaled and deployed by itself")
            .help("if they belong together, say how: `depends_on`, a volume of both, `volumes_from`, a `localhost:PORT` in `env`; or let the task outlive it with `essential: false`"),
    );
}

/// Containers that depend on each other, share a volume or talk to each other, together.
fn tied<'a>(subject: &Subject<'a>) -> Vec<Vec<&'a str>> {
    let mut graph: DiGraphMap<&'a str, ()> = DiGraphMap::new();
    let mut tie = |one: &'a str, other: &'a str| {
        graph.add_edge(one, other, ());
        graph.add_edge(other, one, ());
    };
    let router = subject.containers().find(|(_, c)| c.get("firelensConfiguration").is_some()).map(|(name, _)| name);
    for (name, container) in subject.containers() {
        tie(name, name);
        let links = items(container, "links").iter().filter_map(Value::as_str).filter_map(|l| l.split(':').next());
        let on = items(container, "dependsOn").iter().filter_map(|d| text(d, "containerName"));
        let from = items(container, "volumesFrom").iter().filter_map(|v| text(v, "sourceContainer"));
        links.chain(on).chain(from).for_each(|other| tie(name, other));
        if let (Some("awsfirelens"), Some(router)) = (driver(container), router) {
            tie(name, router);
        }
        for (other, its) in subject.containers().filter(|(other, _)| *other != name) {
            if mounts(container).any(|volume| mounts(its).any(|its| its == volume)) || calls(container, its) {
                tie(name, other);
            }
        }
    }
    tarjan_scc(&graph)
}

fn mounts(container: &Value) -> impl Iterator<Item = &str> {
    items(container, "mountPoints").iter().filter_map(|m| text(m, "sourceVolume"))
}

/// Whether a variable or an argument names a port of the other container at the address that both share.
fn calls(container: &Value, other: &Value) -> bool {
    let variables = items(container, "environment").iter().filter_map(|e| text(e, "value"));
    let words = ["command", "entryPoint"].into_iter().flat_map(|list| items(container, list)).filter_map(Value::as_str);
    let texts: Vec<&str> = variables.chain(words).collect();
    let ports: BTreeSet<u64> = items(other, "portMappings").iter().filter_map(|m| number(m, "containerPort")).collect();
    ports.iter().any(|port| {
        let addresses = [format!("localhost:{port}"), format!("127.0.0.1:{port}")];
        texts.iter().any(|t| addresses.iter().any(|a| names(t, a)))
    })
}

/// Whether a text holds an address whose port ends there.
fn names(text: &str, address: &str) -> bool {
    text.match_indices(address).any(|(at, _)| !text[at + address.len()..].starts_with(|c: char| c.is_ascii_digit()))
}

/// One task behind a load balancer that nobody asked for: whenever it is replaced for another reason than a deployment,
/// users wait. Whoever writes `replicas: 1` means it.
fn single(subject: &Subject<'_>, report: &mut Report) {
    let desired = subject.desired;
    let Some(component) = subject.context.loaded.model.components.get(&desired.component) else { return };
    let counted = Place::model(["components", &desired.component, "replicas"]);
    let said = component.replicas.is_some()
        || component.singleton == Some(true)
        || desired.scaling.is_some()
        || desired.service_origins.of("/desiredCount") != counted;
    if said || !matches!(desired.kind, Kind::Service) || desired.desired_count() != Some(1) {
        return;
    }
    let Some(attachment) = desired.attachments.first() else { return };
    report.push(
        advice("B451", format!("`{}` is behind a load balancer and has one task, which nobody asked for", desired.component), Place::model(["components", &desired.component]).key(), "write `replicas: 2`, so that users are served while a task or its instance is replaced; or `replicas: 1` if one is meant").related(attachment.place.clone(), "it is put behind the load balancer here"),
    );
}

/// A rolling deployment leaves one target group for another: its tasks are in one of them only, and a rule that leads to the
/// other one answers with an error until it is changed. Where ECS shifts the traffic there is no such moment.
fn moved(subject: &Subject<'_>, report: &mut Report) {
    let (context, desired) = (subject.context, subject.desired);
    let running = context.facts.and_then(|facts| facts.service(&desired.service_name));
    let strategy = subject.service().pointer("/deploymentConfiguration/strategy").and_then(Value::as_str);
    let groups = |service| -> BTreeSet<&str> {
        items(service, "loadBalancers").iter().filter_map(|one| text(one, "targetGroupArn")).collect()
    };
    let (Some(running), None | Some("ROLLING")) = (running, strategy) else { return };
    let (before, after) = (groups(running), groups(subject.service()));
    let (Some(from), Some(to)) = (before.first(), after.first()) else { return };
    if !before.is_disjoint(&after) || number(running, "desiredCount") == Some(0) {
        return;
    }
    report.push(advice(
        "B458",
        format!(
            "`{}` moves from target group `{}` to `{}` in a rolling deployment: when its last old tasks leave, nobody answers requests that are still led to the old group",
            desired.component,
            names::target_group(from),
            names::target_group(to),
        ),
        desired.attachments.first().map_or_else(|| subject.in_service(["loadBalancers"]), |one| one.place.clone()),
        "let ECS shift the traffic: `deployment: {strategy: blue-green}` and a `switch` under `lb`; or choose an hour at which nobody minds",
    ));
}

/// A record follows its component to another load balancer when that one has the tasks, and is remembered for a while: who
/// looked the component up before gets to the old one. Whether that was told.
fn followed(subject: &Subject<'_>, report: &mut Report) -> bool {
    let (context, desired) = (subject.context, subject.desired);
    let running = context.facts.and_then(|facts| facts.service(&desired.service_name));
    let Some(record) = desired.record.as_ref().filter(|_| running.is_some()) else { return false };
    let Work::Change(before) = records::work(context, record) else { return false };
    let Some(target) = records::alias(&before) else { return false };
    let gone = |one: &Value| text(one, "loadBalancerName").or_else(|| text(one, "targetGroupArn")).map(str::to_owned);
    let balancers =
        |service: &Value| -> BTreeSet<String> { items(service, "loadBalancers").iter().filter_map(gone).collect() };
    // Where it stays behind the old one as well, it answers there.
    if running.is_some_and(|running| balancers(running).is_subset(&balancers(subject.service()))) {
        return false;
    }
    let from = text(&target, "DNSName").unwrap_or_default().trim_end_matches('.');
    // ECS takes one classic load balancer, or several target groups.
    let way = match running.is_some_and(behind_classic) || desired.behind_classic() {
        true => "choose an hour at which nobody minds",
        false => {
            "put a gateway with its old target group before it, so that it is behind both until nobody knows the old one any more; or choose an hour at which nobody minds"
        }
    };
    let message = format!(
        "`{}` moves to another load balancer: from the moment when its last old tasks leave until a minute after its record is changed, nobody answers those who know it as {from}; and likewise on the way back",
        desired.component
    );
    report.push(advice("B458", message, record.place.clone(), way));
    true
}

/// Others start as soon as a component runs; without any health check nobody knows whether it answers by then.
fn readiness(subject: &Subject<'_>, report: &mut Report) {
    let desired = subject.desired;
    let name = &desired.component;
    let components = &subject.context.loaded.model.components;
    let offers = components.get(name).is_some_and(|c| c.provides.as_ref().is_some_and(|p| !p.ports.is_empty()));
    let service = subject.service();
    let checked = !items(service, "loadBalancers").is_empty()
        || !items(service, "vpcLatticeConfigurations").is_empty()
        || subject.containers().any(|(_, c)| c.get("healthCheck").is_some());
    if checked || !offers || desired.desired_count() == Some(0) || !matches!(desired.kind, Kind::Service) {
        return;
    }
    let users: Vec<String> =
        components.iter().filter(|(_, c)| c.uses.contains_key(name)).map(|(user, _)| format!("`{user}`")).collect();
    if users.is_empty() {
        return;
    }
    let (verb, shown) = match users.as_slice() {
        [one] => ("is", one.clone()),
        [one, two] => ("are", format!("{one} and {two}")),
        [one, rest @ ..] => ("are", format!("{one} and {} others", rest.len())),
        [] => return,
    };
    report.push(advice(
        "B452",
        format!("{shown} {verb} started when `{name}` runs, and nothing tells whether it answers by then"),
        Place::model(["components", name]).key(),
        "write `health_check: {command: \"…\"}`: deployments then wait for it, and ECS replaces tasks that fail it",
    ));
}

/// A soft limit alone lets a container take what others on its instance need.
fn limit(subject: &Subject<'_>, name: &str, container: &Value, report: &mut Report) {
    let Some(soft) = number(container, "memoryReservation") else { return };
    if number(container, "memory").is_some() || subject.task().get("memory").is_some() || subject.desired.fargate {
        return;
    }
    report.push(advice(
        "B453",
        format!("container `{name}` reserves {soft} MiB of memory and may take all of its instance"),
        subject.in_container(name, ["memoryReservation"]),
        "write `mem:` beside `mem_reserve`, so that a leak ends this container and not its neighbours",
    ));
}

/// What reaches out of its container.
fn privileges(subject: &Subject<'_>, report: &mut Report) {
    // What Fargate refuses is told as an error.
    if subject.desired.fargate {
        return;
    }
    let mut warn = |message: String, place: Place, help: &str| {
        report.push(advice("B454", message, place, help));
    };
    for (name, _) in subject.containers().filter(|(_, c)| flag(c, "privileged") == Some(true)) {
        warn(
            format!("container `{name}` is privileged: whoever breaks into it has its instance"),
            subject.in_container(name, ["privileged"]),
            "remove it, or add the single capabilities that it needs (`linuxParameters.capabilities.add`)",
        );
    }
    for (member, what) in [("pidMode", "sees all processes"), ("ipcMode", "sees all shared memory")] {
        if text(subject.task(), member) == Some("host") {
            warn(
                format!("the task {what} of its instance (`{member}: host`), those of other tasks included"),
                subject.in_task([member]),
                &format!("remove `{member}`, or write `task`"),
            );
        }
    }
}

/// Output that nobody can read afterwards.
fn output(subject: &Subject<'_>, name: &str, container: &Value, report: &mut Report) {
    let (what, member) = match (&subject.desired.kind, driver(container)) {
        (_, None) if subject.desired.fargate => {
            (format!("the output of container `{name}` is lost: Fargate keeps none of it"), "name")
        }
        (Kind::Once(_), other) if name == subject.desired.component && other != Some("awslogs") => {
            let place = if other.is_some() { "logConfiguration" } else { "name" };
            (format!("if `{name}` fails, its failure cannot tell what it wrote"), place)
        }
        _ => return,
    };
    report.push(advice(
        "B455",
        what,
        subject.in_container(name, [member]).key(),
        "write `logs: {group: /NAME}`, for the component or for the whole environment",
    ));
}

fn driver(container: &Value) -> Option<&str> {
    container.pointer("/logConfiguration/logDriver").and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn an_address_ends_with_its_port() {
        assert!(names("http://localhost:80/x", "localhost:80"));
        assert!(!names("http://localhost:8080/x", "localhost:80"));
        assert!(names("localhost:8080,localhost:80", "localhost:80"));
    }
}
