//! What a service is asked to be: AWS's defaults, and what AWS refuses.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::errors::{invalid, unmodelled};
use super::super::request::{items, number, short, text};
use super::super::world::{Service, World};
use super::placement::Expression;
use super::scheduler::on_fargate;
use super::{connect, external, managed, registry, service_key, shift};
use crate::cloud::CloudError;

/// Members of the input that are not settings of the service.
const NOT_SETTINGS: [&str; 5] = ["cluster", "serviceName", "clientToken", "tags", "role"];

/// The settings that CreateService asks for, with AWS's defaults.
pub(super) fn settings_of_create(
    world: &World,
    cluster: &str,
    input: &Value,
) -> Result<Map<String, Value>, CloudError> {
    let mut wanted = input.as_object().cloned().unwrap_or_default();
    wanted.retain(|name, _| !NOT_SETTINGS.contains(&name.as_str()));
    let definition = text(input, "taskDefinition").ok_or_else(|| invalid("TaskDefinition can not be blank."))?;
    wanted.insert("taskDefinition".to_owned(), world.usable_task_definition(definition)?.into());
    let daemon = text(input, "schedulingStrategy") == Some("DAEMON");
    match (number(input, "desiredCount"), daemon) {
        (Some(_), true) => return Err(invalid("You cannot specify a desired count with the DAEMON strategy.")),
        (None, true) => wanted.insert("desiredCount".to_owned(), 0.into()),
        (None, false) => return Err(invalid("Desired count must be specified with the REPLICA strategy.")),
        _ => None,
    };
    let strategy =
        world.clusters.get(cluster).map(|c| c.default_capacity_provider_strategy.clone()).unwrap_or_default();
    if wanted.contains_key("capacityProviderStrategy") && wanted.contains_key("launchType") {
        return Err(invalid("Specifying both a launch type and capacity provider strategy is not supported."));
    }
    if !wanted.contains_key("capacityProviderStrategy") && !wanted.contains_key("launchType") {
        match strategy.is_empty() {
            true => wanted.insert("launchType".to_owned(), "EC2".into()),
            false => wanted.insert("capacityProviderStrategy".to_owned(), strategy.into()),
        };
    }
    if on_fargate(&wanted) {
        wanted.entry("platformVersion").or_insert_with(|| "LATEST".into());
    }
    for (name, value) in [
        ("schedulingStrategy", json!("REPLICA")),
        ("deploymentController", json!({"type": "ECS"})),
        ("placementConstraints", json!([])),
        ("placementStrategy", json!([])),
        ("loadBalancers", json!([])),
        ("serviceRegistries", json!([])),
        ("enableECSManagedTags", json!(false)),
        ("enableExecuteCommand", json!(false)),
        ("propagateTags", json!("NONE")),
        ("deploymentConfiguration", json!({})),
    ] {
        wanted.entry(name).or_insert(value);
    }
    complete_deployment_configuration(&mut wanted, daemon);
    let balanced = !items(&Value::Object(wanted.clone()), "loadBalancers").is_empty();
    if !balanced && number(input, "healthCheckGracePeriodSeconds").is_some_and(|seconds| seconds > 0) {
        return Err(invalid("Health check grace period is only valid for services configured to use load balancers"));
    }
    if balanced {
        wanted.entry("healthCheckGracePeriodSeconds").or_insert_with(|| 0.into());
    }
    let can_rebalance = can_rebalance(&wanted);
    match text(input, "availabilityZoneRebalancing") {
        Some("ENABLED") if !can_rebalance => {
            return Err(invalid("Availability Zone rebalancing does not support this service's configuration."));
        }
        Some(_) => {}
        None => {
            let default = if can_rebalance { "ENABLED" } else { "DISABLED" };
            wanted.insert("availabilityZoneRebalancing".to_owned(), default.into());
        }
    }
    connect::complete(world, cluster, &mut wanted);
    let key = service_key(cluster, text(input, "serviceName").unwrap_or_default());
    check(world, &key, &wanted)?;
    if let Some(role) = role(world, &wanted, input)? {
        wanted.insert("role".to_owned(), role.into());
    }
    Ok(wanted)
}

