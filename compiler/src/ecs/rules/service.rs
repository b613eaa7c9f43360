//! Rules of a service: load balancers, roles, capacity, deployment configuration, grace period.
//!
//! Source: CreateService in the ECS API reference; ECS developer guide, "Service load balancing" and "Service-linked
//! role".

use crate::asg::providers;
use crate::diagnostics::{Diagnostic, Report};
use crate::ecs::desired::Balancer;
use crate::ecs::json::{items, number, provider_names, text};
use crate::ecs::lower::{tasks, timing};
use crate::ecs::{groups, made, ownership};
use belay_schemas::model::Component;

use super::Subject;

/// A service takes at most this many target groups.
const MAX_TARGET_GROUPS: usize = 5;
/// A strategy takes at most this many capacity providers.
const MAX_PROVIDERS: usize = 20;

pub fn check(subject: &Subject<'_>, report: &mut Report) {
    capacity_choice(subject, report);
    shares(subject, report);
    balancer_targets(subject, report);
    balancer_kinds(subject, report);
    target_groups(subject, report);
    role(subject, report);
    deadlock(subject, report);
    grace(subject, report);
}

fn capacity_choice(subject: &Subject<'_>, report: &mut Report) {
    let service = subject.service();
    let strategy = !items(service, "capacityProviderStrategy").is_empty();
    if strategy && service.get("launchType").is_some() {
        report.push(
            subject
                .error(
                    "B422",
                    "`launchType` and `capacityProviderStrategy` exclude each other",
                    subject.in_service(["launchType"]),
                )
                .related(subject.in_service(["capacityProviderStrategy"]), "the strategy is here")
                .help("keep one of the two"),
        );
    }
    let controller = service.get("deploymentController").and_then(|c| text(c, "type"));
    if let Some(controller) = controller.filter(|c| *c != "ECS") {
        report.push(
            subject
                .error(
                    "B422",
                    format!("the deployment controller is {controller}, so ECS would not deploy what Belay asks it to"),
                    subject.in_service(["deploymentController", "type"]),
                )
                .help("remove `deploymentController`"),
        );
    }
    if text(service, "launchType") == Some("MANAGED_INSTANCES") {
        report.push(
            subject
                .error(
                    "B422",
                    "Managed Instances are chosen by a capacity provider, not by the launch type",
                    subject.in_service(["launchType"]),
                )
                .help(
                    "remove `launchType` and write `capacityProviderStrategy: [{capacityProvider: NAME, weight: 1}]`",
                ),
        );
    }
}

