//! Looking things up as ec2 does: by ids, by names and by filters with wildcards.

use serde_json::Value;

use super::super::errors::{missing, rejected};
use super::super::request::{Answer, Paging, items, text, texts};
use crate::cloud::CloudError;

/// How one kind of thing is described.
pub(super) struct Kind {
    /// The list in the answer.
    list: &'static str,
    /// The id's member.
    id: &'static str,
    /// The input's list of ids.
    ids: &'static str,
    not_found: &'static str,
    name: &'static str,
    /// The input's list of names, and the member that they look at.
    names: Option<(&'static str, &'static str)>,
    /// Filters with the members that they look at.
    filters: &'static [(&'static str, &'static str)],
}

pub(super) const VPCS: Kind = Kind {
    list: "Vpcs",
    id: "VpcId",
    ids: "VpcIds",
    not_found: "InvalidVpcID.NotFound",
    name: "vpc ID",
    names: None,
    filters: &[
        ("vpc-id", "VpcId"),
        ("cidr", "CidrBlock"),
        ("is-default", "IsDefault"),
        ("isDefault", "IsDefault"),
        ("state", "State"),
        ("owner-id", "OwnerId"),
    ],
};
pub(super) const SUBNETS: Kind = Kind {
    list: "Subnets",
    id: "SubnetId",
    ids: "SubnetIds",
    not_found: "InvalidSubnetID.NotFound",
    name: "subnet ID",
    names: None,
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
pub(super) const GROUPS: Kind = Kind {
    list: "SecurityGroups",
    id: "GroupId",
    ids: "GroupIds",
    not_found: "InvalidGroup.NotFound",
    name: "security group",
    names: Some(("GroupNames", "GroupName")),
    filters: &[
        ("group-id", "GroupId"),
        ("group-name", "GroupName"),
        ("vpc-id", "VpcId"),
        ("description", "Description"),
        ("owner-id", "OwnerId"),
    ],
};

pub(super) const IMAGES: Kind = Kind {
    list: "Images",
    id: "ImageId",
    ids: "ImageIds",
    not_found: "InvalidAMIID.NotFound",
    name: "image id",
    names: None,
    filters: &[
        ("image-id", "ImageId"),
        ("name", "Name"),
        ("state", "State"),
        ("architecture", "Architecture"),
        ("owner-id", "OwnerId"),
        ("root-device-type", "RootDeviceType"),
        ("virtualization-type", "VirtualizationType"),
    ],
};
pub(super) const KEY_PAIRS: Kind = Kind {
    list: "KeyPairs",
    id: "KeyPairId",
    ids: "KeyPairIds",
    not_found: "InvalidKeyPair.NotFound",
    name: "key pair",
    names: Some(("KeyNames", "KeyName")),
    filters: &[("key-name", "KeyName"), ("key-pair-id", "KeyPairId"), ("fingerprint", "KeyFingerprint")],
};

pub(super) fn describe(kind: &Kind, all: &[Value], input: &Value) -> Answer {
    let ids = texts(input, kind.ids);
    if let Some(unknown) = ids.iter().find(|id| !all.iter().any(|item| item[kind.id] == **id)) {
        let message = format!("The {} '{unknown}' does not exist", kind.name);
        return Err(missing(kind.not_found, message));
    }
    let names = kind.names.map(|(list, _)| texts(input, list)).unwrap_or_default();
    let member = kind.names.map_or("", |(_, member)| member);
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|item| item[member] == **name)) {
        return Err(missing(kind.not_found, format!("The {} '{unknown}' does not exist", kind.name)));
    }
    let mut found = Vec::new();
    for item in all {
        let named = ids.is_empty() || ids.iter().any(|id| item[kind.id] == **id);
        let called = names.is_empty() || names.iter().any(|name| item[member] == **name);
        if named && called && passes(item, items(input, "Filters"), kind.filters)? {
            found.push(item.clone());
        }
    }
    Ok(Paging::EC2.answer(kind.list, found, input)?.into())
}

/// Whether something passes all filters: one of the values of each, with `*` and `?` as in the shell.
pub(super) fn passes(item: &Value, filters: &[Value], known: &[(&str, &str)]) -> Result<bool, CloudError> {
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

pub(in super::super) fn like(pattern: &str, value: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use super::like;

    #[test]
    fn patterns_match_as_in_the_shell() {
        assert!(like("shop-*", "shop-web") && like("*", "") && like("a?c*", "abcd"));
        assert!(!like("shop-?", "shop-web") && !like("Shop*", "shop") && !like("a", "ab"));
    }
}
