//! A component's ec2-ecs settings in this environment: the environment's defaults, the model's settings over them, and
//! over both what the environment says of this one component.
//!
//! Invariant: each key knows which of the three it came from, so that a diagnostic points at the line that counts.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use belay_schemas::environment::EcsConfig;
use belay_schemas::model::{Component, EcsComponent, EcsRaw, Text};

use crate::diagnostics::Place;
use crate::ecs::{Context, settings};

/// The settings of one component.
#[derive(Debug, Clone)]
pub struct Settled<'a> {
    /// The settings, without raw blocks.
    pub settings: Cow<'a, EcsComponent>,
    /// Raw blocks with their places, later ones over earlier ones.
    pub raws: Vec<(&'a EcsRaw, Place)>,
    /// The service's tags with their places.
    pub tags: BTreeMap<&'a str, (&'a Text, Place)>,
    places: Places,
}

/// Where the keys of a component's settings stand.
#[derive(Debug, Clone)]
pub struct Places {
    model: Place,
    environment: Place,
    /// Keys that stand in the environment's part for this component.
    own: BTreeSet<&'static str>,
    /// Keys that stand in the environment, for all components.
    defaults: BTreeSet<&'static str>,
}

impl Places {
    /// Where all keys stand in one mapping.
    pub fn plain(model: Place) -> Self {
        Self { environment: model.clone(), model, own: BTreeSet::new(), defaults: BTreeSet::new() }
    }

    /// The same with a key that the environment says for all components.
    pub fn defaulted(mut self, key: &'static str) -> Self {
        self.defaults.insert(key);
        self
    }

    /// The place of a key.
    pub fn child(&self, key: &str) -> Place {
        if self.own.contains(key) {
            self.environment.child(key)
        } else if self.defaults.contains(key) {
            settings::place(&[key])
        } else {
            self.model.child(key)
        }
    }
}

impl Settled<'_> {
    /// The place of a key.
    pub fn place(&self, key: &str) -> Place {
        self.places.child(key)
    }

    /// Whether a key is said for all components, and not for this one.
    pub fn is_default(&self, key: &str) -> bool {
        self.places.defaults.contains(key) && !self.places.own.contains(key)
    }

    /// The places of all keys.
    pub fn places(&self) -> &Places {
        &self.places
    }
}

static NOTHING: LazyLock<EcsComponent> = LazyLock::new(EcsComponent::default);

/// Takes `from`'s value of each key over where it says something.
macro_rules! take_over {
    ($into:ident, $from:ident, $taken:ident, options: [$($option:ident),*], lists: [$($list:ident),*]) => {
        $(if $from.$option.is_some() {
            $into.$option.clone_from(&$from.$option);
            $taken.insert(stringify!($option));
        })*
        $(if !$from.$list.is_empty() {
            $into.$list.clone_from(&$from.$list);
            $taken.insert(stringify!($list));
        })*
    };
}

/// The settings of a component in this environment.
pub fn settle<'a>(context: Context<'a>, name: &str, component: &'a Component) -> Settled<'a> {
    let model = component.plugin.as_ref().and_then(|p| p.ecs.as_ref());
    let config = context.loaded.environment.plugin_config.as_ref().and_then(|p| p.ecs.as_ref());
    let own = config.and_then(|c| c.components.get(name));
    let place = Place::model(["components", name, "plugin", "ec2-ecs"]);
    let own_place = settings::place(&["components", name]);
    let written = model.unwrap_or(&NOTHING);
    let mut tags = BTreeMap::new();
    let all = [
        (config.map(|c| &c.tags), settings::place(&["tags"])),
        (Some(&written.tags), place.child("tags")),
        (own.map(|o| &o.tags), own_place.child("tags")),
    ];
    for (list, place) in all {
        for (key, value) in list.into_iter().flatten() {
            tags.insert(key.as_str(), (value, place.child(key)));
        }
    }
    let raws = [(model, &place), (own, &own_place)];
    let raws = raws.into_iter().filter_map(|(s, place)| Some((s?.raw.as_ref()?, place.child("raw")))).collect();
    let mut places = Places::plain(place);
    places.environment = own_place;
    let mut settings = Cow::Borrowed(written);
    if let Some((below, keys)) = config.and_then(|c| defaults(c, written)) {
        let mut taken = BTreeSet::new();
        let mut merged = below;
        over(&mut merged, written, &mut taken);
        places.defaults = keys.difference(&taken).copied().collect();
        settings = Cow::Owned(merged);
    }
    if let Some(own) = own {
        let mut merged = settings.into_owned();
        // Of the two ways to say what tasks run on, the nearer one counts.
        if own.launch_type.is_some() || own.capacity.is_some() {
            (merged.launch_type, merged.capacity) = (None, None);
        }
        over(&mut merged, own, &mut places.own);
        settings = Cow::Owned(merged);
    }
    Settled { settings, raws, tags, places }
}

/// What the environment says for all components, where it says anything.
fn defaults(config: &EcsConfig, written: &EcsComponent) -> Option<(EcsComponent, BTreeSet<&'static str>)> {
    let mut settings = EcsComponent::default();
    let mut keys = BTreeSet::new();
    take_over!(
        settings, config, keys,
        options: [launch_type, capacity, platform_version, architecture, network, execution_role, logs],
        lists: []
    );
    if written.launch_type.is_some() || written.capacity.is_some() {
        (settings.launch_type, settings.capacity) = (None, None);
    }
    (!keys.is_empty()).then_some((settings, keys))
}

/// Puts what `from` says over `into`; tags and raw blocks are joined elsewhere.
fn over(into: &mut EcsComponent, from: &EcsComponent, taken: &mut BTreeSet<&'static str>) {
    take_over!(
        into, from, taken,
        options: [
            role, execution_role, group, args, task_cpu, task_mem, launch_type, capacity, platform_version, architecture,
            os, ephemeral_storage, network_mode, network, daemon, placement, scaling, deployment, grace_period, exec,
            propagate_tags, once, schedule, connect, discovery, cpu, mem, mem_reserve, health_check, stop_timeout, start_timeout, logs, registry_credentials
        ],
        lists: [accept, command, ulimits, secrets, env_files, volumes_from, depends_on]
    );
}