/// The strategy is one that ECS takes, of providers that the cluster has.
fn shares(subject: &Subject<'_>, report: &mut Report) {
    let strategy = items(subject.service(), "capacityProviderStrategy");
    let place = || subject.in_service(["capacityProviderStrategy"]);
    let mut refuse = |message: String, help: &str| report.push(subject.error("B423", message, place()).help(help));
    if strategy.is_empty() {
        return;
    }
    let names: Vec<&str> = provider_names(strategy).collect();
    let fargate = names.iter().filter(|n| matches!(**n, "FARGATE" | "FARGATE_SPOT")).count();
    if fargate > 0 && fargate < names.len() {
        refuse(
            format!("the strategy mixes Fargate with other capacity providers: {}", names.join(", ")),
            "name providers of one kind; split the component where it has to run on both",
        );
    }
    let managed = subject.context.facts.map_or(0, |facts| names.iter().filter(|n| facts.is_managed(n)).count());
    if managed > 0 && managed + fargate < names.len() {
        refuse(
            format!("the strategy mixes Managed Instances with groups of instances: {}", names.join(", ")),
            "name providers of one kind; split the component where it has to run on both",
        );
    }
    if names.len() > MAX_PROVIDERS {
        refuse(
            format!("the strategy names {} capacity providers; ECS takes at most {MAX_PROVIDERS}", names.len()),
            "name fewer",
        );
    }
    if strategy.iter().filter(|s| number(s, "base").is_some_and(|b| b > 0)).count() > 1 {
        refuse(
            "more than one capacity provider of the strategy has a `base`".to_owned(),
            "only one provider takes tasks before the shares count",
        );
    }
    if strategy.iter().all(|s| number(s, "weight").unwrap_or(0) == 0) {
        refuse(
            "no capacity provider of the strategy has a weight above 0".to_owned(),
            "with weights of 0 only, no task is ever placed: give at least one provider a `weight`",
        );
    }
    let Some(cluster) = subject.context.facts.and_then(|f| f.cluster(&subject.context.settings.cluster)) else {
        return;
    };
    let context = subject.context;
    let named = providers::named(context.loaded, &context.options.project);
    let here = named.iter().filter(|(_, one)| one.cluster == context.settings.cluster);
    let made = here.filter(|(component, _)| context.options.includes(component)).map(|(_, one)| one.name.as_str());
    let mut has: Vec<&str> = items(cluster, "capacityProviders").iter().filter_map(serde_json::Value::as_str).collect();
    has.retain(|name| named.values().any(|one| one.name == *name) || !ownership::gives_up(context, name));
    let made: Vec<&str> = made.filter(|name| !has.contains(name)).collect();
    has.extend(made);
    for name in names.iter().filter(|n| !has.contains(*n)) {
        let known = if has.is_empty() { "it has none".to_owned() } else { format!("it has {}", has.join(", ")) };
        // One that a group of the model has, and the plan leaves out.
        let left_out = named.iter().find(|(_, one)| one.name == **name).map(|(component, _)| component);
        let help = left_out.map(|component| format!("add `--only {component}`, or deploy `{component}` first"));
        refuse(
            format!(
                "cluster `{}` does not have the capacity provider `{name}`: {known}",
                subject.context.settings.cluster
            ),
            help.as_deref().unwrap_or("add it to the cluster with `aws ecs put-cluster-capacity-providers`, or name one that it has; then observe again"),
        );
    }
}

/// What a load balancer leads to is mapped by a container of the task.
fn balancer_targets(subject: &Subject<'_>, report: &mut Report) {
    for (index, entry) in items(subject.service(), "loadBalancers").iter().enumerate() {
        let place = subject.in_service(["loadBalancers", &index.to_string(), "containerPort"]);
        let (Some(name), Some(port)) = (text(entry, "containerName"), number(entry, "containerPort")) else { continue };
        let Some((_, container)) = subject.containers().find(|(n, _)| *n == name) else {
            let known: Vec<&str> = subject.containers().map(|(n, _)| n).collect();
            report.push(
                subject
                    .error(
                        "B425",
                        format!("the load balancer leads to container `{name}`, which the task does not have"),
                        subject.in_service(["loadBalancers", &index.to_string(), "containerName"]),
                    )
                    .help(format!("the containers of the task are: {}", known.join(", "))),
            );
            continue;
        };
        let ports: Vec<u64> =
            items(container, "portMappings").iter().filter_map(|m| number(m, "containerPort")).collect();
        if !ports.contains(&port) {
            let have: Vec<String> = ports.iter().map(u64::to_string).collect();
            let diagnostic = subject.error(
                "B425",
                format!(
                    "the load balancer leads to port {port} of `{name}`, which provides {}",
                    if have.is_empty() { "no port".to_owned() } else { have.join(", ") }
                ),
                place,
            );
            report.push(diagnostic.help(format!(
                "add `provides: {{ports: [\"{port}\"]}}` to the component, or correct the gateway's `target_port`"
            )));
        }
    }
}