fn complete_deployment_configuration(wanted: &mut Map<String, Value>, daemon: bool) {
    let Some(configuration) = wanted.get_mut("deploymentConfiguration").and_then(Value::as_object_mut) else { return };
    let (maximum, minimum) = if daemon { (100, 0) } else { (200, 100) };
    for (name, value) in [
        ("maximumPercent", json!(maximum)),
        ("minimumHealthyPercent", json!(minimum)),
        ("deploymentCircuitBreaker", json!({"enable": false, "rollback": false})),
        ("strategy", json!("ROLLING")),
        ("bakeTimeInMinutes", json!(0)),
    ] {
        configuration.entry(name).or_insert(value);
    }
}

/// Availability Zone rebalancing excludes daemons, machines outside AWS, 100 % as the maximum, classic load balancers, and
/// a placement that does not spread over zones first.
fn can_rebalance(wanted: &Map<String, Value>) -> bool {
    let wanted = Value::Object(wanted.clone());
    let first = items(&wanted, "placementStrategy").first();
    let spreads = first.is_none_or(|s| s["type"] == "spread" && s["field"] == "attribute:ecs.availability-zone");
    text(&wanted, "schedulingStrategy") != Some("DAEMON")
        && text(&wanted, "launchType") != Some("EXTERNAL")
        && wanted["deploymentConfiguration"]["maximumPercent"] != 100
        && !items(&wanted, "loadBalancers").iter().any(|b| b.get("loadBalancerName").is_some())
        && spreads
}

/// The role as an ARN, if one may be given and is.
fn role(world: &World, wanted: &Map<String, Value>, input: &Value) -> Result<Option<String>, CloudError> {
    let wanted = Value::Object(wanted.clone());
    let balancers = items(&wanted, "loadBalancers");
    let own = wanted.get("networkConfiguration").is_some();
    let linked = world.iam_arn("role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS");
    match text(input, "role") {
        None => Ok((!balancers.is_empty() || own).then_some(linked)),
        Some(_) if balancers.is_empty() => {
            Err(invalid("An IAM role can only be specified for a service that uses a load balancer."))
        }
        Some(_) if own || balancers.len() > 1 || !items(&wanted, "serviceRegistries").is_empty() => {
            Err(invalid("You cannot specify an IAM role for services that require a service linked role."))
        }
        Some(role) if role.starts_with("arn:") => Ok(Some(role.to_owned())),
        Some(role) => Ok(Some(world.iam_arn(&format!("role/{}", role.trim_start_matches('/'))))),
    }
}

