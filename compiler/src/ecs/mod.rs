//! The ec2-ecs plugin: how components become task definitions and services.
//!
//! Data flows one way: [`settings`] and [`facts`] → [`desired`] (what AWS should hold) → [`rules`] (what AWS would
//! refuse or never bring up) → [`diff`] (against what it holds) → [`lower`] (calls, guards, waits, probes, undos).

pub mod connect;
pub mod desired;
pub mod diff;
pub mod facts;
pub mod groups;
pub mod json;
pub mod leads;
pub mod lower;
pub mod made;
pub mod names;
pub mod namespaces;
pub mod normal;
pub mod origin;
pub mod ownership;
pub mod pointer;
pub mod records;
pub mod registries;
pub mod routing;
pub mod rules;
pub mod scope;
pub mod settings;
pub mod shift;

use crate::compile::Options;
use crate::source::Loaded;

use facts::Facts;
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
    /// Name of a component's service.
    pub fn service_name(&self, component: &str) -> String {
        names::service(&self.options.project, component)
    }

    /// Name of a component's task-definition family.
    pub fn family(&self, component: &str) -> String {
        names::family(&self.settings.cluster, &self.options.project, component)
    }

    /// A tag key of ours.
    pub fn tag(&self, name: &str) -> String {
        format!("{}:{name}", self.settings.tag_prefix)
    }
}
