//! What a node does: calls, reads, waits and the steps that are not AWS calls.
//!
//! Invariant: a [`Call`] has exactly `service`, `operation` and `input`, and nothing that looks like a call nests in it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One AWS API operation with its input, as the API takes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The input; any value in it may be a late value (`{"$output": NODE, "path": JMESPath}` or `{"$run": "id"}`).
    #[serde(default)]
    pub input: Value,
    /// The operation as the API spells it: `RegisterTaskDefinition`.
    pub operation: String,
    /// The AWS CLI's name of the service: `ecs`, `elbv2`, `autoscaling`, …
    pub service: String,
}

/// What a node does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Action {
    /// A mutation.
    Call {
        /// The mutation.
        call: Call,
        /// JMESPath over the answer; when it is false the call is a partial success: applied, and the node failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expect: Option<String>,
    },
    /// A read whose answer is kept for references.
    Read {
        /// JMESPath over the answer that must hold; false fails the node (in `preflight`: the plan is stale).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expect: Option<String>,
        /// The read.
        read: Call,
    },
    /// Poll until something holds.
    Wait {
        /// What to poll, until when, and when to give up.
        wait: Wait,
    },
    /// An HTTP request to something that is not AWS.
    Http {
        /// The request.
        http: Http,
    },
    /// A local command.
    Exec {
        /// The command.
        exec: Exec,
    },
    /// A question that a person answers.
    Gate {
        /// The question.
        gate: Gate,
    },
    /// Let time pass.
    Delay {
        /// Seconds.
        delay: u64,
    },
    /// The commit point: what comes before it can be undone, what comes after it is only retried.
    Commit {
        /// What is true once this is reached.
        commit: String,
    },
}

/// Polling. Expressions see the list of this poll's answers: `[0]` is the answer of the first read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wait {
    /// Late values used as `$name` in the expressions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bind: BTreeMap<String, Value>,
    /// Where to look for the reason when the wait fails.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// Failed as soon as one of these is true; looked at before `until`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fail: Vec<Fail>,
    /// Seconds for which `until` has to stay true.
    #[serde(default)]
    pub hold: u64,
    /// Seconds between polls.
    pub interval: u64,
    /// Seconds without progress before giving up.
    pub no_progress: u64,
    /// Seconds in total before giving up.
    pub overall: u64,
    /// JMESPath; whenever its value changes, the no-progress clock starts again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// Reads of one poll, in order. A later one may use an earlier one's answer: `{"$output": "@0", "path": …}`. A read
    /// whose list input comes out empty that way is not made; its answer is `null`.
    pub reads: Vec<Call>,
    /// Done when this JMESPath is true.
    pub until: String,
}

/// A condition under which a wait has failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fail {
    /// What that means, for people.
    pub reason: String,
    /// JMESPath over the poll's answers.
    pub when: String,
}

/// Reads made once when a wait fails, to say why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Late values used as `$name`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bind: BTreeMap<String, Value>,
    /// JMESPath over the answers that yields a list of lines.
    pub lines: String,
    /// Reads, as in a wait.
    pub reads: Vec<Call>,
    /// What kind of evidence: `service events`, `stopped tasks`, `target health`.
    pub title: String,
}

/// An HTTP request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Http {
    /// JSON body; may hold late values.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub body: Value,
    /// `GET` or `POST`.
    pub method: String,
    /// Seconds before giving up.
    pub timeout: u64,
    /// Where to.
    pub uri: String,
}

/// A local command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// Program and arguments; no shell.
    pub argv: Vec<String>,
    /// Seconds before giving up.
    pub timeout: u64,
}

/// A question that a person answers with `belay resume --approve NODE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// The question.
    pub text: String,
}

/// Repeats a node over chunks of a list that is known only at run time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Each {
    /// Items a chunk.
    pub chunk: u32,
    /// Items at most; more is a failure before the first chunk.
    pub max: u32,
    /// A late value that yields a list; the node's input names the current chunk as `{"$output": "@each", "path": "@"}`.
    pub over: Value,
}

impl Action {
    /// The mutation, if this is one.
    pub fn mutation(&self) -> Option<&Call> {
        match self {
            Self::Call { call, .. } => Some(call),
            _ => None,
        }
    }

    /// The word for this kind of action, as it stands in the JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Call { .. } => "call",
            Self::Read { .. } => "read",
            Self::Wait { .. } => "wait",
            Self::Http { .. } => "http",
            Self::Exec { .. } => "exec",
            Self::Gate { .. } => "gate",
            Self::Delay { .. } => "delay",
            Self::Commit { .. } => "commit",
        }
    }
}
