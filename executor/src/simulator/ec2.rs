//! What ECS needs of EC2: VPCs, subnets, security groups, instances; read-only.

use serde_json::{Value, json};

use super::errors::{missing, rejected, unknown_operation};
use super::request::{Answer, Paging, items, text, texts};
use super::world::World;
use crate::cloud::CloudError;

/// How one kind of thing is described.
struct Kind {
    /// The list in the answer.
    list: &'static str,
    /// The id's member.
    id: &'static str,
    /// The input's list of ids.
    ids: &'static str,
    not_found: &'static str,
    name: &'static str,
    /// Filters with the members that they look at.
    filters: &'static [(&'static str, &'static str)],
}

const VPCS: Kind = Kind {
    list: "Vpcs",
    id: "VpcId",
    ids: "VpcIds",
    not_found: "InvalidVpcID.NotFound",
    name: "vpc ID",
    filters: &[
        ("vpc-id", "VpcId"),
        ("cidr", "CidrBlock"),
        ("is-default", "IsDefault"),
        ("isDefault", "IsDefault"),
        ("state", "State"),
        ("owner-id", "OwnerId"),
    ],
};
const SUBNETS: Kind = Kind {
    list: "Subnets",
    id: "SubnetId",
    ids: "SubnetIds",
    not_found: "InvalidSubnetID.NotFound",
    name: "subnet ID",
    filters: &[
        ("subnet-id", "SubnetId"),
        ("vpc-id", "VpcId"),
        ("availability-zone", "AvailabilityZone"),
        ("cidr-block", "CidrBlock"),
        ("state", "State"),
        ("default-for-az", "DefaultForAz"),
        ("owner-id", "OwnerId"),
    ],
};
const GROUPS: Kind = Kind {
    list: "SecurityGroups",
    id: "GroupId",
    ids: "GroupIds",
    not_found: "InvalidGroup.NotFound",
    name: "security group",
    filters: &[
        ("group-id", "GroupId"),
        ("group-name", "GroupName"),
        ("vpc-id", "VpcId"),
        ("description", "Description"),
        ("owner-id", "OwnerId"),
    ],
};

pub(super) fn call(world: &World, operation: &str, input: &Value) -> Answer {
    match operation {
        "DescribeVpcs" => describe(&VPCS, &world.vpcs, input),
        "DescribeSubnets" => describe(&SUBNETS, &world.subnets, input),
        "DescribeSecurityGroups" => describe(&GROUPS, &world.security_groups, input),
        "DescribeInstances" => instances(world, input),
        _ => Err(unknown_operation(format!("The simulated AWS does not model {operation} of ec2."))),
    }
}

fn describe(kind: &Kind, all: &[Value], input: &Value) -> Answer {
    let ids = texts(input, kind.ids);
    if let Some(unknown) = ids.iter().find(|id| !all.iter().any(|item| item[kind.id] == **id)) {
        let message = format!("The {} '{unknown}' does not exist", kind.name);
        return Err(missing(kind.not_found, message));
    }
    let names = texts(input, "GroupNames");
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|item| item["GroupName"] == **name)) {
        return Err(missing(kind.not_found, format!("The security group '{unknown}' does not exist")));
    }
    let mut found = Vec::new();
    for item in all {
        let named = ids.is_empty() || ids.iter().any(|id| item[kind.id] == **id);
        let called = names.is_empty() || names.iter().any(|name| item["GroupName"] == **name);
        if named && called && passes(item, items(input, "Filters"), kind.filters)? {
            found.push(item.clone());
        }
    }
    Ok(Paging::EC2.answer(kind.list, found, input)?.into())
}

