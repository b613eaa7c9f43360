//! Reading the JSON files that our own programs write. Their readers refuse any other format version by name.

use belay_schemas::FORMAT;
use belay_schemas::observed::Observed;
use serde::Deserialize;
use serde_json::Value;

use crate::diagnostics::{Diagnostic, FileId, Report, SourceFile, Span};

/// Reads observed state. What is wrong with it is in the report.
pub fn observed(file: SourceFile, report: &mut Report) -> Option<Observed> {
    let id = report.add_file(file);
    let text = report.files.get(id)?.text.clone();
    // The version first: a file of another one is that, and not a pile of unknown members.
    match serde_json::from_str::<Version>(&text) {
        Ok(Version { format: Some(format) }) if format != FORMAT => {
            report.push(other_version(&format.to_string(), format_span(id, &text)));
            return None;
        }
        Ok(Version { format: None }) => {
            let message = "this is not observed state: it has no `format`";
            report.push(Diagnostic::error("B021", message).at(Span::new(id, 0, 1)).help(MAKE));
            return None;
        }
        _ => {}
    }
    match serde_json::from_str::<Observed>(&text) {
        Ok(observed) => match observed.reads.iter().find(|r| r.output.is_some() == r.error.is_some()) {
            None => Some(observed),
            Some(read) => {
                let message =
                    format!("the read {} {} has not exactly one of `output` and `error`", read.service, read.operation);
                report.push(Diagnostic::error("B021", message).at(Span::new(id, 0, 1)).help(MAKE));
                None
            }
        },
        Err(error) => {
            let text = error.to_string();
            let words = text.rfind(" at line ").map_or(text.as_str(), |end| &text[..end]);
            let span = report.span_at(id, error.line().max(1), error.column().max(1));
            let what = if error.is_data() { "this is not observed state" } else { "this is not JSON" };
            report.push(Diagnostic::error("B021", format!("{what}: {words}")).at(span).help(MAKE));
            None
        }
    }
}

const MAKE: &str = "observed state is written by `belay observe SCOPE.json -o OBSERVED.json`";

#[derive(Deserialize)]
struct Version {
    #[serde(default, deserialize_with = "version")]
    format: Option<u32>,
}

/// A version that is no small number is some other version.
fn version<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(Some(value.as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(u32::MAX)))
}

fn other_version(found: &str, span: Span) -> Diagnostic {
    Diagnostic::error("B022", format!("observed state of format {found}; this belayc reads format {FORMAT}"))
        .at(span)
        .help("observe again with the `belay` of the same version")
}

fn format_span(id: FileId, text: &str) -> Span {
    let at = text.find("\"format\"").unwrap_or(0);
    Span::new(id, at, at + "\"format\"".len())
}
