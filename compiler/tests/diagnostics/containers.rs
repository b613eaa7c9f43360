//! Single containers: logging, health checks, secrets, and what Fargate leaves out.

use crate::case::{Case, case};
use crate::support::raw_task;

#[test]
fn containers() {
    crate::check("containers", table());
}

const EXECUTION: &str = "executionRoleArn: arn:aws:iam::123456789012:role/fetch\n";

/// A component on Fargate, with these further members of its task definition and of every container.
fn fargate(task: &str, container: &str, service: &str) -> String {
    format!(
        "components:
  web:
    image: nginx:1.27
    plugin:
      ec2-ecs:
        mem: 128
        network_mode: awsvpc
        raw:
          task_definition: {{{task}, containerDefinitions: {{{container}}}}}
          service:
            launchType: FARGATE
            networkConfiguration: {{awsvpcConfiguration: {{subnets: [subnet-1]}}}}
{service}"
    )
}

const ROUTER: &str = "    containers:\n      router: {image: fluent-bit:3.1, essential: true, mem: 64, raw: {firelensConfiguration: {type: fluentbit}}}\n";

/// A component with further containers and settings.
fn routed(containers: &str, settings: &str) -> String {
    format!(
        "components:\n  web:\n    image: nginx:1.27\n{containers}    plugin:\n      ec2-ecs:\n        mem: 128\n        {settings}\n"
    )
}

fn splunk(option: &str) -> String {
    format!(
        "logConfiguration: {{logDriver: splunk, options: {{splunk-{option}}}, secretOptions: [{{name: splunk-token, valueFrom: /splunk/token}}]}}"
    )
}