/// Whether something passes all filters: one of the values of each, with `*` and `?` as in the shell.
fn passes(item: &Value, filters: &[Value], known: &[(&str, &str)]) -> Result<bool, CloudError> {
    for filter in filters {
        let name = text(filter, "Name").unwrap_or_default();
        let tags = || items(item, "Tags").iter();
        let actual: Vec<String> = match name {
            "tag-key" => tags().filter_map(|tag| text(tag, "Key")).map(str::to_owned).collect(),
            _ if name.starts_with("tag:") => {
                let same = tags().filter(|tag| tag["Key"] == name["tag:".len()..]);
                same.filter_map(|tag| text(tag, "Value")).map(str::to_owned).collect()
            }
            _ => {
                let Some((_, member)) = known.iter().find(|(filter, _)| *filter == name) else {
                    return Err(rejected("InvalidParameterValue", format!("The filter '{name}' is invalid")));
                };
                let value = &item[*member];
                vec![value.as_str().map_or_else(|| value.to_string(), str::to_owned)]
            }
        };
        let matches = texts(filter, "Values").iter().any(|pattern| actual.iter().any(|value| like(pattern, value)));
        if !matches {
            return Ok(false);
        }
    }
    Ok(true)
}

fn like(pattern: &str, value: &str) -> bool {
    fn at(pattern: &[char], value: &[char]) -> bool {
        match pattern.split_first() {
            None => value.is_empty(),
            Some(('*', rest)) => (0..=value.len()).any(|skip| at(rest, &value[skip..])),
            Some(('?', rest)) => !value.is_empty() && at(rest, &value[1..]),
            Some((c, rest)) => value.first() == Some(c) && at(rest, &value[1..]),
        }
    }
    at(&pattern.chars().collect::<Vec<_>>(), &value.chars().collect::<Vec<_>>())
}

/// The EC2 instances behind the container instances.
fn instances(world: &World, input: &Value) -> Answer {
    let ids = texts(input, "InstanceIds");
    let known = |id: &str| world.container_instances.values().any(|instance| instance.ec2_instance_id == id);
    if let Some(unknown) = ids.iter().find(|id| !known(id)) {
        return Err(missing("InvalidInstanceID.NotFound", format!("The instance ID '{unknown}' does not exist")));
    }
    let filters = [
        ("instance-id", "InstanceId"),
        ("availability-zone", "AvailabilityZone"),
        ("private-ip-address", "PrivateIpAddress"),
    ];
    let mut reservations = Vec::new();
    for instance in world.container_instances.values() {
        let zone = &instance.availability_zone;
        let subnet = world.subnets.iter().find(|subnet| subnet["AvailabilityZone"] == **zone);
        let mut shown = json!({
            "InstanceId": instance.ec2_instance_id,
            "InstanceType": instance.attributes.get("ecs.instance-type").map_or("m5.large", String::as_str),
            "State": {"Code": 16, "Name": "running"},
            "Placement": {"AvailabilityZone": zone},
            "LaunchTime": instance.registered_at.to_string(),
            "Tags": super::request::to_upper_tags(&instance.tags),
        });
        if let Some(address) = &instance.private_ip {
            shown["PrivateIpAddress"] = address.as_str().into();
        }
        for member in ["SubnetId", "VpcId"] {
            if let Some(value) = subnet.map(|subnet| &subnet[member]) {
                shown[member] = value.clone();
            }
        }
        let asked = ids.is_empty() || ids.contains(&instance.ec2_instance_id.as_str());
        let mut flat = shown.clone();
        flat["AvailabilityZone"] = zone.as_str().into();
        if asked && passes(&flat, items(input, "Filters"), &filters)? {
            reservations.push(json!({
                "ReservationId": instance.ec2_instance_id.replacen("i-", "r-", 1), "OwnerId": world.account,
                "Groups": [], "Instances": [shown],
            }));
        }
    }
    Ok(Paging::EC2.answer("Reservations", reservations, input)?.into())
}

#[cfg(test)]
mod tests {
    use super::like;

    #[test]
    fn patterns_match_as_in_the_shell() {
        assert!(like("shop-*", "shop-web") && like("*", "") && like("a?c*", "abcd"));
        assert!(!like("shop-?", "shop-web") && !like("Shop*", "shop") && !like("a", "ab"));
    }
}
