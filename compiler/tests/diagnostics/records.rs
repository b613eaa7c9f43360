//! Records of Route 53 for components with load balancers of their own.

use serde_json::json;

use crate::case::{Case, case};
use crate::support::{Input, World, env, group_arn, web};

#[test]
fn records() {
    crate::check("records", table());
}

fn model() -> String {
    web("replicas: 2\nprovides: {ports: [80]}")
}

/// The environment with a record for `web`, behind `old` unless something else is said.
fn recorded(more: &str) -> String {
    env(&format!(
        "discovery_mode: elb-manual\ndiscovery_zone: app.shop.internal\nlb: {{web: old}}\ndiscovery_records: {{zone: shop.internal}}\n{more}"
    ))
}

fn behind(balancer: &str) -> String {
    recorded("").replace("web: old", &format!("web: {balancer}"))
}

/// A private hosted zone in which nothing is called `web.app.shop.internal`.
fn world() -> World {
    bare().record('A', NAME, None, None)
}

fn bare() -> World {
    World::new().classic("old", &[(80, 8080)]).classic("new", &[(80, 8081)]).group("front", "instance").zone(
        "shop.internal",
        'A',
        true,
    )
}

const NAME: &str = "web.app.shop.internal";
const OURS: &str = "\"belay:project=shop\" \"belay:cluster=us-east-1/default\" \"belay:component=web\"";

/// The component runs behind this one, and its record leads there; `front` and `side` are target groups of two load
/// balancers.
fn running(balancer: &str) -> World {
    let world = world().group("side", "instance").with(|w| {
        let last = w.target_groups.last_mut().expect("a group");
        let other = group_arn("x").replace(":targetgroup/x", ":loadbalancer/app/other");
        last["LoadBalancerArns"] = json!([other]);
    });
    world.clone().apply(&Input::new(&model(), &behind(balancer)).world(world).plan())
}

/// Another component uses `web`.
fn two() -> String {
    model() + "  api:\n    image: nginx:1.27\n    replicas: 2\n    uses: {web: {}}\n    plugin: {ec2-ecs: {mem: 128}}\n"
}

