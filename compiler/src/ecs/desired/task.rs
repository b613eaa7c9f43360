//! The task definition of a component.

use std::collections::BTreeMap;

use belay_schemas::model::{Architecture, CapacityShare, Component, EcsComponent, LaunchType, NetworkMode};
use serde_json::{Map, Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::Context;
use crate::ecs::origin::Origins;
use crate::ecs::pointer;
use crate::ecs::settings::VolumeKind;

use super::Part;
use super::container::{self, Source};
use super::settled::{Places, Settled};
use super::{ports, raw, storage};

/// A built task definition.
pub struct Task {
    pub task: Value,
    pub origins: Origins,
    pub images: BTreeMap<String, String>,
}

/// The network mode that the settings choose, and the key that does.
fn chosen_mode(context: Context<'_>, settings: &EcsComponent) -> Option<(&'static str, &'static str)> {
    // Fargate knows one network mode only, and on Managed Instances it is the usual one: it need not be said.
    let own = |compatibility: &str| ["FARGATE", "MANAGED_INSTANCES"].contains(&compatibility);
    let implied = runs_on(context, settings).filter(|(compatibility, _)| own(compatibility));
    let implied = implied.map(|(_, key)| ("awsvpc", key));
    settings.network_mode.map(|mode| (mode_name(mode), "network_mode")).or(implied)
}

/// The network mode of a component's tasks.
pub fn network_mode<'s>(context: Context<'_>, settled: &'s Settled<'_>) -> &'s str {
    let mut raws =
        settled.raws.iter().filter_map(|(raw, _)| raw.task_definition.as_ref()?.get("networkMode")?.as_str());
    raws.next_back().or(chosen_mode(context, &settled.settings).map(|(mode, _)| mode)).unwrap_or("bridge")
}

/// Builds the task definition of a component.
pub fn build(part: Part<'_>, report: &mut Report) -> Task {
    let Part { context, name, component, settled, .. } = part;
    let settings = &settled.settings;
    let place = Place::model(["components", name]);
    let mut origins = Origins::new(place.clone().key());
    let mut task = Map::new();
    let mut put = |member: &str, key: &str, value: Value, origins: &mut Origins| {
        origins.set(pointer::join("", member), settled.place(key));
        task.insert(member.to_owned(), value);
    };
    for (member, key, role) in
        [("taskRoleArn", "role", &settings.role), ("executionRoleArn", "execution_role", &settings.execution_role)]
    {
        if let Some(role) = role {
            put(member, key, json!(role_arn(context, role)), &mut origins);
        }
    }
    for (member, key, size) in [("cpu", "task_cpu", settings.task_cpu), ("memory", "task_mem", settings.task_mem)] {
        if let Some(size) = size {
            put(member, key, json!(size.to_string()), &mut origins);
        }
    }
    if settings.architecture.is_some() || settings.os.is_some() {
        let architecture = match settings.architecture {
            Some(Architecture::Arm) => "ARM64",
            Some(Architecture::X86) | None => "X86_64",
        };
        let os = settings.os.as_deref().unwrap_or("LINUX");
        let key = if settings.architecture.is_some() { "architecture" } else { "os" };
        let value = json!({"cpuArchitecture": architecture, "operatingSystemFamily": os});
        put("runtimePlatform", key, value, &mut origins);
        origins.set("/runtimePlatform/operatingSystemFamily", settled.place("os"));
    }
    if let Some(size) = settings.ephemeral_storage {
        put("ephemeralStorage", "ephemeral_storage", json!({"sizeInGiB": size}), &mut origins);
    }
    let runs_on = runs_on(context, settings);
    if let Some((compatibility, key)) = runs_on {
        put("requiresCompatibilities", key, json!([compatibility]), &mut origins);
    }
    if let Some((mode, key)) = chosen_mode(context, settings) {
        put("networkMode", key, json!(mode), &mut origins);
    }
    task.insert("family".to_owned(), json!(context.family(name)));
    if settings.group.is_some() {
        report.push(
            Diagnostic::warning("B360", "`group` has no effect on a service")
                .at(settled.place("group").key())
                .help("ECS puts the tasks of a service into the group `service:NAME`; a task group can be chosen for single tasks only"),
        );
    }
    let mode = network_mode(context, settled).to_owned();
    let (mut containers, images) = containers(part, &mode, &mut origins, report);
    let volumes = volumes(context, name, component, &mut origins, report);
    if !volumes.is_empty() {
        task.insert("volumes".to_owned(), Value::Array(volumes));
    }
    for (raw, place) in &settled.raws {
        if let Some(block) = &raw.task_definition {
            merge_raw(
                context,
                &mut task,
                &mut containers,
                block,
                &place.child("task_definition"),
                &mut origins,
                report,
            );
        }
        // The main container is the first one.
        if let (Some(block), Some(main)) = (&raw.container, containers.first_mut()) {
            merge_container(main, name, block, &place.child("container"), &mut origins, report);
        }
    }
    for (sidecar, definition) in &component.containers {
        let at = place.child("containers").child(sidecar);
        let Some(Value::Object(block)) = &definition.raw else {
            if definition.raw.is_some() {
                report.push(
                    Diagnostic::error("B361", "`raw` of a container is a mapping")
                        .at(at.child("raw"))
                        .help("it takes the members of a ContainerDefinition, for example `raw: {user: nobody}`"),
                );
            }
            continue;
        };
        if let Some(target) = containers.iter_mut().find(|c| c.get("name").and_then(Value::as_str) == Some(sidecar)) {
            merge_container(target, sidecar, block, &at.child("raw"), &mut origins, report);
        }
    }
    task.insert("containerDefinitions".to_owned(), Value::Array(containers.into_iter().map(Value::Object).collect()));
    Task { task: Value::Object(task), origins, images }
}

