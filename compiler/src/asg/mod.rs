//! The ec2-asg plugin: how components become Auto Scaling groups, one instance each.
//!
//! Data flows one way: [`settings`] and [`facts`] → [`desired`] (what the group should be) → [`rules`] (what AWS would
//! refuse or what would never come up) → [`slots`] (what runs, and where the new one goes) → [`diff`] → [`lower`].
//!
//! Every component has two slots, A and B, each a group with a launch template (or launch configuration) of the same
//! name. One of them runs; whatever changes but the number of instances is made in the other one, which then takes over.

pub mod agent;
pub mod desired;
pub mod diff;
pub mod facts;
pub mod lower;
pub mod names;
pub mod network;
pub mod pattern;
pub mod plugin;
pub mod providers;
pub mod rules;
pub mod scope;
pub mod settings;
pub mod slots;
pub mod user_data;

use crate::compile::Options;
use crate::source::Loaded;

use facts::Facts;
use names::Side;
use settings::Settings;

/// Everything that every stage may look at.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Model and environment with the places of their values.
    pub loaded: &'a Loaded,
    /// What the command line asks for.
    pub options: &'a Options,
    /// The environment's settings.
    pub settings: &'a Settings,
    /// What was observed, if anything was.
    pub facts: Option<&'a Facts<'a>>,
}

impl Context<'_> {
    /// The name of a component's slot: of the group, and of its launch template or launch configuration.
    pub fn slot_name(&self, component: &str, side: Side) -> String {
        self.settings.naming.name(&self.options.project, component, side)
    }

    /// A tag key of ours.
    pub fn tag(&self, name: &str) -> String {
        format!("{}:{name}", self.settings.tag_prefix)
    }
}
