//! Launching an instance: what is asked for, whether it can be had, and what its application will do.
//!
//! An instance does what the world's `images` say about what it is made of: its AMI, its launch template (by name,
//! `NAME:VERSION` or id), the image references in its user data and in the values of its tags, in this order. What is
//! said about none of them works.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use belay_schemas::image::Image;
use serde_json::{Map, Value};

use super::super::ecs;
use super::super::request::{text, texts};
use super::super::world::{Behaviour, Instance, InstanceState, World};
use super::types;

/// What is to be launched.
pub(in super::super) struct Launch<'a> {
    /// Content of a launch template.
    pub(in super::super) data: &'a Map<String, Value>,
    /// Names of the launch template.
    pub(in super::super) template: Vec<String>,
    pub(in super::super) instance_type: &'a str,
    pub(in super::super) spot: bool,
    pub(in super::super) tags: BTreeMap<String, String>,
}

/// Why an instance cannot be launched, in AWS's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Refusal(pub(in super::super) String);

/// The text in base64.
pub(in super::super) fn text_of(base64: &str) -> Option<String> {
    STANDARD.decode(base64.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok())
}

impl Launch<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.data.get(name).and_then(Value::as_str)
    }

    fn interface(&self) -> Option<&Value> {
        self.data.get("NetworkInterfaces").and_then(|interfaces| interfaces.get(0))
    }

    /// The ids of its security groups.
    fn groups(&self, world: &World) -> Result<Vec<String>, Refusal> {
        let whole = Value::Object(self.data.clone());
        let mut wanted = texts(&whole, "SecurityGroupIds");
        wanted.extend(texts(&whole, "SecurityGroups"));
        if let Some(interface) = self.interface() {
            wanted.extend(texts(interface, "Groups"));
        }
        let find = |wanted: &str| {
            let named = |group: &&Value| group["GroupId"] == *wanted || group["GroupName"] == *wanted;
            let id = world.security_groups.iter().find(named).and_then(|group| text(group, "GroupId"));
            id.map(str::to_owned).ok_or_else(|| Refusal(format!("The security group '{wanted}' does not exist")))
        };
        wanted.into_iter().map(find).collect()
    }

    /// Whether everything that it names exists. What there is room for is another question.
    pub(in super::super) fn check(&self, world: &World) -> Result<(), Refusal> {
        let refuse = |words: String| Err(Refusal(words));
        let image = self.text("ImageId").unwrap_or_default();
        let Some(known) = world.machine_images.iter().find(|known| known["ImageId"] == *image) else {
            return refuse(format!("The image id '[{image}]' does not exist"));
        };
        let Some(architecture) = types::architecture(self.instance_type) else {
            return refuse(format!("The instance type '{}' does not exist", self.instance_type));
        };
        if text(known, "Architecture").is_some_and(|own| own != architecture) {
            return refuse(format!(
                "The architecture '{architecture}' of the specified instance type does not match the architecture '{}' of the specified AMI.",
                text(known, "Architecture").unwrap_or_default()
            ));
        }
        if let Some(key) = self.text("KeyName").filter(|key| !world.key_pairs.iter().any(|k| k["KeyName"] == **key)) {
            return refuse(format!("The key pair '{key}' does not exist"));
        }
        // A world that lists no profile does not know which there are.
        if let Some(profile) = self.profile()
            && !world.instance_profiles.is_empty()
            && !world.instance_profiles.iter().any(|p| p["InstanceProfileName"] == *profile)
        {
            return refuse(format!("Invalid IAM Instance Profile name: {profile}"));
        }
        self.groups(world).map(|_| ())
    }

    /// The name of its instance profile.
    fn profile(&self) -> Option<String> {
        let profile = self.data.get("IamInstanceProfile")?;
        let name = text(profile, "Name").or_else(|| text(profile, "Arn")?.rsplit('/').next())?;
        Some(name.to_owned())
    }

    /// Everything that may name an image or a template, in the order in which it counts.
    fn references(&self) -> Vec<String> {
        let mut names: Vec<String> = self.text("ImageId").map(str::to_owned).into_iter().collect();
        names.extend(self.template.iter().cloned());
        names.extend(words(self.text("UserData")));
        names.extend(self.tags.values().cloned());
        names
    }
}

