//! Plans for EC2 Auto Scaling: golden listings, what counts as a change, and how many instances are left at every step.

use std::collections::BTreeMap;

use belay_schemas::plan::{Change, EdgeKind, Mode, Node, Phase, Plan};
use serde_json::{Value, json};

use crate::listing::golden;
use crate::support::fleet::{asg_env, made_beforehand, vm};
use crate::support::{Input, World, digest};

const FRONT: &str =
    "gateways:\n  front: {type: load_balancer, exposes: {port: 80, target_port: 8080}, target: [web]}\n";

fn world() -> World {
    World::new().classic("shop-front", &[(80, 8080)])
}

fn model(image: &str, replicas: u64) -> String {
    vm(&format!("replicas: {replicas}")).replace("shop/web:1.0", image) + FRONT
}

fn environment(lines: &str) -> String {
    asg_env(&format!("lb: {{front: shop-front}}\n{lines}"))
}

/// The world in which this model runs in this environment.
fn running(model: &str, environment: &str) -> World {
    let plan = Input::new(model, environment).world(world()).plan();
    world().apply(&plan)
}

fn next(model: &str, environment: &str, world: World) -> Plan {
    Input::new(model, environment).world(world).plan()
}

/// The nodes of the way forward that call this operation, in order.
fn calls<'p>(plan: &'p Plan, operation: &str) -> Vec<&'p Node> {
    let forward = plan.nodes.iter().filter(|n| n.phase != Phase::Undo);
    forward.filter(|n| n.action.mutation().is_some_and(|c| c.operation == operation)).collect()
}

/// Forward nodes in an order that their edges allow.
fn in_order(plan: &Plan) -> Vec<&Node> {
    let mut open: Vec<&Node> = plan.nodes.iter().filter(|n| n.phase != Phase::Undo).collect();
    let mut done = Vec::new();
    while !open.is_empty() {
        let waits = |n: &Node, open: &[&Node]| {
            plan.edges.iter().any(|e| e.kind == EdgeKind::After && e.to == n.id && open.iter().any(|o| o.id == e.from))
        };
        let at = (0..open.len()).find(|at| !waits(open[*at], &open)).expect("no circles");
        done.push(open.remove(at));
    }
    done
}

#[test]
fn first() {
    golden("asg-first", &Input::new(&model("shop/web:1.0", 2), &environment("")).world(world()));
}

#[test]
fn upgrade() {
    let world = running(&model("shop/web:1.0", 4), &environment(""));
    golden("asg-upgrade", &Input::new(&model("shop/web:1.1", 4), &environment("batch: 50%")).world(world));
}

#[test]
fn instances_that_could_not_be_made_again_are_detached_only() {
    let handing = environment(
        "delegated_destroy: {components: [web], uri: \"http://destroy.internal/\", user_data: {why: upgrade}}",
    );
    let world = running(&model("shop/web:1.0", 2), &environment(""));
    golden("asg-hand-over", &Input::new(&model("shop/web:1.1", 2), &handing).world(world.clone()));
    // The old image's digest is not in the group's user data: nobody could start the same bytes again.
    let unpinned = world.with(|w| {
        let data = &mut w.fleet.templates.get_mut("shop.web_A").expect("a template").1[0];
        data["UserData"] = json!("IyEvYmluL3NoCmRvY2tlciBydW4gc2hvcC93ZWI6MS4wCg==");
    });
    let plan = next(&model("shop/web:1.1", 2), &environment(""), unpinned);
    assert_eq!(calls(&plan, "DetachInstances").len(), 2);
    assert!(calls(&plan, "TerminateInstances").iter().all(|n| n.phase == Phase::Finalize));
}

