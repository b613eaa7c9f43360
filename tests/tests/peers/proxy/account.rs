//! An account in which a call of a fixture's plan can be made, and the plan of that one call.

use belay_executor::simulator::world::NamespaceKind;
use belay_schemas::aws;
use belay_schemas::plan::Plan;
use belay_tests::account::Account;
use belay_tests::fixtures::{Fixture, read};
use belay_tests::servers::REGION;
use serde_json::{Value, json};

use super::cases::{AAS, CLOUD_MAP, Case, There};

/// What is known of the account for the places in which calls name something.
#[derive(Default)]
pub(super) struct Known {
    /// The revision that a late value means.
    revision: Value,
    template: Value,
    deployment: Value,
    task: Value,
    rule: Value,
    policy: Value,
    /// What stands in the fixture, and what in its place here.
    instead: Vec<(String, String)>,
    instances: Value,
    image: String,
    group: String,
    subnets: Vec<String>,
}

/// Makes what has to be there.
pub(super) fn prepare(there: There, account: &Account) -> Known {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut known = Known::default();
    account.must("ecs", "CreateCluster", &json!({"clusterName": "default"}));
    let subnets = account.must("ec2", "DescribeSubnets", &json!({}));
    known.subnets = subnets["Subnets"].as_array().unwrap().iter().map(|one| text(&one["SubnetId"])).collect();
    let groups = account.must("ec2", "DescribeSecurityGroups", &json!({}));
    known.group = text(&groups["SecurityGroups"][0]["GroupId"]);
    // One of moto's own; listing them takes it seconds.
    known.image = "ami-12c6146b".to_owned();
    let register = |family: &str| {
        let container = json!({"name": "main", "image": "busybox", "memory": 64});
        let input = json!({"family": family, "containerDefinitions": [container]});
        account.must("ecs", "RegisterTaskDefinition", &input)["taskDefinition"]["taskDefinitionArn"].clone()
    };
    let service = |name: &str, revision: &Value| {
        let input = json!({"cluster": "default", "serviceName": name, "taskDefinition": revision, "desiredCount": 1,
            "tags": [{"key": "owner", "value": "somebody"}]});
        account.must("ecs", "CreateService", &input);
    };
    let template = |name: &str| {
        let input = json!({"LaunchTemplateName": name, "LaunchTemplateData": {"ImageId": known.image,
            "InstanceType": "t3.micro"}});
        account.must("ec2", "CreateLaunchTemplate", &input)["LaunchTemplate"]["LaunchTemplateId"].clone()
    };
    let group = |name: &str, size: u64| {
        let id = template(name);
        let input = json!({"AutoScalingGroupName": name, "LaunchTemplate": {"LaunchTemplateId": id, "Version": "1"},
            "MinSize": size, "MaxSize": size, "DesiredCapacity": size, "VPCZoneIdentifier": known.subnets.join(",")});
        account.must("autoscaling", "CreateAutoScalingGroup", &input);
    };
    let instances = |name: &str| {
        let found = account.must("autoscaling", "DescribeAutoScalingGroups", &json!({"AutoScalingGroupNames": [name]}));
        let members = found["AutoScalingGroups"][0]["Instances"].as_array().cloned().unwrap_or_default();
        Value::Array(members.into_iter().map(|one| one["InstanceId"].clone()).collect())
    };
    let scaled = |name: &str| {
        service(name, &register("prepared"));
        let place = json!({"ServiceNamespace": "ecs", "ResourceId": format!("service/default/{name}"),
            "ScalableDimension": "ecs:service:DesiredCount"});
        let mut input = place.clone();
        (input["MinCapacity"], input["MaxCapacity"]) = (json!(1), json!(9));
        account.must(AAS, "RegisterScalableTarget", &input);
        place
    };
    let host = || {
        let run = json!({"ImageId": "ami-12c6146b", "MinCount": 1, "MaxCount": 1, "InstanceType": "m5.large"});
        let made = account.must("ec2", "RunInstances", &run);
        let document = json!({"instanceId": made["Instances"][0]["InstanceId"]}).to_string();
        let join = json!({"cluster": "default", "instanceIdentityDocument": document});
        account.must("ecs", "RegisterContainerInstance", &join)["containerInstance"]["containerInstanceArn"].clone()
    };
    match there {
        There::Host => {
            host();
            known.revision = register("prepared");
        }
        There::Joined => {
            known.instances = json!([host()]);
            known.instead.push(("\"cluster\": \"shop\"".to_owned(), "\"cluster\": \"default\"".to_owned()));
        }
        There::Edge => {
            let arn = |rest: &str| format!("arn:aws:elasticloadbalancing:{REGION}:{}:{rest}", account.id);
            let mut groups = Vec::new();
            for name in ["edge-broker", "edge-idle"] {
                let vpc = &subnets["Subnets"][0]["VpcId"];
                let input = json!({"Name": name, "Protocol": "TCP", "Port": 80, "VpcId": vpc});
                groups.push(account.must("elbv2", "CreateTargetGroup", &input)["TargetGroups"][0].take());
            }
            let idle = text(&groups[1]["TargetGroupArn"]);
            known.instead.push((arn("targetgroup/edge-idle/00000000007a0003"), idle));
            let input = json!({"Name": "edge", "Type": "network", "Subnets": known.subnets[..2]});
            let made = account.must("elbv2", "CreateLoadBalancer", &input);
            let forward = json!([{"Type": "forward", "TargetGroupArn": groups[0]["TargetGroupArn"]}]);
            let input = json!({"LoadBalancerArn": made["LoadBalancers"][0]["LoadBalancerArn"], "Port": 9000,
                "Protocol": "TCP", "DefaultActions": forward});
            let listener = text(&account.must("elbv2", "CreateListener", &input)["Listeners"][0]["ListenerArn"]);
            known.instead.push((arn("listener/net/edge/00000000007b0001/00000000007c0002"), listener));
        }
        There::Rules => {
            let arn =
                |kind: &str, rest: &str| format!("arn:aws:elasticloadbalancing:{REGION}:{}:{kind}{rest}", account.id);
            let mut groups = Vec::new();
            for (name, id) in [("shop-web", "00000000007a0000"), ("unattached", "00000000007a0003")] {
                let vpc = &subnets["Subnets"][0]["VpcId"];
                let input = json!({"Name": name, "Protocol": "HTTP", "Port": 80, "VpcId": vpc});
                let made = account.must("elbv2", "CreateTargetGroup", &input);
                let here = text(&made["TargetGroups"][0]["TargetGroupArn"]);
                known.instead.push((arn("targetgroup", &format!("/{name}/{id}")), here.clone()));
                groups.push(here);
            }
            let forward = json!([{"Type": "forward", "TargetGroupArn": groups[0]}]);
            let input = json!({"Name": "shop", "Subnets": known.subnets[..2]});
            let made = account.must("elbv2", "CreateLoadBalancer", &input);
            let input = json!({"LoadBalancerArn": made["LoadBalancers"][0]["LoadBalancerArn"], "Port": 80,
                "Protocol": "HTTP", "DefaultActions": forward});
            let listener = account.must("elbv2", "CreateListener", &input)["Listeners"][0]["ListenerArn"].clone();
            let place = "/app/shop/00000000007b0000/00000000007c0000";
            for number in 1..=3 {
                let condition =
                    json!({"Field": "path-pattern", "PathPatternConfig": {"Values": [format!("/{number}")]}});
                let input = json!({"ListenerArn": listener, "Priority": number, "Conditions": [condition],
                    "Actions": forward});
                known.rule = account.must("elbv2", "CreateRule", &input)["Rules"][0]["RuleArn"].clone();
                let there = arn("listener-rule", &format!("{place}/{number:016}"));
                known.instead.push((there, text(&known.rule)));
            }
            known.instead.push((arn("listener", place), text(&listener)));
        }
        There::Network => {
            known.instead.push(("vpc-0a000001".to_owned(), text(&subnets["Subnets"][0]["VpcId"])));
        }
        There::TargetGroup(name, number) => {
            let input = json!({"Name": name, "Protocol": "HTTP", "Port": 80, "VpcId": subnets["Subnets"][0]["VpcId"]});
            let made = account.must("elbv2", "CreateTargetGroup", &input);
            let there =
                format!("arn:aws:elasticloadbalancing:{REGION}:{}:targetgroup/{name}/{number:016x}", account.id);
            known.instead.push((there, text(&made["TargetGroups"][0]["TargetGroupArn"])));
        }
        There::Provider(name) => {
            account.must("ecs", "CreateCluster", &json!({"clusterName": "shop"}));
            let group =
                format!("arn:aws:autoscaling:{REGION}:{}:autoScalingGroup:1:autoScalingGroupName/one", account.id);
            let scaling = json!({"status": "ENABLED", "targetCapacity": 100, "minimumScalingStepSize": 1,
                "maximumScalingStepSize": 10_000, "instanceWarmupPeriod": 300});
            let own = json!({"autoScalingGroupArn": group, "managedScaling": scaling, "managedDraining": "ENABLED",
                "managedTerminationProtection": "ENABLED"});
            account.must("ecs", "CreateCapacityProvider", &json!({"name": name, "autoScalingGroupProvider": own}));
            // moto has no Managed Instances: the cluster of the fixture keeps its own through the call, which never names them.
            known.instead.push(("\"media\",".to_owned(), String::new()));
        }
        There::Namespace | There::Registry(_) => {
            account.namespace("shop.internal", NamespaceKind::DnsPrivate);
            let namespace = text(&account.must(CLOUD_MAP, "ListNamespaces", &json!({}))["Namespaces"][0]["Id"]);
            known.instead.push(("ns-0a0000000000000a".to_owned(), namespace.clone()));
            if let There::Registry(name) = there {
                let input = json!({"Name": name, "NamespaceId": namespace,
                    "DnsConfig": {"DnsRecords": [{"Type": "SRV", "TTL": 60}]}});
                let made = text(&account.must(CLOUD_MAP, "CreateService", &input)["Service"]["Id"]);
                // The one that the fixture's call names is this one.
                let ids = (1..=9).map(|number| format!("srv-{number:016x}"));
                known.instead.extend(ids.map(|id| (id, made.clone())));
            }
        }
        There::Record => {
            let input = json!({"Name": "shop.internal", "CallerReference": "one"});
            let made = account.must("route53", "CreateHostedZone", &input);
            let zone = text(&made["HostedZone"]["Id"]).trim_start_matches("/hostedzone/").to_owned();
            known.instead.push(("Z0A00000000000000000A".to_owned(), zone.clone()));
            let name = "portal.prod.shop.internal.";
            let target = json!({"DNSName": "shop-1234567890.us-east-1.elb.amazonaws.com.",
                "HostedZoneId": "Z00000000000000000000", "EvaluateTargetHealth": false});
            let alias = json!({"Name": name, "Type": "A", "AliasTarget": target});
            let words = json!([{"Value": "\"belay:project=shop\" \"belay:cluster=us-east-1/default\" \"belay:component=portal\""}]);
            let told = json!({"Name": name, "Type": "TXT", "TTL": 300, "ResourceRecords": words});
            let changes = [alias, told].map(|set| json!({"Action": "CREATE", "ResourceRecordSet": set}));
            let input = json!({"HostedZoneId": zone, "ChangeBatch": {"Changes": changes}});
            account.must("route53", "ChangeResourceRecordSets", &input);
        }
        There::Task => {
            host();
            let sleeps = json!({"containerOverrides": [{"name": "main", "command": ["sleep", "infinity"]}]});
            let run = json!({"cluster": "default", "taskDefinition": register("prepared"), "count": 1,
                "overrides": sleeps});
            known.task = account.must("ecs", "RunTask", &run)["tasks"][0]["taskArn"].clone();
        }
        There::Schedule(name) => {
            let role = format!("arn:aws:iam::{}:role/ecsEventsRole", account.id);
            let cluster = format!("arn:aws:ecs:{REGION}:{}:cluster/default", account.id);
            let target = json!({"Arn": cluster, "RoleArn": role,
                "EcsParameters": {"TaskDefinitionArn": register("prepared"), "TaskCount": 1}});
            let input = json!({"Name": name, "ScheduleExpression": "rate(6 hours)", "State": "ENABLED",
                "FlexibleTimeWindow": {"Mode": "OFF"}, "Target": target});
            account.must("scheduler", "CreateSchedule", &input);
        }
        There::EventRule(name, target) => {
            let rule = json!({"Name": name, "ScheduleExpression": "rate(6 hours)", "State": "ENABLED"});
            account.must("events", "PutRule", &rule);
            if let Some(id) = target {
                let role = format!("arn:aws:iam::{}:role/ecsEventsRole", account.id);
                let cluster = format!("arn:aws:ecs:{REGION}:{}:cluster/default", account.id);
                known.revision = register("prepared");
                let target = json!({"Id": id, "Arn": cluster, "RoleArn": role,
                    "EcsParameters": {"TaskDefinitionArn": known.revision, "TaskCount": 1}});
                account.must("events", "PutTargets", &json!({"Rule": name, "Targets": [target]}));
            }
        }
        There::Scaled(name) => drop(scaled(name)),
        There::ScaledBy(name, policy) => {
            let mut input = scaled(name);
            input["PolicyName"] = json!(policy);
            input["PolicyType"] = json!("TargetTrackingScaling");
            input["TargetTrackingScalingPolicyConfiguration"] = json!({"TargetValue": 60.0,
                "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}});
            known.policy = account.must(AAS, "PutScalingPolicy", &input)["PolicyARN"].clone();
        }
        There::Alarm(name) => {
            let input = json!({"AlarmName": name, "Namespace": "AWS/ECS", "MetricName": "MemoryUtilization",
                "Statistic": "Average", "Period": 60, "EvaluationPeriods": 3, "Threshold": 10.0,
                "ComparisonOperator": "LessThanOrEqualToThreshold"});
            account.must("cloudwatch", "PutMetricAlarm", &input);
        }
        There::Scheduled(name, action) => {
            let mut input = scaled(name);
            input["ScheduledActionName"] = json!(action);
            input["Schedule"] = json!("cron(30 7 * * ? *)");
            input["ScalableTargetAction"] = json!({"MinCapacity": 4});
            account.must(AAS, "PutScheduledAction", &input);
        }
        There::LogGroup(name) => drop(account.must("logs", "CreateLogGroup", &json!({"logGroupName": name}))),
        There::Nothing => {}
        There::Revision => known.revision = register("prepared"),
        There::Service(name) => {
            service(name, &register("prepared"));
            known.revision = register("prepared");
        }
        There::Deployment(name) => {
            let old = register("prepared");
            service(name, &old);
            known.revision = register("prepared");
            let update = json!({"cluster": "default", "service": name, "taskDefinition": known.revision});
            account.must("ecs", "UpdateService", &update);
            let list = json!({"cluster": "default", "service": name});
            let found = account.must("ecs", "ListServiceDeployments", &list);
            known.deployment = found["serviceDeployments"][0]["serviceDeploymentArn"].clone();
        }
        There::Template(name) => known.template = template(name),
        There::Group(name, size) => {
            group(name, size);
            known.instances = instances(name);
        }
        There::Suspended(name) => {
            group(name, 2);
            account.must("autoscaling", "SuspendProcesses", &json!({"AutoScalingGroupName": name}));
        }
        There::Policy(name) => {
            group(name, 1);
            let input = json!({"AutoScalingGroupName": name, "PolicyName": "cpu", "PolicyType": "TargetTrackingScaling",
                "TargetTrackingConfiguration": {"TargetValue": 60.0,
                    "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}}});
            account.must("autoscaling", "PutScalingPolicy", &input);
        }
        There::Detached(name) => {
            group(name, 2);
            known.instances = instances(name);
            let loosen = json!({"AutoScalingGroupName": name, "MinSize": 0});
            account.must("autoscaling", "UpdateAutoScalingGroup", &loosen);
            let detach = json!({"AutoScalingGroupName": name, "InstanceIds": known.instances,
                "ShouldDecrementDesiredCapacity": true});
            account.must("autoscaling", "DetachInstances", &detach);
        }
    }
    known
}

/// A plan of one step: the fixture's, with what the account has in the place of late values, and without what the steps
/// around it are there for.
pub(super) fn plan(case: &Case, account: &Account, known: &Known) -> Plan {
    let text = read(&Fixture::named(case.at.0).dir().join("plan.json"));
    let mut text = text.replace("123456789012", &account.id).replace("ami-0a000001", &known.image);
    for (there, here) in &known.instead {
        text = text.replace(there, here);
    }
    for number in 1..=9 {
        text = text.replace(&format!("sg-0a{number:06}"), &known.group);
    }
    for (number, subnet) in known.subnets.iter().enumerate() {
        text = text.replace(&format!("subnet-0a{:06}", number + 1), subnet);
    }
    let mut plan: Value = serde_json::from_str(&text).unwrap();
    let nodes = plan["nodes"].as_array_mut().unwrap();
    nodes.retain(|node| node["id"] == case.at.1 || node["action"].get("commit").is_some());
    assert_eq!(nodes.len(), 2, "{:?} is not there", case.at);
    let mut edges = Vec::new();
    for node in nodes {
        if node["id"] != case.at.1 {
            let commit = node["id"].clone();
            edges.push(json!({"from": case.at.1, "to": commit, "kind": "after"}));
            continue;
        }
        let call = &node["action"]["call"];
        assert_eq!((&call["service"], &call["operation"]), (&json!(case.service), &json!(case.operation)));
        assert!(!aws::operation(case.service, case.operation).unwrap().readonly);
        for member in ["guards", "undo", "obligation", "each", "accepted", "irreversible"] {
            node.as_object_mut().unwrap().remove(member);
        }
        node["phase"] = json!("deploy");
        node["unguarded"] = json!("the account was made for it");
        settled(node, known);
    }
    plan["edges"] = json!(edges);
    let plan: Plan = serde_json::from_value(plan).unwrap();
    plan.seal()
}

/// Puts what is known in the place of late values.
fn settled(value: &mut Value, known: &Known) {
    match value {
        Value::Object(members) if members.contains_key("$output") => {
            let path = members["path"].as_str().unwrap_or_default();
            let found = match path {
                "@" => &known.instances,
                path if path.contains("taskDefinitionArn") => &known.revision,
                path if path.contains("LaunchTemplateId") => &known.template,
                path if path.contains("RuleArn") => &known.rule,
                path if path.contains("PolicyARN") => &known.policy,
                path if path.contains("taskArn") => &known.task,
                path if path.contains("serviceDeploymentArn") => &known.deployment,
                other => panic!("nobody knows {other}"),
            };
            assert!(!found.is_null(), "{path} is not known");
            *value = found.clone();
        }
        Value::Object(members) => members.values_mut().for_each(|value| settled(value, known)),
        Value::Array(items) => items.iter_mut().for_each(|value| settled(value, known)),
        _ => {}
    }
}
