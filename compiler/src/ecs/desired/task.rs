//! The task definition of a component.

use std::collections::BTreeMap;

use belay_schemas::model::{Component, ContainerCondition, NetworkMode};
use serde_json::{Map, Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::Context;
use crate::ecs::origin::Origins;
use crate::ecs::pointer;
use crate::ecs::settings::VolumeKind;

use super::Part;
use super::container::{self, Source};
use super::{ports, raw};

/// A built task definition.
pub struct Task {
    pub task: Value,
    pub origins: Origins,
    pub images: BTreeMap<String, String>,
}

/// Builds the task definition of a component.
pub fn build(part: Part<'_>, report: &mut Report) -> Task {
    let Part { context, name, component, settings, .. } = part;
    let place = Place::model(["components", name]);
    let plugin = place.child("plugin").child("ec2-ecs");
    let mut origins = Origins::new(place.clone().key());
    let mut task = Map::new();
    task.insert("family".to_owned(), json!(context.family(name)));
    if let Some(role) = &settings.role {
        origins.set("/taskRoleArn", plugin.child("role"));
        task.insert("taskRoleArn".to_owned(), json!(role_arn(context, role)));
    }
    if let Some(mode) = settings.network_mode {
        origins.set("/networkMode", plugin.child("network_mode"));
        task.insert("networkMode".to_owned(), json!(mode_name(mode)));
    }
    if settings.group.is_some() {
        report.push(
            Diagnostic::warning("B360", "`group` has no effect on a service")
                .at(plugin.child("group").key())
                .help("ECS puts the tasks of a service into the group `service:NAME`; a task group can be chosen for single tasks only"),
        );
    }
    let raw_task = settings.raw.as_ref().and_then(|r| r.task_definition.as_ref());
    let mode = raw_task
        .and_then(|r| r.get("networkMode"))
        .and_then(Value::as_str)
        .or_else(|| settings.network_mode.map(mode_name))
        .unwrap_or("bridge")
        .to_owned();
    let (mut containers, images) = containers(part, &mode, &mut origins, report);
    let volumes = volumes(context, name, component, &mut origins, report);
    if !volumes.is_empty() {
        task.insert("volumes".to_owned(), Value::Array(volumes));
    }
    if let Some(raw_task) = raw_task {
        let raw_place = plugin.child("raw").child("task_definition");
        merge_raw(context, &mut task, &mut containers, raw_task, &raw_place, &mut origins, report);
    }
    for (sidecar, definition) in &component.containers {
        let at = place.child("containers").child(sidecar);
        let Some(Value::Object(block)) = &definition.raw else {
            if definition.raw.is_some() {
                report.push(
                    Diagnostic::error("B361", "`raw` of a container is a mapping")
                        .at(at.child("raw"))
                        .help("it takes the members of a ContainerDefinition, for example `raw: {stopTimeout: 60}`"),
                );
            }
            continue;
        };
        if let Some(target) = containers.iter_mut().find(|c| c.get("name").and_then(Value::as_str) == Some(sidecar)) {
            refuse_keys(block, &["name"], &at.child("raw"), report);
            refuse_image(block, &at.child("raw"), report);
            raw::merge(target, block, &container_path(sidecar), &at.child("raw"), &mut origins);
        }
    }
    task.insert("containerDefinitions".to_owned(), Value::Array(containers.into_iter().map(Value::Object).collect()));
    Task { task: Value::Object(task), origins, images }
}

fn mode_name(mode: NetworkMode) -> &'static str {
    match mode {
        NetworkMode::Bridge => "bridge",
        NetworkMode::Host => "host",
        NetworkMode::None => "none",
        NetworkMode::Awsvpc => "awsvpc",
    }
}

/// A role's ARN, as AWS stores it, once the account is known.
fn role_arn(context: Context<'_>, role: &str) -> String {
    match context.facts {
        Some(facts) if !role.starts_with("arn:") => {
            format!("arn:{}:iam::{}:role/{role}", facts.partition, facts.account)
        }
        _ => role.to_owned(),
    }
}

