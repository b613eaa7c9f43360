//! The AWS shapes: that the files are JSON Schemas, that the table holds all of them, and that the validator finds each
//! kind of fault and nothing else.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use belay_schemas::aws::{
    self, Fault, FaultKind, Kind, ShapeError, Strictness, is_destructive, validate_input, validate_output,
};
use serde_json::{Value, json};

fn schema(service: &str) -> Value {
    serde_json::from_str(aws::document(service).unwrap()).unwrap()
}

fn plan(operation: &str, input: Value) -> Vec<Fault> {
    validate_input("ecs", operation, &input, Strictness::Plan)
}

/// `path: kind` of each fault.
fn brief(faults: &[Fault]) -> Vec<(&str, &FaultKind)> {
    faults.iter().map(|fault| (fault.path.as_str(), &fault.kind)).collect()
}

fn only(faults: Vec<Fault>) -> Fault {
    assert_eq!(faults.len(), 1, "{faults:#?}");
    faults.into_iter().next().unwrap()
}

fn task_definition() -> Value {
    json!({
        "family": "default_shop_web",
        "networkMode": "bridge",
        "containerDefinitions": [{
            "name": "web", "image": "nginx:1.13", "memory": 128, "essential": true,
            "portMappings": [{"containerPort": 80, "hostPort": 0, "protocol": "tcp"}],
            "environment": [{"name": "A", "value": "b"}],
            "dockerLabels": {"a/b": "c"},
            "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "x"}},
        }],
        "tags": [{"key": "belay:run", "value": {"$run": "id"}}],
    })
}

#[test]
fn every_file_is_a_2020_12_schema_and_loads() {
    for service in aws::services() {
        let document = schema(service);
        jsonschema::draft202012::meta::validate(&document).unwrap_or_else(|error| panic!("{service}: {error}"));
        let table = aws::service(service).unwrap();
        let count = |key: &str| document[key].as_object().unwrap().len();
        assert_eq!(&*table.facts.name, service);
        assert_eq!(table.shapes().len(), count("$defs"));
        assert_eq!(table.operations().len(), count("x-operations"));
        for operation in table.operations() {
            assert_eq!(aws::operation(service, &operation.name).unwrap().name, operation.name);
            if let Some(token) = &operation.token {
                let Kind::Structure(input) = &table.shape(operation.input.unwrap()).kind else {
                    panic!("{}", operation.name)
                };
                assert!(input.member(token).is_some(), "{}", operation.name);
            }
        }
    }
    assert!(aws::services().is_sorted());
}

#[test]
fn the_files_are_facts_without_prose() {
    fn walk(value: &Value, path: &str) {
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| {
                assert!(
                    path.ends_with("/properties") || !["description", "documentation"].contains(&key.as_str()),
                    "{path}/{key}"
                );
                walk(value, &format!("{path}/{key}"));
            }),
            Value::Array(list) => list.iter().for_each(|value| walk(value, path)),
            _ => {}
        }
    }
    aws::services().for_each(|service| walk(&schema(service), service));
}

#[test]
fn patterns_that_cannot_be_applied_are_known() {
    let mut unusable = Vec::new();
    for service in aws::services() {
        for shape in aws::service(service).unwrap().shapes() {
            if let Kind::String(text) = &shape.kind
                && let Some(pattern) = &text.pattern
                && !pattern.is_applicable()
            {
                assert!(pattern.admits("anything"));
                unusable.push(format!("{service} {} {}", shape.name, pattern.text));
            }
        }
    }
    let known = [
        // Printable characters: Belay's names of policies are letters, digits, `-`, `_` and a dot.
        "application-autoscaling PolicyName \\p{Print}+",
        // Neither `:`, `/`, `|` nor control characters, no space at either end: the same names fulfil that.
        "application-autoscaling ScheduledActionName (?!((^[ ]+.*)|(.*([\\u0000-\\u001f]|[\\u007f-\\u009f]|[:/|])+.*)|(.*[ ]+$))).+",
        // Of targets that are web endpoints: no plan has any.
        "events PathParameter ^(?!\\s*$).+",
        // Of events that a schedule puts on a bus: no plan does.
        "scheduler Source (?=[/\\.\\-_A-Za-z0-9]+)((?!aws\\.).*)|(\\$(\\.[\\w_-]+(\\[(\\d+|\\*)\\])*)*)",
        // Labels with dots between them: Belay makes one label of letters, digits, `-` and `_`.
        "servicediscovery ServiceName ((?=^.{1,127}$)^([a-zA-Z0-9_][a-zA-Z0-9-_]{0,61}[a-zA-Z0-9_]|[a-zA-Z0-9])(\\.([a-zA-Z0-9_][a-zA-Z0-9-_]{0,61}[a-zA-Z0-9_]|[a-zA-Z0-9]))*$)|(^\\.$)",
    ];
    assert_eq!(unusable, known, "a pattern in Java's dialect: check what it means, then list it here");
}

