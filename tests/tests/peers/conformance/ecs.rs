//! Task definitions and services.

use belay_tests::servers::{Client, Emulator};
use serde_json::{Value, json};

use super::transcript::{Transcript, differs};
use super::{conforms, must};

fn cluster(client: &mut Client) {
    must(client, "ecs", "CreateCluster", json!({"clusterName": "default"}));
}

fn web(image: &str) -> Value {
    json!({
        "family": "shop_web", "networkMode": "bridge", "requiresCompatibilities": ["EC2"],
        "containerDefinitions": [{
            "name": "web", "image": image, "cpu": 128, "memory": 256, "essential": true,
            "portMappings": [{"containerPort": 80, "hostPort": 0, "protocol": "tcp"}],
            "environment": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}],
        }],
        "tags": [{"key": "belay:project", "value": "shop"}],
    })
}

fn plain() -> Value {
    json!({"family": "plain", "containerDefinitions": [{"name": "main", "image": "busybox", "memory": 64}]})
}

fn task_definitions(t: &mut Transcript) {
    t.step("register", "ecs", "RegisterTaskDefinition", web("nginx:1.12"));
    t.step("register with defaults", "ecs", "RegisterTaskDefinition", plain());
    let second = t.step("register again", "ecs", "RegisterTaskDefinition", web("nginx:1.13"));
    let arn = &second["taskDefinition"]["taskDefinitionArn"];
    t.step("describe by family", "ecs", "DescribeTaskDefinition", json!({"taskDefinition": "shop_web"}));
    let tagged = json!({"taskDefinition": "shop_web:1", "include": ["TAGS"]});
    t.step("describe by revision", "ecs", "DescribeTaskDefinition", tagged);
    t.step("describe by arn", "ecs", "DescribeTaskDefinition", json!({"taskDefinition": arn}));
    t.step("tags", "ecs", "ListTagsForResource", json!({"resourceArn": arn}));
    t.step("list", "ecs", "ListTaskDefinitions", json!({"familyPrefix": "shop_web"}));
    t.step("list newest first", "ecs", "ListTaskDefinitions", json!({"familyPrefix": "shop_web", "sort": "DESC"}));
    t.step("list families", "ecs", "ListTaskDefinitionFamilies", json!({"familyPrefix": "shop"}));
    t.step("deregister", "ecs", "DeregisterTaskDefinition", json!({"taskDefinition": "shop_web:1"}));
    t.step("describe inactive", "ecs", "DescribeTaskDefinition", json!({"taskDefinition": "shop_web:1"}));
    t.step("list active", "ecs", "ListTaskDefinitions", json!({"familyPrefix": "shop_web", "status": "ACTIVE"}));
    t.step("list inactive", "ecs", "ListTaskDefinitions", json!({"familyPrefix": "shop_web", "status": "INACTIVE"}));
    t.step("revision goes on", "ecs", "RegisterTaskDefinition", web("nginx:1.14"));
    t.step("describe unknown family", "ecs", "DescribeTaskDefinition", json!({"taskDefinition": "nothing"}));
    t.step("describe unknown revision", "ecs", "DescribeTaskDefinition", json!({"taskDefinition": "shop_web:99"}));
    t.step("deregister unknown", "ecs", "DeregisterTaskDefinition", json!({"taskDefinition": "nothing:1"}));
    t.step("list of unknown family", "ecs", "ListTaskDefinitions", json!({"familyPrefix": "nothing"}));
}

#[test]
fn task_definitions_as_in_moto() {
    conforms(
        Emulator::Moto,
        cluster,
        task_definitions,
        &[
            differs("*", "/taskDefinition/registeredAt", "moto leaves out when and by whom"),
            differs("*", "/taskDefinition/registeredBy", "moto leaves out when and by whom"),
            differs("*", "/taskDefinition/deregisteredAt", "moto leaves out when and by whom"),
            differs("register", "/tags", "moto does not repeat the tags that a registration gave"),
            differs("register again", "/tags", "moto does not repeat the tags that a registration gave"),
            differs("revision goes on", "/tags", "moto does not repeat the tags that a registration gave"),
            differs("list newest first", "/taskDefinitionArns", "moto passes over `sort`"),
            differs("deregister unknown", "/error/message", "moto uses the message of DescribeTaskDefinition"),
        ],
    );
}

fn created(t: &mut Transcript) -> Value {
    t.aside("ecs", "RegisterTaskDefinition", web("nginx:1.12"));
    t.aside("ecs", "RegisterTaskDefinition", web("nginx:1.13"));
    let input = json!({
        "cluster": "default", "serviceName": "shop_web", "taskDefinition": "shop_web:1", "desiredCount": 2,
        "launchType": "EC2", "schedulingStrategy": "REPLICA", "tags": [{"key": "belay:project", "value": "shop"}],
    });
    t.step("create", "ecs", "CreateService", input)
}

fn missing_services(t: &mut Transcript) {
    created(t);
    let service = |name: &str| json!({"cluster": "default", "service": name});
    t.step("list", "ecs", "ListServices", json!({"cluster": "default"}));
    let both = json!({"cluster": "default", "services": ["nothing", "shop_web"]});
    t.step("describe with a missing one", "ecs", "DescribeServices", both);
    t.step("update missing", "ecs", "UpdateService", service("nothing"));
    t.step("delete missing", "ecs", "DeleteService", service("nothing"));
    let nowhere = json!({"cluster": "nowhere", "services": ["shop_web"]});
    t.step("describe in a missing cluster", "ecs", "DescribeServices", nowhere);
    t.step("list in a missing cluster", "ecs", "ListServices", json!({"cluster": "nowhere"}));
    t.step("update in a missing cluster", "ecs", "UpdateService", json!({"cluster": "nowhere", "service": "shop_web"}));
    t.step("delete with tasks", "ecs", "DeleteService", service("shop_web"));
    t.step("describe clusters", "ecs", "DescribeClusters", json!({"clusters": ["nowhere"]}));
    t.step("list tasks in a missing cluster", "ecs", "ListTasks", json!({"cluster": "nowhere"}));
}

