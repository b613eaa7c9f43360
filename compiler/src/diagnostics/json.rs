//! Diagnostics for programs.

use belay_schemas::plan::pretty;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Location, Report, Severity};

/// All diagnostics of a run. The format only grows; a program ignores members that it does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JsonReport {
    /// Version of this format: 1.
    pub format: u32,
    /// How many errors there are.
    pub errors: usize,
    /// How many warnings there are.
    pub warnings: usize,
    /// Sorted by file, line, column and code; what has no place comes last.
    pub diagnostics: Vec<JsonDiagnostic>,
}

/// One diagnostic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JsonDiagnostic {
    /// Stable code of the kind of diagnostic.
    pub code: String,
    /// `error` or `warning`.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// A few words right at the place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub help: Vec<String>,
    /// Other places that matter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<JsonRelated>,
}

/// Another place that matters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JsonRelated {
    /// Why.
    pub message: String,
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
}

/// A report as pretty JSON with a newline at the end.
pub fn json(report: &Report) -> String {
    let resolved = report.resolved();
    let errors = resolved.iter().filter(|r| r.diagnostic.severity == Severity::Error).count();
    let diagnostics: Vec<JsonDiagnostic> = resolved
        .iter()
        .map(|r| JsonDiagnostic {
            code: r.diagnostic.code.to_owned(),
            severity: r.diagnostic.severity,
            message: r.diagnostic.message.clone(),
            location: r.location.clone(),
            label: r.diagnostic.label.clone(),
            help: r.diagnostic.help.clone(),
            related: r
                .related
                .iter()
                .map(|(span, what)| JsonRelated {
                    message: what.to_string(),
                    location: span.and_then(|s| report.files.locate(s)),
                })
                .collect(),
        })
        .collect();
    pretty(&JsonReport { format: 1, errors, warnings: diagnostics.len() - errors, diagnostics })
}
