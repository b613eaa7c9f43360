//! What a component's group should be: the launch template's data and the group's settings, in the API's shapes.
//!
//! Invariants: nothing here looks at what runs; every member has the place where it was written; the data are those of a
//! launch template also where a launch configuration is made of them (see [`super::lower`]).

use std::collections::BTreeMap;

use belay_schemas::environment::{HealthCheckType, Scaling, UserData};
use belay_schemas::model::Component;
use serde_json::{Map, Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::json::{flag, items, text};
use crate::meaning::secrets;
use belay_schemas::image::Image;

use super::Context;
use super::agent;
use super::network;
use super::providers::Provider;
use super::settings::{Batch, ImageRule, Placed, no_mixed_launch_configurations, place};
use super::user_data::{self, InsertError, MOST};

mod balancing;
mod hosts;
mod template;

pub use balancing::{Balancer, balancers, resolve};
pub use template::{configuration, from_configuration as template_data};

/// What a component should be.
#[derive(Debug, Clone)]
pub struct Desired {
    /// The component.
    pub component: String,
    /// Instances.
    pub replicas: u64,
    /// The image as the model writes it.
    pub image: String,
    /// The digest that it had in its registry when it was observed.
    pub digest: Option<String>,
    /// `LaunchTemplateData`.
    pub data: Map<String, Value>,
    /// Members of CreateAutoScalingGroup that have nothing to do with sizes, launch template, tags and load balancers.
    pub group: Map<String, Value>,
    /// `Overrides` and `InstancesDistribution` of a mixed-instances policy.
    pub mixed: Option<Value>,
    /// Tags that the environment adds.
    pub tags: BTreeMap<String, String>,
    /// Load balancers.
    pub balancers: Vec<Balancer>,
    /// How many instances are replaced at a time.
    pub batch: Batch,
    /// Sizes that Auto Scaling chooses from.
    pub scaling: Option<Scaling>,
    /// Scaling policies: PutScalingPolicy's input but for the group's name.
    pub policies: Vec<Map<String, Value>>,
    /// The S3 object that the user data came from, and its ETag.
    pub object: Option<(String, String)>,
    /// The ECS cluster that the instances join.
    pub cluster: Option<String>,
    /// The capacity provider that the group stands for.
    pub provider: Option<Provider>,
    /// Seconds that tasks have to leave an instance.
    pub drain_timeout: u64,
    /// Where members were written, by their name in the API.
    pub places: BTreeMap<&'static str, Place>,
}

impl Desired {
    /// Where a member was written; else the component.
    pub fn place(&self, member: &str) -> Place {
        self.places.get(member).cloned().unwrap_or_else(|| Place::model(["components", &self.component]).key())
    }

    /// The image as it stands in the user data.
    pub fn image_text(&self) -> String {
        match &self.digest {
            Some(digest) if Image::parse(&self.image).digest.is_none() => Image::parse(&self.image).pinned(digest),
            _ => self.image.clone(),
        }
    }
}

/// What a component should be; what is wrong goes to the report.
pub fn build(
    context: Context<'_>,
    name: &str,
    component: &Component,
    vpc: Option<&str>,
    report: &mut Report,
) -> Desired {
    let settings = context.settings;
    let mut desired = Desired {
        component: name.to_owned(),
        replicas: replicas(name, component, report),
        image: component.image.clone(),
        digest: None,
        data: Map::new(),
        group: Map::new(),
        mixed: None,
        tags: settings.tags(name).into_iter().map(|(key, tag)| (key, tag.value)).collect(),
        balancers: balancers(context, name, report),
        batch: settings.batch(name, report),
        scaling: None,
        policies: Vec::new(),
        object: None,
        cluster: None,
        provider: None,
        drain_timeout: agent::DRAIN_TIMEOUT,
        places: BTreeMap::new(),
    };
    desired.places.insert("image", Place::model(["components", name, "image"]));
    desired.places.insert("replicas", Place::model(["components", name, "replicas"]));
    if settings.pre_created {
        return desired;
    }
    image(context, &mut desired, report);
    launch(context, &mut desired, component, vpc, report);
    group(context, &mut desired, vpc, report);
    mixed(context, &mut desired, report);
    scaling(context, &mut desired, report);
    hosts::join(context, &mut desired, report);
    desired
}

fn replicas(name: &str, component: &Component, report: &mut Report) -> u64 {
    let count = component.replicas.map_or(1, u64::from);
    if component.singleton == Some(true) {
        let diagnostic = Diagnostic::error(
            "B303",
            format!("`{name}` is a singleton, and upgrades here start the new instance before the old one stops"),
        );
        report.push(
            diagnostic.at(Place::model(["components", name, "singleton"])).help(
                "remove `singleton`, or place the component on ECS (`components: {NAME: {core_plugin: ec2-ecs}}`)",
            ),
        );
    }
    count
}

fn image(context: Context<'_>, desired: &mut Desired, report: &mut Report) {
    let at = desired.place("image");
    if !context.settings.docker(&desired.component) {
        return;
    }
    if let Some(fault) = Image::fault(&desired.image) {
        report.push(
            Diagnostic::error("B419", fault)
                .at(at)
                .help("write REPOSITORY:TAG; or `image_check_type: none` if this is no Docker image"),
        );
        return;
    }
    let Some(facts) = context.facts else { return };
    match facts.shared.image(&desired.image) {
        Some(seen) => match (&seen.digest, &seen.error) {
            (Some(digest), _) => desired.digest = Some(digest.clone()),
            (None, error) => {
                let why = error.as_deref().unwrap_or("its registry did not say");
                report.push(
                    Diagnostic::error("B629", format!("the digest of image `{}` is not known: {why}", desired.image))
                        .at(at)
                        .help("correct the name, give `belay observe` access to the registry, or write `image_check_type: none` if it is no Docker image"),
                );
            }
        },
        None => report.push(
            Diagnostic::error("B521", format!("the observed state says nothing about image `{}`", desired.image))
                .at(at)
                .help("the model changed after the observation: run `belayc scope` and `belay observe` again"),
        ),
    }
}

fn launch(context: Context<'_>, desired: &mut Desired, component: &Component, vpc: Option<&str>, report: &mut Report) {
    let settings = context.settings;
    let name = desired.component.clone();
    let mut data = match settings.launch(&name, "template", |l| l.template.clone()) {
        Some(template) => template::base(context, &template, report).unwrap_or_default(),
        None => Map::new(),
    };
    let mut public = public_ip(&data);
    let mut groups = groups_of(&data);
    data.remove("NetworkInterfaces");
    data.remove("SecurityGroupIds");
    data.remove("SecurityGroups");
    let mut set = |member: &'static str, at: Place, value: Value, data: &mut Map<String, Value>| {
        desired.places.insert(member, at);
        data.insert(member.to_owned(), value);
    };
    let ami = hosts::machine_image(context, component, &name, report);
    if let Some(Placed { value, place }) = ami {
        if context.facts.is_some_and(|f| !f.has_ami(&value)) {
            report.push(
                Diagnostic::error("B610", format!("there is no machine image `{value}` in this region"))
                    .at(place.clone())
                    .help("machine images have another id in each region: write that of this one"),
            );
        }
        set("ImageId", place, json!(value), &mut data);
    }
    if let Some(Placed { value, place }) = settings.launch(&name, "type", |l| l.instance_type.clone()) {
        set("InstanceType", place, json!(value), &mut data);
    }
    if let Some(Placed { value, place }) = settings.launch(&name, "key", |l| l.key.clone()) {
        if context.facts.is_some_and(|f| !f.has_key(&value)) {
            report.push(
                Diagnostic::error("B610", format!("there is no key pair `{value}` in this region"))
                    .at(place.clone())
                    .help("correct the name, import the key, or remove `key`"),
            );
        }
        set("KeyName", place, json!(value), &mut data);
    }
    if let Some(Placed { value, place }) = settings.launch(&name, "profile", |l| l.profile.clone()) {
        let member = if value.starts_with("arn:") { "Arn" } else { "Name" };
        set("IamInstanceProfile", place, json!({member: value}), &mut data);
    }
    if let Some(Placed { value, place }) = settings.launch(&name, "ebs_optimized", |l| l.ebs_optimized) {
        set("EbsOptimized", place, json!(value), &mut data);
    }
    if let Some(Placed { value, place }) = settings.launch(&name, "public_ip", |l| l.public_ip) {
        public = Some(value);
        desired.places.insert("NetworkInterfaces", place);
    }
    if let Some(wanted) = settings.launch(&name, "sg", |l| l.sg.clone()) {
        groups = network::security_groups(context, vpc, &wanted, report);
        desired.places.insert("SecurityGroupIds", wanted.place.clone());
        desired.places.entry("NetworkInterfaces").or_insert(wanted.place);
    }
    groups.sort();
    groups.dedup();
    match public {
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
    user_data(context, desired, component, &mut data, report);
    let types = settings.mixed(&name).is_some_and(|m| !m.value.types.is_empty());
    for (member, key, also) in [("ImageId", "ami", false), ("InstanceType", "type", types)] {
        if !data.contains_key(member) && !also {
            report.push(
                Diagnostic::error("B610", format!("nothing says which `{key}` the instances of `{name}` have"))
                    .at(place(&["launch_config"]).key())
                    .help(format!("add `{key}:` to `launch_config`, or `template:` with the name of a launch configuration or template that has it")),
            );
        }
    }
    data.retain(|_, value| !value.is_null());
    desired.data = data;
}

fn public_ip(data: &Map<String, Value>) -> Option<bool> {
    data.get("NetworkInterfaces")?.get(0).and_then(|i| flag(i, "AssociatePublicIpAddress"))
}

fn groups_of(data: &Map<String, Value>) -> Vec<String> {
    let data = Value::Object(data.clone());
    let interfaces = items(&data, "NetworkInterfaces").first().map_or(&[][..], |i| items(i, "Groups"));
    let all = items(&data, "SecurityGroupIds").iter().chain(interfaces);
    all.filter_map(|g| g.as_str().map(str::to_owned)).collect()
}

fn user_data(
    context: Context<'_>,
    desired: &mut Desired,
    component: &Component,
    data: &mut Map<String, Value>,
    report: &mut Report,
) {
    let settings = context.settings;
    let name = desired.component.clone();
    let written = settings.launch(&name, "user_data", |l| l.user_data.clone());
    if let Some(wanted) = settings.container_instances(&name) {
        return hosts::user_data(desired, component, &wanted, written.as_ref().map(|w| &w.place), data, report);
    }
    let at = written.as_ref().map_or_else(|| place(&["launch_config"]).key(), |w| w.place.clone());
    desired.places.insert("UserData", at.clone());
    let text = match written.map(|w| w.value) {
        Some(UserData::Text(text)) => Some(text),
        Some(UserData::S3 { s3 }) => object(context, desired, &s3, &at, report),
        None => data.get("UserData").and_then(Value::as_str).and_then(user_data::decode),
    };
    let own = settings.config.components.get(&name).is_some_and(|c| c.launch_config.is_some());
    if matches!(settings.image, ImageRule::None) && !own {
        report.push(
            Diagnostic::error("B617", format!("nothing tells the instances of `{name}` which image to run"))
                .at(Place::model(["components", &name, "image"]))
                .related(place(&[]).key(), "the settings are here")
                .help("write `image_id_subst:` with what stands for the image in the user data, or `image_id_path:` for user data that is YAML")
                .help(format!("or give the component its own `components: {{{name}: {{launch_config: …}}}}`")),
        );
    }
    let Some(text) = text else {
        data.remove("UserData");
        if desired.object.is_none()
            && !matches!(settings.image, ImageRule::None)
            && context.facts.is_some()
            && !report.has_errors()
        {
            report.push(no_match(&settings.image, "there is no user data", at));
        }
        return;
    };
    if matches!(secrets::hidden(&text), std::borrow::Cow::Owned(_)) && !component.allow_plaintext.contains("user_data")
    {
        report.push(
            Diagnostic::error("B311", format!("the user data of `{name}` hold what looks like a secret"))
                .at(at.clone())
                .help("plans are read in pull requests, and user data by whoever is on the instance: let the instance fetch it from SSM or Secrets Manager with its instance profile")
                .help("if it is no secret, add `allow_plaintext: [user_data]` to the component"),
        );
    }
    match user_data::insert(&settings.image, &text, &desired.image_text()) {
        Ok(inserted) => {
            if inserted.len() > MOST {
                let message =
                    format!("the user data of `{name}` have {} bytes; EC2 takes at most {MOST}", inserted.len());
                report.push(
                    Diagnostic::error("B612", message)
                        .at(at)
                        .help("let a short script fetch the rest, from S3 for example"),
                );
            }
            data.insert("UserData".to_owned(), json!(user_data::encode(&inserted)));
        }
        Err(error @ InsertError::NoMatch) => report.push(no_match(&settings.image, &error.to_string(), at)),
        Err(error) => report.push(
            Diagnostic::error("B616", format!("the image of `{name}` has no place in its user data: {error}"))
                .at(place(&["image_id_path"]))
                .related(at, "the user data are here")
                .help(
                    "write the path of keys to the image as it is in the user data: all but the last have to be there",
                ),
        ),
    }
}

fn no_match(rule: &ImageRule, message: &str, at: Place) -> Diagnostic {
    let member = if matches!(rule, ImageRule::Path(_)) { "image_id_path" } else { "image_id_subst" };
    Diagnostic::error("B615", format!("the image has no place in the user data: {message}"))
        .at(place(&[member]))
        .related(at, "the user data should be here")
        .help("write what `image_id_subst` matches where the image belongs, such as `docker run {{image_id}}`")
}

fn object(context: Context<'_>, desired: &mut Desired, name: &str, at: &Place, report: &mut Report) -> Option<String> {
    let Some(facts) = context.facts else {
        report.push(
            Diagnostic::error("B345", format!("the user data in S3 object `{name}` have to be looked up"))
                .at(at.clone())
                .help("compile with `--observed FILE` (see `belayc scope` and `belay observe`)"),
        );
        return None;
    };
    let seen = facts.object(name);
    let Some((content, etag)) = seen.and_then(|o| Some((o.content.clone()?, o.etag.clone()?))) else {
        let why = seen.and_then(|o| o.error.as_deref()).unwrap_or("it was not observed");
        report.push(
            Diagnostic::error("B612", format!("the user data in S3 object `{name}` cannot be read: {why}"))
                .at(at.clone())
                .help("correct `bucket/key`, or let the role of `belay observe` read it"),
        );
        return None;
    };
    desired.object = Some((name.to_owned(), etag));
    Some(content)
}

fn group(context: Context<'_>, desired: &mut Desired, vpc: Option<&str>, report: &mut Report) {
    let settings = context.settings;
    let subnets = settings.subnets(&desired.component);
    let ids = network::subnets(context, vpc, &subnets, report);
    if let Some(facts) = context.facts {
        balancing::check_zones(facts, desired, &ids, &subnets.place, report);
    }
    let health = settings.health_check(&desired.component);
    let kind = health.value.kind.unwrap_or_default();
    let grace = health.value.grace_period.unwrap_or(if kind == HealthCheckType::Elb { 300 } else { 0 });
    if kind == HealthCheckType::Elb && desired.balancers.is_empty() {
        let message = format!("`{}` is behind no load balancer, so `type: ELB` has nobody to ask", desired.component);
        report.push(
            Diagnostic::error("B622", message)
                .at(health.place.clone())
                .help("write `type: EC2`, or put the component behind a gateway that `lb` names"),
        );
    }
    let protection = settings.protection(&desired.component);
    for (member, at, value) in [
        ("VPCZoneIdentifier", subnets.place, json!(ids.join(","))),
        ("HealthCheckType", health.place.clone(), json!(kind)),
        ("HealthCheckGracePeriod", health.place, json!(grace)),
        ("NewInstancesProtectedFromScaleIn", protection.place, json!(protection.value)),
    ] {
        desired.places.insert(member, at);
        desired.group.insert(member.to_owned(), value);
    }
}

fn mixed(context: Context<'_>, desired: &mut Desired, report: &mut Report) {
    let Some(Placed { value, place }) = context.settings.mixed(&desired.component) else { return };
    if context.settings.launch_configurations {
        report.push(no_mixed_launch_configurations(place.clone()));
    }
    let mut policy = json!({"InstancesDistribution": {
        "OnDemandBaseCapacity": value.on_demand_base.unwrap_or(0),
        "OnDemandPercentageAboveBaseCapacity": value.on_demand_percentage.unwrap_or(100),
        "SpotAllocationStrategy": value.allocation_strategy.unwrap_or_default(),
    }});
    let mut seen: Vec<&str> = Vec::new();
    for (index, kind) in value.types.iter().enumerate() {
        if seen.contains(&kind.as_str()) || !kind.contains('.') {
            let what = if kind.contains('.') { "is listed twice" } else { "is no instance type" };
            report.push(
                Diagnostic::error("B622", format!("`{kind}` {what}"))
                    .at(place.child("types").child(index.to_string()))
                    .help("list each instance type once, as in `[t3.large, t3a.large]`"),
            );
        }
        seen.push(kind);
    }
    if !value.types.is_empty() {
        policy["Overrides"] = value.types.iter().map(|t| json!({"InstanceType": t})).collect();
    }
    desired.places.insert("MixedInstancesPolicy", place);
    desired.mixed = Some(policy);
}

fn scaling(context: Context<'_>, desired: &mut Desired, report: &mut Report) {
    let Some(Placed { value, place }) = context.settings.scaling(&desired.component) else { return };
    let mut refuse = |message: String, help: &str| {
        report.push(Diagnostic::error("B622", message).at(place.clone()).help(help));
    };
    if value.min > value.max {
        refuse(format!("`min` ({}) is more than `max` ({})", value.min, value.max), "write a `min` of at most `max`");
    } else if !(u64::from(value.min)..=u64::from(value.max)).contains(&desired.replicas) {
        let message = format!(
            "`{}` begins with {} replicas, which is not between {} and {}",
            desired.component, desired.replicas, value.min, value.max
        );
        refuse(message, "the model's `replicas` is where Auto Scaling begins: let it be between `min` and `max`");
    }
    let mut add = |suffix: &str, configuration: Value| {
        let mut policy = Map::new();
        policy.insert("PolicyName".to_owned(), json!(suffix));
        policy.insert("PolicyType".to_owned(), json!("TargetTrackingScaling"));
        policy.insert("TargetTrackingConfiguration".to_owned(), configuration);
        desired.policies.push(policy);
    };
    if let Some(cpu) = value.cpu {
        add(
            "cpu",
            json!({"PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}, "TargetValue": f64::from(cpu)}),
        );
    }
    if let Some(metric) = &value.metric {
        let mut specification = json!({"MetricName": metric.name, "Namespace": metric.namespace, "Statistic": metric.statistic.unwrap_or_default()});
        if !metric.dimensions.is_empty() {
            specification["Dimensions"] =
                metric.dimensions.iter().map(|(name, value)| json!({"Name": name, "Value": value.0})).collect();
        }
        add("metric", json!({"CustomizedMetricSpecification": specification, "TargetValue": metric.target}));
    }
    if desired.policies.is_empty() {
        refuse(
            "`scaling` names neither `cpu` nor `metric`".to_owned(),
            "add `cpu: 60` (percent), or `metric:` with a metric of CloudWatch and its target",
        );
    }
    desired.places.insert("scaling", place);
    desired.scaling = Some(value);
}

/// The text of a member of a description; empty where it is none.
pub fn member<'v>(value: &'v Value, name: &str) -> &'v str {
    text(value, name).unwrap_or_default()
}
