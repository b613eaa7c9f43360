//! The two slots of a component: which one runs, which one is spare, and whether anybody may touch them.

use serde_json::{Map, Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::json::{items, number, text};

use super::Context;
use super::desired::template_data;
use super::facts::{Facts, tag_of};
use super::names::Side;
use super::settings::place;
use super::user_data;

/// A slot that has a group.
#[derive(Debug, Clone)]
pub struct Slot<'a> {
    /// What it is called in the ids of nodes.
    pub label: String,
    /// Name of the group.
    pub name: &'a str,
    /// The group.
    pub group: &'a Value,
}

/// The slot that nothing of the component runs in.
#[derive(Debug, Clone)]
pub struct Spare<'a> {
    /// Which one.
    pub side: Side,
    /// The name of its group.
    pub name: String,
    /// An empty group that was left over.
    pub group: Option<&'a Value>,
    /// A launch template of ours that was left over.
    pub template: Option<&'a Value>,
    /// A launch configuration that was left over.
    pub configuration: Option<&'a Value>,
}

/// How a component stands.
#[derive(Debug, Clone)]
pub enum Standing<'a> {
    /// Nothing runs.
    Absent(Spare<'a>),
    /// One slot is in use.
    Running(Slot<'a>, Spare<'a>),
    /// It must not be touched; the report says why.
    Refused,
}

impl<'a> Slot<'a> {
    /// A size of the group.
    pub fn size(&self, member: &str) -> u64 {
        number(self.group, member).unwrap_or_default()
    }

    /// Instances that it should have.
    pub fn desired(&self) -> u64 {
        self.size("DesiredCapacity")
    }

    /// Whether it has or wants any instances.
    pub fn is_empty(&self) -> bool {
        self.desired() == 0 && items(self.group, "Instances").is_empty()
    }

    /// Its launch template specification, if it uses one.
    pub fn specification(&self) -> Option<&'a Value> {
        let mixed = self.group.pointer("/MixedInstancesPolicy/LaunchTemplate/LaunchTemplateSpecification");
        self.group.get("LaunchTemplate").filter(|t| !t.is_null()).or(mixed)
    }

    /// What its instances are made of, as the data of a launch template; nothing when that is not known.
    pub fn data(&self, facts: &Facts<'_>) -> Option<Map<String, Value>> {
        match (self.specification(), text(self.group, "LaunchConfigurationName")) {
            (Some(specification), _) => {
                facts.version(specification)?.get("LaunchTemplateData").and_then(Value::as_object).cloned()
            }
            (None, Some(name)) => facts.configuration(name).map(template_data),
            (None, None) => None,
        }
    }

    /// Whether new instances of it are the same as those that run: a fixed version, and an image that means the same
    /// bytes for ever.
    pub fn is_exact(&self, context: Context<'_>, facts: &Facts<'_>) -> bool {
        let fixed = self.specification().is_none_or(|s| text(s, "Version").is_some_and(|v| v.parse::<u64>().is_ok()));
        if !fixed {
            return false;
        }
        if !context.settings.docker {
            return true;
        }
        let digest = tag_of(self.group, &context.tag("digest"));
        let data = self.data(facts);
        let text = data.as_ref().and_then(|d| d.get("UserData")).and_then(Value::as_str).and_then(user_data::decode);
        matches!((digest, text), (Some(digest), Some(text)) if text.contains(digest))
    }
}

/// The owner of a group: the project that its tags name.
pub fn owner<'t>(context: Context<'_>, group: &'t Value) -> Option<&'t str> {
    tag_of(group, &context.tag("project")).or_else(|| tag_of(group, "skopos:project"))
}

