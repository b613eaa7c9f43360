//! Target groups that Belay makes.

use serde_json::json;

use crate::case::{Case, case};
use crate::support::{FRONT, World, env, group_arn, web};

#[test]
fn groups() {
    crate::check("groups", table());
}

const MAIN: &str =
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/main/0123456789abcdef/0123456789abcdef";

/// An environment with this target group, to which a rule leads.
fn made(group: &str) -> String {
    made_as("front", group)
}

fn made_as(key: &str, group: &str) -> String {
    env(&format!(
        "lb: {{front: {key}}}\ntarget_groups: {{{key}: {{{group}}}}}\nlisteners: {{main: \"{MAIN}\"}}\nrules: {{www: {{listener: main, priority: 10, host: [a.example.com], to: front}}}}"
    ))
}

/// The same with a second one behind `back`.
fn both(back: &str) -> String {
    env(&format!(
        "lb: {{front: front, back: back}}\ntarget_groups: {{front: {{vpc: main}}, back: {{{back}}}}}\nlisteners: {{main: \"{MAIN}\"}}\nrules: {{www: {{listener: main, priority: 10, host: [a.example.com], to: front}}, old: {{listener: main, priority: 20, host: [b.example.com], to: back}}}}"
    ))
}

/// A listener without rules, and a VPC.
fn heard() -> World {
    World::new().with(|w| {
        w.rules.insert(MAIN.to_owned(), Vec::new());
        w.vpcs.push(json!({"VpcId": "vpc-12345678", "Tags": [{"Key": "Name", "Value": "main"}]}));
    })
}

/// The same with a target group of that name, and these tags.
fn there(tags: &[(&str, &str)]) -> World {
    let tags: Vec<_> = tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    heard().group("shop-front", "instance").with(|w| {
        let group = &mut w.target_groups[0];
        group["VpcId"] = json!("vpc-12345678");
        group["Tags"] = json!(tags);
        for (member, value) in [("HealthCheckProtocol", json!("HTTP")), ("HealthCheckPort", json!("traffic-port"))] {
            group[member] = value;
        }
    })
}

/// The environment of [`made`], where the rule is that of a network load balancer.
fn through(group: &str) -> String {
    made(group).replace("listener/app/", "listener/net/").replace(", priority: 10, host: [a.example.com]", "")
}

/// A listener of a network load balancer, and a VPC.
fn networked() -> World {
    heard().with(|w| {
        w.rules.clear();
        w.listeners.push(json!({"ListenerArn": MAIN.replace("listener/app/", "listener/net/"),
            "DefaultActions": [{"Type": "forward", "TargetGroupArn": group_arn("idle")}]}));
    })
}

const OURS: [(&str, &str); 2] = [("belay:project", "shop"), ("belay:target-group", "front")];

/// `web` behind a gateway, with this word for what is left over.
pub fn stays(orphans: &str) -> String {
    web("provides: {ports: [80]}") + FRONT + &format!("lifecycle: {{teardown_orphans: {orphans}}}\n")
}

/// A rule of the project's that its environment does not name.
pub fn rule(priority: &str) -> serde_json::Value {
    json!({"RuleArn": MAIN.replace(":listener/", ":listener-rule/") + "/0123456789abcdef",
        "Priority": priority, "IsDefault": false,
        "Tags": [{"Key": "belay:project", "Value": "shop"}, {"Key": "belay:rule", "Value": "old"}],
        "Conditions": [{"Field": "path-pattern", "Values": ["/old/*"]}],
        "Actions": [{"Type": "forward", "TargetGroupArn": group_arn("front")}]})
}

