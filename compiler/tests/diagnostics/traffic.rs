//! Deployments that shift traffic, registries, Service Connect.

use serde_json::json;

use crate::case::{Case, case};
use crate::support::{FRONT, World, env, group_arn, raw_service, web};

#[test]
fn traffic() {
    crate::check("traffic", table());
}

const LISTENER: &str = "arn:aws:elasticloadbalancing:us-east-1:123456789012";

/// `web` with this deployment configuration.
fn deployed(configuration: &str) -> String {
    raw_service(&format!("deploymentConfiguration: {{{configuration}}}"))
}

/// `web` behind a load balancer that shifts its traffic like this.
fn shifted(advanced: &str) -> String {
    let gateway =
        FRONT.replace("    target:", &format!("    plugin: {{ec2-ecs: {{raw: {{{advanced}}}}}}}\n    target:"));
    deployed("strategy: BLUE_GREEN, bakeTimeInMinutes: 5") + &gateway
}

/// The whole of what a shift needs, with these in the place of others.
fn advanced(alternate: &str, production: &str, more: &str) -> String {
    format!(
        "advancedConfiguration: {{alternateTargetGroupArn: \"{}\", productionListenerRule: \"{LISTENER}:{production}\", roleArn: \"arn:aws:iam::123456789012:role/ecs\"{more}}}",
        group_arn(alternate)
    )
}

/// A listener.
const MAIN: &str =
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/main/0123456789abcdef/0123456789abcdef";

/// A target group, and a listener without rules.
fn heard() -> World {
    World::new().group("front", "instance").with(|w| {
        w.rules.insert(MAIN.to_owned(), Vec::new());
    })
}

/// A rule with priority 10 and these tags.
fn taken(world: &mut World, tags: &[(&str, &str)]) {
    let tags: Vec<_> = tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    let rule = json!({"RuleArn": format!("{LISTENER}:{RULE}"), "Priority": "10", "IsDefault": false, "Tags": tags,
        "Conditions": [{"Field": "path-pattern", "Values": ["/other/*"]}],
        "Actions": [{"Type": "forward", "TargetGroupArn": group_arn("other")}]});
    world.rules.insert(MAIN.to_owned(), vec![rule]);
}

const RULE: &str = "listener-rule/app/main/0123456789abcdef/0123456789abcdef/0123456789abcdef";

fn named(name: &str) -> String {
    raw_service(&format!("serviceConnectConfiguration: {{enabled: true, namespace: shop, services: [{name}]}}"))
        .replace("        raw:\n", "        raw:\n          task_definition: {containerDefinitions: {portMappings: [{containerPort: 80, name: http}]}}\n")
}

fn registry(members: &str) -> String {
    raw_service(&format!("serviceRegistries: [{members}]"))
}

