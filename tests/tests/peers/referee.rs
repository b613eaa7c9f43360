//! Every call of every fixture is one that AWS's own models allow; and the referee that says so finds planted faults.

use std::fs;
use std::path::{Path, PathBuf};

use belay_tests::target::repository;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::botocore;

/// What the referee says.
#[derive(Debug, Deserialize)]
struct Review {
    documents: usize,
    calls: usize,
    faults: Vec<Found>,
}

#[derive(Debug, Deserialize)]
struct Found {
    file: PathBuf,
    path: String,
    call: String,
    fault: String,
}

fn review(files: &[PathBuf]) -> Review {
    let said = botocore().run("referee.py", files.iter().map(PathBuf::as_path), "");
    serde_json::from_str(&said.unwrap_or_else(|error| panic!("{error}"))).unwrap()
}

/// The faults of each document, as `path fault`.
fn faults(documents: &[Value]) -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let file = |index: usize| folder.path().join(format!("{index}.json"));
    for (index, document) in documents.iter().enumerate() {
        fs::write(file(index), document.to_string()).unwrap();
    }
    let files: Vec<PathBuf> = (0..documents.len()).map(file).collect();
    let found = review(&files).faults;
    let of = |file: &PathBuf| found.iter().filter(|found| found.file == *file).map(brief).collect();
    files.iter().map(of).collect()
}

fn brief(found: &Found) -> String {
    format!("{} {}", found.path, found.fault)
}

/// Exactly one fault, at this place, in each planted document.
fn assert_found(planted: &[(&str, Value)], place: &str) {
    let documents: Vec<Value> = planted.iter().map(|(_, document)| document.clone()).collect();
    for ((name, _), found) in planted.iter().zip(faults(&documents)) {
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        assert!(found[0].starts_with(place), "{name}: {found:?}");
    }
}

/// All files of these names below the fixtures.
fn fixtures(names: &[&str]) -> Vec<PathBuf> {
    fn walk(folder: &Path, names: &[&str], found: &mut Vec<PathBuf>) {
        let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                walk(&path, names, found);
            } else if names.iter().any(|name| path.ends_with(name)) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&repository().join("fixtures"), names, &mut found);
    found
}

/// Without it, a fixture's plan whose calls the referee overlooks would count as sound.
fn mentions(value: &Value, key: &str) -> usize {
    match value {
        Value::Object(map) => {
            let here = usize::from(map.get(key).is_some_and(Value::is_string));
            here + map.values().map(|inner| mentions(inner, key)).sum::<usize>()
        }
        Value::Array(items) => items.iter().map(|inner| mentions(inner, key)).sum(),
        _ => 0,
    }
}

#[test]
fn every_call_of_every_fixture_is_allowed_by_the_models() {
    let files = fixtures(&["plan.json", "observed.json"]);
    assert!(files.len() >= 10, "only {} plans and observed states among the fixtures", files.len());
    let review = review(&files);
    let faults: Vec<String> = review
        .faults
        .iter()
        .map(|found| format!("{}{}: {}: {}", found.file.display(), found.path, found.call, found.fault))
        .collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert_eq!(review.documents, files.len());
    let operations: usize = files
        .iter()
        .map(|file| mentions(&serde_json::from_slice(&fs::read(file).unwrap()).unwrap(), "operation"))
        .sum();
    assert_eq!(review.calls, operations, "every object with an operation is a call that was checked");
    assert!(review.calls >= 100, "only {} calls", review.calls);
}

fn node(call: Value) -> Value {
    json!({"format": 1, "nodes": [{"id": "web.service.update", "action": {"call": call}}]})
}

#[test]
fn sound_calls_have_no_faults() {
    let update = json!({"service": "ecs", "operation": "UpdateService", "input": {
        "cluster": "default", "service": "shop_web", "desiredCount": {"$output": "a", "path": "services[0].desiredCount", "share": [1, 2]},
        "taskDefinition": {"$output": "web.task-definition.register", "path": "taskDefinition.taskDefinitionArn"},
        "capacityProviderStrategy": {"$output": "a", "path": "x"},
    }});
    let tag = json!({"service": "ecs", "operation": "TagResource", "input": {
        "resourceArn": "arn", "tags": [{"key": "belay:run", "value": {"$run": "id"}}]}});
    let bare = json!({"service": "sts", "operation": "GetCallerIdentity"});
    assert_eq!(faults(&[node(update), node(tag), node(bare)]), [[""; 0]; 3]);
}

#[test]
fn planted_faults_are_found() {
    let planted = [
        (
            "an unknown member",
            json!({"operation": "UpdateService", "input": {"service": "web", "taskDefinitoin": "x"}}),
        ),
        ("a missing member", json!({"operation": "UpdateService", "input": {"cluster": "default"}})),
        ("a wrong type", json!({"operation": "UpdateService", "input": {"service": "web", "desiredCount": "2"}})),
        ("a wrong enum", json!({"operation": "CreateService", "input": {"serviceName": "web", "launchType": "EC3"}})),
        (
            "a wrong enum in a list",
            json!({"operation": "DescribeServices", "input": {"services": ["web"], "include": ["TAGZ"]}}),
        ),
        (
            "more than the maximum",
            json!({"operation": "CreateService", "input": {"serviceName": "web",
                "capacityProviderStrategy": [{"capacityProvider": "spot", "weight": 1001}]}}),
        ),
        (
            "a late value that cannot fit",
            json!({"operation": "UpdateService", "input": {"service": "web", "desiredCount": {"$run": "id"}}}),
        ),
        ("a late value that is none", json!({"operation": "UpdateService", "input": {"service": {"$output": "web"}}})),
        (
            "a late value with a broken path",
            json!({"operation": "UpdateService", "input": {"service": {"$output": "web", "path": "a[?"}}}),
        ),
        ("an extra member", json!({"operation": "ListClusters", "input": {}, "region": "us-east-1"})),
        ("an answer in a plan", json!({"operation": "ListClusters", "input": {}, "output": {}})),
        ("an unknown operation", json!({"operation": "UpdateServices", "input": {}})),
        ("an unknown service", json!({"service": "ecz", "operation": "UpdateService", "input": {}})),
    ];
    let planted = planted.map(|(name, mut call)| {
        call.as_object_mut().unwrap().entry("service").or_insert_with(|| json!("ecs"));
        (name, node(call))
    });
    assert_found(&planted, "/nodes/0/action/call ");
}

#[test]
fn planted_faults_of_observed_states_are_found() {
    let good = json!({"service": "ecs", "operation": "ListClusters", "input": {}, "output": {"clusterArns": ["arn"]}});
    let observed = |read: Value| json!({"format": 1, "scope": {}, "reads": [good.clone(), read]});
    assert_eq!(faults(&[observed(good.clone())]), [[""; 0]]);
    let planted = [
        ("neither output nor error", json!({})),
        ("both", json!({"output": {}, "error": {"code": "a", "message": "b"}})),
        ("an unknown member of an answer", json!({"output": {"clusters": []}})),
        ("a wrong type in an answer", json!({"output": {"clusterArns": [1]}})),
        ("an error without a message", json!({"error": {"code": "a"}})),
        ("a late value", json!({"output": {}, "input": {"nextToken": {"$run": "id"}}})),
    ];
    let planted = planted.map(|(name, extra)| {
        let mut read = json!({"service": "ecs", "operation": "ListClusters", "input": {}});
        read.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        (name, observed(read))
    });
    assert_found(&planted, "/reads/1 ");
}