pub fn table() -> Vec<Case> {
    let fronted = || web("provides: {ports: [80]}") + FRONT;
    let right = made("vpc: main");
    let of = |code, what, wrong: &str, right: &str| {
        case(code, what).with_model(fronted()).env(made(wrong), made(right)).world(heard())
    };
    let checked = |what, wrong: &str, right: &str| {
        let group = |check: &str| format!("vpc: main, health_check: {{{check}}}");
        of("B447", what, &group(wrong), &group(right))
    };
    vec![
        of("B447", "no VPC", "port: 80", "vpc: main"),
        checked("answer after the next check", "interval: 10, timeout: 10", "interval: 10, timeout: 9"),
        checked("TCP check of HTTP", "protocol: TCP", "protocol: HTTPS"),
        checked("codes", "codes: 200-600", "codes: 200-299"),
        case("B447", "path by TCP").with_model(fronted()).world(networked()).env(
            through("vpc: main, protocol: TCP, health_check: {path: /up}"),
            through("vpc: main, protocol: TCP, health_check: {path: /up, protocol: HTTP}"),
        ),
        of("B401", "name of a target group", "vpc: main, name: -front", "vpc: main, name: front-2"),
        case("B401", "derived name of a target group").with_model(fronted()).world(heard()).env(
            made_as("the-front-of-the-shop-for-everybody", "vpc: main"),
            made_as("the-front-of-the-shop-for-everybody", "vpc: main, name: front"),
        ),
        case("B401", "key of a target group")
            .with_model(fronted())
            .env(made_as("front.door", "vpc: main, name: front"), made_as("front-door", "vpc: main, name: front"))
            .world(heard()),
        of("B421", "VPC of a target group", "vpc: mian", "vpc: main"),
        case("B421", "two VPCs of one name").with_model(fronted()).with_env(right.clone()).worlds(
            heard().with(|w| {
                w.vpcs.push(json!({"VpcId": "vpc-87654321", "Tags": [{"Key": "Name", "Value": "main"}]}));
            }),
            heard(),
        ),
        of("B426", "type of a made target group", "vpc: main, type: ip", "vpc: main, type: instance"),
        case("B428", "no rule leads to a made target group")
            .with_model(fronted())
            .env(env("lb: {front: front}\ntarget_groups: {front: {vpc: main}}"), right.clone())
            .world(heard()),
        case("B320", "two target groups of one name")
            .with_model(fronted() + &FRONT.replace("gateways:\n", "").replace("front:", "back:"))
            .env(both("name: shop-front, vpc: main"), both("vpc: main"))
            .world(heard()),
        case("B343", "nobody uses a target group")
            .with_model(fronted())
            .env(right.replace("target_groups: {", "target_groups: {back: {vpc: main}, "), right.clone())
            .world(heard())
            .warning(),
        case("B501", "somebody else's target group")
            .with_model(fronted())
            .with_env(right.clone())
            .worlds(there(&[]), there(&OURS)),
        case("B530", "port of a target group")
            .with_model(fronted())
            .env(made("vpc: main, port: 8080"), made("vpc: main, port: 8080, name: front-8080"))
            .world(there(&OURS)),
        case("B505", "target group not looked at").with_model(fronted()).with_env(right.clone()).world(heard()).stale(
            |observed| {
                if let Some(ecs) = &mut observed.scope.ecs {
                    ecs.made_groups.clear();
                }
            },
        ),
        case("B345", "VPC by name").with_model(fronted()).env(right.clone(), right.clone()).world(heard()).unobserved(),
        case("B506", "somebody leads to a target group that is not asked for")
            .with_model(fronted())
            .env(right.replace("lb: {front: front}", &format!("lb: {{front: {}}}", group_arn("other"))), right.clone())
            .world(there(&OURS).group("other", "instance").with(|w| {
                let rule = json!({"RuleArn": MAIN.replace(":listener/", ":listener-rule/") + "/0123456789abcdef",
                    "Priority": "20", "IsDefault": false, "Tags": [],
                    "Conditions": [{"Field": "path-pattern", "Values": ["/other/*"]}],
                    "Actions": [{"Type": "forward", "TargetGroupArn": group_arn("shop-front")}]});
                w.rules.insert(MAIN.to_owned(), vec![rule]);
            }))
            .warning()
            .also("B343"),
        case("B506", "target group that stays")
            .model(stays("never"), stays("after"))
            .with_env(env(&format!("lb: {{front: {}}}", group_arn("other"))))
            .world(there(&OURS).group("other", "instance"))
            .warning(),
        case("B506", "rule that stays")
            .model(stays("never"), stays("after"))
            .with_env(env(&format!("lb: {{front: front}}\nlisteners: {{main: \"{MAIN}\"}}")))
            .world(heard().group("front", "instance").with(|w| {
                w.rules.insert(MAIN.to_owned(), vec![rule("20")]);
            }))
            .warning(),
    ]
}
