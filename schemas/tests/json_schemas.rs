//! The committed JSON Schemas are those of the types, and they accept and refuse what the programs accept and refuse.
//! `BELAY_UPDATE=1` rewrites them.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::PathBuf;

use belay_schemas::json_schema::{Kind, document};
use serde_json::{Value, json};

fn schema(kind: Kind) -> Value {
    serde_json::from_str(&document(kind)).unwrap()
}

fn accepts(kind: Kind, instance: &Value) -> bool {
    jsonschema::is_valid(&schema(kind), instance)
}

#[test]
fn the_committed_schemas_are_those_of_the_types() {
    let mut stale = Vec::new();
    for kind in Kind::ALL {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("{}.schema.json", kind.name()));
        let wanted = document(kind);
        if std::fs::read_to_string(&path).unwrap_or_default() == wanted {
            continue;
        }
        if std::env::var_os("BELAY_UPDATE").is_some_and(|v| v == "1") {
            std::fs::write(&path, wanted).unwrap();
        } else {
            stale.push(kind.name());
        }
    }
    assert!(stale.is_empty(), "run this test with BELAY_UPDATE=1 and commit the schemas of: {}", stale.join(", "));
}

#[test]
fn each_is_a_schema_of_draft_2020_12_with_a_title_and_a_description() {
    for kind in Kind::ALL {
        let schema = schema(kind);
        assert!(jsonschema::meta::is_valid(&schema), "{}", kind.name());
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["title"], format!("Belay {}", kind.name()));
        assert!(schema["description"].is_string(), "{}", kind.name());
    }
}

#[test]
fn every_property_says_what_it_is() {
    fn look(at: &str, schema: &Value, silent: &mut Vec<String>) {
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if property.is_object() && property.get("description").is_none() && property.get("const").is_none() {
                silent.push(format!("{at}/{name}"));
            }
            look(&format!("{at}/{name}"), property, silent);
        }
        for (name, definition) in schema.get("$defs").and_then(Value::as_object).into_iter().flatten() {
            look(name, definition, silent);
        }
    }
    let mut silent = Vec::new();
    for kind in [Kind::Model, Kind::Environment, Kind::Scope, Kind::Observed] {
        look(kind.name(), &schema(kind), &mut silent);
    }
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn substitutions_may_stand_wherever_a_value_is_wanted() {
    let component = json!({
        "image": "nginx:${tag}", "replicas": "${n}", "singleton": "${{ single }}", "provides": {"ports": ["${port}"]},
        "plugin": {"ec2-ecs": {"mem": "${mem-256}", "network_mode": "${mode}"}}
    });
    let gateway = json!({"type": "${kind}", "exposes": {"port": "${port}"}, "target": "web"});
    let model = json!({"components": {"web": component}, "gateways": {"lb": gateway}});
    assert!(accepts(Kind::Model, &model));
    let environment =
        json!({"plugin_config": {"ec2-ecs": {"region": "${region}", "timeout": "${t}", "lb": {"a": null}}}});
    assert!(accepts(Kind::Environment, &environment));
}

#[test]
fn what_is_wrong_is_refused_all_the_same() {
    let with = |key: &str, value: Value| {
        let mut component = json!({"image": "nginx"});
        component[key] = value;
        json!({"components": {"web": component}})
    };
    assert!(accepts(Kind::Model, &with("replicas", json!(2))));
    assert!(!accepts(Kind::Model, &with("replicas", json!("two"))));
    assert!(!accepts(Kind::Model, &with("replicas", json!(-1))));
    assert!(!accepts(Kind::Model, &with("replica", json!(1))));
    assert!(!accepts(Kind::Model, &with("provides", json!({"ports": ["80/sctp"]}))));
    assert!(!accepts(Kind::Model, &with("provides", json!({"ports": ["65536"]}))));
    assert!(!accepts(Kind::Environment, &json!({"plugin_config": {"ec2-ecs": {"region": "mars"}}})));
}