#[test]
fn groups_made_beforehand_only_get_sizes() {
    let world = world().with(|w| {
        for (name, image, count) in [("shop.web_A", "shop/web:1.0", 2), ("shop.web_B", "shop/web:1.1", 0)] {
            w.fleet.groups.insert(name.to_owned(), made_beforehand(name, "web", image, count));
        }
    });
    let environment = "core_plugin: ec2-asg\nplugin_config: {ec2-asg: {lb: {front: shop-front}}}\n";
    let plan = next(&model("shop/web:1.1", 2), environment, world);
    let operations = |back: bool| {
        let nodes = plan.nodes.iter().filter(|n| (n.phase == Phase::Undo) == back);
        let all: std::collections::BTreeSet<&str> =
            nodes.filter_map(|n| n.action.mutation()).map(|c| c.operation.as_str()).collect();
        all.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(operations(false), ["UpdateAutoScalingGroup"]);
    // A group that shrinks again must not lose the instances that are healthy.
    assert_eq!(operations(true), ["SetInstanceProtection", "UpdateAutoScalingGroup"]);
}

#[test]
fn what_is_as_wanted_is_left_alone() {
    for extra in [
        "",
        "tags: {team: shop}",
        "mixed_instances: {types: [t3.large, t3a.large], on_demand_base: 1}",
        "instance_protection: true",
        "launch_configurations: true",
    ] {
        let environment = environment(extra);
        let world = running(&model("shop/web:1.0", 2), &environment);
        let plan = next(&model("shop/web:1.0", 2), &environment, world);
        assert!(plan.nodes.is_empty(), "{extra}: {:#?}", plan.nodes.iter().map(|n| &n.summary).collect::<Vec<_>>());
    }
}

#[test]
fn settings_are_a_change_at_the_same_image() {
    let world = || running(&model("shop/web:1.0", 2), &environment(""));
    for (from, to) in [
        ("t3.micro", "t3.small"),
        ("docker run", "docker run --init"),
        ("    vpc: main\n", "    vpc: main\n    subnets: [app-a]\n"),
    ] {
        let changed = environment("").replace(from, to);
        let plan = next(&model("shop/web:1.0", 2), &changed, world());
        assert_eq!(plan.components["web"].change, Change::Update, "{to}");
        assert_eq!(calls(&plan, "CreateAutoScalingGroup").len(), 1, "{to}");
    }
    for line in [
        "tags: {team: shop}",
        "health_check: {type: ELB}",
        "instance_protection: true",
        "mixed_instances: {on_demand_percentage: 50}",
    ] {
        let plan = next(&model("shop/web:1.0", 2), &environment(line), world());
        assert_eq!(plan.components["web"].change, Change::Update, "{line}");
    }
    let dropped = running(&model("shop/web:1.0", 2), &environment("tags: {team: shop}"));
    let plan = next(&model("shop/web:1.0", 2), &environment(""), dropped);
    assert_eq!(plan.components["web"].change, Change::Update);
}

#[test]
fn another_digest_under_the_same_tag_is_a_change() {
    let world = running(&model("shop/web:latest", 2), &environment("")).moved("shop/web:latest", "other");
    let plan = next(&model("shop/web:latest", 2), &environment(""), world);
    assert_eq!(plan.components["web"].change, Change::Update);
    let create = calls(&plan, "CreateAutoScalingGroup")[0];
    let why = &create.why[0];
    assert!(why.to.as_str().is_some_and(|to| to.contains(&digest("other"))), "{why:?}");
    // Told once: the user data differ by the image only.
    assert_eq!(create.why.len(), 1, "{:?}", create.why);
    let unchecked = environment("image_check_type: none");
    let world = running(&model("shop/web:latest", 2), &unchecked).moved("shop/web:latest", "other");
    assert!(next(&model("shop/web:latest", 2), &unchecked, world).nodes.is_empty());
}

#[test]
fn a_number_alone_is_a_scale() {
    let world = || running(&model("shop/web:1.0", 2), &environment(""));
    let plan = next(&model("shop/web:1.0", 5), &environment(""), world());
    assert_eq!(plan.components["web"].change, Change::Scale);
    assert_eq!(calls(&plan, "UpdateAutoScalingGroup").len(), 1);
    assert!(calls(&plan, "CreateAutoScalingGroup").is_empty());
    let plan = next(&model("shop/web:1.0", 0), &environment(""), world());
    assert_eq!((plan.components["web"].change, plan.components["web"].floor), (Change::Scale, 0));
}

#[test]
fn the_size_that_auto_scaling_chose_is_left_alone() {
    let scaled = environment("scaling: {min: 1, max: 9, cpu: 60}");
    let policy = |w: &mut World| {
        w.fleet.groups.get_mut("shop.web_A").expect("a group")["DesiredCapacity"] = json!(7);
        w.fleet.policies.push(json!({"AutoScalingGroupName": "shop.web_A", "PolicyName": "cpu",
            "PolicyType": "TargetTrackingScaling", "TargetTrackingConfiguration": {"DisableScaleIn": false, "TargetValue": 60.0,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}}}));
    };
    let world = || running(&model("shop/web:1.0", 2), &scaled).with(policy);
    assert!(next(&model("shop/web:1.0", 2), &scaled, world()).nodes.is_empty());
    let plan = next(&model("shop/web:1.1", 2), &scaled, world());
    let text = belay_schemas::plan::pretty(&plan);
    assert!(text.contains("\"share\""), "sizes are shares of what runs");
    let more = environment("scaling: {min: 1, max: 12, cpu: 60}");
    let plan = next(&model("shop/web:1.0", 2), &more, world());
    let update = calls(&plan, "UpdateAutoScalingGroup");
    assert_eq!(update[0].action.mutation().expect("a call").input.get("DesiredCapacity"), None);
}

