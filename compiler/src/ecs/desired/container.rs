//! One container definition.

use std::collections::{BTreeMap, BTreeSet};

use belay_schemas::image::Image;
use belay_schemas::model::{ContainerSettings, Mount, Text};
use serde_json::{Map, Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::Context;
use crate::ecs::origin::Origins;
use crate::ecs::pointer;
use crate::ecs::settings::VolumeKind;

use super::extras;
use super::settled::Places;

/// What the model says about a container, whichever of its two places it stands in.
pub struct Source<'a> {
    pub component: &'a str,
    pub name: &'a str,
    pub image: &'a str,
    pub image_place: Place,
    pub essential: bool,
    pub settings: ContainerSettings<'a>,
    pub args: &'a [Text],
    pub args_place: Place,
    pub env: &'a BTreeMap<String, Text>,
    pub labels: &'a BTreeMap<String, Text>,
    pub volumes: &'a BTreeMap<String, Mount>,
    pub port_mappings: Vec<Value>,
    /// Where the settings stand.
    pub settings_place: Places,
    /// Where `env`, `labels`, `volumes` stand.
    pub component_place: Place,
}

/// The container definition of `source`; `path` is its keyed path in the task definition.
pub fn build(
    context: Context<'_>,
    source: &Source<'_>,
    path: &str,
    origins: &mut Origins,
    report: &mut Report,
) -> Map<String, Value> {
    let mut out = Map::new();
    let mut put = |name: &str, value: Value, place: Place, origins: &mut Origins| {
        origins.set(pointer::join(path, name), place);
        out.insert(name.to_owned(), value);
    };
    let settings = &source.settings;
    let setting = |name: &str| source.settings_place.child(name);
    put("name", json!(source.name), source.component_place.clone().key(), origins);
    put("image", json!(pinned(context, source, report)), source.image_place.clone(), origins);
    put("essential", json!(source.essential), setting("essential"), origins);
    for (name, key, value) in [
        ("cpu", "cpu", settings.cpu),
        ("memory", "mem", settings.mem),
        ("memoryReservation", "mem_reserve", settings.mem_reserve),
        ("startTimeout", "start_timeout", settings.start_timeout),
        ("stopTimeout", "stop_timeout", settings.stop_timeout),
    ] {
        if let Some(value) = value {
            put(name, json!(value), setting(key), origins);
        }
    }
    if !settings.command.is_empty() {
        put("entryPoint", texts(settings.command), setting("command"), origins);
    }
    if !source.args.is_empty() {
        put("command", texts(source.args), source.args_place.clone(), origins);
    }
    if !source.env.is_empty() {
        let place = source.component_place.child("env");
        let list = source.env.iter().map(|(name, value)| {
            origins.set(pointer::join(&pointer::join(path, "environment"), name), place.child(name));
            json!({"name": name, "value": value.0})
        });
        let list = list.collect();
        put("environment", Value::Array(list), place, origins);
    }
    if !source.labels.is_empty() {
        let map = source.labels.iter().map(|(name, value)| (name.clone(), json!(value.0))).collect();
        put("dockerLabels", Value::Object(map), source.component_place.child("labels"), origins);
    }
    if !source.port_mappings.is_empty() {
        let place = source.component_place.child("provides").child("ports");
        put("portMappings", Value::Array(source.port_mappings.clone()), place, origins);
    }
    if !source.volumes.is_empty() {
        let place = source.component_place.child("volumes");
        let list = mounts(context, source, &place, path, origins, report);
        put("mountPoints", Value::Array(list), place, origins);
    }
    if let Some(zone) = &context.settings.discovery_zone {
        put("dnsSearchDomains", json!([zone]), crate::ecs::settings::place(&["discovery_zone"]), origins);
    }
    for (name, key, value) in extras::all(context, source, path, origins) {
        put(name, value, setting(key), origins);
    }
    out
}

/// The image with the digest that its tag has in its registry now, so that a rollback is exact.
fn pinned(context: Context<'_>, source: &Source<'_>, report: &mut Report) -> String {
    if let Some(fault) = Image::fault(source.image) {
        report.push(
            Diagnostic::error("B419", fault)
                .at(source.image_place.clone())
                .help("write registry/repository:tag or registry/repository@sha256:…"),
        );
        return source.image.to_owned();
    }
    let image = Image::parse(source.image);
    if let Some(digest) = image.digest {
        return image.pinned(digest);
    }
    let Some(facts) = context.facts else { return source.image.to_owned() };
    match facts.image(source.image) {
        Some(observation) => match (&observation.digest, &observation.error) {
            (Some(digest), _) => image.pinned(digest),
            (None, error) => {
                let why = error.as_deref().unwrap_or("the registry gave no digest");
                report.push(
                    Diagnostic::warning("B520", format!("the digest of `{}` is not known: {why}", source.image))
                        .at(source.image_place.clone())
                        .help("the task definition will name the tag; what it means is then decided when tasks start. Name a digest, or observe where the registry can be reached"),
                );
                source.image.to_owned()
            }
        },
        // That the observation says nothing of it is told once for all images.
        None => source.image.to_owned(),
    }
}

fn mounts(
    context: Context<'_>,
    source: &Source<'_>,
    place: &Place,
    path: &str,
    origins: &mut Origins,
    report: &mut Report,
) -> Vec<Value> {
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    let mut list = Vec::new();
    for (logical, mount) in source.volumes {
        let at = place.child(logical);
        let Some(volume) = context.settings.volumes.get(logical) else {
            let mut diagnostic =
                Diagnostic::error("B413", format!("the environment has no volume `{logical}`")).at(at.key());
            let known: Vec<&str> = context.settings.volumes.keys().map(String::as_str).collect();
            diagnostic = match crate::nearest(logical, known.iter().copied()) {
                Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                None => diagnostic,
            };
            report.push(diagnostic.help(format!(
                "add `volumes: {{{logical}: {{}}}}` (empty) or `{logical}: {{from: /absolute/path}}` under plugin_config.ec2-ecs of the environment"
            )));
            continue;
        };
        if !mount.path.starts_with('/') {
            report.push(
                Diagnostic::error("B413", format!("`{}` is not an absolute path", mount.path))
                    .at(at.child("path"))
                    .help("a volume is mounted at an absolute path of the container, such as /var/log/app"),
            );
        }
        if !taken.insert(&mount.path) {
            report.push(
                Diagnostic::error(
                    "B413",
                    format!("two volumes of container `{}` are mounted at {}", source.name, mount.path),
                )
                .at(at.child("path"))
                .help("mount each volume at a path of its own"),
            );
        }
        let name = match &volume.kind {
            VolumeKind::Docker(docker) => docker,
            _ => logical,
        };
        origins.set(pointer::join(&pointer::join(path, "mountPoints"), &mount.path), at);
        list.push(
            json!({"sourceVolume": name, "containerPath": mount.path, "readOnly": mount.read_only.unwrap_or(false)}),
        );
    }
    list
}

fn texts(list: &[Text]) -> Value {
    Value::Array(list.iter().map(|t| json!(t.0)).collect())
}