pub fn table() -> Vec<Case> {
    let arn = "registryArn: arn:aws:servicediscovery:us-east-1:123456789012:service/srv-1";
    let by_port = format!("{{{arn}, containerName: web, containerPort: 80}}");
    let whole = || shifted(&advanced("green", RULE, ""));
    let world = || World::new().group("front", "instance").group("green", "instance");
    let front = env("lb: {front: front}");
    let behind = |name, wrong: String| case("B430", name).model(wrong, whole()).with_env(front.clone()).world(world());
    let led = |rules: &str| {
        env(&format!("lb: {{front: {}}}\nlisteners: {{main: \"{MAIN}\"}}\nrules: {{{rules}}}", group_arn("front")))
    };
    let fronted = || web("provides: {ports: [80]}") + FRONT;
    let here = "host: [shop.example.com], listener: main, to: front";
    let right = led(&format!("a: {{{here}, priority: 10}}"));
    let behind_rules =
        |name, wrong: &str| case("B443", name).env(led(wrong), right.clone()).with_model(fronted()).world(heard());
    vec![
        case("B443", "no such listener")
            .with_env(right.clone())
            .with_model(fronted())
            .worlds(World::new().group("front", "instance"), heard()),
        case("B505", "listener not looked at").with_env(right.clone()).with_model(fronted()).world(heard()).stale(
            |observed| {
                observed.reads.retain(|read| read.operation != "DescribeRules");
                if let Some(ecs) = &mut observed.scope.ecs {
                    ecs.listeners.clear();
                }
            },
        ),
        behind_rules("unknown listener", "a: {host: [a], listener: mian, to: front, priority: 10}"),
        behind_rules("nothing to fit", "a: {listener: main, to: front, priority: 10}"),
        behind_rules(
            "too much to fit",
            "a: {host: [a, b, c], path: [/d, /e, /f], listener: main, to: front, priority: 10}",
        ),
        behind_rules("unknown gateway", "a: {host: [a], listener: main, to: back, priority: 10}"),
        behind_rules("one priority for two", &format!("a: {{{here}, priority: 10}}, b: {{{here}, priority: 10}}")),
        case("B443", "somebody else's priority")
            .with_env(right.clone())
            .with_model(fronted())
            .worlds(heard().with(|w| taken(w, &[])), heard()),
        case("B443", "listener of a network load balancer")
            .env(right.replace("listener/app/", "listener/net/"), right.clone())
            .with_model(fronted())
            .world(heard().with(|w| {
                w.rules.insert(MAIN.replace("listener/app/", "listener/net/"), Vec::new());
            })),
        case("B430", "no bake time")
            .model(deployed("strategy: BLUE_GREEN"), deployed("strategy: BLUE_GREEN, bakeTimeInMinutes: 5")),
        case("B430", "daemon").model(
            raw_service("schedulingStrategy: DAEMON\ndeploymentConfiguration: {strategy: LINEAR}"),
            raw_service("schedulingStrategy: DAEMON"),
        ),
        behind("nothing says how", deployed("strategy: BLUE_GREEN, bakeTimeInMinutes: 5") + FRONT),
        behind("no rule", shifted(&advanced("green", RULE, "").replace("productionListenerRule", "testListenerRule"))),
        behind("one group for both", shifted(&advanced("front", RULE, ""))),
        behind(
            "one rule for both",
            shifted(&advanced("green", RULE, &format!(", testListenerRule: \"{LISTENER}:{RULE}\""))),
        ),
        behind(
            "no rule but a listener",
            shifted(&advanced("green", "listener/app/main/0123456789abcdef/0123456789abcdef", "")),
        ),
        case("B430", "groups of two protocols")
            .with_model(whole())
            .with_env(front.clone())
            .worlds(world().with(|w| w.target_groups[1]["Protocol"] = json!("HTTPS")), world()),
        case("B430", "classic")
            .model(
                deployed("strategy: CANARY") + &FRONT.replace("\"\"", "80"),
                raw_service("enableExecuteCommand: false") + &FRONT.replace("\"\"", "80"),
            )
            .with_env(env("lb: {front: old}"))
            .world(World::new().classic("old", &[(80, 8080)])),
        case("B431", "block of another strategy").model(
            deployed("strategy: LINEAR, canaryConfiguration: {canaryPercent: 10}"),
            deployed("strategy: CANARY, canaryConfiguration: {canaryPercent: 10}"),
        ),
        case("B431", "step").model(
            deployed("strategy: LINEAR, linearConfiguration: {stepPercent: 2}"),
            deployed("strategy: LINEAR, linearConfiguration: {stepPercent: 20}"),
        ),
        case("B431", "bake time").model(
            deployed("strategy: BLUE_GREEN, bakeTimeInMinutes: 2000"),
            deployed("strategy: BLUE_GREEN, bakeTimeInMinutes: 20"),
        ),
        case("B431", "hook without stages").model(
            deployed("lifecycleHooks: [{hookTargetArn: arn, lifecycleStages: []}]"),
            deployed("lifecycleHooks: [{hookTargetArn: arn, lifecycleStages: [PRE_SCALE_UP]}]"),
        ),
        case("B431", "hook of a shift").model(
            deployed("lifecycleHooks: [{hookTargetArn: arn, lifecycleStages: [POST_TEST_TRAFFIC_SHIFT]}]"),
            deployed("lifecycleHooks: [{hookTargetArn: arn, lifecycleStages: [POST_SCALE_UP]}]"),
        ),
        case("B438", "unknown port").model(named("{portName: grpc}"), named("{portName: http}")),
        case("B438", "offered twice").model(named("{portName: http}, {portName: http}"), named("{portName: http}")),
        case("B438", "two aliases").model(
            named("{portName: http, clientAliases: [{port: 80}, {port: 81}]}"),
            named("{portName: http, clientAliases: [{port: 80}]}"),
        ),
        case("B440", "two registries").model(registry(&format!("{by_port}, {by_port}")), registry(&by_port)),
        case("B440", "no port").model(registry(&format!("{{{arn}}}")), registry(&by_port)),
        case("B440", "unknown port").model(registry(&by_port.replace("80", "81")), registry(&by_port)),
        case("B440", "too many tasks")
            .model(registry(&by_port).replace("    provides", "    replicas: 1001\n    provides"), registry(&by_port)),
    ]
}
