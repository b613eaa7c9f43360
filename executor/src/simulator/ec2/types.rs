//! Instance types: which names are any, and what the common sizes have.

use serde_json::{Value, json};

use super::super::errors::rejected;
use super::super::request::{Answer, Paging, items, text, texts};
use super::super::world::World;
use super::lookup::{like, passes};

/// Families with their GiB of memory per `large` and whether they are of the current generation.
const FAMILIES: [(&str, u64, bool); 20] = [
    ("c4", 4, false),
    ("c5", 4, true),
    ("c6g", 4, true),
    ("c6i", 4, true),
    ("c7g", 4, true),
    ("c7i", 4, true),
    ("m3", 8, false),
    ("m4", 8, false),
    ("m5", 8, true),
    ("m6g", 8, true),
    ("m6i", 8, true),
    ("m7g", 8, true),
    ("m7i", 8, true),
    ("r5", 16, true),
    ("r6g", 16, true),
    ("r6i", 16, true),
    ("t2", 8, true),
    ("t3", 8, true),
    ("t3a", 8, true),
    ("t4g", 8, true),
];

/// Sizes with their virtual processors and their share of a `large`'s memory in thirty-seconds.
const SIZES: [(&str, u64, u64); 9] = [
    ("nano", 2, 2),
    ("micro", 2, 4),
    ("small", 2, 8),
    ("medium", 2, 16),
    ("large", 2, 32),
    ("xlarge", 4, 64),
    ("2xlarge", 8, 128),
    ("4xlarge", 16, 256),
    ("8xlarge", 32, 512),
];

fn describe_one(name: &str) -> Option<Value> {
    let (family, size) = name.split_once('.')?;
    let (_, memory, current) = FAMILIES.iter().find(|(known, ..)| *known == family)?;
    let (_, count, share) = SIZES.iter().find(|(known, ..)| *known == size)?;
    let burstable = family.starts_with('t');
    // Only burstable families have the smallest sizes.
    if !burstable && *share < 16 {
        return None;
    }
    let optimized = if matches!(family, "t2" | "m3") { "unsupported" } else { "default" };
    Some(json!({
        "InstanceType": name,
        "CurrentGeneration": current,
        "SupportedUsageClasses": ["on-demand", "spot"],
        "SupportedRootDeviceTypes": ["ebs"],
        "SupportedVirtualizationTypes": ["hvm"],
        "BareMetal": false,
        "BurstablePerformanceSupported": burstable,
        "ProcessorInfo": {"SupportedArchitectures": [processors(name)]},
        "VCpuInfo": {"DefaultVCpus": count},
        "MemoryInfo": {"SizeInMiB": memory * 1024 * share / 32},
        "EbsInfo": {"EbsOptimizedSupport": optimized, "EncryptionSupport": "supported"},
    }))
}

/// What the processors of an instance type understand; nothing if there is no such type.
pub(super) fn architecture(name: &str) -> Option<&'static str> {
    describe_one(name).map(|_| processors(name))
}

/// What the processors of a name understand, whether or not it is a known type's: families of AWS's own processors have a
/// `g` behind the number of their generation, but for the very first one (EC2 user guide, "Instance type naming
/// conventions").
pub(in super::super) fn processors(name: &str) -> &'static str {
    let family = name.split('.').next().unwrap_or_default();
    let number = family.trim_start_matches(|c: char| !c.is_ascii_digit());
    let options = number.trim_start_matches(|c: char| c.is_ascii_digit());
    if family == "a1" || options.contains('g') { "arm64" } else { "x86_64" }
}

/// Virtual processors and MiB of memory of an instance type; nothing if there is no such type.
pub(in super::super) fn size_of(name: &str) -> Option<(u64, u64)> {
    let shown = describe_one(name)?;
    Some((shown["VCpuInfo"]["DefaultVCpus"].as_u64()?, shown["MemoryInfo"]["SizeInMiB"].as_u64()?))
}

fn all() -> impl Iterator<Item = Value> {
    FAMILIES
        .iter()
        .flat_map(|(family, ..)| SIZES.iter().filter_map(move |(size, ..)| describe_one(&format!("{family}.{size}"))))
}

pub(super) fn describe(input: &Value) -> Answer {
    let asked = texts(input, "InstanceTypes");
    if let Some(unknown) = asked.iter().find(|name| architecture(name).is_none()) {
        let message = format!("The following supplied instance types do not exist: [{unknown}]");
        return Err(rejected("InvalidInstanceType", message));
    }
    let filters = [("instance-type", "InstanceType"), ("current-generation", "CurrentGeneration")];
    let mut found = Vec::new();
    for shown in all() {
        let wanted = asked.is_empty() || asked.iter().any(|name| shown["InstanceType"] == **name);
        if wanted && passes(&shown, items(input, "Filters"), &filters)? {
            found.push(shown);
        }
    }
    Ok(Paging::EC2.answer("InstanceTypes", found, input)?.into())
}

/// Every type is offered in every zone.
pub(super) fn offerings(world: &World, input: &Value) -> Answer {
    let by_zone = text(input, "LocationType") == Some("availability-zone");
    let mut places: Vec<&str> = match by_zone {
        true => world.subnets.iter().filter_map(|subnet| subnet["AvailabilityZone"].as_str()).collect(),
        false => vec![&world.region],
    };
    places.sort_unstable();
    places.dedup();
    let filters = items(input, "Filters");
    let admits = |filter: &str, value: &str| {
        let mut own = filters.iter().filter(|f| text(f, "Name") == Some(filter));
        own.all(|f| texts(f, "Values").iter().any(|pattern| like(pattern, value)))
    };
    let mut found = Vec::new();
    for shown in all() {
        let name = text(&shown, "InstanceType").unwrap_or_default();
        for place in places.iter().filter(|place| admits("location", place) && admits("instance-type", name)) {
            let kind = if by_zone { "availability-zone" } else { "region" };
            found.push(json!({"InstanceType": name, "LocationType": kind, "Location": place}));
        }
    }
    Ok(Paging::EC2.answer("InstanceTypeOfferings", found, input)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_memory_that_aws_says() {
        let memory = |name: &str| describe_one(name).map(|shown| shown["MemoryInfo"]["SizeInMiB"].clone());
        assert_eq!(memory("t2.nano"), Some(json!(512)));
        assert_eq!(memory("t3.micro"), Some(json!(1024)));
        assert_eq!(memory("m5.large"), Some(json!(8192)));
        assert_eq!(memory("c5.2xlarge"), Some(json!(16384)));
        assert_eq!(memory("m5.nano"), None);
        assert_eq!(memory("z9.large"), None);
    }

    #[test]
    fn families_of_awss_own_processors_are_known_by_their_names() {
        for name in ["t4g.small", "m6gd.large", "c7gn.xlarge", "x2gd.large", "im4gn.large", "g5g.xlarge", "a1.large"] {
            assert_eq!(processors(name), "arm64", "{name}");
        }
        for name in ["t3.small", "g4dn.xlarge", "m7i-flex.large", "c6i.large", "gr6.4xlarge", "g6e.xlarge", ""] {
            assert_eq!(processors(name), "x86_64", "{name}");
        }
    }
}
