//! What a rehearsal's world is given besides what was observed: how long things take, what images do, throttling.
//!
//! Invariant: what is not named stays as it is in the world.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::simulator::World;
use crate::simulator::world::{Image, Throttling, Timings};

/// Settings of a rehearsal's world, as a file names them.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct WorldSettings {
    /// How long things take; those that are not named take as long as by default.
    pub timings: Option<Timings>,
    /// Whether and how calls are throttled.
    pub throttling: Option<Throttling>,
    /// What is special about images, by the reference that names them.
    pub images: BTreeMap<String, Image>,
}

impl WorldSettings {
    /// Puts the settings into a world.
    pub fn apply(&self, world: &mut World) {
        if let Some(timings) = &self.timings {
            world.timings.clone_from(timings);
        }
        if let Some(throttling) = &self.throttling {
            world.throttling.clone_from(throttling);
        }
        world.images.extend(self.images.iter().map(|(name, image)| (name.clone(), image.clone())));
    }
}
