//! Somebody else in the account, who changes what a plan is about after it was observed.
//!
//! Invariant: the change is one that any guard worth its name sees: another revision and another number of tasks, other
//! sizes of a group, or a service or a group where there was none.

use std::fmt;

use serde_json::{Value, json};

use crate::cloud::{Clock, Cloud};
use crate::simulator::SimulatedCloud;

/// Family of the task definition that somebody else registers, and name of the launch configuration.
const FOREIGN: &str = "somebody-elses";
/// Milliseconds after which their change has come to rest.
const REST: u64 = 900_000;

/// What somebody else changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Foreign {
    /// The ECS service `CLUSTER/NAME`.
    Service(String),
    /// The Auto Scaling group of that name.
    Group(String),
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(key) => write!(f, "deploys to {key}"),
            Self::Group(name) => write!(f, "resizes {name}"),
        }
    }
}

impl Foreign {
    /// Somebody else does it. What cannot be changed that way is left alone: then there is nothing to be seen, and the
    /// run says so.
    pub async fn happens(&self, cloud: &SimulatedCloud) {
        let done = match self {
            Self::Service(key) => deploys(cloud, key).await,
            Self::Group(name) => resizes(cloud, name).await,
        };
        if done.is_some() {
            cloud.wait_until(cloud.now() + REST).await;
        }
    }
}

/// Deploys to a service, or creates it.
async fn deploys(cloud: &SimulatedCloud, key: &str) -> Option<()> {
    let (cluster, service) = key.split_once('/').unwrap_or(("default", key));
    let container = json!([{"name": "app", "image": "somebody/elses:1", "essential": true, "memory": 32}]);
    let mut register = json!({"family": FOREIGN, "containerDefinitions": container});
    // It has to run where the service's tasks run.
    let running = cloud.look(|world| {
        let arn = world.services.get(key)?.wanted.get("taskDefinition")?.as_str()?;
        let (family, number) = arn.rsplit('/').next()?.rsplit_once(':')?;
        let revision = world.task_definitions.get(family)?.revisions.get(&number.parse().ok()?)?;
        Some(revision.content.clone())
    });
    for (name, value) in running.into_iter().flatten() {
        if ["networkMode", "requiresCompatibilities", "cpu", "memory"].contains(&name.as_str()) {
            register[name] = value;
        }
    }
    let registered = cloud.call("ecs", "RegisterTaskDefinition", &register).await.ok()?;
    let definition = registered["taskDefinition"]["taskDefinitionArn"].clone();
    let count = cloud.look(|world| {
        world.services.get(key).map(|service| service.wanted.get("desiredCount").and_then(Value::as_u64).unwrap_or(0))
    });
    let done = match count {
        Some(count) => {
            // What names ports of the old revision goes with it.
            let mut input = json!({
                "cluster": cluster, "service": service, "taskDefinition": definition, "loadBalancers": [],
                "serviceRegistries": [], "serviceConnectConfiguration": {"enabled": false},
            });
            let daemon =
                cloud.look(|world| world.services[key].wanted.get("schedulingStrategy") == Some(&json!("DAEMON")));
            if !daemon {
                input["desiredCount"] = json!(count + 1);
            }
            cloud.call("ecs", "UpdateService", &input).await
        }
        None => {
            let input =
                json!({"cluster": cluster, "serviceName": service, "taskDefinition": definition, "desiredCount": 0});
            cloud.call("ecs", "CreateService", &input).await
        }
    };
    done.ok().map(drop)
}

/// Lets a group have one instance more, or makes an empty one where there is none.
async fn resizes(cloud: &SimulatedCloud, name: &str) -> Option<()> {
    let sizes = cloud.look(|world| {
        let group = world.auto_scaling_groups.get(name)?;
        Some((group.min_size, group.max_size, group.desired_capacity))
    });
    let done = match sizes {
        Some((min, max, desired)) => {
            let input = json!({"AutoScalingGroupName": name, "MinSize": min, "MaxSize": max + 1, "DesiredCapacity": desired + 1});
            cloud.call("autoscaling", "UpdateAutoScalingGroup", &input).await
        }
        None => {
            let (image, subnet) = cloud.look(|world| {
                let image = world.machine_images.iter().find(|image| image["Architecture"] != "arm64")?;
                Some((image["ImageId"].clone(), world.subnets.first()?["SubnetId"].clone()))
            })?;
            let launches = json!({"LaunchConfigurationName": FOREIGN, "ImageId": image, "InstanceType": "t3.micro"});
            cloud.call("autoscaling", "CreateLaunchConfiguration", &launches).await.ok()?;
            let input = json!({
                "AutoScalingGroupName": name, "LaunchConfigurationName": FOREIGN, "MinSize": 0, "MaxSize": 0,
                "VPCZoneIdentifier": subnet,
            });
            cloud.call("autoscaling", "CreateAutoScalingGroup", &input).await
        }
    };
    done.ok().map(drop)
}
