//! Cloud Map services that Belay keeps: whose they are, what differs, which of them nobody wants any more.
//!
//! Invariants: a service is ours by its tags; what AWS cannot change of it in place is refused with the way out; one that
//! somebody else made is neither changed nor hidden.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};

use super::Context;
use super::facts::Facts;
use super::json::{items, text, upper_tag};
use super::made;
use super::namespaces::Namespace;

/// A Cloud Map service that a component's tasks register with.
#[derive(Debug, Clone, PartialEq)]
pub struct Registry {
    /// The component.
    pub component: String,
    /// Its name in the namespace.
    pub name: String,
    /// The namespace.
    pub namespace: Namespace,
    /// Its DNS records; absent in a namespace without DNS.
    pub record: Option<Record>,
    /// What asks for it.
    pub place: Place,
}

/// The DNS records of a Cloud Map service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// `A` or `SRV`.
    pub kind: &'static str,
    /// Seconds for which resolvers keep them.
    pub ttl: u32,
}

impl Record {
    /// As the API writes it.
    pub fn entry(self) -> Value {
        json!({"Type": self.kind, "TTL": self.ttl})
    }
}

/// What an observed Cloud Map service is to the project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner<'a> {
    /// This component's.
    Ours(&'a str),
    /// Another project's.
    Other(&'a str),
    /// Nothing says whose.
    Nobody,
}

/// Whose a Cloud Map service is.
pub fn owner<'a>(context: Context<'_>, facts: &Facts<'a>, registry: &Value) -> Owner<'a> {
    let tags = text(registry, "Arn").and_then(|arn| facts.registry_tags(arn)).unwrap_or_default();
    match (upper_tag(tags, &context.tag("project")), upper_tag(tags, &context.tag("component"))) {
        (Some(project), Some(component)) if project == context.options.project => Owner::Ours(component),
        (Some(project), _) => Owner::Other(project),
        (None, _) => Owner::Nobody,
    }
}

/// The observed Cloud Map service of a wanted one's name.
fn namesake<'a>(facts: &Facts<'a>, registry: &Registry) -> Option<&'a Value> {
    let all = facts.registries(&registry.namespace.arn)?;
    // DNS does not tell capitals from small letters.
    all.iter().copied().find(|one| text(one, "Name").is_some_and(|name| name.eq_ignore_ascii_case(&registry.name)))
}

/// The one that there is, if it is the component's.
pub fn running<'a>(context: Context<'a>, registry: &Registry) -> Option<&'a Value> {
    let facts = context.facts?;
    namesake(facts, registry).filter(|found| owner(context, facts, found) == Owner::Ours(&registry.component))
}

/// Its ARN, or what stands for it until the plan has made it.
pub fn arn(context: Context<'_>, registry: &Registry) -> String {
    let known = running(context, registry).and_then(|found| text(found, "Arn"));
    known.map_or_else(|| made::registry(&registry.component), str::to_owned)
}

/// Judges a wanted one beside what there is.
pub fn check(context: Context<'_>, registry: &Registry, report: &mut Report) {
    let Some(found) = context.facts.and_then(|facts| Some((facts, namesake(facts, registry)?))) else { return };
    let (facts, found) = found;
    let name = &registry.name;
    let mut refuse = |code, message: String, help: &str| {
        report.push(Diagnostic::error(code, message).at(registry.place.clone()).help(help));
    };
    match owner(context, facts, found) {
        Owner::Ours(component) if component == registry.component => {}
        Owner::Ours(component) => {
            return refuse(
                "B501",
                format!("the Cloud Map service `{name}` belongs to component `{component}`"),
                "write another `name`; or let that component give it up first, and deploy twice",
            );
        }
        Owner::Other(project) => {
            return refuse(
                "B501",
                format!("the Cloud Map service `{name}` belongs to project `{project}`"),
                "write another `name`: Belay never touches what another project owns",
            );
        }
        Owner::Nobody => {
            return refuse(
                "B501",
                format!(
                    "there is a Cloud Map service `{name}` in the namespace already, and nothing says that it is Belay's"
                ),
                "write another `name`; or name its ARN in `serviceRegistries` of a raw block, and Belay leaves it as it is",
            );
        }
    }
    let before = kind(found);
    let wanted = registry.record.map(|record| record.kind);
    if before != wanted {
        let word =
            |kind: Option<&str>| kind.map_or("no DNS records".to_owned(), |kind| format!("records of the type {kind}"));
        refuse(
            "B530",
            format!("AWS cannot change the Cloud Map service `{name}` from {} to {}", word(before), word(wanted)),
            "write another `name`: a new one is made beside it, and the old one is deleted after the commit point",
        );
    }
}

/// The type of an observed one's DNS records.
fn kind(registry: &Value) -> Option<&str> {
    items(registry.get("DnsConfig")?, "DnsRecords").first().and_then(|record| text(record, "Type"))
}

/// One of ours that nobody wants any more.
#[derive(Debug, Clone, Copy)]
pub struct Surplus<'a> {
    /// The component that it was for.
    pub component: &'a str,
    /// The Cloud Map service.
    pub registry: &'a Value,
}

impl Surplus<'_> {
    /// Its name in its namespace.
    pub fn name(&self) -> &str {
        text(self.registry, "Name").unwrap_or_default()
    }
}

/// Those of ours that are none of `wanted`, by ARN.
pub fn surplus<'a>(context: Context<'a>, wanted: &BTreeSet<String>) -> Vec<Surplus<'a>> {
    let Some(facts) = context.facts else { return Vec::new() };
    let mut all: Vec<Surplus<'a>> = facts
        .all_registries()
        .filter(|(arn, _)| !wanted.contains(*arn))
        .filter_map(|(_, registry)| match owner(context, facts, registry) {
            Owner::Ours(component) => Some(Surplus { component, registry }),
            _ => None,
        })
        .collect();
    all.sort_by_key(|one| (one.component, one.name().to_owned()));
    all
}
