//! The plan: what was reviewed and what runs.
//!
//! Invariants: a plan is a hand-written transfer type with string ids and sorted lists, so that the same meaning gives
//! the same bytes; `digest` covers all of it but itself and `compiler`. Nothing here decides anything: lowering lives
//! in the compiler, checking in [`crate::checker`], running in the executor.

mod action;
mod bytes;
mod node;

pub use action::{Action, Call, Each, Evidence, Exec, Fail, Gate, Http, Wait};
pub use bytes::{canonical_digest, digest_of_json, pretty};
use bytes::{digest_of_sorted, write_pretty_sorted};
pub use node::{Accepted, Guard, Moment, Node, Obligation, Phase, Probe, UndoCase, When, Why};

use std::cmp::Ordering;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A plan of concrete AWS API calls, each with what it expects, what it waits for and what undoes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// The program that wrote the plan. Not covered by the digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compiler: Option<String>,
    /// What happens to each component, by name; unchanged ones are listed too.
    #[serde(default)]
    pub components: BTreeMap<String, ComponentSummary>,
    /// `sha256:` and the hex digest of the canonical JSON (RFC 8785) of this document without `digest` and `compiler`.
    pub digest: String,
    /// The order, sorted by `from`, `to`, `kind`.
    pub edges: Vec<Edge>,
    /// Version of this format; readers refuse any other than 1.
    pub format: u32,
    /// Digests of the parsed inputs that the plan was compiled from.
    pub inputs: Inputs,
    /// Whether the plan deploys the model or takes everything of the project away.
    pub mode: Mode,
    /// The steps, sorted by id.
    pub nodes: Vec<Node>,
    /// Warnings that a reviewer should see, in source order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
    /// The components that the plan is limited to, sorted; without any it is about all of them. Whatever else the project
    /// has stays as it is, whether the model says so or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// Project name: the prefix of every name that the plan creates.
    pub project: String,
    /// Where the plan may run.
    pub target: Target,
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
    /// Twelve digits; absent when the plan was compiled without observed state (then pinned in the journal at apply).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Short name of the ECS cluster; absent when no component is placed on ECS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// AWS partition, such as `aws`, `aws-cn`, `aws-us-gov`.
    pub partition: String,
    /// AWS region; absent when neither the environment nor observed state names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

impl Target {
    /// Where in the region, for people: the cluster, or EC2 Auto Scaling where there is none.
    pub fn place(&self) -> &str {
        self.cluster.as_deref().unwrap_or("EC2 Auto Scaling")
    }
}

/// Digests (`sha256:…`) of the parsed inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Inputs {
    /// Of the merged environment files and `--var`s.
    pub environment: String,
    /// Of the model as parsed (comments and layout do not count).
    pub model: String,
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
    /// It runs once, to its end.
    Run,
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
    /// `file:line:column` where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Stable diagnostic code; `belayc explain CODE` tells more.
    pub code: String,
    /// What to know.
    pub message: String,
}

/// `from` comes before `to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Edge {
    /// Id of the earlier node.
    pub from: String,
    /// What kind of order this is.
    pub kind: EdgeKind,
    /// Id of the later node.
    pub to: String,
}

impl PartialOrd for Edge {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Edge {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.from, &self.to, self.kind).cmp(&(&other.from, &other.to, other.kind))
    }
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
        let bare = Bare {
            components: &self.components,
            edges: &self.edges,
            format: self.format,
            inputs: &self.inputs,
            mode: self.mode,
            nodes: &self.nodes,
            notices: &self.notices,
            only: &self.only,
            project: &self.project,
            target: &self.target,
        };
        digest_of_sorted(&bare).unwrap_or_else(|| canonical_digest(&bare, &[]))
    }

    /// Sorts nodes and edges and puts the true digest in.
    pub fn seal(mut self) -> Self {
        // Stable: a plan with an id twice is wrong, but it is always the same wrong plan.
        self.nodes.sort_by(|a, b| a.id.cmp(&b.id));
        self.edges.sort_unstable();
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
        let mut out = Vec::new();
        // Memory takes everything, and a plan has string keys only.
        let written = self.write_json(&mut out).is_ok();
        debug_assert!(written, "a plan is JSON");
        String::from_utf8(out).unwrap_or_default()
    }

    /// Writes the same bytes in many small parts, so that the text of a large plan is never in memory as a whole.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_json(&self, out: impl std::io::Write) -> std::io::Result<()> {
        write_pretty_sorted(self, out)
    }
}