/// How a component of the model stands.
pub fn standing<'a>(context: Context<'_>, facts: &Facts<'a>, component: &str, report: &mut Report) -> Standing<'a> {
    let at = Place::model(["components", component]).key();
    let mut found: Vec<(Side, Slot<'a>)> = Vec::new();
    for side in Side::BOTH {
        let name = context.slot_name(component, side);
        let Some((name, group)) = facts.groups().find(|(n, _)| *n == name) else { continue };
        let ours = if context.settings.pre_created {
            pre_created(component, name, group, &at, report)
        } else {
            owned(context, name, group, &at, report)
        };
        if !ours || !at_rest(name, group, &at, report) {
            return Standing::Refused;
        }
        found.push((side, Slot { label: side.to_string(), name, group }));
    }
    if context.settings.pre_created && found.len() < 2 {
        missing_groups(context, component, &found, at, report);
        return Standing::Refused;
    }
    let running: Vec<&(Side, Slot<'a>)> = found.iter().filter(|(_, slot)| !slot.is_empty()).collect();
    let current = match running.as_slice() {
        [(_, one), (_, other)] => {
            let message = format!(
                "both slots of `{component}` run: {} has {} and {} has {}",
                one.name,
                instances(one.desired()),
                other.name,
                instances(other.desired())
            );
            report.push(
                Diagnostic::error("B627", message)
                    .at(at)
                    .help("an upgrade was given up half-way: if a run of Belay is open, `belay resume` or `belay rollback` ends it")
                    .help("else decide which one stays and set the sizes of the other one to 0, then observe and compile again"),
            );
            return Standing::Refused;
        }
        [(side, _)] => Some(*side),
        // Groups that were made beforehand are there before anything runs.
        [] if context.settings.pre_created => None,
        [] => found.first().map(|(side, _)| *side),
        _ => None,
    };
    let spare = |side: Side| spare(context, facts, component, side);
    match current {
        Some(side) => match found.into_iter().find(|(s, _)| *s == side) {
            Some((_, slot)) => Standing::Running(slot, spare(side.other())),
            None => Standing::Absent(spare(side)),
        },
        None => {
            let wanted = context.loaded.model.components.get(component).map(|c| c.image.as_str());
            let fits = |side: &Side| {
                found.iter().any(|(s, slot)| s == side && tag_of(slot.group, "skopos:image_id") == wanted)
            };
            Standing::Absent(spare(Side::BOTH.into_iter().find(fits).unwrap_or(Side::A)))
        }
    }
}

fn spare<'a>(context: Context<'_>, facts: &Facts<'a>, component: &str, side: Side) -> Spare<'a> {
    let name = context.slot_name(component, side);
    let ours = |template: &&Value| tag_of(template, &context.tag("project")) == Some(&context.options.project);
    Spare {
        side,
        group: facts.group(&name),
        template: facts.template(&name).filter(ours),
        configuration: facts.configuration(&name),
        name,
    }
}

/// A number of instances, in words.
pub fn instances(count: u64) -> String {
    if count == 1 { "1 instance".to_owned() } else { format!("{count} instances") }
}

fn owned(context: Context<'_>, name: &str, group: &Value, at: &Place, report: &mut Report) -> bool {
    let (message, help) = match owner(context, group) {
        Some(project) if project == context.options.project => return true,
        Some(project) => (
            format!("Auto Scaling group `{name}` belongs to project `{project}`"),
            "give the component or the project another name: Belay never touches what another project owns".to_owned(),
        ),
        None => (
            format!("Auto Scaling group `{name}` is there already, but nothing says that it is Belay's"),
            format!(
                "give the component another name; or, if the group is this component, tag it `{}` = `{}` by hand",
                context.tag("project"),
                context.options.project
            ),
        ),
    };
    report.push(Diagnostic::error("B501", message).at(at.clone()).help(help));
    false
}

/// Whether a group can be worked on now.
pub fn at_rest(name: &str, group: &Value, at: &Place, report: &mut Report) -> bool {
    let mut refuse = |code, message: String, help: &str| {
        report.push(Diagnostic::error(code, message).at(at.clone()).help(help));
        false
    };
    if group.get("Operator").is_some_and(|o| !o.is_null()) {
        let message = format!("Auto Scaling group `{name}` is managed by another AWS service");
        return refuse("B502", message, "change it where it is managed; AWS refuses other callers");
    }
    if let Some(status) = text(group, "Status") {
        let message = format!("Auto Scaling group `{name}` is being deleted ({status})");
        return refuse("B504", message, "wait until it is gone, then observe and compile again");
    }
    let suspended =
        |process: &&&str| items(group, "SuspendedProcesses").iter().any(|s| text(s, "ProcessName") == Some(**process));
    if let Some(process) = ["Launch", "Terminate", "AddToLoadBalancer"].iter().find(suspended) {
        let message = format!("the process {process} of Auto Scaling group `{name}` is suspended");
        return refuse("B503", message, "find out who suspended it; resume it, then observe and compile again");
    }
    true
}

fn pre_created(component: &str, name: &str, group: &Value, at: &Place, report: &mut Report) -> bool {
    let tagged = tag_of(group, "skopos:comp_name");
    if tagged == Some(component) {
        return true;
    }
    let message = match tagged {
        Some(other) => {
            format!("Auto Scaling group `{name}` is tagged `skopos:comp_name` = `{other}`, not `{component}`")
        }
        None => format!("Auto Scaling group `{name}` lacks the tag `skopos:comp_name`"),
    };
    report.push(Diagnostic::error("B624", message).at(at.clone()).help(format!(
        "tag it `skopos:comp_name` = `{component}` and `skopos:image_id` = the image, both propagated to new instances"
    )));
    false
}

fn missing_groups(context: Context<'_>, component: &str, found: &[(Side, Slot<'_>)], at: Place, report: &mut Report) {
    let names = Side::BOTH.into_iter().filter(|side| !found.iter().any(|(s, _)| s == side));
    let names: Vec<String> = names.map(|side| format!("`{}`", context.slot_name(component, side))).collect();
    report.push(
        Diagnostic::error("B624", format!("Auto Scaling group {} is missing", names.join(" and ")))
            .at(at)
            .related(
                place(&[]).key(),
                "nothing here says what instances are made of, so the groups have to be there already",
            )
            .help("create both groups beforehand; or add `vpc` and `launch_config`, and Belay makes them"),
    );
}

/// Holds of an answer of DescribeAutoScalingGroups for one group: the value of a tag.
pub fn tag_path(key: &str) -> String {
    format!("AutoScalingGroups[0].Tags[?Key=='{key}'].Value | [0]")
}

/// The tag of a group as it is: `skopos:` tags are understood, and then ours is absent.
pub fn tag_value(group: &Value, key: &str) -> Value {
    tag_of(group, key).map_or(Value::Null, |v| json!(v))
}
