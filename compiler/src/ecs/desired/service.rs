//! The service of a component.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::Context;
use crate::ecs::json::{any_fargate, items, number, text};
use crate::ecs::origin::Origins;
use crate::ecs::registries::Registry;
use crate::ecs::shift;

use super::Part;
use super::balancing::{Attachment, Balancer, behind_classic};
use super::task::{refuse_keys, refuse_owned_tags};
use super::{connect, discovery, raw, typed};

/// Members of `deploymentConfiguration` that a daemon has other defaults of.
const PERCENTS: [&str; 2] = ["maximumPercent", "minimumHealthyPercent"];

/// Builds CreateService's input without names, task definition, token and tags of ours, for a task definition.
pub fn build(part: Part<'_>, task: &Value, report: &mut Report) -> (Value, Origins, Option<Registry>) {
    let Part { context, name, component, settled, attachments } = part;
    let settings = &settled.settings;
    let place = Place::model(["components", name]);
    let mut origins = Origins::new(place.clone().key());
    let mut service = Map::new();
    let singleton = component.singleton.unwrap_or(false);
    let daemon = settings.daemon == Some(true);
    origins.set("/desiredCount", place.child("replicas"));
    if daemon {
        origins.set("/schedulingStrategy", settled.place("daemon"));
        service.insert("schedulingStrategy".to_owned(), json!("DAEMON"));
        if component.replicas.is_some() {
            report.push(
                Diagnostic::error("B424", format!("`{name}` is a daemon, which runs one task on each container instance, but has a number of replicas"))
                    .at(place.child("replicas"))
                    .related(settled.place("daemon"), "it is made a daemon here")
                    .help("remove `replicas`, or remove `daemon`"),
            );
        }
    } else {
        service.insert("desiredCount".to_owned(), json!(component.replicas.unwrap_or(1)));
    }

    // A singleton's old task stops before its new one starts, and so does a daemon's; everything else keeps its capacity.
    // AWS's own defaults are written out so that a field dropped from the model goes back to them.
    let (maximum, minimum) = if singleton || daemon { (100, 0) } else { (200, 100) };
    // AWS watches a rolling deployment for failing tasks only where no classic load balancer is attached.
    let watched = !attachments.iter().any(|a| matches!(a.balancer, Balancer::Classic { .. }));
    origins.set("/deploymentConfiguration", if singleton { place.child("singleton") } else { place.clone().key() });
    service.insert(
        "deploymentConfiguration".to_owned(),
        json!({
            "maximumPercent": maximum,
            "minimumHealthyPercent": minimum,
            "deploymentCircuitBreaker": {"enable": watched, "rollback": watched},
        }),
    );
    balancers(name, attachments, &mut service, &mut origins, report);
    typed::members(part, task, &mut service, &mut origins, report);
    connect::member(part, &mut service, &mut origins, report);
    let registry = discovery::member(part, task, &mut service, &mut origins, report);

    let mut said = typed::percents(settings);
    for (raw, at) in &settled.raws {
        let Some(block) = &raw.service else { continue };
        let at = at.child("service");
        let names = ["serviceName", "service", "cluster", "taskDefinition", "clientToken"];
        refuse_keys(block, &names, &at, report);
        refuse_owned_tags(context, block, &at, report);
        refuse_balancers(block, &["loadBalancers"], &at, report);
        if block.contains_key("forceNewDeployment") {
            report.push(
                Diagnostic::error("B363", "`forceNewDeployment` is not a property of a service")
                    .at(at.child("forceNewDeployment").key())
                    .help("to replace all tasks once, compile with `--replace-all`"),
            );
        }
        let except: Vec<&str> = names.into_iter().chain(["forceNewDeployment", "loadBalancers"]).collect();
        raw::merge_except(&mut service, block, &except, "", &at, &mut origins);
        let configuration = block.get("deploymentConfiguration");
        said.extend(PERCENTS.into_iter().filter(|m| configuration.and_then(|c| c.get(m)).is_some()));
        said.extend(block.contains_key("desiredCount").then_some("desiredCount"));
    }
    settle_defaults(&mut service, &mut origins, &place, &said);
    switches(attachments, &mut service, &mut origins);
    let service = Value::Object(service);
    if singleton {
        judge_singleton(name, &service, &origins, &place, report);
    }
    (service, origins, registry)
}