/// The compatibility that a task definition needs to run where the settings say, and the setting that says it. What an
/// own capacity provider stands for, its cluster knows: Managed Instances are told by what was observed.
fn runs_on(context: Context<'_>, settings: &EcsComponent) -> Option<(&'static str, &'static str)> {
    let fargate = |shares: &[CapacityShare]| {
        shares.iter().filter_map(|s| s.provider.as_deref()).any(|provider| provider.starts_with("FARGATE"))
    };
    let managed = |shares: &[CapacityShare]| {
        let mut named = shares.iter().filter_map(|s| s.provider.as_deref());
        context.facts.is_some_and(|facts| named.any(|provider| facts.is_managed(provider)))
    };
    match (settings.launch_type, &settings.capacity) {
        (Some(LaunchType::Fargate), _) => Some(("FARGATE", "launch_type")),
        (Some(LaunchType::External), _) => Some(("EXTERNAL", "launch_type")),
        (_, Some(shares)) if fargate(shares) => Some(("FARGATE", "capacity")),
        (_, Some(shares)) if managed(shares) => Some(("MANAGED_INSTANCES", "capacity")),
        // Who says nothing runs on what the cluster says.
        (None, None) if context.facts.is_some_and(|f| f.is_managed_by_default(&context.settings.cluster)) => {
            Some(("MANAGED_INSTANCES", "capacity"))
        }
        _ => None,
    }
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
pub fn role_arn(context: Context<'_>, role: &str) -> String {
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
    let Part { context, name, component, settled, .. } = part;
    let settings = &settled.settings;
    let place = Place::model(["components", name]);
    let mut images = BTreeMap::new();
    let mut all = Vec::new();
    let path = container_path(name);
    let (args, args_place) = match &settings.args {
        Some(args) => (args.as_slice(), settled.place("args")),
        None => (component.args.as_slice(), place.child("args")),
    };
    let mappings = ports::main_container(part, mode, &pointer::join(&path, "portMappings"), origins, report);
    let main = Source {
        component: name,
        name,
        image: &component.image,
        image_place: place.child("image"),
        essential: true,
        settings: settings.container(),
        args,
        args_place,
        env: &component.env,
        labels: &component.labels,
        volumes: &component.volumes,
        port_mappings: mappings,
        settings_place: settled.places().clone(),
        component_place: place.clone(),
    };
    images.insert(name.to_owned(), component.image.clone());
    all.push(container::build(context, &main, &path, origins, report));
    let config = context.loaded.environment.plugin_config.as_ref().and_then(|p| p.ecs.as_ref());
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
        let mappings =
            ports::sidecar(part, sidecar, mode, &ports_place, &pointer::join(&path, "portMappings"), origins, report);
        let mut own = definition.container();
        let mut places = Places::plain(at.clone());
        if own.logs.is_none() {
            own.logs = config.and_then(|c| c.logs.as_ref());
            places = places.defaulted("logs");
        }
        let source = Source {
            component: name,
            name: sidecar,
            image: &definition.image,
            image_place: at.child("image"),
            essential: definition.essential.unwrap_or(false),
            settings: own,
            args: &definition.args,
            args_place: at.child("args"),
            env: &definition.env,
            labels: &definition.labels,
            volumes: &definition.volumes,
            port_mappings: mappings,
            settings_place: places,
            component_place: at.clone(),
        };
        images.insert(sidecar.clone(), definition.image.clone());
        all.push(container::build(context, &source, &path, origins, report));
    }
    (all, images)
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
            VolumeKind::Efs(efs) => (logical, json!({"name": logical, "efsVolumeConfiguration": storage::efs(efs)})),
            VolumeKind::Ebs(_) => (logical, json!({"name": logical, "configuredAtLaunch": true})),
        };
        let here = pointer::pointer(["volumes", name]);
        if let VolumeKind::Efs(_) = volume.kind {
            let place = volume.place.child("efs");
            let efs = pointer::join(&here, "efsVolumeConfiguration");
            origins.set_members(&efs, &place, &storage::EFS);
            let authorization = pointer::join(&efs, "authorizationConfig");
            origins.set_members(&authorization, &place, &[("accessPointId", "access_point"), ("iam", "iam")]);
        }
        origins.set(here, volume.place.clone());
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

fn merge_container(
    container: &mut Map<String, Value>,
    name: &str,
    block: &Map<String, Value>,
    place: &Place,
    origins: &mut Origins,
    report: &mut Report,
) {
    refuse_keys(block, &["name"], place, report);
    refuse_image(block, place, report);
    raw::merge(container, block, &container_path(name), place, origins);
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
