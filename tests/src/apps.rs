//! Random applications: valid models, and what they become next.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;

use crate::pipeline::Inputs;

/// Names that components may have; a component uses only ones before it, so there is no cycle.
const NAMES: [&str; 6] = ["auth", "basket", "catalog", "desk", "events", "front"];
/// Target groups of the default account.
const GROUPS: [&str; 3] = ["shop-web", "shop-api", "shop-admin"];

/// One component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    replicas: u32,
    version: u8,
    memory: u32,
    level: u8,
    group: Option<usize>,
    sidecar: bool,
    singleton: bool,
    half: bool,
    uses: u8,
}

/// An application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App(BTreeMap<&'static str, Component>);

fn component() -> impl Strategy<Value = Component> {
    (
        0..4_u32,
        0..3_u8,
        0..3_u32,
        0..3_u8,
        prop::option::weighted(0.4, 0..3_usize),
        any::<bool>(),
        0..6_u8,
        any::<bool>(),
        any::<u8>(),
    )
        .prop_map(|(replicas, version, memory, level, group, sidecar, one, half, uses)| Component {
            replicas: if one == 0 { replicas.min(1) } else { replicas },
            version,
            memory: 64 << memory,
            level,
            group,
            sidecar,
            singleton: one == 0,
            half: half && one != 0,
            uses,
        })
}

/// Any application.
pub fn app() -> impl Strategy<Value = App> {
    prop::collection::btree_map(prop::sample::select(&NAMES[..]), component(), 1..=5).prop_map(App)
}

/// An application and a later state of it: some components stay as they are, some change, come or go.
pub fn two_states() -> impl Strategy<Value = (App, App)> {
    (app(), app(), any::<u8>()).prop_map(|(first, other, keep)| {
        let mut second = other.0;
        for (i, (name, component)) in first.0.iter().enumerate() {
            if keep & (1 << i) != 0 {
                second.insert(name, component.clone());
            }
        }
        (first, App(second))
    })
}

impl App {
    /// The model as YAML.
    pub fn model(&self) -> String {
        let mut out = String::from("components:\n");
        for (name, c) in &self.0 {
            let _ = write!(
                out,
                "  {name}:\n    image: acme/{name}:{}\n    replicas: {}\n    provides: {{ports: [8080]}}\n    env: {{LEVEL: {}}}\n",
                c.version, c.replicas, c.level
            );
            if c.singleton {
                out.push_str("    singleton: true\n");
            }
            let used: Vec<&str> = NAMES
                .iter()
                .enumerate()
                .take_while(|(_, n)| *n != name)
                .filter(|(i, n)| c.uses & (1 << i) != 0 && self.0.contains_key(**n))
                .map(|(_, n)| *n)
                .collect();
            if !used.is_empty() {
                let _ = writeln!(
                    out,
                    "    uses: {{{}}}",
                    used.iter().map(|u| format!("{u}: {{}}")).collect::<Vec<_>>().join(", ")
                );
            }
            if c.sidecar {
                out.push_str("    containers:\n      log-router: {image: \"acme/logs:1\", mem: 32}\n");
            }
            let _ = writeln!(out, "    plugin:\n      ec2-ecs:\n        cpu: 32\n        mem: {}", c.memory);
            if c.half {
                out.push_str("        raw: {service: {deploymentConfiguration: {minimumHealthyPercent: 50}}}\n");
            }
        }
        let mut gateways = String::new();
        for (index, group) in GROUPS.iter().enumerate() {
            let behind: Vec<&str> = self.0.iter().filter(|(_, c)| c.group == Some(index)).map(|(n, _)| *n).collect();
            if !behind.is_empty() {
                let _ = writeln!(
                    gateways,
                    "  {group}: {{type: load_balancer, exposes: {{port: \"\", target_port: 8080}}, target: [{}]}}",
                    behind.join(", ")
                );
            }
        }
        if !gateways.is_empty() {
            let _ = write!(out, "gateways:\n{gateways}");
        }
        out
    }

    /// The images of the main containers.
    pub fn images(&self) -> Vec<String> {
        self.0.iter().map(|(name, c)| format!("acme/{name}:{}", c.version)).collect()
    }

    /// What compiling it starts from.
    pub fn inputs(&self) -> Inputs {
        let mut environment = String::from(
            "plugin_config:\n  ec2-ecs:\n    region: us-east-1\n    timeout: 200\n    overall_timeout: 1200\n    lb:\n",
        );
        for group in GROUPS {
            let _ = writeln!(environment, "      {group}: {group}");
        }
        Inputs::new("acme", self.model(), environment)
    }
}