/// The words of user data that may name an image.
fn words(user_data: Option<&str>) -> Vec<String> {
    let text = user_data.and_then(text_of).unwrap_or_default();
    // What an image reference consists of; everything else ends a word.
    let part = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    text.split(|c: char| !part(c)).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The digests of the images that an instance pulls when it starts: of those that its user data names, and, where
/// nothing there names any of the same repository, its tags. Of a reference that holds its digest the user data say all.
pub(in super::super) fn pulled_images(
    world: &World,
    user_data: Option<&str>,
    tags: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let repository = |reference: &str| Image::parse(reference).repository.to_owned();
    let words = words(user_data);
    let named: BTreeSet<String> = words
        .iter()
        .filter(|word| word.contains('@') || world.images.contains_key(*word))
        .map(|w| repository(w))
        .collect();
    let tagged = tags.values().filter(|value| !named.contains(&repository(value))).cloned();
    let all = words.iter().cloned().chain(tagged).filter(|name| !name.contains('@') && !name.starts_with("ami-"));
    let known: Vec<String> = all.filter(|name| world.images.contains_key(name)).collect();
    known.into_iter().filter_map(|name| Some((name.clone(), world.digest_of(&name)?))).collect()
}

/// Whether there is room for one more instance of a type.
fn has_room(world: &World, instance_type: &str, zone: &str, spot: bool) -> bool {
    let living = |of: &dyn Fn(&Instance) -> bool| {
        let same = |i: &&Instance| i.state.lives() && i.instance_type == instance_type && of(i);
        world.instances.values().filter(same).count() as u64
    };
    let below = |key: &str, count: u64| world.capacity.get(key).is_none_or(|most| count < *most);
    below(instance_type, living(&|_| true))
        && below(&format!("{instance_type}/{zone}"), living(&|i| i.availability_zone == zone))
        && (!spot || below(&format!("spot/{instance_type}"), living(&|i| i.spot)))
}

fn instance_id(number: u64) -> String {
    format!("i-0b{number:015x}")
}

/// Launches an instance in a subnet.
pub(in super::super) fn launch(world: &mut World, wanted: &Launch<'_>, subnet: &str) -> Result<String, Refusal> {
    wanted.check(world)?;
    let Some(place) = world.subnets.iter().find(|known| known["SubnetId"] == *subnet).cloned() else {
        return Err(Refusal(format!("The subnet ID '{subnet}' does not exist")));
    };
    let zone = text(&place, "AvailabilityZone").unwrap_or_default().to_owned();
    if !has_room(world, wanted.instance_type, &zone, wanted.spot) {
        return Err(Refusal(no_room(world, wanted, &zone)));
    }
    let references = wanted.references();
    let special = references.iter().filter(|name| world.knows_image(name)).find_map(|name| {
        let digest = world.digest_of(name);
        Some(world.behaviour_of(name, digest.as_deref())).filter(|behaviour| *behaviour != Behaviour::Healthy)
    });
    let behaviour = special.unwrap_or_default();
    if let Behaviour::CannotPull { reason } = &behaviour
        && wanted.text("ImageId").is_some_and(|image| world.images.contains_key(image))
    {
        let image = wanted.text("ImageId").unwrap_or_default();
        return Err(Refusal(
            reason.clone().unwrap_or_else(|| format!("Client.InternalError: Client error on launch of {image}")),
        ));
    }
    let images = pulled_images(world, wanted.text("UserData"), &wanted.tags);
    let mut groups = wanted.groups(world)?;
    if groups.is_empty() {
        let own = world.security_groups.iter().filter(|g| g["VpcId"] == place["VpcId"] && g["GroupName"] == "default");
        groups = own.filter_map(|group| text(group, "GroupId")).map(str::to_owned).collect();
    }
    let (pending, boot) = (world.timings.instance_pending_seconds, world.timings.instance_boot_seconds);
    let running_at = world.now.plus(pending);
    let answers_at = match &behaviour {
        Behaviour::Slow { start_seconds, healthy_seconds } => running_at.plus(start_seconds + healthy_seconds),
        _ => running_at.plus(boot),
    };
    let mut number = world.count("instance");
    while world.instances.contains_key(&instance_id(number)) {
        number = world.count("instance");
    }
    let id = instance_id(number);
    let public = wanted.interface().and_then(|interface| interface["AssociatePublicIpAddress"].as_bool());
    let public = public.unwrap_or(place["MapPublicIpOnLaunch"] == true);
    let instance = Instance {
        image_id: wanted.text("ImageId").unwrap_or_default().to_owned(),
        instance_type: wanted.instance_type.to_owned(),
        state: InstanceState::Pending,
        state_reason: None,
        subnet_id: subnet.to_owned(),
        availability_zone: zone,
        vpc_id: text(&place, "VpcId").unwrap_or_default().to_owned(),
        private_ip: free_address(world, &place),
        public_ip: public.then(|| format!("198.51.{}.{}", number / 250 % 256, number % 250 + 1)),
        security_groups: groups,
        key_name: wanted.text("KeyName").map(str::to_owned),
        profile: wanted.profile(),
        user_data: wanted.text("UserData").map(str::to_owned),
        ebs_optimized: wanted.data.get("EbsOptimized") == Some(&Value::Bool(true)),
        spot: wanted.spot,
        tags: wanted.tags.clone(),
        launched_at: world.now,
        answers_at,
        behaviour,
        images,
        joins: ecs::cluster_of(wanted.text("UserData")),
        due: Some(running_at),
    };
    world.instances.insert(id.clone(), instance);
    Ok(id)
}

fn no_room(world: &World, wanted: &Launch<'_>, zone: &str) -> String {
    let mut others: Vec<&str> = world.subnets.iter().filter_map(|s| text(s, "AvailabilityZone")).collect();
    others.retain(|other| *other != zone && has_room(world, wanted.instance_type, other, wanted.spot));
    others.sort_unstable();
    others.dedup();
    let kind = wanted.instance_type;
    match (wanted.spot, others.is_empty()) {
        (true, _) => "There is no Spot capacity available that matches your request.".to_owned(),
        (false, true) => format!(
            "We currently do not have sufficient {kind} capacity in the Availability Zone you requested ({zone}). Our system will be working on provisioning additional capacity."
        ),
        (false, false) => format!(
            "We currently do not have sufficient {kind} capacity in the Availability Zone you requested ({zone}). Our system will be working on provisioning additional capacity. You can currently get {kind} capacity by not specifying an Availability Zone in your request or choosing {}.",
            others.join(", ")
        ),
    }
}

/// The lowest address of a subnet that no instance has; the first twenty are somebody else's.
fn free_address(world: &World, subnet: &Value) -> String {
    let network = text(subnet, "CidrBlock").unwrap_or("10.0.0.0/24").split('/').next().unwrap_or_default();
    let mut parts = network.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let base = parts.by_ref().take(4).fold(0, |sum, part| (sum << 8) | part);
    let address = |host: u32| {
        let [a, b, c, d] = base.wrapping_add(host).to_be_bytes();
        format!("{a}.{b}.{c}.{d}")
    };
    let taken: BTreeSet<&str> = world
        .instances
        .values()
        .filter(|i| i.state != InstanceState::Terminated)
        .map(|i| i.private_ip.as_str())
        .collect();
    (20..).map(address).find(|address| !taken.contains(address.as_str())).unwrap_or_default()
}
