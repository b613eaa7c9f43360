//! What is read around services: the network that tasks are put into, log groups, what starts tasks at certain
//! times, scaling with its alarms.
//!
//! Invariant: looked up with filters and prefixes, which answer with nothing where there is nothing, so that what is
//! missing is for the compiler to tell.

use std::collections::BTreeSet;

use belay_schemas::scope::EcsScope;
use futures_util::future::{try_join, try_join_all, try_join3};
use serde_json::{Value, json};

use super::reader::Reader;
use super::{ObserveError, balancers, items};

/// Values that a filter of EC2 takes at most.
const FILTER: usize = 200;
/// What DescribeScalableTargets takes at a time.
const TARGETS: usize = 50;

pub(super) async fn observe(
    reader: &Reader<'_>,
    scope: &EcsScope,
    tagged: BTreeSet<String>,
    (mut schedules, mut event_rules): (BTreeSet<String>, BTreeSet<String>),
    mut listeners: BTreeSet<String>,
) -> Result<(), ObserveError> {
    schedules.extend(scope.schedules.iter().cloned());
    let timetable =
        try_join_all(schedules.iter().map(|name| reader.read("scheduler", "GetSchedule", json!({"Name": name}))));
    event_rules.extend(scope.event_rules.iter().cloned());
    let timetable = try_join(timetable, try_join_all(event_rules.iter().map(|name| event_rule(reader, name))));
    listeners.extend(scope.listeners.iter().cloned());
    let listeners = try_join_all(listeners.iter().map(|arn| rules(reader, arn)));
    let timetable = try_join(timetable, listeners);
    let quotas = try_join_all(scope.quotas.iter().map(|code| {
        reader.read_if_possible(
            "service-quotas",
            "GetServiceQuota",
            json!({"ServiceCode": "fargate", "QuotaCode": code}),
        )
    }));
    let timetable = try_join(timetable, quotas);
    let around = try_join3(network(reader, scope), log_groups(reader, scope), scaling(reader, scope, tagged));
    try_join(around, timetable).await?;
    Ok(())
}

/// A rule of EventBridge, what it starts, and its tags: whose it is stands there.
async fn event_rule(reader: &Reader<'_>, name: &str) -> Result<(), ObserveError> {
    let Some(rule) = reader.read("events", "DescribeRule", json!({"Name": name})).await? else { return Ok(()) };
    let targets = reader.read("events", "ListTargetsByRule", json!({"Rule": name}));
    let tags = async {
        match rule["Arn"].as_str() {
            Some(arn) => reader.read("events", "ListTagsForResource", json!({"ResourceARN": arn})).await,
            None => Ok(None),
        }
    };
    try_join(targets, tags).await?;
    Ok(())
}

/// VPCs, subnets and security groups, each by id and by name.
async fn network(reader: &Reader<'_>, scope: &EcsScope) -> Result<(), ObserveError> {
    let network = &scope.network;
    let kinds = [
        ("DescribeVpcs", "vpc-", ["vpc-id", "tag:Name"], &network.vpcs),
        ("DescribeSubnets", "subnet-", ["subnet-id", "tag:Name"], &network.subnets),
        ("DescribeSecurityGroups", "sg-", ["group-id", "group-name"], &network.security_groups),
    ];
    let reads = kinds.into_iter().flat_map(|(operation, prefix, [by_id, by_name], entries)| {
        let (ids, names): (Vec<&String>, Vec<&String>) = entries.iter().partition(|e| is_id(e, prefix));
        [(by_id, ids), (by_name, names)].into_iter().flat_map(move |(filter, values)| {
            let inputs: Vec<Value> =
                values.chunks(FILTER).map(|values| json!({"Filters": [{"Name": filter, "Values": values}]})).collect();
            inputs.into_iter().map(move |input| reader.read("ec2", operation, input))
        })
    });
    try_join_all(reads).await?;
    Ok(())
}

