//! What a group that launches instances asks for besides its own call: AWS asks who gives a group its template whether
//! they may launch, tag and equip such instances.
//!
//! Invariants: a plan names instance profiles, and IAM asks for the role behind one: where nobody says which role that is,
//! any role may be handed to EC2, and a note says so.

use std::collections::{BTreeMap, BTreeSet};

use belay_schemas::plan::{Call, Plan};
use serde_json::{Value, json};

use super::{Allowed, resources};

/// The roles behind what instances are equipped with, by the names of [`equipments`]: names or ARNs.
pub type Roles = BTreeMap<String, String>;

/// What a plan's instances get their roles from: instance profiles by name, and by its id or name each launch template
/// that is taken as it is in AWS, whose profile the plan does not hold.
pub fn equipments(plan: &Plan) -> BTreeSet<String> {
    let calls = plan.nodes.iter().flat_map(super::calls);
    calls.filter_map(equipment).map(Equipment::name).collect()
}

enum Equipment {
    Profile(String),
    Template(String),
}

impl Equipment {
    fn name(self) -> String {
        match self {
            Self::Profile(name) | Self::Template(name) => name,
        }
    }
}

/// What a call equips instances with.
fn equipment(call: &Call) -> Option<Equipment> {
    if let Some(template) = template(call) {
        let name = ["LaunchTemplateId", "LaunchTemplateName"].iter().find_map(|key| template.get(*key)?.as_str())?;
        return Some(Equipment::Template(name.to_owned()));
    }
    let data = &call.input["LaunchTemplateData"];
    let named = [data, &call.input].into_iter().find_map(|input| match input.get("IamInstanceProfile")? {
        Value::String(name) => Some(name.as_str()),
        named => ["Name", "Arn"].iter().find_map(|key| named.get(*key)?.as_str()),
    })?;
    Some(Equipment::Profile(named.rsplit('/').next().unwrap_or(named).to_owned()))
}

/// The launch template that a call gives to a group.
fn template(call: &Call) -> Option<&Value> {
    let gives = call.service == "autoscaling"
        && ["CreateAutoScalingGroup", "UpdateAutoScalingGroup"].contains(&call.operation.as_str());
    let mixed = "/MixedInstancesPolicy/LaunchTemplate/LaunchTemplateSpecification";
    gives.then(|| call.input.get("LaunchTemplate").or_else(|| call.input.pointer(mixed)))?
}

/// Allows what a call asks for because of the instances that it leads to.
pub(super) fn allow(plan: &Plan, call: &Call, roles: &Roles, allowed: &mut Allowed, notes: &mut BTreeSet<String>) {
    if template(call).is_some() {
        // Which instances, volumes and network interfaces these are, only the launch knows.
        let template = resources::filled("arn:${Partition}:ec2:${Region}:${Account}:launch-template/${Id}", plan, "*");
        let condition = json!({"ArnLike": {"ec2:LaunchTemplate": template}}).to_string();
        let any = || BTreeSet::from(["*".to_owned()]);
        allowed.entry(("ec2:RunInstances".to_owned(), condition)).or_default().extend(any());
        let condition = json!({"StringEquals": {"ec2:CreateAction": "RunInstances"}}).to_string();
        allowed.entry(("ec2:CreateTags".to_owned(), condition)).or_default().extend(any());
    }
    let Some(equipment) = equipment(call) else { return };
    let what = match &equipment {
        Equipment::Profile(name) => format!("the plan names the instance profile {name}, not its role"),
        Equipment::Template(name) => {
            format!("the plan takes the launch template {name} as it is, whose instance profile it does not know")
        }
    };
    let name = equipment.name();
    let role = roles.get(&name).map(String::as_str);
    if role.is_none() {
        notes.insert(format!(
            "{what}: iam:PassRole allows every role for ec2.amazonaws.com; narrow it with --profile-role {name}=ROLE"
        ));
    }
    let condition = json!({"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}).to_string();
    let arn = resources::role(plan, role.unwrap_or("*"));
    allowed.entry(("iam:PassRole".to_owned(), condition)).or_default().insert(arn);
}