#[test]
fn look_ups_suggest_the_nearest_name() {
    assert_eq!(
        aws::operation("ecs", "UpdateServices").unwrap_err().to_string(),
        "ecs has no operation `UpdateServices` here; did you mean `UpdateService`?"
    );
    assert_eq!(
        aws::service("elbv1").unwrap_err(),
        ShapeError::UnknownService { name: "elbv1".into(), nearest: Some("elbv2".into()) }
    );
    let fault = only(validate_input("ecs", "Nonsense", &json!({}), Strictness::Exact));
    assert_eq!(
        (fault.kind, fault.message.as_str()),
        (FaultKind::UnknownOperation, "ecs has no operation `Nonsense` here")
    );
}

#[test]
fn operations_carry_what_callers_need() {
    let create = aws::operation("ecs", "CreateService").unwrap();
    assert_eq!((create.service, create.readonly, create.token.as_deref()), ("ecs", false, Some("clientToken")));
    assert!(create.errors.iter().any(|code| &**code == "ClusterNotFoundException"));
    assert_eq!(aws::operation("ecs", "UpdateService").unwrap().token, None);
    let list = aws::operation("ecs", "ListTasks").unwrap();
    let pages = list.pagination.as_ref().unwrap();
    assert!(list.readonly);
    assert_eq!(
        (&*pages.input_tokens[0], &*pages.output_tokens[0], &*pages.result_keys[0]),
        ("nextToken", "nextToken", "taskArns")
    );
    // Error codes are those on the wire, not the names of the exceptions' shapes.
    let health = aws::operation("elbv2", "DescribeTargetHealth").unwrap();
    assert!(health.errors.iter().any(|code| &**code == "TargetGroupNotFound"));
    assert_eq!(health.result_wrapper.as_deref(), Some("DescribeTargetHealthResult"));
    let ecs = aws::service("ecs").unwrap();
    assert_eq!(ecs.facts.target_prefix.as_deref(), Some("AmazonEC2ContainerServiceV20141113"));
}

#[test]
fn wire_names_are_there() {
    let ec2 = aws::service("ec2").unwrap();
    let input = ec2.operation("DescribeVpcs").unwrap().input.unwrap();
    let Kind::Structure(input) = &ec2.shape(input).kind else { panic!() };
    let filters = input.member("Filters").unwrap();
    assert_eq!(filters.wire_name(), "Filter");
    let Kind::List(list) = &ec2.shape(filters.shape).kind else { panic!() };
    assert_eq!(list.item_name.as_deref(), Some("Filter"));
}

#[test]
fn a_good_input_has_no_fault() {
    assert_eq!(plan("RegisterTaskDefinition", task_definition()), []);
    assert_eq!(plan("DescribeClusters", Value::Null), []);
    assert_eq!(validate_input("sts", "GetCallerIdentity", &json!({}), Strictness::Exact), []);
}

#[test]
fn an_unknown_member_names_the_nearest() {
    let fault = only(plan("UpdateService", json!({"service": "a", "desiredcount": 2})));
    assert_eq!(
        fault.kind,
        FaultKind::UnknownMember { name: "desiredcount".into(), nearest: Some("desiredCount".into()) }
    );
    assert_eq!(fault.to_string(), "/desiredcount: unknown member `desiredcount`; did you mean `desiredCount`?");
    let fault = only(validate_input("sts", "GetCallerIdentity", &json!({"a~/b": 1}), Strictness::Exact));
    assert_eq!(fault.path, "/a~0~1b");
}

#[test]
fn a_required_member_is_missed() {
    let fault = only(plan("UpdateService", json!({})));
    assert_eq!((fault.path.as_str(), fault.kind), ("", FaultKind::MissingMember { name: "service".into() }));
}