pub fn table() -> Vec<Case> {
    let sizes = "cpu: \"256\", memory: \"512\"";
    let good = || fargate(sizes, "", "");
    let log = |driver: &str, options: &str| {
        raw_task(&format!(
            "containerDefinitions:\n  logConfiguration:\n    logDriver: {driver}\n    options: {{{options}}}"
        ))
    };
    let health = |check: &str| raw_task(&format!("containerDefinitions:\n  healthCheck: {{{check}}}"));
    let secret = |task: &str, secrets: &str| raw_task(&format!("{task}containerDefinitions:\n  secrets: {secrets}"));
    let arn = "arn:aws:ssm:eu-west-1:123456789012:parameter/token";
    vec![
        case("B414", "privileged").model(fargate(sizes, "privileged: true", ""), good()),
        case("B414", "docker security options")
            .model(fargate(sizes, "dockerSecurityOptions: [no-new-privileges]", ""), good()),
        case("B414", "processes of the host")
            .model(fargate(&format!("{sizes}, pidMode: host"), "", ""), fargate(&format!("{sizes}, pidMode: task"), "", "")),
        case("B414", "ipc mode").model(fargate(&format!("{sizes}, ipcMode: task"), "", ""), good()),
        case("B414", "placement")
            .model(fargate(sizes, "", "            placementConstraints: [{type: distinctInstance}]\n"), good()),
        case("B414", "placement strategy")
            .model(fargate(sizes, "", "            placementStrategy: [{type: spread, field: instanceId}]\n"), good()),
        case("B414", "placement in the task definition").model(
            fargate(&format!("{sizes}, placementConstraints: [{{type: memberOf, expression: \"attribute:x == y\"}}]"), "", ""),
            good(),
        ),
        case("B414", "network mode").model(
            good().replace("network_mode: awsvpc", "network_mode: bridge"),
            good(),
        )
        .also("B421"),
        case("B413", "docker volume on fargate").model(
            fargate(&format!("{sizes}, volumes: [{{name: data, dockerVolumeConfiguration: {{scope: task}}}}]"), "", ""),
            fargate(&format!("{sizes}, volumes: [{{name: data}}]"), "", ""),
        ),
        case("B415", "no group and region")
            .model(log("awslogs", ""), log("awslogs", "awslogs-group: a, awslogs-region: us-east-1")),
        case("B415", "driver on fargate").model(
            fargate(sizes, "logConfiguration: {logDriver: json-file}", ""),
            fargate(&format!("{sizes}, executionRoleArn: ecs"), &splunk("url: \"https://splunk:8088\""), ""),
        ),
        case("B415", "no log router").model(
            routed("", "logs: {driver: awsfirelens, options: {Name: cloudwatch}}"),
            routed(ROUTER, "logs: {driver: awsfirelens, options: {Name: cloudwatch}}"),
        ),
        case("B415", "nothing to route")
            .model(routed(ROUTER, ""), routed(ROUTER, "logs: {driver: awsfirelens, options: {Name: cloudwatch}}")),
        case("B415", "no address of Splunk").model(
            fargate(&format!("{sizes}, executionRoleArn: ecs"), &splunk("format: json"), ""),
            fargate(&format!("{sizes}, executionRoleArn: ecs"), &splunk("url: \"https://splunk:8088\""), ""),
        ),
        case("B415", "stream prefix on fargate").model(
            fargate(&format!("{sizes}, executionRoleArn: ecs"), "logConfiguration: {logDriver: awslogs, options: {awslogs-group: a, awslogs-region: us-east-1}}", ""),
            fargate(
                &format!("{sizes}, executionRoleArn: ecs"),
                "logConfiguration: {logDriver: awslogs, options: {awslogs-group: a, awslogs-region: us-east-1, awslogs-stream-prefix: b}}",
                "",
            ),
        ),
        case("B415", "no options at all").model(
            raw_task("containerDefinitions:\n  logConfiguration: {logDriver: awslogs}"),
            log("json-file", ""),
        ),
        case("B415", "two ways to split lines").model(
            log("awslogs", "awslogs-group: a, awslogs-region: us-east-1, awslogs-datetime-format: \"%Y\", awslogs-multiline-pattern: x"),
            log("awslogs", "awslogs-group: a, awslogs-region: us-east-1, awslogs-multiline-pattern: x"),
        ),
        case("B417", "command").model(health("command: [curl, localhost]"), health("command: [CMD, curl, localhost]")),
        case("B417", "interval").model(
            health("command: [CMD, curl], interval: 1"),
            health("command: [CMD, curl], interval: 5"),
        ),
        case("B417", "several numbers").model(
            health("command: [CMD, curl], timeout: 1, retries: 11, startPeriod: 301"),
            health("command: [CMD, curl], timeout: 2, retries: 10, startPeriod: 300"),
        ),
        case("B420", "variable and secret").model(
            format!("{}    env: {{TOKEN: \"true\"}}\n", secret(EXECUTION, "[{name: TOKEN, valueFrom: token}]")),
            format!("{}    env: {{OTHER: \"true\"}}\n", secret(EXECUTION, "[{name: TOKEN, valueFrom: token}]")),
        ),
        case("B420", "half an arn").model(
            secret(EXECUTION, "[{name: TOKEN, valueFrom: \"arn:aws:ssm:eu-west-1\"}]"),
            secret(EXECUTION, &format!("[{{name: TOKEN, valueFrom: \"{arn}\"}}]")),
        ),
        case("B420", "no value").model(
            secret(EXECUTION, "[{name: TOKEN, valueFrom: \"\"}]"),
            secret(EXECUTION, "[{name: TOKEN, valueFrom: token}]"),
        ),
        case("B420", "twice").model(
            secret(EXECUTION, "[{name: TOKEN, valueFrom: a}, {name: TOKEN, valueFrom: b}]"),
            secret(EXECUTION, "[{name: TOKEN, valueFrom: a}]"),
        ),
        case("B420", "no execution role").model(
            secret("", "[{name: TOKEN, valueFrom: token}]"),
            secret(EXECUTION, "[{name: TOKEN, valueFrom: token}]"),
        ),
    ]
}
