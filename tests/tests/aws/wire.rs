//! Every operation's requests and answers, and every call of every fixture, against botocore.

use std::collections::BTreeSet;

use belay_executor::cloud::Cloud;
use belay_schemas::aws::{self, Kind, Service, ShapeId};
use belay_tests::loopback::{Loopback, Request, Response, unescaped};
use belay_tests::{fixtures, target};
use serde_json::{Value, json};

use crate::fill::{Style, full, inputs};
use crate::{botocore, cloud};

/// A call to be compared.
struct Case {
    service: String,
    operation: String,
    input: Value,
    /// What it is, for people.
    name: String,
}

/// Makes the calls, and holds what was sent against what botocore would have sent.
async fn compare(cases: Vec<Case>) {
    let server = Loopback::start(|_| Some(Response::ok("")));
    let cloud = cloud(&server);
    let tasks: Vec<Value> = cases
        .iter()
        .map(|case| json!({"write": {"service": case.service, "operation": case.operation, "input": case.input}}))
        .collect();
    let expected = botocore(&tasks);
    let mut wrong = Vec::new();
    for (case, expected) in cases.iter().zip(&expected) {
        // What comes back is no answer of that operation; this is about what was sent.
        let answer = cloud.call(&case.service, &case.operation, &case.input).await;
        let sent = server.take();
        let fault = match &*sent {
            [request] => difference(&case.service, request, expected),
            other => Some(format!("{} requests were sent: {answer:?}", other.len())),
        };
        if let Some(fault) = fault {
            wrong.push(format!("{}: {fault}\n  input: {}", case.name, case.input));
        }
    }
    let shown: Vec<&str> = wrong.iter().map(String::as_str).take(10).collect();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), shown.join("\n"));
    println!("{} requests are as botocore writes them", cases.len());
}

/// The first thing in which a request differs from botocore's.
fn difference(service: &str, request: &Request, expected: &Value) -> Option<String> {
    let differs = |what: &str, ours: &Value, theirs: &Value| {
        (ours != theirs).then(|| format!("{what}\n  ours:   {ours}\n  theirs: {theirs}"))
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if let Some(fault) = differs("method", &json!(request.method), &expected["method"]) {
        return Some(fault);
    }
    if let Some(fault) = differs("uri", &uri(&request.uri), &uri(&text(&expected["uri"]))) {
        return Some(fault);
    }
    for (name, value) in expected["headers"].as_object().into_iter().flatten() {
        let ours = request.headers.get(name).cloned().unwrap_or_default();
        // The parameters of a form's type are written in one way or the other.
        let (ours, theirs) = match name.as_str() {
            "content-type" => (plain(&ours), plain(&text(value))),
            _ => (ours, text(value)),
        };
        if let Some(fault) = differs(name, &json!(ours), &json!(theirs)) {
            return Some(fault);
        }
    }
    let scope = format!("/us-east-1/{}/aws4_request", aws::service(service).unwrap().facts.signing_name);
    let signature = request.headers.get("authorization").cloned().unwrap_or_default();
    if !signature.contains(&scope) {
        return Some(format!("signed as {signature}"));
    }
    if let Some(theirs) = expected.get("json") {
        return differs("body", &request.json(), theirs);
    }
    if let Some(theirs) = expected.get("form") {
        return differs("form", &json!(request.form()), theirs);
    }
    if let Some(theirs) = expected.get("xml").and_then(Value::as_str) {
        return differs("body", &tree(&request.body), &tree(theirs));
    }
    differs("body", &json!(request.body), &expected["text"])
}

/// Elements of an XML document with their namespaces, texts and children in their order.
fn tree(document: &str) -> Value {
    fn element(node: roxmltree::Node<'_, '_>) -> Value {
        let children: Vec<Value> = node.children().filter(|child| child.is_element()).map(element).collect();
        let text = if children.is_empty() { node.text().unwrap_or_default() } else { "" };
        json!([node.tag_name().name(), node.tag_name().namespace(), text, children])
    }
    element(roxmltree::Document::parse(document).unwrap().root_element())
}

fn plain(kind: &str) -> String {
    kind.split(';').next().unwrap_or_default().trim().to_owned()
}

/// A path and its sorted, unescaped query.
fn uri(uri: &str) -> Value {
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let mut pairs: Vec<String> = query.split('&').filter(|pair| !pair.is_empty()).map(unescaped).collect();
    pairs.iter_mut().for_each(|pair| *pair = pair.trim_end_matches('=').to_owned());
    pairs.sort();
    json!([unescaped(path), pairs])
}

fn tables() -> impl Iterator<Item = &'static Service> {
    aws::services().map(|name| aws::service(name).unwrap())
}

