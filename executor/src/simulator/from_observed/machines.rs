//! EC2 and Auto Scaling as they were observed. What a group's instances are made of is taken from the launch template
//! version or the launch configuration that launched them.

use std::collections::BTreeMap;

use belay_schemas::observed::Observed;
use serde_json::{Map, Value, json};

use super::{items, number, text, texts, upper_tags};
use crate::simulator::time::Time;
use crate::simulator::world::{
    Attachment, AttachmentFamily as Family, AutoScalingGroup, Behaviour, GroupTag, Instance, InstanceState,
    LaunchTemplate, Lifecycle, Member, StoredObject, Target, TargetState, TemplateVersion, World,
};
use crate::simulator::{ec2, ecs};

/// Members of a described group that the world keeps elsewhere.
const NOT_SETTINGS: [&str; 18] = [
    "AutoScalingGroupARN",
    "AutoScalingGroupName",
    "AvailabilityZones",
    "CreatedTime",
    "DesiredCapacity",
    "EnabledMetrics",
    "Instances",
    "LoadBalancerNames",
    "MaxSize",
    "MinSize",
    "PredictedCapacity",
    "Status",
    "SuspendedProcesses",
    "Tags",
    "TargetGroupARNs",
    "TrafficSources",
    "WarmPoolConfiguration",
    "WarmPoolSize",
];

pub(super) fn fill(world: &mut World, observed: &Observed, since: Time) {
    let described = |operation: &str, list: &str| -> Vec<Value> {
        let all: BTreeMap<String, Value> = observed
            .outputs("ec2", operation)
            .flat_map(|(_, output)| items(output, list))
            .map(|item| (item.to_string(), item.clone()))
            .collect();
        all.into_values().collect()
    };
    let (vpcs, subnets) = (described("DescribeVpcs", "Vpcs"), described("DescribeSubnets", "Subnets"));
    if !subnets.is_empty() {
        (world.vpcs, world.subnets) = (vpcs.into(), subnets.into());
        world.security_groups.clear();
    }
    world.security_groups.extend(described("DescribeSecurityGroups", "SecurityGroups"));
    world.machine_images = described("DescribeImages", "Images").into();
    world.key_pairs = described("DescribeKeyPairs", "KeyPairs").into();
    templates(world, observed, since);
    for (_, output) in observed.outputs("autoscaling", "DescribeLaunchConfigurations") {
        for configuration in items(output, "LaunchConfigurations") {
            let name = text(configuration, "LaunchConfigurationName");
            world.launch_configurations.insert(name, configuration.clone());
        }
    }
    for (key, object) in &observed.objects {
        if let Some(content) = &object.content {
            let stored =
                StoredObject { text: content.clone(), etag: object.etag.clone(), version_id: None, modified_at: since };
            world.objects.insert(key.clone(), stored);
        }
    }
    world.host_vpc = observed.home_vpc.as_ref().and_then(|home| home.vpc_id.clone());
    what_they_name(world);
    for (_, output) in observed.outputs("autoscaling", "DescribeAutoScalingGroups") {
        for described in items(output, "AutoScalingGroups") {
            group(world, described, since);
        }
    }
    for (input, output) in observed.outputs("autoscaling", "DescribePolicies") {
        let Some(group) = world.auto_scaling_groups.get_mut(&text(input, "AutoScalingGroupName")) else { continue };
        let policies = items(output, "ScalingPolicies").map(|policy| (text(policy, "PolicyName"), policy.clone()));
        group.policies.extend(policies);
    }
}

