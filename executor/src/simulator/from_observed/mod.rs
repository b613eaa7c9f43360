//! A world that looks like what was observed, for rehearsing a plan against it.
//!
//! Invariants: what was observed is there again under the same names, ARNs, revision numbers and digests; what was not
//! looked at is filled in with something plausible; services are created through the simulator itself, so that their
//! tasks, targets and deployments hang together.

mod around;
mod balancing;
mod ecs;
mod ids;
mod machines;

use std::collections::{BTreeMap, BTreeSet};

use belay_schemas::observed::Observed;
use serde_json::{Value, json};

use super::time::Time;
use super::world::World;
use crate::cloud::CloudError;

/// Virtual seconds that services get to become steady before the moment of the observation.
const WARM_UP: u64 = 6 * 3600;

fn items<'v>(of: &'v Value, list: &str) -> impl Iterator<Item = &'v Value> {
    of[list].as_array().into_iter().flatten()
}

fn text(of: &Value, name: &str) -> String {
    of[name].as_str().unwrap_or_default().to_owned()
}

fn texts(of: &Value, list: &str) -> Vec<String> {
    items(of, list).filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Tags that are written as `{"Key": K, "Value": V}`.
fn upper_tags(of: &Value) -> BTreeMap<String, String> {
    items(of, "Tags").map(|tag| (text(tag, "Key"), text(tag, "Value"))).collect()
}

fn number(of: &Value, name: &str, default: u64) -> u64 {
    of[name].as_u64().unwrap_or(default)
}

/// Why no world could be made from observed state.
#[derive(Debug, thiserror::Error)]
pub enum FromObservedError {
    /// The moment of the observation is not written as it should be.
    #[error("`observedAt` is {0:?}, not a time such as 2026-01-01T00:00:00Z")]
    Time(String),
    /// A service that was observed cannot be made in a simulated world.
    #[error("service {service} cannot be made in a simulated world: {reason}")]
    Service {
        /// Its name.
        service: String,
        /// The simulator's words.
        reason: CloudError,
    },
}

impl World {
    /// A world that looks like what was observed, at the moment of the observation.
    ///
    /// # Errors
    /// When a service has settings that the simulator refuses.
    pub fn from_observed(observed: &Observed) -> Result<Self, FromObservedError> {
        let now =
            Time::parse(&observed.observed_at).ok_or_else(|| FromObservedError::Time(observed.observed_at.clone()))?;
        let since = Time::from_seconds(now.seconds().saturating_sub(WARM_UP));
        let mut world = Self::empty(&observed.account, &observed.region);
        world.partition.clone_from(&observed.partition);
        world.now = since;
        ecs::clusters(&mut world, observed);
        ecs::capacity_providers(&mut world, observed);
        ecs::instances(&mut world, observed, since);
        ecs::task_definitions(&mut world, observed, since);
        ecs::running_images(&mut world, observed);
        balancing::fill(&mut world, observed, since);
        network(&mut world, observed);
        machines::fill(&mut world, observed, since);
        around::network(&mut world, observed);
        around::log_groups(&mut world, observed, since);
        around::schedules(&mut world, observed);
        around::event_rules(&mut world, observed);
        around::quotas(&mut world, observed);
        around::hosted_zones(&mut world, observed);
        around::namespaces(&mut world, observed, since);
        around::registries(&mut world, observed, since);
        for (service, call) in ecs::creations(observed) {
            crate::simulator::ecs::call(&mut world, &call.operation, &call.input)
                .map_err(|reason| FromObservedError::Service { service: text(&service, "serviceName"), reason })?;
            if ecs::in_alternate(observed, &service) {
                let key = format!("{}/{}", text(&call.input, "cluster"), text(&service, "serviceName"));
                crate::simulator::ecs::put_in_alternate(&mut world, &key);
            }
        }
        around::scaling(&mut world, observed, since);
        around::alarms(&mut world, observed);
        world.advance(now);
        ids::restore(&mut world, observed);
        ecs::deregister(&mut world, observed);
        ecs::registry(&mut world, observed);
        machines::running_images(&mut world, observed);
        // What it took to get there is nobody's call.
        world.log.clear();
        Ok(world)
    }
}

/// VPCs, subnets and security groups that something refers to: nothing is known of them but their ids.
fn network(world: &mut World, observed: &Observed) {
    let mut vpcs: BTreeSet<String> = world.target_groups.values().map(|group| group.vpc_id.clone()).collect();
    vpcs.extend(world.classic_load_balancers.values().map(|balancer| balancer.vpc_id.clone()));
    vpcs.remove("");
    let Some(vpc) = vpcs.first().cloned() else {
        // Nothing refers to any, so the default account's do.
        let default = World::default_account();
        (world.vpcs, world.subnets, world.security_groups) = (default.vpcs, default.subnets, default.security_groups);
        return;
    };
    let described =
        |id: &String| json!({"VpcId": id, "CidrBlock": "10.0.0.0/16", "IsDefault": false, "State": "available"});
    world.vpcs = vpcs.iter().map(described).collect();
    let services = observed.outputs("ecs", "DescribeServices").flat_map(|(_, output)| items(output, "services"));
    let networks: Vec<&Value> = services.map(|s| &s["networkConfiguration"]["awsvpcConfiguration"]).collect();
    let mut subnets: BTreeSet<String> = networks.iter().flat_map(|n| texts(n, "subnets")).collect();
    let mut groups: BTreeSet<String> = networks.iter().flat_map(|n| texts(n, "securityGroups")).collect();
    for balancer in world.classic_load_balancers.values() {
        subnets.extend(balancer.subnets.iter().cloned());
        groups.extend(balancer.security_groups.iter().cloned());
    }
    world.subnets = subnets
        .iter()
        .enumerate()
        .map(|(at, id)| {
            let zone = format!("{}{}", world.region, ["a", "b", "c"][at % 3]);
            json!({"SubnetId": id, "VpcId": vpc, "AvailabilityZone": zone, "State": "available",
                   "CidrBlock": format!("10.0.{at}.0/24"), "AvailableIpAddressCount": 251})
        })
        .collect();
    world.security_groups = groups
        .iter()
        .map(|id| json!({"GroupId": id, "GroupName": id, "Description": id, "VpcId": vpc, "IpPermissions": []}))
        .collect();
}
