//! Launch templates and launch configurations: made for the new slot, under the slot's name.
//!
//! Invariant: a group names a version by its number, so that nobody changes what its instances are made of by adding one.

use belay_schemas::late::{output, run_id, run_token};
use belay_schemas::plan::{Action, Node, Phase, Probe};
use serde_json::{Map, Value, json};

use crate::asg::Context;
use crate::asg::desired::{Desired, configuration};
use crate::asg::slots::Spare;
use crate::lower::draft::{call, guard_after, guard_at_start, node, probe, when};

use super::calls::{NOTHING, asg, describe_configuration, describe_template, ec2};
use super::chain::Chain;

/// What a group is to launch from.
#[derive(Debug, Clone)]
pub enum Launch {
    /// A launch template specification.
    Template(Value),
    /// The name of a launch configuration.
    Configuration(String),
}

impl Launch {
    /// The members of CreateAutoScalingGroup and UpdateAutoScalingGroup.
    pub fn members(&self, desired: &Desired) -> Map<String, Value> {
        let mut members = Map::new();
        match (self, &desired.mixed) {
            (Self::Configuration(name), _) => {
                members.insert("LaunchConfigurationName".to_owned(), json!(name));
            }
            (Self::Template(specification), None) => {
                members.insert("LaunchTemplate".to_owned(), specification.clone());
            }
            (Self::Template(specification), Some(mixed)) => {
                let mut template = json!({"LaunchTemplateSpecification": specification});
                if let Some(overrides) = mixed.get("Overrides") {
                    template["Overrides"] = overrides.clone();
                }
                let policy =
                    json!({"LaunchTemplate": template, "InstancesDistribution": mixed["InstancesDistribution"]});
                members.insert("MixedInstancesPolicy".to_owned(), policy);
            }
        }
        members
    }
}

/// Makes what the group of the spare slot launches from.
pub fn make(context: Context<'_>, desired: &Desired, spare: &Spare<'_>, chain: &mut Chain<'_>) -> Launch {
    if context.settings.launch_configurations {
        return make_configuration(context, desired, spare, chain);
    }
    if spare.template.is_some() {
        return add_version(context, desired, spare, chain);
    }
    let (component, name) = (desired.component.as_str(), spare.name.as_str());
    let id = format!("{component}.template.{}.create", spare.side);
    let input = json!({
        "LaunchTemplateName": name,
        "LaunchTemplateData": desired.data,
        "ClientToken": run_token(),
        "TagSpecifications": [{"ResourceType": "launch-template", "Tags": tags(context, component)}],
    });
    let mut forward =
        creation(&id, component, format!("create launch template {name}"), ec2("CreateLaunchTemplate", input));
    forward.guards.push(guard_at_start(describe_template(name), [("length(LaunchTemplates)", json!(0))]));
    guard_object(desired, &mut forward);
    forward.probe = Some(probe(
        describe_template(name),
        &format!("length(LaunchTemplates[].Tags[] | [?Key=='{}' && Value==$run]) == `1`", context.tag("run")),
        "{LaunchTemplate: LaunchTemplates[0]}",
        [("run", run_id())],
    ));
    let mut undo = node(
        format!("{id}.undo"),
        Some(component),
        Phase::Undo,
        format!("delete launch template {name}, which this run created"),
        Action::Call { call: ec2("DeleteLaunchTemplate", json!({"LaunchTemplateName": name})), expect: None },
    );
    undo.guards = vec![guard_after(
        &id,
        describe_template(name),
        [(format!("LaunchTemplates[0].Tags[?Key=='{}'].Value | [0]", context.tag("run")).as_str(), run_id())],
    )];
    undo.probe = Some(deleted(name));
    let gone =
        when("the launch template is gone already", describe_template(name), "length(LaunchTemplates) == `0`", []);
    chain.effect(forward, vec![(Some(gone), Vec::new()), (None, vec![undo])]);
    // The first version of a template is always 1.
    Launch::Template(json!({"LaunchTemplateId": output(&id, "LaunchTemplate.LaunchTemplateId"), "Version": "1"}))
}

fn creation(id: &str, component: &str, summary: String, call: belay_schemas::plan::Call) -> Node {
    node(id.to_owned(), Some(component), Phase::Deploy, summary, Action::Call { call, expect: None })
}

/// User data that came from S3 are in the plan; whoever changes the object since wants other instances.
fn guard_object(desired: &Desired, forward: &mut Node) {
    let Some((name, etag)) = &desired.object else { return };
    let Some((bucket, key)) = name.split_once('/') else { return };
    let read = call("s3", "HeadObject", json!({"Bucket": bucket, "Key": key}));
    forward.guards.push(guard_at_start(read, [("ETag", json!(etag))]));
}