fn container_path(name: &str) -> String {
    pointer::pointer(["containerDefinitions", name])
}

fn containers(
    part: Part<'_>,
    mode: &str,
    origins: &mut Origins,
    report: &mut Report,
) -> (Vec<Map<String, Value>>, BTreeMap<String, String>) {
    let Part { context, name, component, settings, .. } = part;
    let place = Place::model(["components", name]);
    let plugin = place.child("plugin").child("ec2-ecs");
    let mut images = BTreeMap::new();
    let mut all = Vec::new();
    let path = container_path(name);
    let (args, args_place) = match &settings.args {
        Some(args) => (args.as_slice(), plugin.child("args")),
        None => (component.args.as_slice(), place.child("args")),
    };
    let mappings = ports::main_container(part, mode, &pointer::join(&path, "portMappings"), origins, report);
    let main = Source {
        name,
        image: &component.image,
        image_place: place.child("image"),
        essential: true,
        cpu: settings.cpu,
        mem: settings.mem,
        mem_reserve: settings.mem_reserve,
        command: &settings.command,
        args,
        args_place,
        env: &component.env,
        labels: &component.labels,
        volumes: &component.volumes,
        port_mappings: mappings,
        settings_place: plugin,
        component_place: place.clone(),
    };
    images.insert(name.to_owned(), component.image.clone());
    all.push(container::build(context, &main, &path, origins, report));
    for (sidecar, definition) in &component.containers {
        let at = place.child("containers").child(sidecar);
        if sidecar == name {
            report.push(
                Diagnostic::error("B320", format!("two containers of component `{name}` expand to one name: `{name}`"))
                    .at(at.key())
                    .related(place.clone().key(), "the main container has the component's name")
                    .help("give the further container another name"),
            );
            continue;
        }
        let path = container_path(sidecar);
        let ports_place = at.child("provides").child("ports");
        let mappings = ports::sidecar(
            definition.provides.as_ref(),
            mode,
            &ports_place,
            &pointer::join(&path, "portMappings"),
            origins,
            report,
        );
        let source = Source {
            name: sidecar,
            image: &definition.image,
            image_place: at.child("image"),
            essential: definition.essential.unwrap_or(false),
            cpu: definition.cpu,
            mem: definition.mem,
            mem_reserve: definition.mem_reserve,
            command: &definition.command,
            args: &definition.args,
            args_place: at.child("args"),
            env: &definition.env,
            labels: &definition.labels,
            volumes: &definition.volumes,
            port_mappings: mappings,
            settings_place: at.clone(),
            component_place: at.clone(),
        };
        images.insert(sidecar.clone(), definition.image.clone());
        let mut built = container::build(context, &source, &path, origins, report);
        if !definition.depends_on.is_empty() {
            let list = definition.depends_on.iter().map(|(on, condition)| {
                origins.set(
                    pointer::pointer(["containerDefinitions", sidecar, "dependsOn", on]),
                    at.child("depends_on").child(on),
                );
                json!({"containerName": on, "condition": condition_name(*condition)})
            });
            built.insert("dependsOn".to_owned(), Value::Array(list.collect()));
        }
        all.push(built);
    }
    (all, images)
}

fn condition_name(condition: ContainerCondition) -> &'static str {
    match condition {
        ContainerCondition::Start => "START",
        ContainerCondition::Complete => "COMPLETE",
        ContainerCondition::Success => "SUCCESS",
        ContainerCondition::Healthy => "HEALTHY",
    }
}