/// What a load balancer is, the environment says: only what is named there is looked up, judged and checked before a run.
fn refuse_balancers(block: &Map<String, Value>, members: &[&str], at: &Place, report: &mut Report) {
    for member in members.iter().filter(|member| block.contains_key(**member)) {
        report.push(
            Diagnostic::error("B362", format!("a raw block cannot set `{member}`"))
                .at(at.child(member).key())
                .help("load balancers are looked up and checked before a run: name this one under `lb` of the environment, for a gateway of the model")
                .help("the entry's other members go into the `raw` block of that gateway"),
        );
    }
}

/// Two tasks of a singleton never run at once, whatever a raw block says.
fn judge_singleton(name: &str, service: &Value, origins: &Origins, place: &Place, report: &mut Report) {
    let replicas = number(service, "desiredCount").unwrap_or_default();
    if replicas > 1 {
        report.push(
            Diagnostic::error("B325", format!("`{name}` is a singleton but has {replicas} replicas"))
                .at(origins.of("/desiredCount"))
                .related(place.child("singleton"), "it is made a singleton here")
                .help("write `replicas: 1`, or remove `singleton`"),
        );
    }
    let maximum = service.pointer("/deploymentConfiguration/maximumPercent").and_then(Value::as_u64);
    if maximum.is_some_and(|m| m > 100) {
        report.push(
            Diagnostic::error(
                "B325",
                format!("`{name}` is a singleton, but its new task would start before the old one stops"),
            )
            .at(origins.of("/deploymentConfiguration/maximumPercent"))
            .related(place.child("singleton"), "it is made a singleton here")
            .help("remove `maximumPercent`: it is 100 for a singleton; or remove `singleton`"),
        );
    }
    if text(service, "schedulingStrategy") == Some("DAEMON") {
        report.push(
            Diagnostic::error(
                "B325",
                format!("`{name}` is a singleton, but a daemon runs a task on each container instance"),
            )
            .at(origins.of("/schedulingStrategy"))
            .related(place.child("singleton"), "it is made a singleton here")
            .help("remove `schedulingStrategy`, or remove `singleton`"),
        );
    }
}

fn balancers(
    name: &str,
    attachments: &[Attachment],
    service: &mut Map<String, Value>,
    origins: &mut Origins,
    report: &mut Report,
) {
    if attachments.is_empty() {
        return;
    }
    let mut list = Vec::new();
    for (index, attachment) in attachments.iter().enumerate() {
        let (mut entry, block, block_place) = attachment.entry(name);
        let path = format!("/loadBalancers/{index}");
        origins.set(path.clone(), attachment.place.clone());
        let names = ["targetGroupArn", "loadBalancerName"];
        // The entries of one gateway share its block: the report drops what is said again.
        refuse_balancers(block, &names, block_place, report);
        raw::merge_except(&mut entry, block, &names, &path, block_place, origins);
        list.push(Value::Object(entry));
    }
    origins.set("/loadBalancers", attachments[0].place.clone());
    service.insert("loadBalancers".to_owned(), Value::Array(list));
    // A service has one role; whether it may have any is judged with the other rules.
    let role = attachments.iter().find(|a| a.role.is_some());
    if let Some(attachment) = role
        && let Some(role) = &attachment.role
    {
        origins.set("/role", attachment.named_at.child("role"));
        service.insert("role".to_owned(), json!(role));
    }
}