fn balancer_kinds(subject: &Subject<'_>, report: &mut Report) {
    let entries = items(subject.service(), "loadBalancers");
    let groups = entries.iter().filter(|e| e.get("targetGroupArn").is_some()).count();
    let classic = entries.iter().filter(|e| e.get("loadBalancerName").is_some()).count();
    let nth = |index: usize| subject.in_service(["loadBalancers", &index.to_string()]);
    let first_classic = entries.iter().position(|e| e.get("loadBalancerName").is_some()).unwrap_or_default();
    let last_classic = entries.iter().rposition(|e| e.get("loadBalancerName").is_some()).unwrap_or_default();
    if groups > MAX_TARGET_GROUPS {
        report.push(
            subject
                .error(
                    "B427",
                    format!("{groups} target groups are attached; ECS takes at most {MAX_TARGET_GROUPS}"),
                    nth(entries.len() - 1),
                )
                .help("split the component, or let several listeners share one target group"),
        );
    }
    if classic > 1 || (classic > 0 && groups > 0) {
        let what = if classic > 1 {
            format!("{classic} classic load balancers")
        } else {
            "a classic load balancer and target groups".to_owned()
        };
        report.push(
            subject
                .error("B427", format!("{what} are attached; ECS takes one classic load balancer or up to {MAX_TARGET_GROUPS} target groups"), nth(last_classic))
                .help("keep one kind; target groups can replace a classic load balancer"),
        );
    }
    if classic > 0 && subject.desired.network_mode() == "awsvpc" {
        report.push(
            subject
                .error(
                    "B427",
                    "a classic load balancer cannot lead to tasks in network mode awsvpc",
                    nth(first_classic),
                )
                .help("use a target group of the type `ip`"),
        );
    }
}

/// What was observed of the target groups fits the tasks.
fn target_groups(subject: &Subject<'_>, report: &mut Report) {
    let mode = subject.desired.network_mode();
    let wanted = if mode == "awsvpc" { "ip" } else { "instance" };
    for attachment in &subject.desired.attachments {
        let Balancer::TargetGroup { arn } = &attachment.balancer else { continue };
        let Some(group) = groups::described(subject.context, arn) else { continue };
        let name = text(&group, "TargetGroupName").unwrap_or(arn);
        if let Some(kind) = text(&group, "TargetType")
            && kind != wanted
        {
            report.push(
                subject
                    .error("B426", format!("target group `{name}` has targets of the type `{kind}`; tasks in network mode {mode} need `{wanted}`"), attachment.named_at.clone())
                    .related(attachment.place.clone(), "the component is put behind it here")
                    .help(format!("name a target group of the type `{wanted}`, or change the network mode")),
            );
        }
        let vpcs = super::network::vpcs(subject);
        if let (Some(vpc), Some(other), 1) = (text(&group, "VpcId"), vpcs.first(), vpcs.len())
            && vpc != *other
        {
            report.push(
                subject
                    .error(
                        "B426",
                        format!("target group `{name}` is in VPC {vpc}, and the tasks are in {other}"),
                        attachment.named_at.clone(),
                    )
                    .related(
                        subject.in_service(["networkConfiguration", "awsvpcConfiguration", "subnets"]),
                        "the tasks are put into these subnets",
                    )
                    .help("name a target group, or subnets, of the same VPC"),
            );
        }
        // A rule of this environment may be what leads to it.
        let config = subject.context.loaded.environment.plugin_config.as_ref().and_then(|p| p.ecs.as_ref());
        let led = config.is_some_and(|c| c.rules.values().any(|rule| rule.to == attachment.gateway));
        if items(&group, "LoadBalancerArns").is_empty() && !led {
            report.push(
                subject
                    .error(
                        "B428",
                        format!("target group `{name}` belongs to no load balancer, and ECS refuses such a group"),
                        attachment.named_at.clone(),
                    )
                    .related(attachment.place.clone(), "the component is put behind it here")
                    .help(match made::is_made(arn) {
                        true => format!("write a rule under `rules` that leads `to: {}`", attachment.gateway),
                        false => "let a listener or a listener rule forward to it first; then observe again".to_owned(),
                    }),
            );
        }
    }
}

fn role(subject: &Subject<'_>, report: &mut Report) {
    let service = subject.service();
    if service.get("role").is_none() {
        return;
    }
    let entries = items(service, "loadBalancers");
    let why = if entries.is_empty() {
        "the service has no load balancer"
    } else if subject.desired.network_mode() == "awsvpc" {
        "tasks in network mode awsvpc use the service-linked role"
    } else if entries.len() > 1 {
        "a service with several load balancers uses the service-linked role"
    } else if !items(service, "serviceRegistries").is_empty() {
        "a service with service discovery uses the service-linked role"
    } else {
        return;
    };
    report.push(
        subject
            .error("B429", format!("a role for the load balancer is given, but {why}"), subject.in_service(["role"]))
            .help("remove `role`: ECS then uses AWSServiceRoleForECS"),
    );
}