/// The volumes that the component's containers mount.
fn volumes(
    context: Context<'_>,
    component_name: &str,
    component: &Component,
    origins: &mut Origins,
    report: &mut Report,
) -> Vec<Value> {
    let mounted = component.volumes.keys().chain(component.containers.values().flat_map(|c| c.volumes.keys()));
    let mut all: BTreeMap<String, (&String, Value)> = BTreeMap::new();
    for logical in mounted {
        let Some(volume) = context.settings.volumes.get(logical) else { continue };
        let (name, value) = match &volume.kind {
            VolumeKind::Empty => (logical, json!({"name": logical})),
            VolumeKind::Host(path) => (logical, json!({"name": logical, "host": {"sourcePath": path}})),
            VolumeKind::Docker(docker) => (
                docker,
                json!({"name": docker, "dockerVolumeConfiguration": {"scope": "shared", "autoprovision": true, "driver": "local"}}),
            ),
        };
        origins.set(pointer::pointer(["volumes", name]), volume.place.clone());
        if let Some((other, different)) = all.insert(name.clone(), (logical, value))
            && other != logical
            && all.get(name).is_some_and(|(_, value)| *value != different)
        {
            let there = context.settings.volumes.get(other).map(|v| v.place.clone());
            let diagnostic = Diagnostic::error(
                "B320",
                format!("volumes `{other}` and `{logical}` of `{component_name}` expand to one name: `{name}`"),
            )
            .at(volume.place.clone().key());
            let diagnostic = match there {
                Some(there) => diagnostic.related(there.key(), "the other one is here"),
                None => diagnostic,
            };
            report.push(diagnostic.help("give the logical volume or the Docker volume another name"));
        }
    }
    all.into_values().map(|(_, value)| value).collect()
}

fn merge_raw(
    context: Context<'_>,
    task: &mut Map<String, Value>,
    containers: &mut [Map<String, Value>],
    block: &Map<String, Value>,
    place: &Place,
    origins: &mut Origins,
    report: &mut Report,
) {
    refuse_keys(block, &["family"], place, report);
    refuse_owned_tags(context, block, place, report);
    match block.get("containerDefinitions") {
        None => {}
        Some(Value::Object(each)) => {
            let at = place.child("containerDefinitions");
            refuse_keys(each, &["name"], &at, report);
            refuse_image(each, &at, report);
            for container in containers {
                let Some(name) = container.get("name").and_then(Value::as_str).map(str::to_owned) else { continue };
                raw::merge(container, each, &container_path(&name), &at, origins);
            }
        }
        Some(_) => report.push(
            Diagnostic::error("B361", "`containerDefinitions` in a raw block is one mapping")
                .at(place.child("containerDefinitions"))
                .help("it is merged into every container of the task; to add a container, use the component's `containers`"),
        ),
    }
    raw::merge_except(task, block, &["family", "containerDefinitions"], "", place, origins);
}

/// Names are Belay's to give: they carry the ownership.
pub fn refuse_keys(block: &Map<String, Value>, refused: &[&str], place: &Place, report: &mut Report) {
    for name in refused.iter().filter(|name| block.contains_key(**name)) {
        report.push(
            Diagnostic::error("B362", format!("a raw block cannot set `{name}`"))
                .at(place.child(name).key())
                .help("Belay derives it from cluster, project and component: remove it"),
        );
    }
}

/// An image is written where it is observed, pinned to its digest and compared.
fn refuse_image(block: &Map<String, Value>, place: &Place, report: &mut Report) {
    if block.contains_key("image") {
        report.push(
            Diagnostic::error("B362", "a raw block cannot set `image`")
                .at(place.child("image").key())
                .help("write it as `image:` of the component or of the entry in `containers`"),
        );
    }
}

/// Tags of ours prove ownership and runs.
pub fn refuse_owned_tags(context: Context<'_>, block: &Map<String, Value>, place: &Place, report: &mut Report) {
    let Some(Value::Array(tags)) = block.get("tags") else { return };
    for (index, entry) in tags.iter().enumerate() {
        let Some(name) = entry.get("key").and_then(Value::as_str) else { continue };
        if name.starts_with(&format!("{}:", context.settings.tag_prefix)) || name.starts_with("aws:") {
            report.push(
                Diagnostic::error("B362", format!("a raw block cannot set the tag `{name}`"))
                    .at(place.child("tags").child(index.to_string()))
                    .help("tags with this prefix are reserved: choose another key"),
            );
        }
    }
}
