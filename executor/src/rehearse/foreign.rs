//! Somebody else in the account, who changes what a plan is about after it was observed.
//!
//! Invariant: the change is one that any guard worth its name sees: another revision and another number of tasks, or a
//! service where there was none.

use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::simulator::SimulatedCloud;

/// Family of the task definition that somebody else registers.
const FAMILY: &str = "somebody-elses";
/// Milliseconds after which their change has come to rest.
const REST: u64 = 900_000;

/// Somebody else deploys to a service (`CLUSTER/NAME`), or creates it.
pub(super) async fn deploys(cloud: &SimulatedCloud, key: &str) {
    let (cluster, service) = key.split_once('/').unwrap_or(("default", key));
    let container = json!([{"name": "app", "image": "somebody/elses:1", "essential": true, "memory": 32}]);
    let register = json!({"family": FAMILY, "containerDefinitions": container});
    let Ok(registered) = cloud.call("ecs", "RegisterTaskDefinition", &register).await else { return };
    let definition = registered["taskDefinition"]["taskDefinitionArn"].clone();
    let count = cloud.look(|world| {
        world.services.get(key).map(|service| service.wanted.get("desiredCount").and_then(Value::as_u64).unwrap_or(0))
    });
    // What cannot be changed that way is left alone: then there is nothing to be seen, and the run says so.
    let _ = match count {
        Some(count) => {
            let mut input =
                json!({"cluster": cluster, "service": service, "taskDefinition": definition, "loadBalancers": []});
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
    use crate::cloud::Clock;
    cloud.wait_until(cloud.now() + REST).await;
}
