//! The policies of the fixtures' plans: what they allow, how narrow it is, and that they fit.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "helpers of tests read the fixtures")]

use std::collections::BTreeSet;
use std::path::Path;

use belay_compiler::policy::{self, LIMIT, Policies, Roles, equipments};
use belay_schemas::checker;
use belay_schemas::plan::Plan;
use serde_json::Value;

fn plan(fixture: &str) -> Plan {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(fixture).join("plan.json");
    checker::load(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn policies(plan: &Plan) -> Policies {
    policy::policies(plan, &Roles::new())
}

fn list(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

/// Statements that hold an action.
fn of<'a>(documents: &'a [Value], action: &str) -> Vec<&'a Value> {
    let statements = documents.iter().flat_map(|d| d["Statement"].as_array().unwrap());
    statements.filter(|s| list(&s["Action"]).contains(&action)).collect()
}

#[test]
fn an_update_is_allowed_on_its_own_service_only() {
    insta::assert_snapshot!("upgrade", serde_json::to_string_pretty(&policies(&plan("upgrade")).documents).unwrap());
}

#[test]
fn every_call_of_every_fixture_is_allowed_and_nothing_else() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let mut looked = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.join("plan.json").is_file() {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let plan = plan(&name);
        // Every object of the plan's JSON with a service, an operation and an input is a call.
        let mut wanted = BTreeSet::new();
        calls(&serde_json::to_value(&plan).unwrap(), &mut wanted);
        let found = policies(&plan);
        let mut allowed: BTreeSet<String> = BTreeSet::new();
        for document in &found.documents {
            let size = document.to_string().chars().filter(|c| !c.is_whitespace()).count();
            assert!(size <= LIMIT, "{name}: {size} characters");
            for statement in document["Statement"].as_array().unwrap() {
                allowed.extend(list(&statement["Action"]).iter().map(|a| (*a).to_owned()));
                // A change is never allowed on everything of a kind that could be named.
                let narrow = list(&statement["Resource"]).iter().all(|r| *r != "*");
                let known = belay_schemas::aws::authorization::reference();
                for action in list(&statement["Action"]) {
                    let named = known.action(action).is_some_and(|a| !a.resources.is_empty());
                    let by_cluster = statement["Condition"]["ArnEquals"]["ecs:cluster"].is_string();
                    let on_launch =
                        ["ec2:RunInstances", "ec2:CreateTags"].contains(&action) && statement["Condition"].is_object();
                    assert!(narrow || !named || by_cluster || on_launch, "{name}: {action} on everything");
                }
            }
        }
        let beside = [
            "ecs:TagResource",
            "ec2:CreateTags",
            "ec2:RunInstances",
            "autoscaling:CreateOrUpdateTags",
            "cloudwatch:TagResource",
            "events:TagResource",
            "logs:TagResource",
            "elasticloadbalancing:AddTags",
            "servicediscovery:TagResource",
            "iam:PassRole",
        ];
        for action in &wanted {
            assert!(allowed.contains(action), "{name}: {action} is not allowed");
        }
        for action in &allowed {
            assert!(wanted.contains(action) || beside.contains(&action.as_str()), "{name}: {action} is not needed");
        }
        looked += 1;
    }
    assert!(looked >= 10);
}

fn calls(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            if let (Some(Value::String(service)), Some(Value::String(operation))) =
                (map.get("service"), map.get("operation"))
            {
                let known = belay_schemas::aws::authorization::reference().operation(service, operation);
                found.extend(
                    known.unwrap_or_else(|| panic!("nothing is known of {service} {operation}")).map(str::to_owned),
                );
            }
            map.values().for_each(|v| calls(v, found));
        }
        Value::Array(items) => items.iter().for_each(|v| calls(v, found)),
        _ => {}
    }
}

