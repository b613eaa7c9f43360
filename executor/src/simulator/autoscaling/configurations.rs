//! Launch configurations: immutable, and not to be had in new accounts.

use serde_json::{Map, Value, json};

use super::super::errors::{missing, rejected};
use super::super::request::{Answer, Paging, required, texts};
use super::super::world::World;
use super::{busy, source};

/// 50 a page, at most 100.
const PAGES: Paging = Paging { token: "NextToken", size: "MaxRecords", default: 50, most: 100 };

pub(super) fn create(world: &mut World, input: &Value) -> Answer {
    let name = required(input, "LaunchConfigurationName")?.to_owned();
    if world.refuses_launch_configurations {
        return Err(rejected(
            "UnsupportedOperation",
            "The Launch Configuration creation operation is not available in your account. Use launch templates to create configuration templates for your Auto Scaling groups.",
        ));
    }
    if world.launch_configurations.contains_key(&name) {
        return Err(rejected(
            "AlreadyExists",
            format!(
                "Launch Configuration by this name already exists - A launch configuration already exists with the name {name}"
            ),
        ));
    }
    if input.get("InstanceId").is_some() {
        return Err(super::super::errors::unmodelled("launch configurations made from an instance"));
    }
    let mut made = input.as_object().cloned().unwrap_or_else(Map::new);
    let fill = [
        ("EbsOptimized", json!(false)),
        ("InstanceMonitoring", json!({"Enabled": true})),
        ("BlockDeviceMappings", json!([])),
        ("SecurityGroups", json!([])),
        ("ClassicLinkVPCSecurityGroups", json!([])),
        ("KernelId", json!("")),
        ("RamdiskId", json!("")),
        ("UserData", json!("")),
        ("KeyName", json!("")),
    ];
    for (member, value) in fill {
        made.entry(member).or_insert(value);
    }
    let arn = super::arn(world, "launchConfiguration", &format!("launchConfigurationName/{name}"));
    made.insert("LaunchConfigurationARN".to_owned(), arn.into());
    made.insert("CreatedTime".to_owned(), world.now.to_string().into());
    let made = Value::Object(made);
    source::check_configuration(world, &name, &made)?;
    world.launch_configurations.insert(name, made);
    Ok(json!({}).into())
}

pub(super) fn delete(world: &mut World, input: &Value) -> Answer {
    let name = required(input, "LaunchConfigurationName")?.to_owned();
    if !world.launch_configurations.contains_key(&name) {
        let message = format!("Launch configuration name not found - Launch configuration {name} not found");
        return Err(missing("ValidationError", message));
    }
    let user = world.auto_scaling_groups.iter().find(|(_, g)| g.text("LaunchConfigurationName") == Some(&name));
    if let Some((group, _)) = user {
        let message =
            format!("Cannot delete launch configuration {name} because it is attached to AutoScalingGroup {group}");
        return Err(busy("ResourceInUse", message));
    }
    world.launch_configurations.remove(&name);
    Ok(json!({}).into())
}

/// Names that do not exist are left out, as of groups.
pub(super) fn describe(world: &World, input: &Value) -> Answer {
    let names = texts(input, "LaunchConfigurationNames");
    let wanted = |name: &str| names.is_empty() || names.contains(&name);
    let shown = world.launch_configurations.iter().filter(|(name, _)| wanted(name)).map(|(_, c)| c.clone()).collect();
    Ok(PAGES.answer("LaunchConfigurations", shown, input)?.into())
}
