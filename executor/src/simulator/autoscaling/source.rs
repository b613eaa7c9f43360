//! What launches a group's instances: a launch template, a launch configuration or a mixed instances policy.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::ec2::{self, Launch};
use super::super::errors::rejected;
use super::super::request::{items, number, tags_of, text};
use super::super::world::{AutoScalingGroup, World};
use super::invalid;
use crate::cloud::CloudError;

/// The content that a group launches from, resolved.
pub(super) struct Source {
    /// In the shape of a launch template's content.
    data: Map<String, Value>,
    template: Vec<String>,
    /// Instance types in the order in which they are tried.
    pub(super) types: Vec<String>,
    /// As a group's instances name it.
    pub(super) launched_by: Map<String, Value>,
    /// How many are on demand at least, and the percentage of the others; none where all are alike.
    pub(super) distribution: Option<(u64, u64)>,
    /// Whether all are Spot instances.
    pub(super) all_spot: bool,
}

/// What a group's settings launch from. An error names what does not exist.
pub(super) fn resolve(world: &World, settings: &Map<String, Value>) -> Result<Source, CloudError> {
    let whole = Value::Object(settings.clone());
    if let Some(name) = text(&whole, "LaunchConfigurationName") {
        let Some(configuration) = world.launch_configurations.get(name) else {
            return Err(invalid(format!(
                "Launch configuration name not found - Launch configuration {name} not found"
            )));
        };
        return Ok(from_configuration(name, configuration));
    }
    let mixed = &whole["MixedInstancesPolicy"];
    let specification = match mixed {
        Value::Null => &whole["LaunchTemplate"],
        mixed => &mixed["LaunchTemplate"]["LaunchTemplateSpecification"],
    };
    if specification.is_null() {
        return Err(invalid(
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.",
        ));
    }
    let found = ec2::find_template(world, specification)
        .map_err(|error| invalid(format!("You must use a valid fully-formed launch template. {}", error.message)))?;
    let data = found.version.data.clone();
    let own = data.get("InstanceType").and_then(Value::as_str).unwrap_or("m1.small").to_owned();
    let overrides = items(&mixed["LaunchTemplate"], "Overrides").iter();
    let mut types: Vec<String> = overrides.filter_map(|o| text(o, "InstanceType")).map(str::to_owned).collect();
    if types.is_empty() {
        types.push(own);
    }
    let shown = json!({"LaunchTemplate": {
        "LaunchTemplateId": found.id, "LaunchTemplateName": found.template.name, "Version": found.number.to_string(),
    }});
    let spread = &mixed["InstancesDistribution"];
    let base = number(spread, "OnDemandBaseCapacity").unwrap_or(0);
    let percentage = number(spread, "OnDemandPercentageAboveBaseCapacity").unwrap_or(100);
    Ok(Source {
        template: vec![
            format!("{}:{}", found.template.name, found.number),
            found.template.name.clone(),
            found.id.to_owned(),
        ],
        types,
        launched_by: shown.as_object().cloned().unwrap_or_default(),
        distribution: (!mixed.is_null()).then_some((base, percentage)),
        all_spot: data.get("InstanceMarketOptions").is_some_and(|market| market["MarketType"] == "spot"),
        data,
    })
}

/// A launch configuration in the shape of a launch template's content.
fn from_configuration(name: &str, configuration: &Value) -> Source {
    let mut data = Map::new();
    for member in ["ImageId", "InstanceType", "KeyName", "UserData", "EbsOptimized", "BlockDeviceMappings"] {
        if let Some(value) = configuration.get(member).filter(|value| !value.is_null() && **value != "") {
            data.insert(member.to_owned(), value.clone());
        }
    }
    let groups = configuration["SecurityGroups"].clone();
    match &configuration["AssociatePublicIpAddress"] {
        Value::Bool(public) => {
            let interface = json!([{"DeviceIndex": 0, "AssociatePublicIpAddress": public, "Groups": groups}]);
            data.insert("NetworkInterfaces".to_owned(), interface);
        }
        _ => {
            data.insert("SecurityGroupIds".to_owned(), groups);
        }
    }
    if let Some(profile) = text(configuration, "IamInstanceProfile") {
        let member = if profile.starts_with("arn:") { "Arn" } else { "Name" };
        data.insert("IamInstanceProfile".to_owned(), json!({member: profile}));
    }
    Source {
        types: vec![text(configuration, "InstanceType").unwrap_or_default().to_owned()],
        template: vec![name.to_owned()],
        launched_by: Map::from_iter([("LaunchConfigurationName".to_owned(), name.into())]),
        distribution: None,
        all_spot: text(configuration, "SpotPrice").is_some(),
        data,
    }
}

/// Refuses a launch configuration whose references lead nowhere.
pub(super) fn check_configuration(world: &World, name: &str, configuration: &Value) -> Result<(), CloudError> {
    let source = from_configuration(name, configuration);
    source.check(world).map_err(|words| rejected("ValidationError", words))
}

impl Source {
    /// Refuses content whose references lead nowhere; AWS looks at that when a group is made, not at the template's own
    /// creation.
    pub(super) fn check(&self, world: &World) -> Result<(), String> {
        self.types.iter().try_for_each(|kind| self.launch(kind, false, BTreeMap::new()).check(world).map_err(|r| r.0))
    }

    /// How an instance of a type is launched from it.
    pub(super) fn launch<'s>(&'s self, kind: &'s str, spot: bool, tags: BTreeMap<String, String>) -> Launch<'s> {
        Launch { data: &self.data, template: self.template.clone(), instance_type: kind, spot, tags }
    }

    /// The tags of an instance of a group: those of the template, over them the group's, and AWS's own.
    pub(super) fn tags(&self, name: &str, group: &AutoScalingGroup) -> BTreeMap<String, String> {
        let whole = Value::Object(self.data.clone());
        let specifications = items(&whole, "TagSpecifications").iter();
        let own = specifications.filter(|s| text(s, "ResourceType") == Some("instance"));
        let mut tags: BTreeMap<String, String> = own.flat_map(|s| tags_of(items(s, "Tags"), "Key", "Value")).collect();
        let propagated = group.tags.iter().filter(|(_, tag)| tag.propagate);
        tags.extend(propagated.map(|(key, tag)| (key.clone(), tag.value.clone())));
        tags.insert("aws:autoscaling:groupName".to_owned(), name.to_owned());
        if let Some(template) = self.launched_by.get("LaunchTemplate") {
            for (key, member) in [("id", "LaunchTemplateId"), ("version", "Version")] {
                let value = text(template, member).unwrap_or_default();
                tags.insert(format!("aws:ec2launchtemplate:{key}"), value.to_owned());
            }
        }
        tags
    }
}

/// What a group's settings launch from, in full, for comparing worlds; or why nothing can be launched.
pub(in super::super) fn content_of(world: &World, settings: &Map<String, Value>) -> Value {
    match resolve(world, settings) {
        Ok(source) => json!({
            "data": source.data, "types": source.types, "distribution": source.distribution, "spot": source.all_spot,
        }),
        Err(error) => error.message.into(),
    }
}