/// What a plan's digest covers.
#[derive(Serialize)]
struct Bare<'a> {
    components: &'a BTreeMap<String, ComponentSummary>,
    edges: &'a [Edge],
    format: u32,
    inputs: &'a Inputs,
    mode: Mode,
    nodes: &'a [Node],
    #[serde(skip_serializing_if = "<[Notice]>::is_empty")]
    notices: &'a [Notice],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    only: &'a [String],
    project: &'a str,
    target: &'a Target,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plan in which every member of every type is given.
    fn full() -> Plan {
        let call = serde_json::json!({"service": "s", "operation": "O", "input": {"b": 1, "a": {"$output": "x", "path": "y"}}});
        let bind = serde_json::json!({"n": 1});
        let action = |a: serde_json::Value| a;
        let actions = [
            action(serde_json::json!({"call": call, "expect": "e"})),
            action(serde_json::json!({"read": call, "expect": "e"})),
            action(
                serde_json::json!({"wait": {"reads": [call], "until": "u", "fail": [{"when": "w", "reason": "r"}], "progress": "p",
                "noProgress": 1, "overall": 2, "hold": 3, "interval": 4, "bind": bind,
                "evidence": [{"title": "t", "reads": [call], "lines": "l", "bind": bind}]}}),
            ),
            action(serde_json::json!({"http": {"method": "GET", "uri": "u", "body": 1.5, "timeout": 1}})),
            action(serde_json::json!({"exec": {"argv": ["a"], "timeout": 1}})),
            action(serde_json::json!({"gate": {"text": "t"}})),
            action(serde_json::json!({"delay": 1})),
            action(serde_json::json!({"commit": "c"})),
        ];
        let nodes: Vec<serde_json::Value> = actions
            .into_iter()
            .enumerate()
            .map(|(i, action)| {
                serde_json::json!({"id": format!("n{i}"), "component": "c", "phase": "deploy", "summary": "s",
                    "why": [{"path": "/p", "at": "a", "from": 1, "to": 2}], "action": action,
                    "each": {"over": [], "chunk": 1, "max": 2},
                    "guards": [{"at": "start", "after": "n", "read": call, "holds": {"x": 1}, "bind": bind}],
                    "unguarded": "u", "probe": {"read": call, "applied": "a", "answer": "b", "bind": bind}, "unprobed": "u",
                    "undo": [{"when": {"summary": "s", "read": call, "is": "i", "bind": bind}, "nodes": ["n"]}],
                    "irreversible": "i", "accepted": {"reason": "r", "at": "a"},
                    "obligation": {"what": "w", "forward": "f", "back": "b"}, "timeout": 7})
            })
            .collect();
        let plan = serde_json::json!({"format": 1, "compiler": "c", "project": "p", "mode": "deploy",
            "target": {"partition": "aws", "account": "1", "region": "r", "cluster": "c"},
            "inputs": {"model": "m", "environment": "e", "observed": "o"},
            "components": {"c": {"change": "create", "floor": 1}}, "notices": [{"code": "c", "message": "m", "at": "a"}],
            "only": ["c"],
            "nodes": nodes, "edges": [{"from": "a", "to": "b", "kind": "undo-after"}], "digest": "d"});
        serde_json::from_value(plan).unwrap()
    }

    #[test]
    fn members_are_written_in_the_order_of_their_names() {
        let plan = full();
        assert_eq!(plan.to_json(), pretty(&plan));
        assert_eq!(plan.computed_digest(), canonical_digest(&plan, &["digest", "compiler"]));
    }

    #[test]
    fn keys_beyond_the_first_plane_are_sorted_as_rfc_8785_says() {
        let mut plan = full();
        if let Action::Call { call, .. } = &mut plan.nodes[0].action {
            call.input = serde_json::json!({"\u{fb33}": 1, "\u{1f600}": 2});
        }
        assert_eq!(plan.computed_digest(), canonical_digest(&plan, &["digest", "compiler"]));
        assert!(digest_of_sorted(&plan).is_none());
    }
}
