//! Reading plan files: each way in which a text is no plan has its own error.

use belay_schemas::checker::{LoadError, load};
use serde_json::{Value, json};

use crate::plans::good;

fn changed(change: impl FnOnce(&mut Value)) -> Result<belay_schemas::plan::Plan, LoadError> {
    let mut raw: Value = serde_json::from_str(&good().to_json()).unwrap();
    change(&mut raw);
    load(&raw.to_string())
}

#[test]
fn what_was_written_is_read_again() {
    let plan = good();
    assert_eq!(load(&plan.to_json()), Ok(plan));
}

#[test]
fn a_default_that_is_spelled_out_is_no_change() {
    let read = changed(|p| {
        p["notices"] = json!([]);
        p["nodes"][0]["timeout"] = json!(120);
        p["nodes"][0]["accepted"] = json!(null);
    });
    assert_eq!(read, Ok(good()));
}

#[test]
fn not_json_is_told_with_its_place() {
    assert_eq!(
        load("{\n  \"format\": 1,\n  oops"),
        Err(LoadError::NotJson { line: 3, column: 3, reason: "key must be a string".into() })
    );
}

#[test]
fn another_document_is_not_a_plan() {
    for text in ["[]", "{}", r#"{"format": "1"}"#, r#"{"format": 1.5}"#] {
        assert!(matches!(load(text), Err(LoadError::NotAPlan { .. })), "{text}");
    }
}

#[test]
fn the_format_is_looked_at_before_anything_else() {
    assert_eq!(load(r#"{"format": 2, "steps": []}"#), Err(LoadError::Newer { found: 2 }));
    assert_eq!(load(r#"{"format": 0, "steps": []}"#), Err(LoadError::Older { found: 0 }));
}

#[test]
fn an_unknown_member_is_named_with_its_place() {
    let unknown = |at: &str, name: &str| Err(LoadError::UnknownMember { at: at.into(), name: name.into() });
    assert_eq!(changed(|p| p["colour"] = json!(1)), unknown("the plan", "colour"));
    assert_eq!(changed(|p| p["nodes"][2]["colour"] = json!(1)), unknown("/nodes/2", "colour"));
    let commit = good().nodes.iter().position(|n| n.id == "commit").unwrap();
    // The type of an action takes the members that it knows and would let others pass.
    let action = format!("/nodes/{commit}/action");
    assert_eq!(changed(|p| p["nodes"][commit]["action"]["retry"] = json!(1)), unknown(&action, "retry"));
    assert_eq!(changed(|p| p["nodes"][commit]["action"]["delay"] = json!(1)), unknown(&action, "commit"));
    let update = good().nodes.iter().position(|n| n.id == "web.service.update").unwrap();
    assert_eq!(
        changed(|p| p["nodes"][update]["action"]["call"]["region"] = json!("eu-west-1")),
        unknown(&format!("/nodes/{update}/action/call"), "region")
    );
}

#[test]
fn a_member_of_the_wrong_type_is_placed() {
    let wait = good().nodes.iter().position(|n| n.id == "web.service.deployed").unwrap();
    let Err(LoadError::Form { at, reason }) = changed(|p| p["nodes"][wait]["action"]["wait"]["hold"] = json!("long"))
    else {
        panic!("a wrong type");
    };
    assert_eq!(at, format!("/nodes/{wait}/action/wait"));
    assert!(reason.starts_with("invalid type: string \"long\""), "{reason}");
}

#[test]
fn a_change_after_compiling_is_told() {
    let error = changed(|p| p["project"] = json!("other")).unwrap_err();
    assert!(matches!(error, LoadError::Digest { .. }));
    assert!(error.to_string().starts_with("the plan was changed after it was compiled"), "{error}");
}

#[test]
fn a_plan_that_breaks_rules_lists_them() {
    let mut plan = good();
    plan.nodes.retain(|n| n.id != "web.service.update.undo.stop");
    let error = load(&plan.seal().to_json()).unwrap_err();
    let LoadError::Violations(violations) = &error else { panic!("{error}") };
    assert!(violations.len() > 2);
    for violation in violations {
        assert!(error.to_string().contains(&violation.to_string()));
    }
}
