//! Classic load balancers.

use serde_json::{Value, json};

use super::errors::{missing, rejected, unknown_operation};
use super::request::{Answer, Paging, items, required, text, texts};
use super::world::{Behaviour, ClassicLoadBalancer, HealthCheck, Target, TargetState, World};
use super::{ec2, targets};
use crate::cloud::CloudError;

pub(super) fn call(world: &mut World, operation: &str, input: &Value) -> Answer {
    match operation {
        "DescribeLoadBalancers" => describe(world, input),
        "DescribeLoadBalancerAttributes" => attributes(world, input),
        "DescribeInstanceHealth" => health(world, input),
        "RegisterInstancesWithLoadBalancer" => register(world, input),
        "DeregisterInstancesFromLoadBalancer" => deregister(world, input),
        _ => Err(unknown_operation(format!("The simulated AWS does not model {operation} of elb."))),
    }
}

fn not_found(name: &str) -> CloudError {
    missing("LoadBalancerNotFound", format!("There is no ACTIVE Load Balancer named '{name}'"))
}

fn find<'w>(world: &'w World, input: &Value) -> Result<&'w ClassicLoadBalancer, CloudError> {
    let name = required(input, "LoadBalancerName")?;
    world.classic_load_balancers.get(name).ok_or_else(|| not_found(name))
}

fn describe(world: &World, input: &Value) -> Answer {
    let names = texts(input, "LoadBalancerNames");
    if let Some(unknown) = names.iter().find(|name| !world.classic_load_balancers.contains_key(name)) {
        return Err(not_found(unknown));
    }
    let wanted = |name: &str| names.is_empty() || names.contains(&name);
    let shown = world.classic_load_balancers.iter().filter(|(name, _)| wanted(name));
    let shown = shown.map(|(name, balancer)| show(world, name, balancer)).collect();
    Ok(Paging::BALANCERS.answer("LoadBalancerDescriptions", shown, input)?.into())
}

/// `HTTP:8080/path`, as classic load balancers write what they check.
fn target_of(check: &HealthCheck) -> String {
    format!("{}:{}{}", check.protocol, check.port, check.path.as_deref().unwrap_or_default())
}