pub fn table() -> Vec<Case> {
    vec![
        case("B351", "no such hosted zone")
            .with_model(model())
            .env(recorded("").replace("zone: shop.internal", "zone: shop.internl"), recorded(""))
            .world(world()),
        case("B351", "no zone to search in")
            .with_model(model())
            .env(
                behind(&group_arn("front")).replace("    discovery_zone: app.shop.internal\n", ""),
                behind(&group_arn("front")).replace("    discovery_records: {zone: shop.internal}\n", ""),
            ),
        case("B351", "components that nobody finds by load balancers")
            .with_model(model())
            .env(
                env("discovery_zone: app.shop.internal\ndiscovery_records: {zone: shop.internal}"),
                env("discovery_zone: app.shop.internal"),
            ),
        case("B351", "several hosted zones of a name")
            .with_model(model())
            .env(recorded(""), recorded("").replace("zone: shop.internal}", "zone: Z0A0000000000}"))
            .world(world().zone("shop.internal", 'B', true)),
        case("B351", "outside of the hosted zone")
            .with_model(model())
            .env(recorded("").replace("app.shop.internal", "app.desk.internal"), recorded(""))
            .world(world().record('A', "web.app.desk.internal", None, None)),
        case("B351", "nothing leads to the target group")
            .with_model(model())
            .env(behind(&group_arn("back")), behind(&group_arn("front")))
            .world(world().group("back", "instance").with(|w| {
                let last = w.target_groups.last_mut().expect("a group");
                last["LoadBalancerArns"] = json!([]);
            }))
            .also("B428"),
        case("B345", "a hosted zone without an observation")
            .with_model(model())
            .env(
                behind(&group_arn("front")),
                behind(&group_arn("front")).replace("discovery_records: {zone: shop.internal}", ""),
            ),
        case("B505", "a name that was not looked at").with_model(model()).with_env(recorded("")).worlds(bare(), world()),
        case("B501", "somebody else's record")
            .with_model(model())
            .with_env(recorded(""))
            // Made by hand, as Skopos has it: nothing is to be done.
            .worlds(bare().record('A', NAME, Some("new"), None), bare().record('A', NAME, Some("old"), None)),
        case("B501", "somebody else's text")
            .with_model(model())
            .with_env(recorded(""))
            .worlds(bare().record('A', NAME, None, Some("\"v=spf1 -all\"")), world()),
        case("B501", "somebody else's text within ours")
            .with_model(model())
            .with_env(recorded(""))
            .worlds(
                bare().record('A', NAME, Some("new"), Some(OURS)).with(|w| {
                    let sets = w.records.values_mut().next().expect("a record");
                    let texts = sets[1]["ResourceRecords"].as_array_mut().expect("texts");
                    texts.push(json!({"Value": "\"v=spf1 -all\""}));
                }),
                bare().record('A', NAME, Some("new"), Some(OURS)),
            ),
        case("B501", "another project's record")
            .with_model(model())
            .with_env(recorded(""))
            .worlds(
                bare().record('A', NAME, Some("old"), Some("\"belay:project=desk\" \"belay:component=web\"")),
                bare().record('A', NAME, Some("old"), Some(OURS)),
            ),
        case("B501", "a record of another type beside ours")
            .with_model(model())
            .with_env(recorded(""))
            .worlds(
                bare().record('A', NAME, Some("old"), Some(OURS)).with(|w| {
                    let sets = w.records.values_mut().next().expect("a record");
                    sets.push(json!({"Name": format!("{NAME}."), "Type": "AAAA", "TTL": 60, "ResourceRecords": [{"Value": "::1"}]}));
                }),
                bare().record('A', NAME, Some("old"), Some(OURS)),
            ),
        case("B501", "another cluster's record")
            .with_model(model())
            .with_env(recorded(""))
            .worlds(
                bare().record('A', NAME, Some("old"), Some(&OURS.replace("default", "other"))),
                // The console of Route 53 writes it so.
                bare().record('A', NAME, Some("dualstack.old"), None),
            ),
        case("B501", "a record with a routing policy beside ours")
            .with_model(model())
            .with_env(recorded(""))
            .worlds(
                bare().record('A', NAME, Some("old"), Some(OURS)).with(|w| {
                    let sets = w.records.values_mut().next().expect("a record");
                    sets[0]["SetIdentifier"] = json!("blue");
                }),
                // A CNAME leads there, too.
                bare().record('A', NAME, None, None).with(|w| {
                    let sets = w.records.values_mut().next().expect("a record");
                    sets.push(json!({"Name": format!("{NAME}."), "Type": "CNAME", "TTL": 60,
                        "ResourceRecords": [{"Value": "old-1.us-east-1.elb.amazonaws.com"}]}));
                }),
            ),
        case("B328", "a name that changes for one that is left out")
            .with_model(two())
            .env(recorded("").replace("app.shop", "next.shop"), recorded(""))
            .world(
                world()
                    .apply(&Input::new(&two(), &recorded("")).world(world()).plan())
                    .record('A', "web.next.shop.internal", None, None),
            )
            .both_options(|options| options.only = vec!["web".to_owned()]),
        case("B458", "another load balancer of its own")
            .with_model(model())
            .env(behind("new"), behind("old"))
            .world(running("old"))
            .advised()
            .warning(),
        case("B458", "behind both meanwhile")
            .model(
                model(),
                model() + "gateways: {door: {type: load_balancer, exposes: {port: 80, target_port: 80}, target: [web]}}\n",
            )
            .env(behind("side"), behind("side").replace("web: side", "web: side, door: front"))
            .world(running("front"))
            .advised()
            .warning(),
    ]
}
