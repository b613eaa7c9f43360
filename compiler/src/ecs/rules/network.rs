//! Rules of ports and network modes.
//!
//! Source: ECS developer guide, "Network mode" and "Port mappings"; Docker's and Linux's reserved and ephemeral ports.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::diagnostics::{Diagnostic, Report};
use crate::ecs::json::{items, number, text};

use super::Subject;

/// Ports that the ECS agent and Docker use on a container instance.
const RESERVED: [u64; 6] = [22, 2375, 2376, 51678, 51679, 51680];
/// Where Docker takes dynamic host ports from.
const EPHEMERAL: std::ops::RangeInclusive<u64> = 32768..=65535;

pub fn check(subject: &Subject<'_>, report: &mut Report) {
    let mode = subject.desired.network_mode();
    let mut taken = Taken::default();
    for (name, container) in subject.containers() {
        let mappings = items(container, "portMappings");
        if mode == "none" && !mappings.is_empty() {
            report.push(
                subject
                    .error(
                        "B409",
                        format!("container `{name}` provides ports but has no network (`network_mode: none`)"),
                        subject.in_container(name, ["portMappings"]),
                    )
                    .help("remove the ports, or choose the network mode bridge"),
            );
        }
        for mapping in mappings.iter().filter(|_| mode != "none") {
            mapping_rules(subject, mode, name, mapping, &mut taken, report);
        }
        mode_rules(subject, mode, name, container, report);
    }
    awsvpc(subject, mode, report);
}

/// Ports of a task that are mapped already.
#[derive(Default)]
struct Taken {
    /// By port and, unless all containers share a network, container: whose it is, and for which protocol.
    container: BTreeMap<(u64, String), (String, String)>,
    /// By host port and protocol: whose it is.
    host: BTreeMap<(u64, String), String>,
}

fn mapping_rules(
    subject: &Subject<'_>,
    mode: &str,
    name: &str,
    mapping: &Value,
    taken: &mut Taken,
    report: &mut Report,
) {
    let Some(port) = number(mapping, "containerPort") else { return };
    let protocol = text(mapping, "protocol").unwrap_or("tcp").to_owned();
    let key = if protocol == "tcp" { port.to_string() } else { format!("{port}/{protocol}") };
    let place = subject.in_container(name, ["portMappings", &key]);
    let at_host = subject.in_container(name, ["portMappings", &key, "hostPort"]);
    let host = number(mapping, "hostPort").unwrap_or(0);
    // In a network of their own, the containers of a task share their ports.
    let shared = matches!(mode, "awsvpc" | "host");
    let owner = if shared { String::new() } else { name.to_owned() };
    if let Some((first, other)) = taken.container.insert((port, owner), (name.to_owned(), protocol.clone())) {
        let (whose, help) = if first != name {
            (format!("by `{first}` as well, and they share one network"), "give one of them another port")
        } else if other == protocol {
            ("twice".to_owned(), "remove one of the two")
        } else {
            (
                format!("for {other} and for {protocol}, which ECS refuses"),
                "let the container listen on two ports, or keep one protocol",
            )
        };
        report.push(
            subject.error("B410", format!("container port {port} of `{name}` is mapped {whose}"), place).help(help),
        );
    }
    if shared && host != 0 && host != port {
        report.push(
            subject
                .error(
                    "B409",
                    format!(
                        "in network mode {mode} the host port of `{name}` is its container port: {host} is not {port}"
                    ),
                    at_host.clone(),
                )
                .help(format!("write `hostPort: {port}` or leave it out")),
        );
    }
    let host = if mode == "host" { port } else { host };
    if mode == "awsvpc" || host == 0 {
        return;
    }
    if mode == "bridge"
        && let Some(first) = taken.host.insert((host, protocol), name.to_owned())
    {
        report.push(
            subject
                .error(
                    "B410",
                    format!("host port {host} of `{name}` is taken by `{first}` of the same task"),
                    at_host.clone(),
                )
                .help("give one of them another host port"),
        );
    }
    if RESERVED.contains(&host) {
        report.push(
            subject
                .error(
                    "B411",
                    format!("host port {host} belongs to the container instance itself (SSH, Docker or the ECS agent)"),
                    at_host,
                )
                .help("choose another host port"),
        );
    } else if EPHEMERAL.contains(&host) {
        report.push(
            Diagnostic::warning(
                "B411",
                format!(
                    "host port {host} is among those that Docker hands out dynamically ({}–{}): it may be taken when a task starts",
                    EPHEMERAL.start(),
                    EPHEMERAL.end()
                ),
            )
            .at(at_host)
            .help("choose a host port below 32768"),
        );
    }
}

fn mode_rules(subject: &Subject<'_>, mode: &str, name: &str, container: &Value, report: &mut Report) {
    if mode != "bridge" && !items(container, "links").is_empty() {
        report.push(
            subject
                .error(
                    "B412",
                    format!("container `{name}` has links, which only network mode bridge has"),
                    subject.in_container(name, ["links"]),
                )
                .help("containers of one task reach each other on localhost in network mode awsvpc"),
        );
    }
    if mode != "awsvpc" {
        return;
    }
    for member in ["hostname", "extraHosts"] {
        let given = container.get(member).is_some_and(|v| !v.is_null() && *v != serde_json::json!([]));
        if given {
            report.push(
                subject
                    .error(
                        "B412",
                        format!("`{member}` of container `{name}` does not go with network mode awsvpc"),
                        subject.in_container(name, [member]),
                    )
                    .help("remove it, or choose another network mode"),
            );
        }
    }
}

fn awsvpc(subject: &Subject<'_>, mode: &str, report: &mut Report) {
    let configuration = subject.service().get("networkConfiguration");
    match (mode, configuration) {
        ("awsvpc", None) => report.push(
            subject
                .error("B421", "network mode awsvpc needs subnets", subject.in_task(["networkMode"]))
                .help("write `network: {subnets: [...], security_groups: [...]}`, for the component or for the whole environment"),
        ),
        ("awsvpc", Some(configuration)) => {
            let vpc = configuration.get("awsvpcConfiguration").unwrap_or(&Value::Null);
            for (member, most) in [("subnets", 16), ("securityGroups", 5)] {
                let count = items(vpc, member).len();
                if count > most || (member == "subnets" && count == 0) {
                    report.push(
                        subject
                            .error("B421", format!("{count} {member} are given; ECS takes {}", if member == "subnets" { "1 to 16" } else { "at most 5" }), subject.in_service(["networkConfiguration", "awsvpcConfiguration", member]))
                            .help(if count == 0 { format!("name 1 to {most}") } else { format!("name at most {most}") }),
                    );
                }
            }
        }
        (_, Some(_)) => report.push(
            subject
                .error("B421", format!("`networkConfiguration` goes with network mode awsvpc only, and this task has {mode}"), subject.in_service(["networkConfiguration"]))
                .help("remove it, or write `network_mode: awsvpc`"),
        ),
        (_, None) => {}
    }
}

/// VPCs of the subnets that tasks are put into, as far as they were observed.
pub fn vpcs<'a>(subject: &Subject<'a>) -> BTreeSet<&'a str> {
    let subnets = subject.service().pointer("/networkConfiguration/awsvpcConfiguration/subnets");
    let wanted: Vec<&str> = subnets.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let found = subject.context.facts.into_iter().flat_map(|facts| facts.subnets.iter());
    let named = found.filter(|s| text(s, "SubnetId").is_some_and(|id| wanted.contains(&id)));
    named.filter_map(|s| text(s, "VpcId")).collect()
}