fn templates(world: &mut World, observed: &Observed, since: Time) {
    let bare = |name: String| LaunchTemplate {
        name,
        default_version: 1,
        latest_version: 1,
        versions: BTreeMap::new(),
        tags: BTreeMap::new(),
        created_at: since,
        token: None,
    };
    for (_, output) in observed.outputs("ec2", "DescribeLaunchTemplateVersions") {
        for seen in items(output, "LaunchTemplateVersions") {
            let (id, at) = (text(seen, "LaunchTemplateId"), number(seen, "VersionNumber", 1));
            let template = world.launch_templates.get_or_insert_with(id, || bare(text(seen, "LaunchTemplateName")));
            let version = TemplateVersion {
                data: seen["LaunchTemplateData"].as_object().cloned().unwrap_or_default(),
                description: seen["VersionDescription"].as_str().map(str::to_owned),
                created_at: since,
                token: None,
            };
            template.versions.insert(at, version);
            template.latest_version = template.latest_version.max(at);
            if seen["DefaultVersion"] == true {
                template.default_version = at;
            }
        }
    }
    for (_, output) in observed.outputs("ec2", "DescribeLaunchTemplates") {
        for seen in items(output, "LaunchTemplates") {
            let id = text(seen, "LaunchTemplateId");
            let template = world.launch_templates.get_or_insert_with(id, || bare(text(seen, "LaunchTemplateName")));
            template.default_version = number(seen, "DefaultVersionNumber", 1);
            template.latest_version = number(seen, "LatestVersionNumber", 1);
            template.tags = upper_tags(seen);
        }
    }
    // The default and the latest version exist, whether they were looked at or not.
    for template in world.launch_templates.values_mut().map(|template| &mut **template) {
        let known = template.versions.values().next_back().cloned();
        for number in [template.default_version, template.latest_version] {
            let plausible = || known.clone().unwrap_or_else(|| empty(since));
            template.versions.entry(number).or_insert_with(plausible);
        }
    }
}

fn empty(since: Time) -> TemplateVersion {
    TemplateVersion { data: Map::new(), description: None, created_at: since, token: None }
}

/// AMIs, key pairs and security groups that templates and configurations name, and that nobody looked at.
fn what_they_name(world: &mut World) {
    let of_templates = world.launch_templates.values().flat_map(|t| t.versions.values()).map(|v| json!(v.data));
    let contents: Vec<Value> = of_templates.chain(world.launch_configurations.values().cloned()).collect();
    let vpc = world.vpcs.first().map_or(Value::Null, |vpc| vpc["VpcId"].clone());
    for content in contents {
        let arm = text(&content, "InstanceType").split('.').next().is_some_and(|family| family.ends_with('g'));
        let architecture = if arm { "arm64" } else { "x86_64" };
        let image = text(&content, "ImageId");
        add(&mut world.machine_images, "ImageId", &image, json!({"State": "available", "Architecture": architecture}));
        add(&mut world.key_pairs, "KeyName", &text(&content, "KeyName"), json!({}));
        let mut groups = texts(&content, "SecurityGroupIds");
        groups.extend(texts(&content, "SecurityGroups"));
        groups.extend(items(&content, "NetworkInterfaces").flat_map(|interface| texts(interface, "Groups")));
        for group in groups {
            if !world.security_groups.iter().any(|known| known["GroupName"] == *group) {
                let more = json!({"GroupName": group, "Description": group, "VpcId": vpc, "IpPermissions": []});
                add(&mut world.security_groups, "GroupId", &group, more);
            }
        }
    }
}

/// Adds something that is named and not there.
fn add(list: &mut Vec<Value>, id: &str, value: &str, mut more: Value) {
    if !value.is_empty() && !list.iter().any(|known| known[id] == *value) {
        more[id] = value.into();
        list.push(more);
    }
}

