//! Launch configurations and launch templates: what is taken over from an existing one, and how the data of a launch
//! template become a launch configuration.

use serde_json::{Map, Value, json};

use crate::diagnostics::{Diagnostic, Report};
use crate::ecs::json::{flag, items, text};

use super::super::Context;
use super::super::settings::Placed;

/// The data of an existing launch configuration or launch template.
pub fn base(context: Context<'_>, template: &Placed<String>, report: &mut Report) -> Option<Map<String, Value>> {
    let name = template.value.as_str();
    let Some(facts) = context.facts else {
        report.push(
            Diagnostic::error("B345", format!("launch configuration `{name}` has to be looked up"))
                .at(template.place.clone())
                .help("compile with `--observed FILE` (see `belayc scope` and `belay observe`)"),
        );
        return None;
    };
    if let Some(configuration) = facts.configuration(name) {
        return Some(from_configuration(configuration));
    }
    let version = facts.version(&json!({"LaunchTemplateName": name, "Version": "$Default"}));
    match version.and_then(|v| v.get("LaunchTemplateData")).and_then(Value::as_object) {
        Some(data) => {
            let mut data = data.clone();
            // Instances are tagged by their group.
            data.remove("TagSpecifications");
            Some(data)
        }
        None => {
            report.push(
                Diagnostic::error("B611", format!("there is no launch configuration and no launch template `{name}`"))
                    .at(template.place.clone())
                    .help("correct the name, or write what the instances need into `launch_config` itself"),
            );
            None
        }
    }
}

/// Members that are called the same in both.
const SAME: [&str; 7] =
    ["BlockDeviceMappings", "EbsOptimized", "ImageId", "InstanceType", "KernelId", "KeyName", "UserData"];

/// A launch configuration as the data of a launch template.
pub fn from_configuration(configuration: &Value) -> Map<String, Value> {
    let mut data = Map::new();
    let empty = |v: &Value| {
        v.is_null() || v.as_str() == Some("") || v.as_array().is_some_and(Vec::is_empty) || *v == json!(false)
    };
    for member in SAME.into_iter().chain(["MetadataOptions"]) {
        if let Some(value) = configuration.get(member).filter(|v| !empty(v)) {
            data.insert(member.to_owned(), value.clone());
        }
    }
    if let Some(disk) = text(configuration, "RamdiskId").filter(|d| !d.is_empty()) {
        data.insert("RamDiskId".to_owned(), json!(disk));
    }
    if let Some(profile) = text(configuration, "IamInstanceProfile").filter(|p| !p.is_empty()) {
        let member = if profile.starts_with("arn:") { "Arn" } else { "Name" };
        data.insert("IamInstanceProfile".to_owned(), json!({member: profile}));
    }
    // Detailed monitoring is on in launch configurations unless they say otherwise, and off in launch templates.
    if let Some(enabled) = configuration.get("InstanceMonitoring").and_then(|m| flag(m, "Enabled")) {
        data.insert("Monitoring".to_owned(), json!({"Enabled": enabled}));
    }
    if let Some(tenancy) = text(configuration, "PlacementTenancy") {
        data.insert("Placement".to_owned(), json!({"Tenancy": tenancy}));
    }
    if let Some(price) = text(configuration, "SpotPrice") {
        let options = json!({"MarketType": "spot", "SpotOptions": {"MaxPrice": price}});
        data.insert("InstanceMarketOptions".to_owned(), options);
    }
    let mut groups: Vec<&str> = items(configuration, "SecurityGroups").iter().filter_map(Value::as_str).collect();
    groups.sort_unstable();
    match flag(configuration, "AssociatePublicIpAddress") {
        Some(public) => {
            let mut interface = json!({"DeviceIndex": 0, "AssociatePublicIpAddress": public});
            if !groups.is_empty() {
                interface["Groups"] = json!(groups);
            }
            data.insert("NetworkInterfaces".to_owned(), json!([interface]));
        }
        None if !groups.is_empty() => {
            data.insert("SecurityGroupIds".to_owned(), json!(groups));
        }
        None => {}
    }
    data
}

/// The data of a launch template as CreateLaunchConfiguration's input, but for its name; the members that a launch
/// configuration cannot hold, if there are any.
pub fn configuration(data: &Map<String, Value>) -> Result<Map<String, Value>, Vec<String>> {
    let mut input = Map::new();
    let mut left = Vec::new();
    for (member, value) in data {
        let (name, value) = match member.as_str() {
            same if SAME.contains(&same) || same == "MetadataOptions" => (same, value.clone()),
            "RamDiskId" => ("RamdiskId", value.clone()),
            "IamInstanceProfile" => {
                let profile = text(value, "Arn").or_else(|| text(value, "Name")).unwrap_or_default();
                ("IamInstanceProfile", json!(profile))
            }
            "Monitoring" => ("InstanceMonitoring", value.clone()),
            "SecurityGroupIds" => ("SecurityGroups", value.clone()),
            "Placement" => match text(value, "Tenancy") {
                Some(tenancy) => ("PlacementTenancy", json!(tenancy)),
                None => {
                    left.push(member.clone());
                    continue;
                }
            },
            "InstanceMarketOptions" => match value.pointer("/SpotOptions/MaxPrice") {
                Some(price) => ("SpotPrice", price.clone()),
                None => {
                    left.push(member.clone());
                    continue;
                }
            },
            "NetworkInterfaces" => {
                let Some(interface) = value.get(0) else { continue };
                let groups = items(interface, "Groups");
                if !groups.is_empty() {
                    input.insert("SecurityGroups".to_owned(), json!(groups));
                }
                ("AssociatePublicIpAddress", json!(flag(interface, "AssociatePublicIpAddress").unwrap_or_default()))
            }
            _ => {
                left.push(member.clone());
                continue;
            }
        };
        input.insert(name.to_owned(), value);
    }
    // What is not said would be on.
    input.entry("InstanceMonitoring").or_insert_with(|| json!({"Enabled": false}));
    if left.is_empty() { Ok(input) } else { Err(left) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launch_configuration_survives_the_way_through_template_data() {
        let original = json!({
            "ImageId": "ami-1", "InstanceType": "t3.nano", "SecurityGroups": ["sg-1"], "IamInstanceProfile": "role",
            "AssociatePublicIpAddress": true, "UserData": "eA==", "InstanceMonitoring": {"Enabled": false}, "SpotPrice": "0.1"});
        let data = from_configuration(&original);
        assert_eq!(Value::Object(configuration(&data).unwrap()), original);
    }

    #[test]
    fn monitoring_is_off_where_nobody_asks_for_it_as_in_a_launch_template() {
        let input = configuration(json!({"ImageId": "ami-1"}).as_object().unwrap()).unwrap();
        assert_eq!(input["InstanceMonitoring"], json!({"Enabled": false}));
    }

    #[test]
    fn what_a_launch_configuration_cannot_hold_is_told() {
        let data = json!({"ImageId": "ami-1", "CreditSpecification": {"CpuCredits": "unlimited"}});
        assert_eq!(configuration(data.as_object().unwrap()), Err(vec!["CreditSpecification".to_owned()]));
    }
}