#[test]
fn types_are_held() {
    let wrong =
        |member: &str, value: Value| only(plan("UpdateService", json!({"service": "a", member: value}))).message;
    assert_eq!(wrong("desiredCount", json!("2")), "expected a whole number, found a string");
    assert_eq!(wrong("desiredCount", json!(2.0)), "expected a whole number, found a fraction");
    assert_eq!(wrong("desiredCount", json!(true)), "expected a whole number, found a boolean");
    assert_eq!(wrong("cluster", Value::Null), "expected a string, found null");
    assert_eq!(wrong("forceNewDeployment", json!(1)), "expected a boolean, found a number");
    assert_eq!(wrong("loadBalancers", json!({})), "expected a list, found an object");
    assert_eq!(wrong("deploymentConfiguration", json!([])), "expected an object, found a list");
}

#[test]
fn timestamps_are_numbers_or_iso_8601() {
    let at =
        |value: Value| plan("ListServiceDeployments", json!({"service": "a", "createdAt": {"after": value}})).len();
    for good in [
        json!(0),
        json!(1.5),
        json!("1700000000"),
        json!("2026-11-03"),
        json!("2028-02-29T23:59:59.25Z"),
        json!("2026-11-03 08:00+01:00"),
    ] {
        assert_eq!(at(good.clone()), 0, "{good}");
    }
    for bad in [
        json!(true),
        json!("soon"),
        json!("2026-02-29"),
        json!("2026-11-03T24:00"),
        json!("2026-11-03T08:00:00+1"),
        json!("inf"),
    ] {
        assert_eq!(at(bad.clone()), 1, "{bad}");
    }
}

#[test]
fn enums_ranges_and_patterns_are_held() {
    let fault = only(plan("UpdateService", json!({"service": "a", "propagateTags": "SERVICES"})));
    assert_eq!(fault.kind, FaultKind::NotInEnum { nearest: Some("SERVICE".into()) });
    let tags = |tag: Value| plan("TagResource", json!({"resourceArn": "arn", "tags": [tag]}));
    let fault = only(tags(json!({"key": "", "value": "v"})));
    assert_eq!((fault.path.as_str(), &fault.kind), ("/tags/0/key", &FaultKind::OutOfRange));
    assert_eq!(fault.message, "0 characters, but it must be between 1 and 128");
    // Characters are counted, not bytes.
    assert_eq!(tags(json!({"key": "é".repeat(128), "value": "v"})), []);
    assert_eq!(only(tags(json!({"key": "é".repeat(129), "value": "v"}))).kind, FaultKind::OutOfRange);
    let v2 = |input: Value| validate_input("elbv2", "CreateTargetGroup", &input, Strictness::Exact);
    assert_eq!(v2(json!({"Name": "n", "HealthCheckIntervalSeconds": 5})), []);
    assert_eq!(
        only(v2(json!({"Name": "n", "HealthCheckIntervalSeconds": 4}))).message,
        "4, but it must be between 5 and 300"
    );
    assert_eq!(only(v2(json!({"Name": "n", "Port": u64::MAX}))).kind, FaultKind::OutOfRange);
    let fault = only(v2(json!({"Name": "n", "Tags": [{"Key": "a!"}]})));
    assert!(matches!(fault.kind, FaultKind::PatternMismatch { .. }), "{fault:?}");
    assert_eq!(fault.path, "/Tags/0/Key");
}

#[test]
fn a_union_has_one_member() {
    let with = |sharing: Value| {
        let mut input = task_definition();
        let requirements = json!([{"type": "GPU", "sharingStrategy": sharing}]);
        input["containerDefinitions"][0]["resourceRequirements"] = requirements;
        plan("RegisterTaskDefinition", input)
    };
    assert_eq!(with(json!({"nvidiaMps": {"memory": 1024}})), []);
    let fault = only(with(json!({})));
    assert_eq!(fault.kind, FaultKind::NotOneMember { given: 0 });
    assert_eq!(fault.path, "/containerDefinitions/0/resourceRequirements/0/sharingStrategy");
    // Which member it is must be known when the plan is reviewed.
    assert_eq!(only(with(json!({"$output": "n", "path": "p"}))).kind, FaultKind::LateMisplaced);
}

#[test]
fn all_faults_come_at_once() {
    let mut input = task_definition();
    input["networkMode"] = json!("brige");
    input["containerDefinitions"][0]["memroy"] = json!(1);
    input["containerDefinitions"][0]["essential"] = json!("yes");
    input["containerDefinitions"][0]["dockerLabels"]["a/b"] = json!(1);
    input.as_object_mut().unwrap().remove("family");
    let faults = plan("RegisterTaskDefinition", input);
    let paths: Vec<&str> = brief(&faults).iter().map(|(path, _)| *path).collect();
    assert_eq!(
        paths,
        [
            "",
            "/containerDefinitions/0/dockerLabels/a~1b",
            "/containerDefinitions/0/essential",
            "/containerDefinitions/0/memroy",
            "/networkMode"
        ]
    );
}