/// The rules of a listener, and their tags: whose they are stands there. Listeners of network load balancers have none.
async fn rules(reader: &Reader<'_>, listener: &str) -> Result<(), ObserveError> {
    if listener.contains(":listener/net/") {
        let answer = reader.read("elbv2", "DescribeListeners", json!({"ListenerArns": [listener]})).await?;
        // Whose it is, the groups that it leads to say.
        let actions = answer.iter().flat_map(|a| items(a, "Listeners")).flat_map(|l| items(l, "DefaultActions"));
        let groups = actions.flat_map(|a| items(&a["ForwardConfig"], "TargetGroups").chain([a]));
        let groups = groups.filter_map(|group| group["TargetGroupArn"].as_str().map(str::to_owned)).collect();
        return balancers::tags(reader, &groups).await;
    }
    let Some(answer) = reader.read("elbv2", "DescribeRules", json!({"ListenerArn": listener})).await? else {
        return Ok(());
    };
    let own = items(&answer, "Rules").filter(|rule| rule["IsDefault"] != true);
    let arns = own.filter_map(|rule| rule["RuleArn"].as_str().map(str::to_owned)).collect();
    balancers::tags(reader, &arns).await
}

fn is_id(entry: &str, prefix: &str) -> bool {
    let rest = entry.strip_prefix(prefix).unwrap_or_default();
    rest.len() >= 8 && rest.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Each group by its whole name: of those that only begin with it, nothing is kept.
async fn log_groups(reader: &Reader<'_>, scope: &EcsScope) -> Result<(), ObserveError> {
    let reads = scope.log_groups.iter().map(|name| async move {
        let input = json!({"logGroupNamePrefix": name});
        let trim = |output: &mut Value| {
            let Some(groups) = output["logGroups"].as_array_mut() else { return };
            groups.retain(|group| group["logGroupName"] == **name);
            groups.iter_mut().filter_map(Value::as_object_mut).for_each(|group| _ = group.remove("storedBytes"));
        };
        reader.read_trimmed("logs", "DescribeLogGroups", input, trim).await
    });
    try_join_all(reads).await?;
    Ok(())
}

/// The scalable targets of services that the model scales or that say that they are scaled, with what hangs on them.
async fn scaling(reader: &Reader<'_>, scope: &EcsScope, mut names: BTreeSet<String>) -> Result<(), ObserveError> {
    names.extend(scope.scaled.iter().cloned());
    let resources: Vec<String> = names.iter().map(|name| format!("service/{}/{name}", scope.cluster)).collect();
    let service = "application-autoscaling";
    let common = |mut input: Value| {
        input["ServiceNamespace"] = "ecs".into();
        input["ScalableDimension"] = "ecs:service:DesiredCount".into();
        input
    };
    let found = try_join_all(
        resources
            .chunks(TARGETS)
            .map(|batch| reader.read(service, "DescribeScalableTargets", common(json!({"ResourceIds": batch})))),
    )
    .await?;
    let found: BTreeSet<String> = found
        .iter()
        .flatten()
        .flat_map(|answer| items(answer, "ScalableTargets"))
        .filter_map(|target| target["ResourceId"].as_str().map(str::to_owned))
        .collect();
    let reads = found.iter().flat_map(|resource| {
        ["DescribeScalingPolicies", "DescribeScheduledActions"]
            .map(|operation| reader.read(service, operation, common(json!({"ResourceId": resource}))))
    });
    let answers = try_join_all(reads).await?;
    // Only policies that scale in steps have alarms that are not Application Auto Scaling's own.
    let policies = answers.iter().flatten().flat_map(|answer| items(answer, "ScalingPolicies"));
    let stepping = policies.filter(|policy| policy["PolicyType"] == "StepScaling");
    let stepping = stepping.filter_map(|p| p["ResourceId"].as_str()?.rsplit('/').next());
    let services: BTreeSet<&str> = stepping.chain(scope.stepped.iter().map(String::as_str)).collect();
    let components = services.iter().filter_map(|service| service.strip_prefix(scope.service_prefix.as_str()));
    let alarms = components.map(|component| {
        let prefix = format!("{}{component}.", scope.family_prefix);
        reader.read("cloudwatch", "DescribeAlarms", json!({"AlarmNamePrefix": prefix}))
    });
    try_join_all(alarms).await?;
    Ok(())
}