/// Registered instances, each once; those that drain are no longer listed.
fn instances(balancer: &ClassicLoadBalancer) -> Vec<&str> {
    let registered = balancer.targets.iter().filter(|t| t.state != TargetState::Draining);
    let mut ids: Vec<&str> = registered.map(|t| t.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn show(world: &World, name: &str, balancer: &ClassicLoadBalancer) -> Value {
    let check = &balancer.health_check;
    let listeners: Value = balancer
        .listeners
        .iter()
        .map(|listener| {
            json!({
                "PolicyNames": [],
                "Listener": {
                    "Protocol": listener.protocol,
                    "LoadBalancerPort": listener.load_balancer_port,
                    "InstanceProtocol": listener.instance_protocol,
                    "InstancePort": listener.instance_port,
                },
            })
        })
        .collect();
    json!({
        "LoadBalancerName": name,
        "DNSName": balancer.dns_name,
        "CanonicalHostedZoneName": balancer.dns_name,
        "CanonicalHostedZoneNameID": "Z00000000000000000000",
        "ListenerDescriptions": listeners,
        "Policies": {"AppCookieStickinessPolicies": [], "LBCookieStickinessPolicies": [], "OtherPolicies": []},
        "BackendServerDescriptions": [],
        "AvailabilityZones": balancer.availability_zones,
        "Subnets": balancer.subnets,
        "VPCId": balancer.vpc_id,
        "Instances": instances(balancer).iter().map(|id| json!({"InstanceId": id})).collect::<Value>(),
        "HealthCheck": {
            "Target": target_of(check),
            "Interval": check.interval_seconds,
            "Timeout": check.timeout_seconds,
            "UnhealthyThreshold": check.unhealthy_threshold,
            "HealthyThreshold": check.healthy_threshold,
        },
        "SourceSecurityGroup": {"OwnerAlias": world.account, "GroupName": "default"},
        "SecurityGroups": balancer.security_groups,
        "CreatedTime": balancer.created_at.to_string(),
        "Scheme": balancer.scheme,
    })
}

fn attributes(world: &World, input: &Value) -> Answer {
    let balancer = find(world, input)?;
    let draining = balancer.connection_draining_seconds;
    let attributes = json!({
        "CrossZoneLoadBalancing": {"Enabled": balancer.cross_zone},
        "AccessLog": {"Enabled": false},
        "ConnectionDraining": {"Enabled": draining.is_some(), "Timeout": draining.unwrap_or(300)},
        "ConnectionSettings": {"IdleTimeout": balancer.idle_timeout_seconds},
        "AdditionalAttributes": [{"Key": "elb.http.desyncmitigationmode", "Value": "defensive"}],
    });
    Ok(json!({"LoadBalancerAttributes": attributes}).into())
}

fn health(world: &World, input: &Value) -> Answer {
    let balancer = find(world, input)?;
    let asked: Vec<&str> = items(input, "Instances").iter().filter_map(|i| text(i, "InstanceId")).collect();
    let ids = if asked.is_empty() { instances(balancer) } else { asked };
    let mut states = Vec::new();
    for id in ids {
        let own: Vec<&Target> = balancer.targets.iter().filter(|t| t.id == id).collect();
        let state = |wanted: TargetState| own.iter().any(|t| t.state == wanted);
        let (word, code, description) = if own.is_empty() {
            let message = format!("Could not find EC2 instance {id}.");
            return Err(missing("InvalidInstance", message));
        } else if state(TargetState::Healthy) {
            ("InService", "N/A", "N/A")
        } else if state(TargetState::Initial) {
            ("OutOfService", "ELB", "Instance registration is still in progress.")
        } else if state(TargetState::Unhealthy) {
            (
                "OutOfService",
                "Instance",
                "Instance has failed at least the UnhealthyThreshold number of health checks consecutively.",
            )
        } else {
            ("InService", "N/A", "Instance deregistration currently in progress.")
        };
        states.push(json!({"InstanceId": id, "State": word, "ReasonCode": code, "Description": description}));
    }
    Ok(json!({"InstanceStates": states}).into())
}

fn register(world: &mut World, input: &Value) -> Answer {
    let name = required(input, "LoadBalancerName")?.to_owned();
    find(world, input)?;
    let now = world.now;
    let ids: Vec<&str> = items(input, "Instances").iter().filter_map(|i| text(i, "InstanceId")).collect();
    let known = |id: &str| ec2::known_instance(world, id);
    if let Some(unknown) = ids.iter().find(|id| !known(id)) {
        return Err(rejected("InvalidInstance", format!("Could not find EC2 instance {unknown}.")));
    }
    if let Some(balancer) = world.classic_load_balancers.get_mut(&name) {
        for id in ids {
            let listed = balancer.targets.iter().any(|t| t.id == id && t.state != TargetState::Draining);
            if !listed {
                let due = targets::first_outcome(&balancer.health_check, &Behaviour::Healthy, now);
                let port = balancer.listeners.first().map_or(0, |listener| listener.instance_port);
                let target = Target {
                    id: id.to_owned(),
                    port,
                    availability_zone: None,
                    task: None,
                    state: TargetState::Initial,
                    due: Some(due),
                };
                targets::add(&mut balancer.targets, target);
            }
        }
    }
    registered(world, &name)
}

fn registered(world: &World, name: &str) -> Answer {
    let ids = world.classic_load_balancers.get(name).map(instances).unwrap_or_default();
    Ok(json!({"Instances": ids.iter().map(|id| json!({"InstanceId": id})).collect::<Value>()}).into())
}

fn deregister(world: &mut World, input: &Value) -> Answer {
    let name = required(input, "LoadBalancerName")?.to_owned();
    find(world, input)?;
    let now = world.now;
    let ids: Vec<&str> = items(input, "Instances").iter().filter_map(|i| text(i, "InstanceId")).collect();
    if let Some(balancer) = world.classic_load_balancers.get_mut(&name) {
        let delay = balancer.connection_draining_seconds.unwrap_or(0);
        for target in balancer.targets.iter_mut().filter(|t| ids.contains(&t.id.as_str())) {
            target.state = TargetState::Draining;
            target.due = Some(now.plus(delay));
        }
    }
    registered(world, &name)
}
