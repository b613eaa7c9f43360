//! The ECS agents of the container instances that were observed: connected, new enough for what a task asks for, and not
//! older than the others.
//!
//! Which version of the agent understands what: the members' pages in the ECS API reference (ContainerDefinition,
//! TaskDefinition) and the developer guide ("Linux container agent versions"); Docker's least version from the latter.

use serde_json::Value;

use crate::diagnostics::{Diagnostic, Report};
use crate::ecs::json::{flag, text};
use crate::ecs::{Context, settings};

use super::capacity::{Pool, is_managed};
use super::{Subject, advice};

/// Version of agents and Docker: major, minor, patch.
type Version = (u64, u64, u64);

/// Members of a container, and the first agent that understands them.
const MEMBERS: [(&str, &str, Version); 6] = [
    ("environmentFiles", "files of variables", (1, 39, 0)),
    ("dependsOn", "dependencies between containers", (1, 26, 0)),
    ("startTimeout", "a start time-out", (1, 26, 0)),
    ("stopTimeout", "a stop time-out", (1, 26, 0)),
    ("secrets", "secrets", (1, 22, 0)),
    ("healthCheck", "health checks", (1, 17, 0)),
];
/// `aws ecs execute-command`.
const EXEC: Version = (1, 50, 2);
/// The first Docker whose metrics AWS calls reliable.
const DOCKER: Version = (20, 10, 13);
/// Minor versions that an agent may be behind the newest one of its cluster: about a year of releases.
const BEHIND: u64 = 12;

/// What the tasks of a component ask of the agents that could run them.
pub fn check(subject: &Subject<'_>, report: &mut Report) {
    let Some(all) = subject.context.facts.and_then(|f| f.instances.as_ref()) else { return };
    if subject.desired.fargate || subject.desired.managed {
        return;
    }
    let pool = Pool::of(subject.desired);
    let instances = pool.instances(subject.context, all);
    let exec = flag(subject.service(), "enableExecuteCommand") == Some(true);
    let exec = exec.then(|| (EXEC, "shells in containers", subject.in_service(["enableExecuteCommand"])));
    let members = subject.containers().flat_map(|(name, container)| {
        let given = MEMBERS.iter().filter(|(member, ..)| container.get(*member).is_some_and(given));
        given.map(move |(member, what, since)| (*since, *what, subject.in_container(name, [*member])))
    });
    let Some((since, what, place)) = exec.into_iter().chain(members).max_by_key(|(since, ..)| *since) else { return };
    let old: Vec<&Value> = instances.iter().copied().filter(|i| agent(i).is_some_and(|v| v < since)).collect();
    if let Some(oldest) = old.iter().filter_map(|i| agent(i)).min() {
        let message = format!(
            "{what} need an ECS agent from version {} on, and {} of the {} {} of cluster `{}` {} an older one ({})",
            shown(since),
            old.len(),
            instances.len(),
            pool.name(),
            subject.context.settings.cluster,
            if old.len() == 1 { "has" } else { "have" },
            shown(oldest),
        );
        report.push(advice(
            "B456",
            message,
            place,
            match pool {
                Pool::External => "no task of this component is placed there: update the package `amazon-ecs-init` on the machine",
                Pool::Own => "no task of this component is placed there: update the agent (`aws ecs update-container-agent`) or the AMI",
            },
        ));
    }
}

fn given(value: &Value) -> bool {
    !value.is_null() && *value != serde_json::json!([])
}

/// What is to be said of the cluster's agents whatever runs there.
pub fn cluster(context: Context<'_>, report: &mut Report) {
    let Some(all) = context.facts.and_then(|f| f.instances.as_ref()) else { return };
    // What ECS starts itself, it renews itself.
    let instances: Vec<&Value> = all.iter().copied().filter(|i| !is_managed(context, i)).collect();
    let cluster = &context.settings.cluster;
    let mut warn = |which: Vec<String>, what: &str, help: &str| {
        let Some(first) = which.first() else { return };
        let others = which.len() - 1;
        let who = if others == 0 { format!("`{first}`") } else { format!("`{first}` and {others} more") };
        report.push(
            Diagnostic::warning("B457", format!("container instance {who} of cluster `{cluster}`: {what}"))
                .at(settings::place(&["cluster"]))
                .help(help),
        );
    };
    let those = |among: &[&Value], wrong: &dyn Fn(&Value) -> bool| -> Vec<String> {
        among.iter().filter(|i| wrong(i)).map(|i| called(i).to_owned()).collect()
    };
    warn(
        those(&instances, &|i| flag(i, "agentConnected") == Some(false)),
        "its ECS agent is not connected, so ECS neither starts nor stops tasks there",
        "bring the agent back, or deregister the instance (`aws ecs deregister-container-instance`), so that ECS does not count on it",
    );
    let newest = instances.iter().filter_map(|i| agent(i)).max().unwrap_or_default();
    for (pool, agents, dockers) in [
        (
            Pool::Own,
            "update the agent (`aws ecs update-container-agent`), or bring a newer AMI in",
            "bring a newer ECS-optimized AMI in: it has agent and Docker in versions that go together",
        ),
        (Pool::External, "update the package `amazon-ecs-init` on the machine", "update Docker on the machine"),
    ] {
        let instances = pool.instances(context, all);
        warn(
            those(&instances, &|i| agent(i).is_some_and(|v| (v.0, v.1 + BEHIND) < (newest.0, newest.1))),
            &format!("its ECS agent is far behind others of the cluster ({})", shown(newest)),
            agents,
        );
        warn(
            those(&instances, &|i| docker(i).is_some_and(|v| v < DOCKER)),
            &format!("its Docker is older than {}, of which AWS trusts the metrics", shown(DOCKER)),
            dockers,
        );
    }
}

fn called(instance: &Value) -> &str {
    let arn = || text(instance, "containerInstanceArn")?.rsplit('/').next();
    text(instance, "ec2InstanceId").or_else(arn).unwrap_or_default()
}

fn agent(instance: &Value) -> Option<Version> {
    version(text(instance.get("versionInfo")?, "agentVersion")?)
}

/// Docker's version, from `DockerVersion: 25.0.6`.
fn docker(instance: &Value) -> Option<Version> {
    version(text(instance.get("versionInfo")?, "dockerVersion")?.rsplit(' ').next()?)
}

/// Of `1.26.1` and `20.10.25-ce`, the numbers.
fn version(written: &str) -> Option<Version> {
    let mut numbers = written.trim_start_matches('v').split('.').map(|part| {
        let digits = part.find(|c: char| !c.is_ascii_digit()).map_or(part, |end| &part[..end]);
        digits.parse().ok()
    });
    Some((numbers.next()??, numbers.next()??, numbers.next().flatten().unwrap_or(0)))
}

fn shown((major, minor, patch): Version) -> String {
    format!("{major}.{minor}.{patch}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers() {
        assert_eq!(version("1.90.0"), Some((1, 90, 0)));
        assert_eq!(version("20.10.25-ce"), Some((20, 10, 25)));
        assert_eq!(version("v1.9"), Some((1, 9, 0)));
        assert_eq!(version("latest"), None);
        assert!(version("1.9.0") < version("1.26.0"));
    }
}