/// What AWS refuses of the settings of a service as a whole.
pub(super) fn check(world: &World, key: &str, wanted: &Map<String, Value>) -> Result<(), CloudError> {
    let settings = wanted;
    let wanted = Value::Object(wanted.clone());
    if wanted["deploymentController"]["type"] != "ECS" {
        return Err(unmodelled("deployment controllers other than ECS"));
    }
    let configuration = &wanted["deploymentConfiguration"];
    let strategy = text(configuration, "strategy").unwrap_or("ROLLING");
    strategy_fits(&wanted, strategy)?;
    let (minimum, maximum) = (number(configuration, "minimumHealthyPercent"), number(configuration, "maximumPercent"));
    if text(&wanted, "schedulingStrategy") == Some("DAEMON") && maximum != Some(100) {
        return Err(invalid("The daemon scheduling strategy does not support values above 100 for maximumPercent"));
    }
    if maximum == Some(0) || (minimum == Some(100) && maximum == Some(100)) {
        return Err(invalid(
            "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.",
        ));
    }
    let definition = text(&wanted, "taskDefinition").unwrap_or_default();
    let shape = world.task_shape(definition).ok_or_else(|| invalid("TaskDefinition not found."))?;
    connect::check(world, key, settings, &shape)?;
    registry::check(world, settings, &shape)?;
    external::check(settings, &shape)?;
    managed::check(world, settings, definition)?;
    let own = shape.network_mode == "awsvpc";
    let network = wanted.get("networkConfiguration").filter(|n| !n.is_null());
    if own && network.is_none() {
        return Err(invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified."));
    }
    if !own && network.is_some() {
        return Err(invalid("Network Configuration is not valid for the given networkMode of this task definition."));
    }
    if on_fargate(wanted.as_object().unwrap_or(&Map::new())) && !own {
        return Err(invalid("Fargate only supports network mode ‘awsvpc’."));
    }
    for subnet in network.map_or(&[][..], |n| items(&n["awsvpcConfiguration"], "subnets")) {
        if !world.subnets.iter().any(|known| known["SubnetId"] == *subnet) {
            let id = subnet.as_str().unwrap_or_default();
            return Err(invalid(format!(
                "Error retrieving subnet information for [{id}]: The subnet ID '{id}' does not exist"
            )));
        }
    }
    for constraint in items(&wanted, "placementConstraints") {
        let expression = text(constraint, "expression").unwrap_or_default();
        if text(constraint, "type") == Some("memberOf") && Expression::parse(expression).is_none() {
            return Err(unmodelled(&format!("the placement expression \"{expression}\"")));
        }
    }
    let balancers = items(&wanted, "loadBalancers");
    if balancers.iter().filter(|b| b.get("loadBalancerName").is_some()).count() > 1 {
        return Err(invalid("load balancers can have at most 1 items."));
    }
    if balancers.len() > 5 {
        return Err(invalid("load balancers can have at most 5 items."));
    }
    balancers.iter().try_for_each(|balancer| {
        check_balancer(world, balancer, &shape, own)?;
        check_pair(world, balancer, strategy)
    })
}

/// A strategy goes with what belongs to it, and with services whose tasks can be there twice.
fn strategy_fits(wanted: &Value, strategy: &str) -> Result<(), CloudError> {
    let configuration = &wanted["deploymentConfiguration"];
    for (of, block) in [("LINEAR", "linearConfiguration"), ("CANARY", "canaryConfiguration")] {
        if strategy != of && configuration.get(block).is_some() {
            return Err(invalid(format!("{block} is only valid for the {of} deployment strategy.")));
        }
    }
    if !shift::shifts(strategy) {
        return Ok(());
    }
    if text(wanted, "schedulingStrategy") == Some("DAEMON") {
        return Err(invalid(format!("The {strategy} deployment strategy does not support daemons.")));
    }
    if configuration.get("lifecycleHooks").is_some_and(|hooks| hooks.as_array().is_some_and(|list| !list.is_empty())) {
        return Err(unmodelled("lifecycle hooks"));
    }
    if wanted.get("serviceConnectConfiguration").is_some_and(|connect| connect["enabled"] == true) {
        return Err(unmodelled("shifting the traffic of Service Connect"));
    }
    Ok(())
}

/// Two target groups of one kind, and a rule that leads to one of them.
fn check_pair(world: &World, balancer: &Value, strategy: &str) -> Result<(), CloudError> {
    let Some(advanced) = balancer.get("advancedConfiguration") else {
        if shift::shifts(strategy) {
            return Err(invalid(format!("advancedConfiguration is required for the {strategy} deployment strategy.")));
        }
        return Ok(());
    };
    if !shift::shifts(strategy) {
        return Err(invalid("advancedConfiguration is not valid for the ROLLING deployment strategy."));
    }
    let member = |name: &str| {
        text(advanced, name).ok_or_else(|| invalid(format!("advancedConfiguration needs {name} for {strategy}.")))
    };
    let (alternate, rule) = (member("alternateTargetGroupArn")?, member("productionListenerRule")?);
    member("roleArn")?;
    let first = text(balancer, "targetGroupArn").unwrap_or_default();
    let (one, other) = (world.target_group(first), world.target_group(alternate));
    let (Some(one), Some(other)) = (one, other) else {
        return Err(invalid(format!("The specified target group does not exist: {alternate}")));
    };
    if one.arn == other.arn || one.target_type != other.target_type || one.protocol != other.protocol {
        return Err(invalid("The two target groups must be different ones of the same type and protocol."));
    }
    let test = text(advanced, "testListenerRule");
    for (arn, leads) in std::iter::once((rule, true)).chain(test.map(|arn| (arn, false))) {
        let mut listeners = world.load_balancers.values().flat_map(|b| &b.listeners).cloned();
        let Some(actions) = listeners.find_map(|mut l| l.actions_mut(arn).cloned()) else {
            return Err(invalid(format!("The listener rule {arn} does not exist.")));
        };
        let to = |group: &str| {
            actions.iter().any(|action| {
                action["TargetGroupArn"] == group
                    || items(&action["ForwardConfig"], "TargetGroups").iter().any(|g| g["TargetGroupArn"] == group)
            })
        };
        if leads && !to(first) && !to(alternate) {
            return Err(invalid(format!("The listener rule {arn} does not forward to the target group {first}.")));
        }
    }
    Ok(())
}

fn check_balancer(
    world: &World,
    balancer: &Value,
    shape: &super::shape::TaskShape,
    own: bool,
) -> Result<(), CloudError> {
    let container = text(balancer, "containerName").unwrap_or_default();
    let port = number(balancer, "containerPort").unwrap_or(0);
    if !shape.containers.iter().any(|c| c.name == container) {
        return Err(invalid(format!("The container {container} does not exist in the task definition.")));
    }
    if !shape.maps_port(container, port) {
        return Err(invalid(format!("The container {container} did not have a container port {port} defined.")));
    }
    match (text(balancer, "targetGroupArn"), text(balancer, "loadBalancerName")) {
        (Some(_), Some(_)) => Err(invalid(
            "loadBalancerName and targetGroupArn cannot both be specified. You must specify either a loadBalancerName or a targetGroupArn.",
        )),
        (None, None) => Err(invalid("Both loadBalancerName and targetGroupArn can not be blank.")),
        (Some(arn), None) => {
            let Some(group) = world.target_group(arn) else {
                return Err(invalid(format!("The specified target group does not exist: {arn}")));
            };
            if !world.load_balancers.values().any(|balancer| balancer.forwards_to(arn)) {
                return Err(invalid(format!(
                    "The target group with targetGroupArn {arn} does not have an associated load balancer."
                )));
            }
            let fits = if own { group.target_type == "ip" } else { group.target_type == "instance" };
            if !fits {
                return Err(invalid(format!(
                    "The provided target group {arn} has target type {}, which is incompatible with the {} network \
                     mode specified in the task definition.",
                    group.target_type, shape.network_mode
                )));
            }
            Ok(())
        }
        (None, Some(_)) if own => {
            Err(invalid("Classic Load Balancers are not supported with the awsvpc network mode."))
        }
        (None, Some(name)) if !world.classic_load_balancers.contains_key(name) => {
            Err(invalid(format!("There is no ACTIVE Load Balancer named '{name}'")))
        }
        (None, Some(_)) => Ok(()),
    }
}

impl Service {
    /// Tags that tasks of this service get.
    pub(super) fn propagated_tags(&self, world: &World, definition: &str) -> BTreeMap<String, String> {
        match self.wanted.get("propagateTags").and_then(Value::as_str) {
            Some("SERVICE") => self.tags.clone(),
            Some("TASK_DEFINITION") => {
                world.task_definition(short(definition)).map(|d| d.tags.clone()).unwrap_or_default()
            }
            _ => BTreeMap::new(),
        }
    }
}
