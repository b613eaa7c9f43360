//! What is read from Cloud Map: the namespaces that the scope names, and the services in them.
//!
//! Invariant: a name is looked up by a filter, which answers with nothing where there is nothing; an ARN by its id, whose
//! absence is recorded as the error that AWS answered.

use std::collections::BTreeSet;

use belay_schemas::scope::{EcsScope, Scope};
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use super::reader::Reader;
use super::{ObserveError, items, short_name};

const SERVICE: &str = "servicediscovery";

/// Reads the namespaces of a scope; `default` is the cluster's own, and something registers with the services `used`.
pub(super) async fn observe(
    reader: &Reader<'_>,
    project: &Scope,
    scope: &EcsScope,
    default: Option<String>,
    used: BTreeSet<String>,
) -> Result<(), ObserveError> {
    let default = default.filter(|_| scope.default_namespace);
    let wanted: BTreeSet<&str> = scope.namespaces.iter().map(String::as_str).chain(default.as_deref()).collect();
    let found = try_join_all(wanted.into_iter().map(|named| namespace(reader, named))).await?;
    let ids: BTreeSet<String> = found.into_iter().flatten().collect();
    let listed = try_join_all(ids.iter().map(|id| {
        let filter = json!([{"Name": "NAMESPACE_ID", "Values": [id], "Condition": "EQ"}]);
        services(reader, json!({"Filters": filter}))
    }))
    .await?;
    let listed: Vec<Value> = listed.into_iter().flatten().collect();
    let arn = |service: &Value| service["Arn"].as_str().map(str::to_owned);
    let known: BTreeSet<String> = listed.iter().filter_map(arn).collect();
    try_join_all(used.difference(&known).map(|arn| one(reader, arn))).await?;
    // Whose a service is stands in its tags: of those that may be the project's.
    let described = format!("{}:{}/", scope.tag_prefix, project.project);
    let wanted = |service: &&Value| {
        let member = |name: &str| service[name].as_str().unwrap_or_default();
        scope.registries.iter().any(|name| name.eq_ignore_ascii_case(member("Name")))
            || member("Description").starts_with(&described)
    };
    let mut tagged = used;
    tagged.extend(listed.iter().filter(wanted).filter_map(arn));
    try_join_all(tagged.iter().map(|arn| reader.read(SERVICE, "ListTagsForResource", json!({"ResourceARN": arn}))))
        .await?;
    Ok(())
}

/// The ids of the namespaces that a name or an ARN means.
async fn namespace(reader: &Reader<'_>, named: &str) -> Result<Vec<String>, ObserveError> {
    if named.starts_with("arn:") {
        let found = reader.read(SERVICE, "GetNamespace", json!({"Id": short_name(named)})).await?;
        return Ok(found.iter().filter_map(|answer| answer["Namespace"]["Id"].as_str().map(str::to_owned)).collect());
    }
    let filter = json!([{"Name": "NAME", "Values": [named], "Condition": "EQ"}]);
    let found = reader.read(SERVICE, "ListNamespaces", json!({"Filters": filter})).await?;
    let all = found.iter().flat_map(|answer| items(answer, "Namespaces"));
    Ok(all.filter_map(|namespace| namespace["Id"].as_str().map(str::to_owned)).collect())
}

/// The services of a namespace.
async fn services(reader: &Reader<'_>, input: Value) -> Result<Vec<Value>, ObserveError> {
    let trim = |output: &mut Value| output["Services"].as_array_mut().into_iter().flatten().for_each(uncounted);
    let answer = reader.read_trimmed(SERVICE, "ListServices", input, trim).await?;
    Ok(answer.iter().flat_map(|output| items(output, "Services")).cloned().collect())
}

/// A service outside of the namespaces that the scope names.
async fn one(reader: &Reader<'_>, arn: &str) -> Result<(), ObserveError> {
    let input = json!({"Id": short_name(arn)});
    reader.read_trimmed(SERVICE, "GetService", input, |output| uncounted(&mut output["Service"])).await?;
    Ok(())
}

/// Takes out how many instances a service has: that changes all the time.
fn uncounted(service: &mut Value) {
    if let Some(service) = service.as_object_mut() {
        service.remove("InstanceCount");
    }
}