#[test]
fn late_values_stand_where_they_fit() {
    let late = |input: Value| plan("UpdateService", input);
    let output = json!({"$output": "n", "path": "p"});
    assert_eq!(
        late(
            json!({"service": output, "desiredCount": output, "loadBalancers": output, "deploymentConfiguration": output, "forceNewDeployment": output})
        ),
        []
    );
    let share = json!({"$output": "n", "path": "p", "share": [1, 2]});
    assert_eq!(late(json!({"service": "a", "desiredCount": share, "loadBalancers": share})), []);
    assert_eq!(only(late(json!({"service": share}))).kind, FaultKind::LateMisplaced);
    let run = json!({"$run": "id"});
    assert_eq!(late(json!({"service": run})), []);
    assert_eq!(only(late(json!({"service": "a", "desiredCount": run}))).kind, FaultKind::LateMisplaced);
    assert_eq!(only(late(json!({"service": "a", "propagateTags": run}))).kind, FaultKind::LateMisplaced);
    assert_eq!(only(late(json!({"service": {"$output": "n"}}))).kind, FaultKind::LateMalformed);
    assert_eq!(
        only(plan("RunTask", json!({"taskDefinition": "a", "clientToken": {"$run": "now"}}))).kind,
        FaultKind::LateMalformed
    );
    assert_eq!(plan("RunTask", json!({"taskDefinition": "a", "clientToken": {"$run": "token"}})), []);
    // A token is a text like any other: it has to fit.
    let name = json!({"Name": {"$run": "token"}, "IpAddressType": {"$run": "token"}});
    assert_eq!(only(validate_input("elbv2", "CreateTargetGroup", &name, Strictness::Plan)).path, "/IpAddressType");
    let code = json!({"RuleArn": "r", "Actions": [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": {"$run": "token"}}}]});
    assert!(matches!(
        only(validate_input("elbv2", "ModifyRule", &code, Strictness::Plan)).kind,
        FaultKind::PatternMismatch { .. }
    ));
    // In free maps too: a label with such a key cannot be told from a late value.
    assert_eq!(
        only(plan(
            "RegisterTaskDefinition",
            json!({"family": "f", "containerDefinitions": [{"dockerLabels": {"$output": "x"}}]})
        ))
        .kind,
        FaultKind::LateMalformed
    );
}

#[test]
fn a_call_that_is_made_has_no_late_values() {
    let exact = |input: Value| validate_input("ecs", "UpdateService", &input, Strictness::Exact);
    assert_eq!(only(exact(json!({"service": {"$run": "id"}}))).kind, FaultKind::LateUnresolved);
    let labels = json!({"family": "f", "containerDefinitions": [{"dockerLabels": {"$output": "x"}}]});
    assert_eq!(validate_input("ecs", "RegisterTaskDefinition", &labels, Strictness::Exact), []);
}

#[test]
fn outputs_may_lack_members_but_not_have_others() {
    let output = |value: Value| validate_output("ecs", "DescribeServices", &value);
    assert_eq!(output(json!({})), []);
    assert_eq!(
        output(json!({"services": [{"serviceName": "a", "createdAt": 1.5, "events": null}], "failures": []})),
        []
    );
    assert_eq!(only(output(json!({"services": [{"servicename": "a"}]}))).path, "/services/0/servicename");
    assert_eq!(only(output(json!({"services": [{"desiredCount": "1"}]}))).path, "/services/0/desiredCount");
}

/// The inputs of which botocore, the `jsonschema` crate and this validator must say the same.
fn table() -> Vec<(&'static str, &'static str, Value, bool)> {
    let mut no_name = task_definition();
    no_name["containerDefinitions"][0]["essential"] = json!("yes");
    let mut plain = task_definition();
    plain["tags"] = json!([{"key": "k", "value": "v"}]);
    vec![
        ("ecs", "RegisterTaskDefinition", plain, true),
        ("ecs", "RegisterTaskDefinition", no_name, false),
        ("ecs", "RegisterTaskDefinition", json!({"family": "f"}), false),
        ("ecs", "UpdateService", json!({"service": "a", "desiredCount": 3}), true),
        ("ecs", "UpdateService", json!({"service": "a", "desiredCount": "3"}), false),
        ("ecs", "UpdateService", json!({"service": "a", "propagateTags": "ALL"}), false),
        ("ecs", "UpdateService", json!({"service": "a", "more": 1}), false),
        (
            "ecs",
            "CreateService",
            json!({"serviceName": "a", "placementStrategy": [{"type": "spread", "field": "host"}]}),
            true,
        ),
        ("ecs", "CreateService", json!({"serviceName": "a", "placementStrategy": [{"type": "spreads"}]}), false),
        ("ecs", "TagResource", json!({"resourceArn": "a", "tags": [{"key": "k".repeat(129)}]}), false),
        (
            "ecs",
            "TagResource",
            json!({"resourceArn": "a", "tags": (0..51).map(|n| json!({"key": n.to_string()})).collect::<Vec<_>>()}),
            false,
        ),
        ("elb", "DescribeInstanceHealth", json!({"LoadBalancerName": "b", "Instances": [{"InstanceId": "i-1"}]}), true),
        ("elb", "DescribeInstanceHealth", json!({"Instances": []}), false),
        ("elbv2", "CreateTargetGroup", json!({"Name": "n", "Protocol": "HTTP", "Port": 80}), true),
        ("elbv2", "CreateTargetGroup", json!({"Name": "n", "Protocol": "http", "Port": 80}), false),
        ("elbv2", "CreateTargetGroup", json!({"Name": "n", "Port": 65536}), false),
        ("elbv2", "CreateTargetGroup", json!({"Name": "n", "Tags": []}), false),
        ("elbv2", "CreateTargetGroup", json!({"Name": "n", "Tags": [{"Key": "a!"}]}), false),
        ("ec2", "DescribeVpcs", json!({"Filters": [{"Name": "isDefault", "Values": ["true"]}], "MaxResults": 5}), true),
        ("ec2", "DescribeVpcs", json!({"MaxResults": 4}), false),
        ("ecr", "BatchGetImage", json!({"repositoryName": "a/b", "imageIds": [{"imageTag": "1"}]}), true),
        ("ecr", "BatchGetImage", json!({"repositoryName": "a/b", "imageIds": []}), false),
        ("sts", "GetCallerIdentity", json!({}), true),
        ("sts", "GetCallerIdentity", json!({"a": 1}), false),
    ]
}

#[test]
fn the_schema_and_the_validator_agree() {
    for (service, operation, input, good) in table() {
        let mut document = schema(service);
        document["$ref"] = document["x-operations"][operation]["input"]["$ref"].clone();
        let by_schema = jsonschema::draft202012::new(&document).unwrap().is_valid(&input);
        let faults = validate_input(service, operation, &input, Strictness::Exact);
        assert_eq!((by_schema, faults.is_empty()), (good, good), "{service} {operation} {input}: {faults:#?}");
    }
}

#[test]
fn destruction_is_told_by_name() {
    let destructive: Vec<String> = aws::services()
        .flat_map(|service| aws::service(service).unwrap().operations())
        .filter(|operation| is_destructive(operation.service, &operation.name))
        .map(|operation| format!("{}:{}", operation.service, operation.name))
        .collect();
    assert_eq!(
        destructive,
        [
            "autoscaling:DeleteAutoScalingGroup",
            "autoscaling:DeleteLaunchConfiguration",
            "autoscaling:DeletePolicy",
            "autoscaling:DeleteScheduledAction",
            "autoscaling:SetInstanceHealth",
            "autoscaling:TerminateInstanceInAutoScalingGroup",
            "ec2:DeleteLaunchTemplate",
            "ec2:DeleteLaunchTemplateVersions",
            "ec2:TerminateInstances",
            "ecs:DeleteCapacityProvider",
            "ecs:DeleteService",
            "ecs:DeleteTaskDefinitions",
            "ecs:DeleteTaskSet",
            "ecs:DeregisterTaskDefinition",
            "ecs:StopServiceDeployment",
            "ecs:StopTask",
            "elbv2:DeleteRule",
            "elbv2:DeleteTargetGroup",
            "events:DeleteRule",
            "logs:DeleteLogGroup",
            "logs:DeleteRetentionPolicy",
            "scheduler:DeleteSchedule",
            "servicediscovery:DeleteService",
        ]
    );
    assert!(!is_destructive("autoscaling", "DeleteLifecycleHook"));
    assert!(!is_destructive("elbv2", "DeregisterTargets"));
}
