//! The Cloud Map namespace of an environment: its name becomes the ARN that every call names.
//!
//! Invariant: two namespaces may have one name, and a cluster's default may change: what was reviewed is one ARN.

use serde_json::Value;

use crate::diagnostics::{Diagnostic, Place, Report};

use super::json::text;
use super::{Context, settings};

/// A Cloud Map namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// Its ARN.
    pub arn: String,
    /// Its name, once it was observed.
    pub name: Option<String>,
    /// `HTTP`, `DNS_PRIVATE` or `DNS_PUBLIC`, once it was observed.
    pub kind: Option<String>,
}

impl Namespace {
    /// Its id.
    pub fn id(&self) -> &str {
        id_of(&self.arn)
    }

    fn observed(namespace: &Value) -> Option<Self> {
        let member = |name: &str| text(namespace, name).map(str::to_owned);
        Some(Self { arn: member("Arn")?, name: member("Name"), kind: member("Type") })
    }
}

/// The id in the ARN of a namespace.
pub fn id_of(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// The ARN that a service's configuration means; without one, its cluster's default.
pub fn arn_of<'v>(context: Context<'v>, written: Option<&'v str>) -> Option<&'v str> {
    let written = match written {
        Some(written) => written,
        None => default_of(context)?,
    };
    if written.starts_with("arn:") {
        return Some(written);
    }
    match context.facts?.namespaces(written).as_slice() {
        [one] => text(one, "Arn"),
        _ => None,
    }
}

/// What the cluster says.
fn default_of(context: Context<'_>) -> Option<&str> {
    let cluster = context.facts?.cluster(&context.settings.cluster)?;
    cluster.pointer("/serviceConnectDefaults/namespace").and_then(Value::as_str)
}

/// The namespace of the environment, for what `wants` it; what is wrong goes to the report, under `code`.
pub fn resolve(context: Context<'_>, wants: &Place, code: &'static str, report: &mut Report) -> Option<Namespace> {
    let place = settings::place(&["namespace"]);
    let written = context.settings.namespace.as_deref();
    let unknown = |arn: &str| Namespace { arn: arn.to_owned(), name: None, kind: None };
    match (written, context.facts) {
        (Some(arn), _) if arn.starts_with("arn:") && !is_arn(arn) => {
            report.push(
                Diagnostic::error(code, format!("`{arn}` is not the ARN of a Cloud Map namespace"))
                    .at(place)
                    .help("write its name, or arn:aws:servicediscovery:REGION:ACCOUNT:namespace/ID"),
            );
            None
        }
        (Some(arn), None) if arn.starts_with("arn:") => Some(unknown(arn)),
        (Some(name), None) => {
            report.push(
                Diagnostic::error("B345", format!("which Cloud Map namespace `{name}` is has to be looked up"))
                    .at(place)
                    .help("compile with `--observed FILE` (see `belayc scope` and `belay observe`), or write the ARN"),
            );
            None
        }
        (None, None) => {
            report.push(
                Diagnostic::error("B345", format!("the default namespace of cluster `{}` has to be looked up", context.settings.cluster))
                    .at(wants.clone())
                    .help("compile with `--observed FILE` (see `belayc scope` and `belay observe`), or write `namespace:` with the ARN of a Cloud Map namespace in the environment"),
            );
            None
        }
        (Some(written), Some(facts)) => match facts.namespaces(written).as_slice() {
            [one] => Namespace::observed(one),
            [] => {
                let asked = facts.scope.and_then(|s| s.ecs.as_ref()).is_some_and(|s| s.namespaces.contains(written));
                report.push(match asked {
                    true => Diagnostic::error(
                        code,
                        format!("there is no Cloud Map namespace `{written}` in this account and region"),
                    )
                    .at(place)
                    .help(match written.starts_with("ns-") {
                        true => "that is an id: write the namespace's name or its ARN instead; then observe again",
                        false => "correct the name, or create it first; then observe again",
                    }),
                    false => {
                        Diagnostic::error("B505", format!("the observed state does not look at namespace `{written}`"))
                            .at(place)
                            .help("run `belayc scope` and `belay observe` again with these inputs")
                    }
                });
                None
            }
            several => {
                let arns: Vec<&str> = several.iter().filter_map(|n| text(n, "Arn")).collect();
                report.push(
                    Diagnostic::error(code, format!("{} Cloud Map namespaces are called `{written}`", several.len()))
                        .at(place)
                        .help(format!("write the ARN of one: {}", arns.join(", "))),
                );
                None
            }
        },
        (None, Some(facts)) => {
            match default_of(context) {
                Some(arn) => {
                    let found = facts.namespaces(arn).first().and_then(|one| Namespace::observed(one));
                    Some(found.unwrap_or_else(|| unknown(arn)))
                }
                None => {
                    report.push(
                    Diagnostic::error(
                        code,
                        format!("neither the environment nor cluster `{}` names a Cloud Map namespace", context.settings.cluster),
                    )
                    .at(wants.clone())
                    .help("write `namespace:` in the environment, with the name or the ARN of a namespace that exists"),
                );
                    None
                }
            }
        }
    }
}

fn is_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    matches!(parts.as_slice(), ["arn", _, "servicediscovery", _, _, resource] if resource.starts_with("namespace/"))
}