#[test]
fn roles_are_passed_by_name_and_to_one_service() {
    let mut plan = plan("upgrade");
    for node in &mut plan.nodes {
        if let belay_schemas::plan::Action::Call { call, .. } = &mut node.action
            && call.operation == "RegisterTaskDefinition"
        {
            call.input["taskRoleArn"] = "app".into();
            call.input["executionRoleArn"] = "arn:aws:iam::123456789012:role/agent".into();
        }
    }
    let documents = policies(&plan).documents;
    let passing = of(&documents, "iam:PassRole");
    assert_eq!(passing.len(), 1);
    assert_eq!(
        list(&passing[0]["Resource"]),
        ["arn:aws:iam::123456789012:role/agent", "arn:aws:iam::123456789012:role/app"]
    );
    assert_eq!(passing[0]["Condition"]["StringEquals"]["iam:PassedToService"], "ecs-tasks.amazonaws.com");
}

#[test]
fn the_role_behind_an_instance_profile_is_named_by_who_knows_it() {
    let mut plan = plan("asg-upgrade");
    let role = |documents: &[Value]| -> Vec<String> {
        let passing = of(documents, "iam:PassRole");
        assert!(passing.iter().all(|s| s["Condition"]["StringEquals"]["iam:PassedToService"] == "ec2.amazonaws.com"));
        passing.iter().flat_map(|s| list(&s["Resource"])).map(str::to_owned).collect()
    };
    let unknown = policies(&plan);
    assert_eq!(role(&unknown.documents), ["arn:aws:iam::123456789012:role/*"]);
    let told = |notes: &[String], name: &str| notes.iter().any(|n| n.contains(&format!("--profile-role {name}=ROLE")));
    assert!(told(&unknown.notes, "app"), "{:?}", unknown.notes);
    assert_eq!(equipments(&plan), BTreeSet::from(["app".to_owned()]));

    let roles = |role: &str| Roles::from([("app".to_owned(), role.to_owned())]);
    for (said, arn) in [
        ("app-role", "arn:aws:iam::123456789012:role/app-role"),
        ("team/app-role", "arn:aws:iam::123456789012:role/team/app-role"),
        ("arn:aws:iam::123456789012:role/x", "arn:aws:iam::123456789012:role/x"),
    ] {
        let known = policy::policies(&plan, &roles(said));
        assert_eq!(role(&known.documents), [arn]);
        assert_eq!(known.notes, [""; 0]);
    }

    // A group that gets a template as it is in AWS launches with a profile that the plan does not hold.
    for node in &mut plan.nodes {
        if let belay_schemas::plan::Action::Call { call, .. } = &mut node.action
            && call.operation == "CreateAutoScalingGroup"
        {
            call.input["LaunchTemplate"] = serde_json::json!({"LaunchTemplateId": "lt-1", "Version": "4"});
        }
    }
    let found = policy::policies(&plan, &roles("app-role"));
    assert!(told(&found.notes, "lt-1") && !told(&found.notes, "app"), "{:?}", found.notes);
    let all = role(&found.documents);
    assert_eq!(all, ["arn:aws:iam::123456789012:role/*", "arn:aws:iam::123456789012:role/app-role"]);
}

#[test]
fn what_does_not_fit_is_split_and_says_so() {
    let mut plan = plan("upgrade");
    let update = plan.nodes.iter().find(|n| n.id == "api.service.update").unwrap().clone();
    for n in 0..150 {
        let mut node = update.clone();
        node.id = format!("c{n}.service.update");
        node.component = Some(format!("c{n}"));
        if let belay_schemas::plan::Action::Call { call, .. } = &mut node.action {
            // Names without a common beginning.
            call.input["service"] = format!("{}{n}-{}", char::from(b'a' + (n % 26) as u8), "x".repeat(100)).into();
        }
        plan.nodes.push(node);
    }
    let found = policies(&plan.seal());
    assert!(found.notes.iter().any(|note| note.contains("common beginnings")), "{:?}", found.notes);
    assert!(found.documents.iter().all(|d| d.to_string().len() <= LIMIT));
    if found.documents.len() > 1 {
        assert!(found.notes.iter().any(|note| note.contains("belong together")), "{:?}", found.notes);
    }
}
