//! EC2: networks, AMIs, key pairs, instance types, instances and launch templates.

mod instances;
mod launch;
mod lookup;
mod tags;
mod templates;
mod types;

use serde_json::{Value, json};

pub(super) use instances::{forget_terminated, known_instance, next, pass_time, terminate};
pub(super) use launch::{Launch, launch, pulled_images, text_of};
pub(super) use templates::find as find_template;
pub(super) use types::{processors, size_of};

use super::errors::unknown_operation;
use super::request::{Answer, texts};
use super::world::World;

pub(super) fn call(world: &mut World, operation: &str, input: &Value) -> Answer {
    match operation {
        "DescribeVpcs" => lookup::describe(&lookup::VPCS, &world.vpcs, input),
        "DescribeSubnets" => lookup::describe(&lookup::SUBNETS, &world.subnets, input),
        "DescribeSecurityGroups" => lookup::describe(&lookup::GROUPS, &world.security_groups, input),
        "DescribeImages" => images(world, input),
        "DescribeKeyPairs" => lookup::describe(&lookup::KEY_PAIRS, &world.key_pairs, input),
        "DescribeAvailabilityZones" => zones(world),
        "DescribeInstanceTypes" => types::describe(input),
        "DescribeInstanceTypeOfferings" => types::offerings(world, input),
        "DescribeInstances" => instances::describe(world, input),
        "TerminateInstances" => instances::terminate_instances(world, input),
        "CreateTags" => tags::create(world, input),
        "DeleteTags" => tags::delete(world, input),
        "CreateLaunchTemplate" => templates::create(world, input),
        "CreateLaunchTemplateVersion" => templates::create_version(world, input),
        "ModifyLaunchTemplate" => templates::modify(world, input),
        "DeleteLaunchTemplate" => templates::delete(world, input),
        "DeleteLaunchTemplateVersions" => templates::delete_versions(world, input),
        "DescribeLaunchTemplates" => templates::describe(world, input),
        "DescribeLaunchTemplateVersions" => templates::describe_versions(world, input),
        _ => Err(unknown_operation(format!("The simulated AWS does not model {operation} of ec2."))),
    }
}

fn images(world: &World, input: &Value) -> Answer {
    let owners = texts(input, "Owners");
    let owned = |image: &&Value| {
        owners.is_empty()
            || owners.iter().any(|owner| match *owner {
                "self" => image["OwnerId"] == *world.account,
                owner => image["OwnerId"] == *owner || image["ImageOwnerAlias"] == *owner,
            })
    };
    let owned: Vec<Value> = world.machine_images.iter().filter(owned).cloned().collect();
    lookup::describe(&lookup::IMAGES, &owned, input)
}

fn zones(world: &World) -> Answer {
    let mut names: Vec<&str> = world.subnets.iter().filter_map(|s| s["AvailabilityZone"].as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let shown: Value = names
        .iter()
        .map(|name| json!({"ZoneName": name, "RegionName": world.region, "State": "available", "ZoneType": "availability-zone"}))
        .collect();
    Ok(json!({"AvailabilityZones": shown}).into())
}