#[test]
fn a_left_over_slot_is_used_again_or_tidied_away() {
    let left = running(&model("shop/web:1.0", 2), &environment("")).with(|w| {
        let mut other = w.fleet.groups["shop.web_A"].clone();
        for (member, value) in [
            ("AutoScalingGroupName", json!("shop.web_B")),
            ("DesiredCapacity", json!(0)),
            ("MinSize", json!(0)),
            ("MaxSize", json!(0)),
            ("Instances", json!([])),
        ] {
            other[member] = value;
        }
        w.fleet.groups.insert("shop.web_B".to_owned(), other);
        let template = w.fleet.templates["shop.web_A"].clone();
        w.fleet.templates.insert("shop.web_B".to_owned(), template);
    });
    let plan = next(&model("shop/web:1.0", 2), &environment(""), left.clone());
    assert_eq!(plan.components["web"].change, Change::Tidy);
    assert_eq!(calls(&plan, "DeleteAutoScalingGroup").len(), 1);
    let plan = next(&model("shop/web:1.1", 2), &environment(""), left);
    assert_eq!(calls(&plan, "CreateLaunchTemplateVersion").len(), 1);
    assert!(calls(&plan, "CreateAutoScalingGroup").is_empty());
}

#[test]
fn orphans_and_teardown_empty_before_they_delete() {
    let world = running(&model("shop/web:1.0", 2), &environment(""));
    let other = vm("").replace("  web:", "  other:");
    let orphan = Input::new(&other, &asg_env("")).world(world.clone()).plan();
    assert_eq!(orphan.components["web"].change, Change::Remove);
    let teardown = Input::new(&model("shop/web:1.0", 2), &environment(""))
        .world(world)
        .options(|o| o.mode = Mode::Teardown)
        .plan();
    for plan in [orphan, teardown] {
        let down = calls(&plan, "UpdateAutoScalingGroup");
        assert_eq!(down[0].action.mutation().expect("a call").input["MaxSize"], json!(0));
        assert_eq!(calls(&plan, "DeleteAutoScalingGroup")[0].phase, Phase::Finalize);
        assert_eq!(calls(&plan, "DeleteLaunchTemplate")[0].phase, Phase::Finalize);
    }
}

#[test]
fn single_components_are_on_the_other_plugin() {
    let both = "core_plugin: ec2-ecs\ncomponents: {engine: {core_plugin: ec2-asg}}\n".to_owned()
        + &asg_env("").replace("core_plugin: ec2-asg\n", "")
        + "  ec2-ecs: {cluster: default}\n";
    let model = "components:\n  web:\n    image: nginx:1.27\n    uses: {engine: {}}\n    plugin: {ec2-ecs: {mem: 128}}\n  engine:\n    image: shop/engine:1.0\n";
    let plan = next(model, &both, World::new());
    let order: Vec<&str> = in_order(&plan).into_iter().map(|n| n.id.as_str()).collect();
    let place = |id: &str| order.iter().position(|o| *o == id).expect("a node of that id");
    assert!(place("engine.group.A.healthy") < place("web.service.create"), "{order:?}");
}

/// Walks a plan's sizes and sees how many instances both slots have together when those that are waited for are there.
fn least(plan: &Plan, old: u64) -> u64 {
    let mut sizes: BTreeMap<String, u64> = BTreeMap::from([("shop.web_A".to_owned(), old)]);
    let mut healthy = sizes.clone();
    let mut least = old;
    for node in in_order(plan) {
        if node.phase == Phase::Finalize {
            continue;
        }
        if let Some(call) = node.action.mutation()
            && let (Some(group), Some(count)) = (
                call.input.get("AutoScalingGroupName").and_then(Value::as_str),
                call.input.get("DesiredCapacity").and_then(Value::as_u64),
            )
        {
            let before = healthy.get(group).copied().unwrap_or_default();
            sizes.insert(group.to_owned(), count);
            // What leaves leaves at once, what comes comes when it was waited for.
            healthy.insert(group.to_owned(), before.min(count));
        }
        if node.id.contains(".healthy") {
            healthy.clone_from(&sizes);
        }
        least = least.min(healthy.values().sum());
    }
    least
}

#[test]
fn an_upgrade_never_has_fewer_instances_than_the_smaller_of_old_and_new() {
    for (old, new, batch) in
        [(20, 20, "25%"), (1, 1, "1"), (4, 2, "1"), (2, 5, "2"), (7, 3, "100%"), (5, 5, "3"), (3, 0, "1"), (0, 3, "1")]
    {
        let environment = environment(&format!("batch: {batch}"));
        let world = running(&model("shop/web:1.0", old), &environment);
        let plan = next(&model("shop/web:1.1", new), &environment, world);
        assert_eq!(least(&plan, old), old.min(new), "{old} → {new} by {batch}");
        assert_eq!(u64::from(plan.components["web"].floor), old.min(new));
    }
}