/// With these percentages, AWS may neither stop an old task nor start a new one.
fn deadlock(subject: &Subject<'_>, report: &mut Report) {
    let Some(count) = subject.desired.desired_count().filter(|c| *c > 0) else { return };
    let (minimum, maximum) = subject.desired.percents();
    let (lowest, highest) = ((count * minimum).div_ceil(100), count * maximum / 100);
    if lowest >= count && highest <= count {
        report.push(
            subject
                .error(
                    "B433",
                    format!(
                        "a deployment of {} could never move: at least {lowest} must run ({minimum} %) and at most {highest} may ({maximum} %)",
                        tasks(count)
                    ),
                    subject.in_service(["deploymentConfiguration", "maximumPercent"]),
                )
                .related(subject.in_service(["deploymentConfiguration", "minimumHealthyPercent"]), "the least is here")
                .help(format!(
                    "write `maximumPercent: {}` or more, or `minimumHealthyPercent: {}`{}, in `raw.service.deploymentConfiguration`",
                    (100 * (count + 1)).div_ceil(count),
                    100 * (count - 1) / count,
                    if count > 1 { " or less" } else { "" }
                )),
        );
    }
    if let Some(component) = subject.context.loaded.model.components.get(&subject.desired.component) {
        declared_floor(subject, component, count, lowest, report);
    }
}

/// `minimum_healthy` is a promise that the deployment configuration has to keep.
fn declared_floor(subject: &Subject<'_>, component: &Component, count: u64, lowest: u64, report: &mut Report) {
    let Some(floor) = component.minimum_healthy.map(u64::from) else { return };
    let place = || crate::diagnostics::Place::model(["components", &subject.desired.component, "minimum_healthy"]);
    if floor > count {
        report.push(
            subject
                .error("B435", format!("`minimum_healthy` is {floor}, but only {count} tasks run"), place())
                .help(format!("write at most {count}")),
        );
    } else if floor > lowest {
        report.push(
            subject
                .error(
                    "B435",
                    format!("`minimum_healthy` is {floor}, but a deployment may go down to {lowest} tasks"),
                    place(),
                )
                .related(
                    subject.in_service(["deploymentConfiguration", "minimumHealthyPercent"]),
                    "the deployment configuration comes from here",
                )
                .help(format!(
                    "raise `minimumHealthyPercent` to {} or more in `raw.service.deploymentConfiguration`",
                    (floor * 100).div_ceil(count)
                )),
        );
    }
}

/// A grace period that ends before the first health check can pass kills every new task.
fn grace(subject: &Subject<'_>, report: &mut Report) {
    let Some(grace) = number(subject.service(), "healthCheckGracePeriodSeconds").filter(|g| *g > 0) else { return };
    let service = subject.service();
    let checked = !items(service, "loadBalancers").is_empty()
        || !items(service, "vpcLatticeConfigurations").is_empty()
        || subject.containers().any(|(_, c)| c.get("healthCheck").is_some());
    if !checked {
        report.push(
            Diagnostic::warning(
                "B360",
                "the health-check grace period has no effect: neither a load balancer nor a container has a health check",
            )
            .at(subject.in_service(["healthCheckGracePeriodSeconds"]).key())
            .help("remove `healthCheckGracePeriodSeconds`, or add a health check"),
        );
        return;
    }
    if subject.context.facts.is_none() {
        return;
    }
    let healthy = timing::pace(subject.context, subject.desired).healthy;
    if grace < healthy {
        report.push(
            Diagnostic::warning("B436", format!("the grace period ({grace} s) ends before a task can be healthy ({healthy} s): ECS may kill every new task"))
                .at(subject.in_service(["healthCheckGracePeriodSeconds"]))
                .help(format!("write {healthy} or more, or shorten the health check")),
        );
    }
}
