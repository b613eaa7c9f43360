//! One step of a plan with everything that hangs on it.
//!
//! Invariant: one remote effect per node (per chunk, with `each`).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::action::{Action, Call, Each};

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Node {
    /// The user's consent to an irreversible step before the commit point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Accepted>,
    /// What it does.
    pub action: Action,
    /// The component that the step belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// Repetition over a list that is known only at run time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<Each>,
    /// What must hold first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<Guard>,
    /// Derived from names, unique, stable under edits elsewhere: `web.service.update`.
    pub id: String,
    /// Why a mutation has no way back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub irreversible: Option<String>,
    /// A temporary change that this step makes and what takes it away again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obligation: Option<Obligation>,
    /// When it runs.
    pub phase: Phase,
    /// How to tell, after a lost answer, whether the mutation took effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
    /// What it does, in a few words.
    pub summary: String,
    /// Seconds for this step's call with all its retries (waits carry their own limits).
    #[serde(default = "default_timeout", skip_serializing_if = "is_default_timeout")]
    pub timeout: u64,
    /// The ways back, in order: the first case that is true is taken; none true means stuck.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undo: Vec<UndoCase>,
    /// Why a mutation needs no guard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unguarded: Option<String>,
    /// Why a mutation needs no probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unprobed: Option<String>,
    /// Why it is in the plan: the inputs that changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<Why>,
}

fn default_timeout() -> u64 {
    Node::DEFAULT_TIMEOUT
}

fn is_default_timeout(seconds: &u64) -> bool {
    *seconds == Node::DEFAULT_TIMEOUT
}

impl Node {
    /// Seconds that a call may take with all its retries when the node says nothing else.
    pub const DEFAULT_TIMEOUT: u64 = 120;
}

/// When a node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Reads only, before anything changes; a failure means that the plan is stale.
    Preflight,
    /// Changes that can be undone, up to and with the commit point.
    Deploy,
    /// After the commit point: deletions; failures are retried, nothing rolls back.
    Finalize,
    /// Compensations: run only on the way back.
    Undo,
}

/// One reason for a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Why {
    /// `file:line:column` of the value, or what else it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The value that runs now.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub from: Value,
    /// JSON pointer into the model or the environment: `/components/web/image`.
    pub path: String,
    /// The value that is wanted.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub to: Value,
}

/// What must hold before a node's action. Exactly one of `at` and `after` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// Checked just before the action, once that node is done; a failure rolls back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// `start`: checked before the first mutation of the run; a failure means that the plan is stale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Moment>,
    /// Late values used as `$name` in the expressions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bind: BTreeMap<String, Value>,
    /// JMESPath over the answer → the value that it must have (late values allowed with `after`).
    pub holds: BTreeMap<String, Value>,
    /// What to read. An error answer of the kind "not found" reads as `null`.
    pub read: Call,
}

/// The moment of a guard that is not tied to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// Before the first mutation of the run.
    Start,
}

/// How to tell whether a mutation with a lost answer took effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// JMESPath that builds the call's own answer from this one.
    pub answer: String,
    /// JMESPath that is true when our call took effect.
    pub applied: String,
    /// Late values used as `$name` in the expressions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bind: BTreeMap<String, Value>,
    /// What to read. An error answer of the kind "not found" reads as `null`.
    pub read: Call,
}

/// One way back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UndoCase {
    /// Compensations, in order. An empty list means that nothing needs to be done.
    pub nodes: Vec<String>,
    /// When to take it; absent = always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
}

/// A condition over what is read at that moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// Late values used as `$name`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bind: BTreeMap<String, Value>,
    /// JMESPath that must be true.
    pub is: String,
    /// What to read. An error answer of the kind "not found" reads as `null`.
    pub read: Call,
    /// The condition in words: what is the case then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

/// The user's consent to a step that cannot be undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// `file:line:column` of them.
    pub at: String,
    /// The user's words.
    pub reason: String,
}

/// A temporary change and what takes it away on every path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Obligation {
    /// The compensation that discharges it when the run goes back.
    pub back: String,
    /// The node that discharges it when the run goes forward (deploy or finalize phase).
    pub forward: String,
    /// What is temporarily so.
    pub what: String,
}
