//! Creating, changing and deleting groups.

use serde_json::{Map, Value, json};

use super::super::ec2;
use super::super::errors::rejected;
use super::super::request::{Answer, items, number, required, text, texts};
use super::super::world::{AttachmentFamily, AutoScalingGroup, Lifecycle, World};
use super::{balancing, busy, invalid, name_of, scaler, settings, source, tags, with_group};
use crate::cloud::CloudError;

/// Members of an input that are not settings of the group as such.
const NOT_SETTINGS: [&str; 11] = [
    "AutoScalingGroupName",
    "MinSize",
    "MaxSize",
    "DesiredCapacity",
    "Tags",
    "LoadBalancerNames",
    "TargetGroupARNs",
    "TrafficSources",
    "LifecycleHookSpecificationList",
    "SkipZonalShiftValidation",
    "AvailabilityZones",
];

/// Only one of these is a group launched by.
const LAUNCHERS: [&str; 3] = ["LaunchTemplate", "LaunchConfigurationName", "MixedInstancesPolicy"];

fn settings_of(input: &Value) -> Map<String, Value> {
    let members = input.as_object().into_iter().flatten();
    let own = members.filter(|(name, _)| !NOT_SETTINGS.contains(&name.as_str()));
    own.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Shows both names of a template wherever a group names one, as AWS does.
fn complete(world: &World, settings: &mut Map<String, Value>) {
    let fill = |specification: &mut Value| {
        let Ok(found) = ec2::find_template(world, specification) else { return };
        let (id, name) = (found.id.to_owned(), found.template.name.clone());
        specification["LaunchTemplateId"] = id.into();
        specification["LaunchTemplateName"] = name.into();
    };
    if let Some(own) = settings.get_mut("LaunchTemplate") {
        fill(own);
    }
    if let Some(mixed) = settings.get_mut("MixedInstancesPolicy") {
        if let Some(own) = mixed.pointer_mut("/LaunchTemplate/LaunchTemplateSpecification") {
            fill(own);
        }
        let defaults = [
            ("OnDemandAllocationStrategy", json!("prioritized")),
            ("OnDemandBaseCapacity", json!(0)),
            ("OnDemandPercentageAboveBaseCapacity", json!(100)),
            ("SpotAllocationStrategy", json!("lowest-price")),
        ];
        let spread = &mut mixed["InstancesDistribution"];
        for (name, value) in defaults {
            if spread.get(name).is_none_or(Value::is_null) {
                spread[name] = value;
            }
        }
    }
}

/// The zones of the subnets that a group names.
fn check_subnets(world: &World, settings: &Map<String, Value>) -> Result<(), CloudError> {
    let listed = settings.get("VPCZoneIdentifier").and_then(Value::as_str).unwrap_or_default();
    let ids: Vec<&str> = listed.split(',').map(str::trim).filter(|id| !id.is_empty()).collect();
    if ids.is_empty() {
        return Err(invalid("At least one Availability Zone or VPC Subnet is required."));
    }
    for id in ids {
        if !world.subnets.iter().any(|subnet| subnet["SubnetId"] == *id) {
            return Err(invalid(format!("The subnet ID '{id}' does not exist")));
        }
    }
    Ok(())
}

fn check_sizes(min: u64, max: u64, desired: u64) -> Result<(), CloudError> {
    if min > max {
        return Err(invalid(format!("Max bound, {max}, must be greater than or equal to min bound, {min}")));
    }
    if desired < min || desired > max {
        return Err(invalid(format!(
            "Desired capacity:{desired} must be between the specified min size:{min} and max size:{max}"
        )));
    }
    Ok(())
}

pub(super) fn create(world: &mut World, input: &Value) -> Answer {
    let name = required(input, "AutoScalingGroupName")?.to_owned();
    if name.contains(':') {
        return Err(invalid("Auto Scaling group names cannot contain colons"));
    }
    if let Some(group) = world.auto_scaling_groups.get(&name) {
        let words = "AutoScalingGroup by this name already exists";
        return Err(match group.deleting {
            true => busy(
                "AlreadyExists",
                format!("{words} and is pending delete - A group with the name {name} already exists"),
            ),
            false => rejected("AlreadyExists", format!("{words} - A group with the name {name} already exists")),
        });
    }
    let size = |member: &str| number(input, member);
    let (min, max) = (size("MinSize").unwrap_or(0), size("MaxSize").unwrap_or(0));
    let desired = size("DesiredCapacity").unwrap_or(min);
    check_sizes(min, max, desired)?;
    let launchers = LAUNCHERS.iter().filter(|member| input.get(**member).is_some()).count();
    if launchers != 1 || input.get("InstanceId").is_some() {
        return Err(invalid(
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.",
        ));
    }
    let mut settings = settings_of(input);
    let found = source::resolve(world, &settings)?;
    let words = |words: String| invalid(format!("You must use a valid fully-formed launch template. {words}"));
    found.check(world).map_err(words)?;
    check_subnets(world, &settings)?;
    let grace = if text(input, "HealthCheckType") == Some("ELB") { 300 } else { 0 };
    let defaults = [
        ("HealthCheckType", json!("EC2")),
        ("HealthCheckGracePeriod", json!(grace)),
        ("DefaultCooldown", json!(300)),
        ("TerminationPolicies", json!(["Default"])),
        ("NewInstancesProtectedFromScaleIn", json!(false)),
        (
            "ServiceLinkedRoleARN",
            json!(world.iam_arn("role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling")),
        ),
    ];
    for (member, value) in defaults {
        settings.entry(member).or_insert(value);
    }
    complete(world, &mut settings);
    let arn = super::arn(world, "autoScalingGroup", &format!("autoScalingGroupName/{name}"));
    let now = world.now;
    let cause = format!(
        "At {now} a user request created an AutoScalingGroup changing the desired capacity from 0 to {desired}."
    );
    let mut group = AutoScalingGroup {
        arn,
        created_at: now,
        min_size: min,
        max_size: max,
        desired_capacity: desired,
        settings,
        tags: tags::of(items(input, "Tags")),
        attachments: Default::default(),
        suspended: Default::default(),
        members: Default::default(),
        activities: Vec::new(),
        hooks: Default::default(),
        policies: Default::default(),
        scheduled: Default::default(),
        metrics: Vec::new(),
        deleting: false,
        due: None,
        failed_launches: 0,
        launch_after: None,
        cause,
    };
    for hook in items(input, "LifecycleHookSpecificationList") {
        let hook = settings::hook(&name, hook)?;
        group.hooks.insert(text(&hook, "LifecycleHookName").unwrap_or_default().to_owned(), hook);
    }
    let sources = items(input, "TrafficSources").iter().filter_map(|source| text(source, "Identifier"));
    balancing::add(world, &mut group, AttachmentFamily::Classic, &texts(input, "LoadBalancerNames"))?;
    balancing::add(world, &mut group, AttachmentFamily::TargetGroup, &texts(input, "TargetGroupARNs"))?;
    balancing::add(world, &mut group, AttachmentFamily::TrafficSource, &sources.collect::<Vec<_>>())?;
    if desired > 0 {
        scaler::look_soon(world, &mut group);
    }
    world.auto_scaling_groups.insert(name, group);
    Ok(json!({}).into())
}

pub(super) fn update(world: &mut World, input: &Value) -> Answer {
    let name = name_of(world, input)?;
    let Some(group) = world.auto_scaling_groups.get(&name) else { return Err(super::not_found(&name)) };
    let size = |member: &str| number(input, member);
    let (min, max) = (size("MinSize").unwrap_or(group.min_size), size("MaxSize").unwrap_or(group.max_size));
    // Bounds that leave the desired capacity outside move it.
    let desired = size("DesiredCapacity").unwrap_or_else(|| group.desired_capacity.clamp(min.min(max), max));
    check_sizes(min, max, desired)?;
    let before = group.desired_capacity;
    let mut settings = group.settings.clone();
    let changed = settings_of(input);
    if LAUNCHERS.iter().any(|member| changed.contains_key(*member)) {
        settings.retain(|member, _| !LAUNCHERS.contains(&member.as_str()));
    }
    let relaunched = LAUNCHERS.iter().any(|member| changed.contains_key(*member));
    settings.extend(changed);
    if relaunched {
        let found = source::resolve(world, &settings)?;
        let words = |words: String| invalid(format!("You must use a valid fully-formed launch template. {words}"));
        found.check(world).map_err(words)?;
    }
    check_subnets(world, &settings)?;
    complete(world, &mut settings);
    let now = world.now;
    with_group(world, &name, |world, group| {
        group.settings = settings;
        (group.min_size, group.max_size, group.desired_capacity) = (min, max, desired);
        if desired != before {
            group.cause = format!(
                "At {now} a user request update of AutoScalingGroup constraints to min: {min}, max: {max}, desired: {desired} changing the desired capacity from {before} to {desired}."
            );
        }
        // A corrected launch is tried at once.
        group.launch_after = None;
        scaler::look_soon(world, group);
    });
    Ok(json!({}).into())
}

pub(super) fn set_desired(world: &mut World, input: &Value) -> Answer {
    let name = name_of(world, input)?;
    let wanted = number(input, "DesiredCapacity").unwrap_or(0);
    let Some(group) = world.auto_scaling_groups.get(&name) else { return Err(super::not_found(&name)) };
    bound(group, wanted)?;
    let cooldown = group.settings.get("DefaultCooldown").and_then(Value::as_u64).unwrap_or(300);
    let last = group.activities.first().map(|activity| activity.ended_at.unwrap_or(world.now));
    if input["HonorCooldown"] == true && last.is_some_and(|at| at.plus(cooldown) > world.now) {
        let id = group.activities.first().map_or("", |activity| activity.id.as_str());
        return Err(busy(
            "ScalingActivityInProgress",
            format!("Scaling activity {id} is in progress and blocks this action"),
        ));
    }
    let now = world.now;
    with_group(world, &name, |world, group| {
        let before = std::mem::replace(&mut group.desired_capacity, wanted);
        if before != wanted {
            group.cause = format!(
                "At {now} a user request explicitly set group desired capacity changing the desired capacity from {before} to {wanted}."
            );
        }
        scaler::look_soon(world, group);
    });
    Ok(json!({}).into())
}

/// Refuses a desired capacity outside the group's bounds.
pub(super) fn bound(group: &AutoScalingGroup, wanted: u64) -> Result<(), CloudError> {
    if wanted > group.max_size {
        let most = group.max_size;
        return Err(invalid(format!(
            "New SetDesiredCapacity value {wanted} is above max value {most} for the AutoScalingGroup."
        )));
    }
    if wanted < group.min_size {
        let least = group.min_size;
        return Err(invalid(format!(
            "New SetDesiredCapacity value {wanted} is below min value {least} for the AutoScalingGroup."
        )));
    }
    Ok(())
}

pub(super) fn delete(world: &mut World, input: &Value) -> Answer {
    let name = name_of(world, input)?;
    let force = input["ForceDelete"] == true;
    let Some(group) = world.auto_scaling_groups.get(&name) else { return Err(super::not_found(&name)) };
    let forbidden = match group.text("DeletionProtection") {
        Some("prevent-all-deletion") => true,
        Some("prevent-force-deletion") => force,
        _ => false,
    };
    if forbidden {
        return Err(invalid(format!(
            "AutoScalingGroup '{name}' cannot be deleted because deletion protection is enabled"
        )));
    }
    if !force && !group.members.is_empty() {
        let leaving =
            |l: Lifecycle| matches!(l, Lifecycle::Terminating | Lifecycle::TerminatingWait | Lifecycle::Detaching);
        return Err(match group.members.values().all(|member| leaving(member.lifecycle)) {
            true => busy(
                "ScalingActivityInProgress",
                "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.",
            ),
            false => busy(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.",
            ),
        });
    }
    if group.members.is_empty() {
        world.auto_scaling_groups.remove(&name);
        return Ok(json!({}).into());
    }
    with_group(world, &name, |world, group| {
        group.deleting = true;
        (group.min_size, group.max_size, group.desired_capacity) = (0, 0, 0);
        scaler::terminate_all(world, group);
    });
    Ok(json!({}).into())
}
