//! The plan: what was reviewed and what runs.
//!
//! Invariants: a plan is a hand-written transfer type with string ids and sorted lists, so that the same meaning gives
//! the same bytes; `digest` covers all of it but itself and `compiler`. Nothing here decides anything: lowering lives
//! in the compiler, checking in [`crate::checker`], running in the executor.

mod action;
mod bytes;
mod node;

pub use action::{Action, Call, Each, Evidence, Exec, Fail, Gate, Http, Wait};
use bytes::Canonical;
pub use bytes::{canonical_digest, pretty};
pub use node::{Accepted, Guard, Moment, Node, Obligation, Phase, Probe, UndoCase, When, Why};

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A plan of concrete AWS API calls, each with what it expects, what it waits for and what undoes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// Version of this format; readers refuse any other than 1.
    pub format: u32,
    /// The program that wrote the plan. Not covered by the digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compiler: Option<String>,
    /// Project name: the prefix of every name that the plan creates.
    pub project: String,
    /// Whether the plan deploys the model or takes everything of the project away.
    pub mode: Mode,
    /// Where the plan may run.
    pub target: Target,
    /// Digests of the parsed inputs that the plan was compiled from.
    pub inputs: Inputs,
    /// What happens to each component, by name; unchanged ones are listed too.
    #[serde(default)]
    pub components: BTreeMap<String, ComponentSummary>,
    /// Warnings that a reviewer should see, in source order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
    /// The steps, sorted by id.
    pub nodes: Vec<Node>,
    /// The order, sorted by `from`, `to`, `kind`.
    pub edges: Vec<Edge>,
    /// `sha256:` and the hex digest of the canonical JSON (RFC 8785) of this document without `digest` and `compiler`.
    pub digest: String,
}

/// What a plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Bring what runs to what the model says.
    Deploy,
    /// Take away everything that the project owns in the target.
    Teardown,
}

/// The account, region and cluster that a plan is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// AWS partition, such as `aws`, `aws-cn`, `aws-us-gov`.
    pub partition: String,
    /// Twelve digits; absent when the plan was compiled without observed state (then pinned in the journal at apply).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// AWS region; absent when neither the environment nor observed state names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Short name of the ECS cluster.
    pub cluster: String,
}

/// Digests (`sha256:…`) of the parsed inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Inputs {
    /// Of the model as parsed (comments and layout do not count).
    pub model: String,
    /// Of the merged environment files and `--var`s.
    pub environment: String,
    /// Of the observed state without `observedAt`; absent when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
}

/// What a plan does to one component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ComponentSummary {
    /// The kind of change.
    pub change: Change,
    /// Healthy tasks that the component keeps at every moment of the run, forward or back.
    pub floor: u32,
}

/// The kind of change of one component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It does not exist yet.
    Create,
    /// Its definition changes.
    Update,
    /// Only its number of replicas changes.
    Scale,
    /// It runs but is not in the model any more, or everything is torn down.
    Remove,
    /// Nothing to do but tidying (old revisions).
    Tidy,
    /// Nothing to do.
    None,
}

/// A warning that belongs to the review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Notice {
    /// Stable diagnostic code; `belayc explain CODE` tells more.
    pub code: String,
    /// What to know.
    pub message: String,
    /// `file:line:column` where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// `from` comes before `to`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Edge {
    /// Id of the earlier node.
    pub from: String,
    /// Id of the later node.
    pub to: String,
    /// What kind of order this is.
    pub kind: EdgeKind,
}

/// Kinds of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EdgeKind {
    /// Forward: `to` starts when `from` is done.
    After,
    /// From a forward node to a compensation of it: the way back.
    Undo,
    /// Between compensations: `to` starts when `from` is done or was not needed.
    UndoAfter,
}

impl Plan {
    /// The digest that this plan should carry: over its canonical JSON without `digest` and `compiler`.
    pub fn computed_digest(&self) -> String {
        let head = Self {
            format: self.format,
            compiler: None,
            project: self.project.clone(),
            mode: self.mode,
            target: self.target.clone(),
            inputs: self.inputs.clone(),
            components: self.components.clone(),
            notices: self.notices.clone(),
            nodes: Vec::new(),
            edges: Vec::new(),
            digest: String::new(),
        };
        let mut head: BTreeMap<String, Value> =
            serde_json::to_value(head).and_then(serde_json::from_value).unwrap_or_default();
        head.remove("digest");
        // The same as `canonical_digest` without `digest` and `compiler`, but the long lists never stand as a whole.
        let mut canonical = Canonical::default();
        for (at, (name, value)) in head.iter().enumerate() {
            canonical.text(if at == 0 { "{" } else { "," });
            canonical.text(&format!("\"{name}\":"));
            match name.as_str() {
                "nodes" => canonical.list(&self.nodes),
                "edges" => canonical.list(&self.edges),
                _ => canonical.value(value),
            }
        }
        canonical.text("}");
        canonical.digest()
    }

    /// Sorts nodes and edges and puts the true digest in.
    pub fn seal(mut self) -> Self {
        self.nodes.sort_by(|a, b| a.id.cmp(&b.id));
        self.edges.sort();
        self.edges.dedup();
        self.digest = self.computed_digest();
        self
    }

    /// The node of that id.
    pub fn node(&self, id: &str) -> Option<&Node> {
        self.nodes.binary_search_by(|n| n.id.as_str().cmp(id)).ok().map(|i| &self.nodes[i])
    }

    /// The bytes of a plan file: pretty-printed, keys sorted, one newline at the end.
    pub fn to_json(&self) -> String {
        pretty(self)
    }
}