#[test]
fn missing_services_as_in_moto() {
    let of_a_service = [
        ("availabilityZoneRebalancing", "moto does not know it"),
        ("createdAt", "moto leaves out when and by whom"),
        ("createdBy", "moto leaves out when and by whom"),
        ("currentServiceDeployment", "moto has no service deployments"),
        ("currentServiceRevisions", "moto has no service revisions"),
        ("deploymentConfiguration", "moto drops it, and fills in no defaults"),
        ("enableECSManagedTags", "moto fills in no defaults"),
        ("enableExecuteCommand", "moto fills in no defaults"),
        ("resourceManagementType", "moto does not know it"),
        ("pendingCount", "moto has all tasks pending in the answer itself; AWS starts them afterwards"),
        ("deployments/0/pendingCount", "moto has all tasks pending in the answer itself; AWS starts them afterwards"),
        ("deployments/0/platformFamily", "moto calls EC2 a platform family, which only Fargate has"),
    ];
    let mut differences = vec![differs(
        "describe with a missing one",
        "/failures/0/arn",
        "moto writes the short form of ARNs, which knows no cluster",
    )];
    for (member, reason) in of_a_service {
        differences.push(differs("create", format!("/service/{member}"), reason));
        differences.push(differs("describe with a missing one", format!("/services/0/{member}"), reason));
    }
    conforms(Emulator::Moto, cluster, missing_services, &differences);
}

fn life_of_a_service(t: &mut Transcript) {
    created(t);
    t.settle();
    let read = json!({"cluster": "default", "services": ["shop_web"]});
    t.step("created", "ecs", "DescribeServices", read.clone());
    t.step("tasks", "ecs", "ListTasks", json!({"cluster": "default", "serviceName": "shop_web"}));
    let again = json!({"cluster": "default", "serviceName": "shop_web", "taskDefinition": "shop_web:2"});
    t.step("create again", "ecs", "CreateService", again);
    let update =
        json!({"cluster": "default", "service": "shop_web", "taskDefinition": "shop_web:2", "desiredCount": 3});
    t.aside("ecs", "UpdateService", update);
    t.settle();
    t.step("updated", "ecs", "DescribeServices", read.clone());
    t.step("tasks after", "ecs", "ListTasks", json!({"cluster": "default", "serviceName": "shop_web"}));
    t.aside("ecs", "UpdateService", json!({"cluster": "default", "service": "shop_web", "desiredCount": 0}));
    t.settle();
    t.step("drained", "ecs", "DescribeServices", read.clone());
    t.step("no tasks", "ecs", "ListTasks", json!({"cluster": "default", "serviceName": "shop_web"}));
    t.aside("ecs", "DeleteService", json!({"cluster": "default", "service": "shop_web"}));
    t.settle();
    t.step("deleted", "ecs", "DescribeServices", read);
    t.step("list", "ecs", "ListServices", json!({"cluster": "default"}));
    let anew =
        json!({"cluster": "default", "serviceName": "shop_web", "taskDefinition": "shop_web:2", "desiredCount": 1});
    t.aside("ecs", "CreateService", anew);
    t.settle();
    t.step("listed anew", "ecs", "ListServices", json!({"cluster": "default"}));
}

#[test]
fn life_of_a_service_as_in_ministack() {
    let of_a_service = [
        ("availabilityZoneRebalancing", "ministack does not know it"),
        ("createdBy", "ministack's caller is the root user"),
        ("currentServiceRevisions", "ministack has no service revisions"),
        ("deploymentConfiguration/bakeTimeInMinutes", "ministack does not know it"),
        ("deploymentConfiguration/strategy", "ministack does not know it"),
        ("healthCheckGracePeriodSeconds", "ministack gives it without a load balancer too"),
        ("platformFamily", "ministack writes an empty text for what only Fargate has"),
        ("platformVersion", "ministack writes an empty text for what only Fargate has"),
        ("roleArn", "ministack writes an empty text for no role"),
        ("resourceManagementType", "ministack does not know it"),
    ];
    let mut differences = vec![
        differs("create", "/service/currentServiceDeployment", "ministack has no service deployments"),
        differs("create", "/service/runningCount", "ministack's tasks run in the answer itself"),
        differs("create", "/service/deployments/0/runningCount", "ministack's tasks run in the answer itself"),
        differs("create", "/service/deployments/0/rolloutState", "ministack's tasks run in the answer itself"),
        differs("create again", "/error/code", "AWS's code is InvalidParameterException (what deployment tools match)"),
        differs("deleted", "/services/0/deployments", "ministack keeps the last deployment of a deleted service"),
    ];
    for (member, reason) in of_a_service {
        differences.push(differs("*", format!("/service/{member}"), reason));
        differences.push(differs("*", format!("/services/0/{member}"), reason));
    }
    for step in ["create", "created", "updated", "drained"] {
        let path = if step == "create" { "/service/deployments/0" } else { "/services/0/deployments/0" };
        let reason = "ministack does not name the deployment";
        differences.push(differs(step, format!("{path}/rolloutStateReason"), reason));
    }
    for step in ["created", "updated", "drained", "deleted"] {
        differences.push(differs(step, "/services/0/events", "ministack has few events, worded in its own way"));
        differences.push(differs(step, "/services/0/tags", "ministack gives tags that were not asked for"));
    }
    conforms(Emulator::Ministack, cluster, life_of_a_service, &differences);
}