/// Where traffic is shifted, for a service whose strategy shifts it.
fn switches(attachments: &[Attachment], service: &mut Map<String, Value>, origins: &mut Origins) {
    let view = Value::Object(std::mem::take(service));
    let shifts = shift::shifts(&view);
    if let Value::Object(members) = view {
        *service = members;
    }
    let Some(Value::Array(entries)) = service.get_mut("loadBalancers").filter(|_| shifts) else { return };
    for (index, (entry, attachment)) in entries.iter_mut().zip(attachments).enumerate() {
        let (Some(switch), Value::Object(entry)) = (&attachment.switch, entry) else { continue };
        if !entry.contains_key("advancedConfiguration") {
            let place = attachment.named_at.child("switch");
            let path = format!("/loadBalancers/{index}/advancedConfiguration");
            for (member, key) in [
                ("alternateTargetGroupArn", "to"),
                ("productionListenerRule", "rule"),
                ("testListenerRule", "test_rule"),
                ("roleArn", "role"),
            ] {
                origins.set(format!("{path}/{member}"), place.child(key));
            }
            origins.set(path, place);
            entry.insert("advancedConfiguration".to_owned(), switch.configuration());
        }
    }
}

/// What follows from the rest unless it was said.
fn settle_defaults(
    service: &mut Map<String, Value>,
    origins: &mut Origins,
    place: &Place,
    said: &BTreeSet<&'static str>,
) {
    let view = Value::Object(std::mem::take(service));
    let daemon = text(&view, "schedulingStrategy") == Some("DAEMON");
    let rebalances = !daemon && can_rebalance(&view);
    if let Value::Object(members) = view {
        *service = members;
    }
    if daemon {
        if !said.contains("desiredCount") {
            service.remove("desiredCount");
        }
        if let Some(Value::Object(configuration)) = service.get_mut("deploymentConfiguration") {
            for (member, value) in PERCENTS.into_iter().zip([100, 0]) {
                if !said.contains(member) {
                    configuration.insert(member.to_owned(), json!(value));
                }
            }
        }
    }
    if !service.contains_key("availabilityZoneRebalancing") {
        // CreateService switches it on where it can work and an omitted field of UpdateService stays as it is: said
        // explicitly, the same model always means the same service.
        origins.set("/availabilityZoneRebalancing", place.clone().key());
        let rebalancing = if rebalances { "ENABLED" } else { "DISABLED" };
        service.insert("availabilityZoneRebalancing".to_owned(), json!(rebalancing));
    }
}

/// Whether AWS can move tasks of a service with replicas between zones.
fn can_rebalance(service: &Value) -> bool {
    let maximum = service.pointer("/deploymentConfiguration/maximumPercent").and_then(Value::as_u64).unwrap_or(200);
    let external = text(service, "launchType") == Some("EXTERNAL");
    let first = items(service, "placementStrategy").first();
    let spread = first.is_none_or(|s| {
        text(s, "type") == Some("spread") && text(s, "field") == Some("attribute:ecs.availability-zone")
    });
    let zoned = items(service, "placementConstraints")
        .iter()
        .any(|c| text(c, "expression").is_some_and(|e| e.contains("availability-zone")));
    !external && !behind_classic(service) && maximum > 100 && spread && !zoned
}

/// Whether tasks of this service run on Fargate.
pub fn is_fargate(service: &Value, task: &Value) -> bool {
    text(service, "launchType") == Some("FARGATE")
        || any_fargate(items(service, "capacityProviderStrategy"))
        || items(task, "requiresCompatibilities").iter().any(|c| c.as_str() == Some("FARGATE"))
}

/// Whether tasks of this service run on instances that ECS starts itself: its capacity providers tell, once observed.
pub fn is_managed(context: Context<'_>, service: &Value) -> bool {
    let own = items(service, "capacityProviderStrategy");
    let Some(facts) = context.facts else { return false };
    if own.is_empty() && text(service, "launchType").is_none() {
        return facts.is_managed_by_default(&context.settings.cluster);
    }
    facts.any_managed(own)
}
