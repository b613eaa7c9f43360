//! Deployments that shift traffic, registries, Service Connect.

use serde_json::json;

use crate::case::{Case, case};
use crate::groups::{rule, stays};
use crate::support::{FRONT, Input, World, env, group_arn, raw_service, web, web_with};

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
    shifted_as("strategy: BLUE_GREEN, bakeTimeInMinutes: 5", advanced)
}

fn shifted_as(strategy: &str, advanced: &str) -> String {
    let gateway =
        FRONT.replace("    target:", &format!("    plugin: {{ec2-ecs: {{raw: {{{advanced}}}}}}}\n    target:"));
    deployed(strategy) + &gateway
}

/// `web` behind a load balancer, deployed like this.
fn typed(deployment: &str) -> String {
    web_with(&format!("mem: 128, deployment: {{{deployment}}}"), "provides: {ports: [80]}") + FRONT
}

/// An environment that says where the traffic of `front` is shifted.
fn switching(switch: &str) -> String {
    env(&format!(
        "lb: {{front: {{name: front, switch: {{{switch}}}}}}}\nlisteners: {{main: \"{MAIN}\"}}\nrules: {{www: {{listener: main, priority: 10, host: [a.example.com], to: front}}}}"
    ))
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

/// Two target groups, and a listener without rules.
fn paired() -> World {
    heard().group("green", "instance")
}

const GREEN: &str = "to: green, rule: www, role: ecs";

/// The same with a rule that somebody else made.
fn led_to(group: &str) -> World {
    paired().with(|w| {
        taken(w, &[]);
        if let Some(rules) = w.rules.get_mut(MAIN) {
            rules[0]["Actions"][0]["TargetGroupArn"] = json!(group_arn(group));
            rules[0]["Priority"] = json!("20");
        }
    })
}

/// The switch at that rule.
fn at_rule(rule: &str) -> String {
    env(&format!("lb: {{front: {{name: front, switch: {{to: green, rule: \"{LISTENER}:{rule}\", role: ecs}}}}}}"))
}

/// `web` runs, deployed as blue/green, and the second target group has its traffic.
fn in_green() -> World {
    let world = led_to("front");
    let input = Input::new(&typed("strategy: blue-green, bake: 5"), &at_rule(RULE)).world(world.clone());
    world.apply(&input.plan()).with(|w| {
        for revision in w.revisions.values_mut() {
            revision["resolvedConfiguration"] = json!({"loadBalancers": [{"targetGroupArn": group_arn("green")}]});
        }
    })
}

/// A network load balancer that leads to `front`, of this protocol.
fn networked(protocol: &str) -> World {
    networked_as(protocol, "TCP", "main")
}

/// The same, where the listener speaks another protocol, or the group belongs to another load balancer.
fn networked_as(protocol: &str, listener: &str, balancer: &str) -> World {
    let of = |name: &str| {
        format!("arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/{name}/0123456789abcdef")
    };
    World::new().group("front", "instance").with(|w| {
        w.target_groups[0]["Protocol"] = json!(protocol);
        w.target_groups[0]["LoadBalancerArns"] = json!([of(balancer)]);
        w.listeners.push(json!({"ListenerArn": MAIN.replace("listener/app/", "listener/net/"),
            "LoadBalancerArn": of("main"), "Protocol": listener,
            "DefaultActions": [{"Type": "forward", "TargetGroupArn": group_arn("front")}]}));
    })
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
    let net = |rules: &str| led(rules).replace("listener/app/", "listener/net/");
    let through_net = |name, wrong: &str| {
        let right = net("a: {listener: main, to: front}");
        case("B443", name).env(net(wrong), right).with_model(fronted()).world(networked("TCP"))
    };
    let through_net_as = |name, wrong: World, right: World| {
        case("B443", name).with_env(net("a: {listener: main, to: front}")).with_model(fronted()).worlds(wrong, right)
    };
    // `web` runs behind `front`, and another group is led to by nobody.
    let behind_net = || {
        let world = networked("TCP");
        let input = Input::new(&fronted(), &net("a: {listener: main, to: front}")).world(world.clone());
        world.apply(&input.plan()).group("next", "instance").with(|w| {
            w.target_groups[1]["Protocol"] = json!("TCP");
            w.target_groups[1]["LoadBalancerArns"] = json!([]);
        })
    };
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
        behind_rules("no priority", &format!("a: {{{here}}}")),
        case("B443", "listener of another load balancer")
            .env(right.replace("listener/app/", "listener/gwy/"), right.clone())
            .with_model(fronted())
            .world(heard().with(|w| {
                w.rules.insert(MAIN.replace("listener/app/", "listener/gwy/"), Vec::new());
            })),
        through_net("priority at a network load balancer", "a: {listener: main, to: front, priority: 10}"),
        through_net("host at a network load balancer", &format!("a: {{{here}}}")),
        through_net("two places", "a: {listener: main, to: front}, b: {listener: main, to: front}"),
        case("B443", "HTTP behind a network load balancer")
            .with_env(net("a: {listener: main, to: front}"))
            .with_model(fronted())
            .worlds(networked("HTTP"), networked("TCP")),
        case("B443", "TCP behind an application load balancer")
            .with_env(right.clone())
            .with_model(fronted())
            .worlds(heard().with(|w| w.target_groups[0]["Protocol"] = json!("TCP")), heard()),
        case("B443", "stops leading to running tasks")
            .env(
                net("a: {listener: main, to: front}")
                    .replace(&group_arn("front"), &group_arn("next")),
                net("a: {listener: main, to: front}"),
            )
            .with_model(fronted())
            .world(behind_net())
            .also("B428"),
        through_net_as("listener that speaks otherwise", networked_as("TCP", "UDP", "main"), networked("TCP")),
        through_net_as("target group of another load balancer", networked_as("TCP", "TCP", "other"), networked("TCP")),
        case("B501", "listener of another project")
            .with_env(net("a: {listener: main, to: front}"))
            .with_model(fronted())
            .worlds(
                networked("TCP").with(|w| {
                    w.target_groups[0]["Tags"] = json!([{"Key": "belay:project", "Value": "blog"}]);
                }),
                networked("TCP"),
            ),
        case("B443", "switch at a network load balancer")
            .env(
                net("a: {listener: main, to: front}").replace(
                    &format!("lb: {{front: {}}}", group_arn("front")),
                    &format!("lb: {{front: {{name: {}, switch: {{to: {}, rule: \"{}\", role: ecs}}}}}}", group_arn("front"), group_arn("green"), MAIN.replace("listener/app/", "listener/net/")),
                ),
                net("a: {listener: main, to: front}"),
            )
            .with_model(fronted())
            .world(networked("TCP"))
            .also("B346"),
        case("B345", "where a listener leads")
            .env(net("a: {listener: main, to: front}"), led(&format!("a: {{{here}, priority: 10}}")))
            .with_model(fronted())
            .unobserved(),
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
            deployed("strategy: BLUE_GREEN, bakeTimeInMinutes: 5, canaryConfiguration: {canaryPercent: 10}"),
            deployed("strategy: BLUE_GREEN, bakeTimeInMinutes: 5"),
        ),
        case("B431", "step")
            .model(
                shifted_as("strategy: LINEAR, linearConfiguration: {stepPercent: 2}", &advanced("green", RULE, "")),
                shifted_as("strategy: LINEAR, linearConfiguration: {stepPercent: 20}", &advanced("green", RULE, "")),
            )
            .with_env(front.clone())
            .world(world()),
        case("B430", "nothing to shift").model(
            web_with("mem: 128, deployment: {strategy: canary}", ""),
            web_with("mem: 128, deployment: {strategy: blue-green, bake: 5}", ""),
        ),
        case("B430", "nothing to switch to")
            .with_model(typed("strategy: canary"))
            .env(front.clone(), switching(GREEN))
            .world(paired()),
        case("B430", "switch at no rule")
            .with_model(typed("strategy: canary"))
            .env(switching("to: green, rule: ww, role: ecs"), switching(GREEN))
            .world(paired()),
        case("B430", "switch to a classic load balancer")
            .with_model(typed("strategy: canary"))
            .env(
                switching("to: \"arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/old\", rule: www, role: ecs"),
                switching(GREEN),
            )
            .world(paired()),
        case("B346", "switch to nothing")
            .with_model(typed("strategy: canary"))
            .env(switching("to: geen, rule: www, role: ecs"), switching(GREEN))
            .world(paired()),
        case("B345", "switch by name")
            .with_model(typed("strategy: canary"))
            .env(
                switching(GREEN).replace("name: front,", &format!("name: \"{}\",", group_arn("front"))),
                switching(GREEN),
            )
            .worlds(paired(), paired())
            .unobserved(),
        case("B430", "rule to somewhere else")
            .with_model(typed("strategy: canary"))
            .with_env(at_rule(RULE))
            .worlds(led_to("other"), led_to("green")),
        case("B430", "rule that is not there")
            .with_model(typed("strategy: canary"))
            .env(
                at_rule("listener-rule/app/main/0123456789abcdef/0123456789abcdef/0000000000000001"),
                at_rule(RULE),
            )
            .world(led_to("front")),
        case("B431", "bake time of a rolling deployment").model(
            web_with("mem: 128, deployment: {bake: 5}", ""),
            web_with("mem: 128, deployment: {strategy: blue-green, bake: 5}", ""),
        ),
        case("B431", "step of blue/green")
            .model(typed("strategy: blue-green, bake: 5, step: {percent: 10}"), typed("strategy: linear, step: {percent: 10}"))
            .with_env(switching(GREEN))
            .world(paired()),
        case("B431", "two ways to count failures").model(
            web_with("mem: 128, deployment: {circuit_breaker: {failures: 5, percent: 10}}", ""),
            web_with("mem: 128, deployment: {circuit_breaker: {failures: 5}}", ""),
        ),
        case("B530", "back to rolling while the other group has the traffic")
            .model(typed("strategy: rolling"), typed("strategy: blue-green, bake: 5"))
            .with_env(at_rule(RULE))
            .world(in_green()),
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
        case("B438", "unknown port").model(
            named("{portName: grpc, clientAliases: [{port: 80}]}"),
            named("{portName: http, clientAliases: [{port: 80}]}"),
        ),
        case("B438", "offered twice").model(
            named("{portName: http, clientAliases: [{port: 80}]}, {portName: http, clientAliases: [{port: 81}]}"),
            named("{portName: http, clientAliases: [{port: 80}]}"),
        ),
        case("B438", "no alias").model(named("{portName: http}"), named("{portName: http, clientAliases: [{port: 80}]}")),
        case("B438", "two aliases").model(
            named("{portName: http, clientAliases: [{port: 80}, {port: 81}]}"),
            named("{portName: http, clientAliases: [{port: 80}]}"),
        ),
        case("B440", "two registries").model(registry(&format!("{by_port}, {by_port}")), registry(&by_port)),
        case("B440", "no port").model(registry(&format!("{{{arn}}}")), registry(&by_port)),
        case("B440", "unknown port").model(registry(&by_port.replace("80", "81")), registry(&by_port)),
        case("B440", "too many tasks")
            .model(registry(&by_port).replace("    provides", "    replicas: 1001\n    provides"), registry(&by_port)),
        case("B443", "priority of a rule that stays")
            .model(stays("never"), stays("after"))
            .with_env(env(&format!("lb: {{front: front}}\nlisteners: {{main: \"{MAIN}\"}}\nrules: {{www: {{listener: main, priority: 20, host: [a.example.com], to: front}}}}")))
            .world(heard().with(|w| {
                w.rules.insert(MAIN.to_owned(), vec![rule("20")]);
            }))
            .also("B506"),
    ]
}