#[tokio::test]
async fn every_operation_with_every_member_is_sent_as_botocore_sends_it() {
    let mut cases = Vec::new();
    for table in tables() {
        for operation in table.operations() {
            for (style, input) in inputs(table, operation) {
                cases.push(Case {
                    service: table.facts.name.to_string(),
                    operation: operation.name.to_string(),
                    name: format!("{} {} {style:?}", table.facts.name, operation.name),
                    input,
                });
            }
        }
    }
    let full = cases.iter().filter(|case| case.name.contains("Full")).count();
    assert!(full >= tables().map(|table| table.operations().len()).sum::<usize>() - 5, "{full}");
    compare(cases).await;
}

#[tokio::test]
async fn every_call_of_every_fixture_is_sent_as_botocore_sends_it() {
    let mut seen = BTreeSet::new();
    let mut cases = Vec::new();
    let mut kinds = BTreeSet::new();
    for fixture in fixtures::every() {
        for file in ["plan.json", "observed.json"] {
            let path = target::repository().join("fixtures").join(fixture.name).join(file);
            let document: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
            calls(&document, "", &mut |place, service, operation, input| {
                let table = aws::service(service).unwrap();
                let shape = table.operation(operation).unwrap();
                let input = shape.input.map_or_else(|| json!({}), |id| settled(table, id, input));
                let kind = place.split('/').filter(|part| part.parse::<u32>().is_err()).collect::<Vec<_>>().join("/");
                kinds.insert(kind);
                if seen.insert((service.to_owned(), operation.to_owned(), input.to_string())) {
                    cases.push(Case {
                        service: service.to_owned(),
                        operation: operation.to_owned(),
                        name: format!("{}/{file}{place}", fixture.name),
                        input,
                    });
                }
            });
        }
    }
    // Every place of a plan where a call can stand has been met.
    for kind in ["/nodes/action/call", "/nodes/action/wait/reads", "/nodes/guards/read", "/nodes/probe/read", "/reads"]
    {
        assert!(kinds.contains(kind), "{kind} is not among {kinds:?}");
    }
    assert!(kinds.iter().any(|kind| kind.contains("evidence")), "{kinds:?}");
    assert!(kinds.iter().any(|kind| kind.contains("undo")), "{kinds:?}");
    assert!(cases.len() > 100, "only {} calls", cases.len());
    compare(cases).await;
}

