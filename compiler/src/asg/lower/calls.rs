//! Calls of EC2 and Auto Scaling that several nodes make, and the numbers in them.

use std::collections::BTreeMap;

use belay_schemas::plan::Call;
use serde_json::{Map, Value, json};

use crate::asg::diff::Sizes;
use crate::lower::draft::call;

/// A call of Auto Scaling.
pub fn asg(operation: &str, input: Value) -> Call {
    call("autoscaling", operation, input)
}

/// A call of EC2.
pub fn ec2(operation: &str, input: Value) -> Call {
    call("ec2", operation, input)
}

/// DescribeAutoScalingGroups of one group.
pub fn describe_group(name: &str) -> Call {
    asg("DescribeAutoScalingGroups", json!({"AutoScalingGroupNames": [name]}))
}

/// DescribeLaunchTemplates of one name; it does not fail when there is none.
pub fn describe_template(name: &str) -> Call {
    ec2("DescribeLaunchTemplates", json!({"Filters": [{"Name": "launch-template-name", "Values": [name]}]}))
}

/// DescribeLaunchConfigurations of one name.
pub fn describe_configuration(name: &str) -> Call {
    asg("DescribeLaunchConfigurations", json!({"LaunchConfigurationNames": [name]}))
}

/// An empty answer, of calls that answer nothing.
pub const NOTHING: &str = "`{}`";

/// A number in a plan: known when it is compiled, or a share of a live count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Count {
    /// Known.
    Fixed(u64),
    /// ⌈k/n⌉ of the desired capacity that a read node answered.
    Share {
        /// The read node.
        node: String,
        /// k
        k: u64,
        /// n
        n: u64,
    },
}

impl Count {
    /// As it stands in the input of a call.
    pub fn value(&self) -> Value {
        match self {
            Self::Fixed(count) => json!(count),
            Self::Share { node, k, n } => {
                json!({"$output": node, "path": "AutoScalingGroups[0].DesiredCapacity", "share": [k, n]})
            }
        }
    }

    /// As it stands in an expression; a late one is bound.
    pub fn in_expression(&self, bind: &mut BTreeMap<String, Value>) -> String {
        match self {
            Self::Fixed(count) => format!("`{count}`"),
            Self::Share { .. } => {
                bind.insert("count".to_owned(), self.value());
                "$count".to_owned()
            }
        }
    }

    /// Whether it is known to be 0.
    pub fn is_zero(&self) -> bool {
        matches!(self, Self::Fixed(0) | Self::Share { k: 0, .. })
    }

    /// So many instances of which something is said: `1 instance that is`, `4 instances that are`.
    pub fn all(&self) -> String {
        let are = if *self == Self::Fixed(1) { "is" } else { "are" };
        format!("{} that {are}", self.words())
    }

    /// In words.
    pub fn words(&self) -> String {
        match self {
            Self::Fixed(count) => crate::asg::slots::instances(*count),
            Self::Share { k: 0, .. } => "no instances".to_owned(),
            Self::Share { k, n, .. } if k == n => "as many instances as run now".to_owned(),
            Self::Share { k, n, .. } => format!("{k}/{n} of the instances that run now"),
        }
    }
}

/// The sizes that a node gives a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// MinSize.
    pub min: Count,
    /// MaxSize.
    pub max: Count,
    /// DesiredCapacity; nothing: it is left alone.
    pub desired: Option<Count>,
}

impl Target {
    /// Exactly so many.
    pub fn exactly(count: Count) -> Self {
        Self { min: count.clone(), max: count.clone(), desired: Some(count) }
    }

    /// Sizes that are known.
    pub fn fixed(sizes: Sizes) -> Self {
        Self { min: Count::Fixed(sizes.min), max: Count::Fixed(sizes.max), desired: sizes.desired.map(Count::Fixed) }
    }

    /// The members of UpdateAutoScalingGroup.
    pub fn members(&self) -> Map<String, Value> {
        let mut members = Map::new();
        members.insert("MinSize".to_owned(), self.min.value());
        members.insert("MaxSize".to_owned(), self.max.value());
        if let Some(desired) = &self.desired {
            members.insert("DesiredCapacity".to_owned(), desired.value());
        }
        members
    }
}