fn group(world: &mut World, seen: &Value, since: Time) {
    let name = text(seen, "AutoScalingGroupName");
    let settings: Map<String, Value> = seen
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(member, _)| !NOT_SETTINGS.contains(&member.as_str()))
        .map(|(member, value)| (member.clone(), value.clone()))
        .collect();
    subnets(world, seen);
    let mut attachments = BTreeMap::new();
    let attached = |family| Attachment { family, added_at: since, removed_at: None };
    attachments.extend(texts(seen, "LoadBalancerNames").into_iter().map(|key| (key, attached(Family::Classic))));
    attachments.extend(texts(seen, "TargetGroupARNs").into_iter().map(|key| (key, attached(Family::TargetGroup))));
    for source in items(seen, "TrafficSources") {
        attachments.entry(text(source, "Identifier")).or_insert(attached(Family::TrafficSource));
    }
    let tag = |tag: &Value| {
        let propagate = tag["PropagateAtLaunch"].as_bool().unwrap_or(true);
        (text(tag, "Key"), GroupTag { value: text(tag, "Value"), propagate })
    };
    let mut made = AutoScalingGroup {
        arn: text(seen, "AutoScalingGroupARN"),
        created_at: since,
        min_size: number(seen, "MinSize", 0),
        max_size: number(seen, "MaxSize", 0),
        desired_capacity: number(seen, "DesiredCapacity", 0),
        settings,
        tags: items(seen, "Tags").map(tag).collect(),
        attachments,
        suspended: items(seen, "SuspendedProcesses")
            .map(|process| (text(process, "ProcessName"), text(process, "SuspensionReason")))
            .collect(),
        members: BTreeMap::new(),
        activities: Vec::new(),
        hooks: BTreeMap::new(),
        policies: BTreeMap::new(),
        scheduled: BTreeMap::new(),
        metrics: items(seen, "EnabledMetrics").map(|metric| text(metric, "Metric")).collect(),
        deleting: false,
        due: None,
        failed_launches: 0,
        launch_after: None,
        cause: String::new(),
    };
    for described in items(seen, "Instances") {
        let id = text(described, "InstanceId");
        member(world, &mut made, &name, described, since);
        if made.members.get(&id).is_some_and(|member| member.lifecycle == Lifecycle::InService) {
            register(world, &made, &id);
        }
    }
    world.auto_scaling_groups.insert(name, made);
}

/// Subnets that only the group tells of.
fn subnets(world: &mut World, seen: &Value) {
    let zones = texts(seen, "AvailabilityZones");
    let listed = text(seen, "VPCZoneIdentifier");
    let vpc = world.vpcs.first().map_or_else(|| json!("vpc-00000000"), |vpc| vpc["VpcId"].clone());
    for (at, id) in listed.split(',').map(str::trim).filter(|id| !id.is_empty()).enumerate() {
        let zone = zones.get(at).or(zones.last()).cloned().unwrap_or_else(|| format!("{}a", world.region));
        let more = json!({"VpcId": vpc, "AvailabilityZone": zone, "State": "available",
                          "CidrBlock": format!("10.1.{at}.0/24"), "AvailableIpAddressCount": 251});
        add(&mut world.subnets, "SubnetId", id, more);
    }
}