/// Every call object of a document with its place.
fn calls(value: &Value, path: &str, found: &mut impl FnMut(&str, &str, &str, &Value)) {
    match value {
        Value::Object(members) => {
            let call =
                (members.get("service").and_then(Value::as_str), members.get("operation").and_then(Value::as_str));
            if let (Some(service), Some(operation)) = call {
                found(path, service, operation, members.get("input").unwrap_or(&Value::Null));
            }
            let inner = members.iter().filter(|(name, _)| call.0.is_none() || !matches!(&***name, "input" | "output"));
            inner.for_each(|(name, value)| calls(value, &format!("{path}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| calls(item, &format!("{path}/{at}"), found));
        }
        _ => {}
    }
}

/// An input with some value in the place of each late one.
fn settled(table: &Service, id: ShapeId, value: &Value) -> Value {
    match (&table.shape(id).kind, value) {
        (_, Value::Object(members)) if members.keys().any(|name| name.starts_with('$')) => full(table, id),
        (Kind::Structure(structure), Value::Object(members)) => {
            let member = |name: &String| structure.member(name).unwrap_or_else(|| panic!("{name}")).shape;
            members.iter().map(|(name, value)| (name.clone(), settled(table, member(name), value))).collect()
        }
        (Kind::List(list), Value::Array(items)) => items.iter().map(|item| settled(table, list.item, item)).collect(),
        (Kind::Map(map), Value::Object(entries)) => {
            entries.iter().map(|(key, value)| (key.clone(), settled(table, map.value, value))).collect()
        }
        (_, Value::Null) => json!({}),
        _ => value.clone(),
    }
}

#[tokio::test]
async fn every_answer_is_read_as_botocore_reads_it() {
    let operations: Vec<(&Service, &aws::Operation)> =
        tables().flat_map(|table| table.operations().iter().map(move |operation| (table, operation))).collect();
    let tasks: Vec<Value> = operations
        .iter()
        .map(|(table, operation)| json!({"answer": {"service": &*table.facts.name, "operation": &*operation.name}}))
        .collect();
    let answers = botocore(&tasks);
    let next = std::sync::Arc::new(std::sync::Mutex::new(Response::default()));
    let server = Loopback::start({
        let next = std::sync::Arc::clone(&next);
        move |_| Some(next.lock().unwrap().clone())
    });
    let cloud = cloud(&server);
    let mut wrong = Vec::new();
    let mut members = 0;
    for ((table, operation), answer) in operations.iter().zip(&answers) {
        let headers = answer["headers"].as_object().unwrap().iter();
        *next.lock().unwrap() = Response {
            status: 200,
            headers: headers.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect(),
            body: answer["body"].as_str().unwrap().to_owned(),
        };
        let input = inputs(table, operation).into_iter().find(|(style, _)| *style == Style::Required).unwrap().1;
        let name = format!("{} {}", table.facts.name, operation.name);
        match cloud.call(&table.facts.name, &operation.name, &input).await {
            Ok(output) => {
                let output = operation.output.map_or(output.clone(), |id| dated(table, id, &output));
                members += output.to_string().matches("\":").count();
                if output != answer["output"] {
                    wrong.push(format!("{name}\n  ours:   {output}\n  theirs: {}", answer["output"]));
                }
            }
            Err(error) => wrong.push(format!("{name}: {error}\n  {}", answer["body"])),
        }
    }
    let shown: Vec<&str> = wrong.iter().map(String::as_str).take(5).collect();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), operations.len(), shown.join("\n"));
    assert!(members > 3000, "only {members} members were compared");
    println!("{} answers with {members} members are read as botocore reads them", operations.len());
}

/// The moments of an answer as botocore's are printed. AWS's own form is a number in JSON and a text in XML.
fn dated(table: &Service, id: ShapeId, value: &Value) -> Value {
    match (&table.shape(id).kind, value) {
        (Kind::Structure(structure), Value::Object(members)) => members
            .iter()
            .map(|(name, value)| (name.clone(), dated(table, structure.member(name).unwrap().shape, value)))
            .collect(),
        (Kind::List(list), Value::Array(items)) => items.iter().map(|item| dated(table, list.item, item)).collect(),
        (Kind::Map(map), Value::Object(entries)) => {
            entries.iter().map(|(key, value)| (key.clone(), dated(table, map.value, value))).collect()
        }
        (Kind::Timestamp, Value::Number(number)) => {
            let millis = (number.as_f64().unwrap() * 1000.0).round() as u64;
            let text = belay_executor::time::rfc3339(millis);
            json!(format!("{}.{:03}Z", text.trim_end_matches('Z'), millis % 1000))
        }
        (Kind::Timestamp, Value::String(text)) if !text.contains('.') => {
            json!(format!("{}.000Z", text.trim_end_matches('Z')))
        }
        _ => value.clone(),
    }
}