/// The tags that say whose a launch template is.
fn tags(context: Context<'_>, component: &str) -> Value {
    json!([
        {"Key": context.tag("project"), "Value": context.options.project},
        {"Key": context.tag("component"), "Value": component},
        {"Key": context.tag("run"), "Value": run_id()},
    ])
}

/// Tells whether a launch template is gone.
pub fn deleted(name: &str) -> Probe {
    probe(describe_template(name), "length(LaunchTemplates) == `0`", NOTHING, [])
}

/// Tells whether a launch configuration is gone.
pub fn configuration_deleted(name: &str) -> Probe {
    probe(describe_configuration(name), "length(LaunchConfigurations) == `0`", NOTHING, [])
}

fn add_version(_context: Context<'_>, desired: &Desired, spare: &Spare<'_>, chain: &mut Chain<'_>) -> Launch {
    let (component, name) = (desired.component.as_str(), spare.name.as_str());
    let id = format!("{component}.template.{}.version", spare.side);
    let input = json!({
        "LaunchTemplateName": name,
        "LaunchTemplateData": desired.data,
        "VersionDescription": run_id(),
        "ClientToken": run_token(),
    });
    let call = ec2("CreateLaunchTemplateVersion", input);
    let mut forward =
        creation(&id, component, format!("add a version to launch template {name}, which was left over"), call);
    forward.guards.push(guard_at_start(describe_template(name), [("length(LaunchTemplates)", json!(1))]));
    guard_object(desired, &mut forward);
    let newest = || ec2("DescribeLaunchTemplateVersions", json!({"LaunchTemplateName": name, "Versions": ["$Latest"]}));
    forward.probe = Some(probe(
        newest(),
        "LaunchTemplateVersions[0].VersionDescription == $run",
        "{LaunchTemplateVersion: LaunchTemplateVersions[0]}",
        [("run", run_id())],
    ));
    let number = output(&id, "to_string(LaunchTemplateVersion.VersionNumber)");
    let delete = json!({"LaunchTemplateName": name, "Versions": [number]});
    let mut undo = node(
        format!("{id}.undo"),
        Some(component),
        Phase::Undo,
        format!("delete the version of launch template {name} that this run added"),
        Action::Call {
            call: ec2("DeleteLaunchTemplateVersions", delete),
            expect: Some("length(UnsuccessfullyDeletedLaunchTemplateVersions || `[]`) == `0`".to_owned()),
        },
    );
    undo.unguarded = Some("the version was added by this run, and nothing uses it any more".to_owned());
    undo.probe = Some(probe(
        ec2("DescribeLaunchTemplateVersions", json!({"LaunchTemplateName": name})),
        "length(LaunchTemplateVersions[?VersionDescription==$run]) == `0`",
        NOTHING,
        [("run", run_id())],
    ));
    chain.effect(forward, vec![(None, vec![undo])]);
    Launch::Template(json!({
        "LaunchTemplateId": output(&id, "LaunchTemplateVersion.LaunchTemplateId"),
        "Version": output(&id, "to_string(LaunchTemplateVersion.VersionNumber)"),
    }))
}

fn make_configuration(context: Context<'_>, desired: &Desired, spare: &Spare<'_>, chain: &mut Chain<'_>) -> Launch {
    let component = desired.component.as_str();
    // A launch configuration cannot be changed, so one that was left over keeps its name until it is deleted.
    let name = match spare.configuration {
        Some(_) => format!("{}-2", spare.name),
        None => spare.name.clone(),
    };
    let id = format!("{component}.configuration.{}.create", spare.side);
    // What does not fit was refused before.
    let mut input = configuration(&desired.data).unwrap_or_default();
    input.insert("LaunchConfigurationName".to_owned(), json!(name));
    let call = asg("CreateLaunchConfiguration", Value::Object(input));
    let mut forward = creation(&id, component, format!("create launch configuration {name}"), call);
    let there = "length(LaunchConfigurations)";
    forward.guards.push(guard_at_start(describe_configuration(&name), [(there, json!(0))]));
    guard_object(desired, &mut forward);
    forward.probe = Some(probe(describe_configuration(&name), "length(LaunchConfigurations) == `1`", NOTHING, []));
    let mut undo = node(
        format!("{id}.undo"),
        Some(component),
        Phase::Undo,
        format!("delete launch configuration {name}, which this run created"),
        Action::Call { call: asg("DeleteLaunchConfiguration", json!({"LaunchConfigurationName": name})), expect: None },
    );
    undo.unguarded = Some("it was not there before this run, and AWS deletes none that a group uses".to_owned());
    undo.probe = Some(configuration_deleted(&name));
    let gone = when(
        "the launch configuration is gone already",
        describe_configuration(&name),
        "length(LaunchConfigurations) == `0`",
        [],
    );
    chain.effect(forward, vec![(Some(gone), Vec::new()), (None, vec![undo])]);
    let _ = context;
    Launch::Configuration(name)
}