/// An instance of a group, running since the beginning.
fn member(world: &mut World, group: &mut AutoScalingGroup, name: &str, seen: &Value, since: Time) {
    let lifecycle = match text(seen, "LifecycleState").as_str() {
        "InService" => Lifecycle::InService,
        "Pending" | "Pending:Wait" | "Pending:Proceed" => Lifecycle::Pending,
        // What is leaving is as good as gone.
        _ => return,
    };
    let mut launched_by = Map::new();
    for member in ["LaunchTemplate", "LaunchConfigurationName"] {
        if let Some(value) = seen.get(member).filter(|value| !value.is_null()) {
            launched_by.insert(member.to_owned(), value.clone());
        }
    }
    let content = content_of(world, &launched_by);
    let zone = text(seen, "AvailabilityZone");
    let subnet = world.subnets.iter().find(|subnet| subnet["AvailabilityZone"] == *zone).cloned().unwrap_or_default();
    let number = world.instances.len() + 20;
    let propagated = group.tags.iter().filter(|(_, tag)| tag.propagate);
    let mut tags: BTreeMap<String, String> = propagated.map(|(key, tag)| (key.clone(), tag.value.clone())).collect();
    tags.insert("aws:autoscaling:groupName".to_owned(), name.to_owned());
    let optional = |member: &str| content[member].as_str().map(str::to_owned);
    let instance = Instance {
        image_id: text(&content, "ImageId"),
        instance_type: text(seen, "InstanceType"),
        state: InstanceState::Running,
        state_reason: None,
        subnet_id: text(&subnet, "SubnetId"),
        availability_zone: zone,
        vpc_id: text(&subnet, "VpcId"),
        private_ip: format!("10.1.{}.{}", number / 250, number % 250),
        public_ip: None,
        security_groups: texts(&content, "SecurityGroupIds"),
        key_name: optional("KeyName"),
        profile: content["IamInstanceProfile"]["Name"].as_str().map(str::to_owned),
        user_data: optional("UserData"),
        ebs_optimized: content["EbsOptimized"] == true,
        spot: content["InstanceMarketOptions"]["MarketType"] == "spot",
        tags,
        launched_at: since,
        answers_at: since,
        behaviour: Behaviour::Healthy,
        images: BTreeMap::new(),
        joins: ecs::cluster_of(content["UserData"].as_str()),
        due: None,
    };
    let id = text(seen, "InstanceId");
    world.instances.insert(id.clone(), instance);
    // Those that nobody looked at have joined long since.
    ecs::join(world, &id);
    let member = Member {
        lifecycle,
        healthy: seen["HealthStatus"] == "Healthy",
        protected: seen["ProtectedFromScaleIn"] == true,
        launched_by,
        in_service_since: (lifecycle == Lifecycle::InService).then_some(since),
        due: None,
        activity: None,
    };
    group.members.insert(id, member);
}

/// What instances of groups pulled when they were launched: the digest that their group's tags record, or what the
/// registry says now. Comes after the registries are known.
pub(super) fn running_images(world: &mut World, observed: &Observed) {
    let Some(prefix) = observed.scope.asg.as_ref().map(|scope| scope.tag_prefix.as_str()) else { return };
    let pulled = |instance: &Instance| {
        let mut images = ec2::pulled_images(world, instance.user_data.as_deref(), &instance.tags);
        let tag = |name: &str| instance.tags.get(&format!("{prefix}:{name}"));
        if let (Some(image), Some(digest)) = (tag("image"), tag("digest"))
            && let Some(known) = images.get_mut(image)
        {
            known.clone_from(digest);
        }
        images
    };
    let all: Vec<(String, BTreeMap<String, String>)> =
        world.instances.iter().map(|(id, instance)| (id.clone(), pulled(instance))).collect();
    for (id, images) in all {
        if let Some(instance) = world.instances.get_mut(&id) {
            instance.images = images;
        }
    }
}

/// What a launch template version or a launch configuration launches.
fn content_of(world: &World, launched_by: &Map<String, Value>) -> Value {
    if let Some(name) = launched_by.get("LaunchConfigurationName").and_then(Value::as_str) {
        return world.launch_configurations.get(name).cloned().unwrap_or_default();
    }
    let named = launched_by.get("LaunchTemplate").cloned().unwrap_or_default();
    let template = world.launch_templates.get(&text(&named, "LaunchTemplateId"));
    let version = template.and_then(|t| t.versions.get(&t.number(named["Version"].as_str())?));
    version.map_or(Value::Null, |version| json!(version.data))
}

/// Puts an instance behind the load balancers of its group, unless it was seen there.
fn register(world: &mut World, group: &AutoScalingGroup, id: &str) {
    for key in group.attachments.keys() {
        let mut target = Target {
            id: id.to_owned(),
            port: 0,
            availability_zone: None,
            task: None,
            state: TargetState::Healthy,
            due: None,
        };
        let list = if let Some(group) = world.target_group_mut(key) {
            target.port = group.port;
            &mut group.targets
        } else if let Some(classic) = world.classic_load_balancers.get_mut(key) {
            target.port = classic.listeners.first().map_or(0, |listener| listener.instance_port);
            &mut classic.targets
        } else {
            continue;
        };
        if !list.iter().any(|known| known.id == id) {
            list.push(target);
        }
    }
}
