//! Capacity providers: made before what runs on them, changed in place, taken away after it.

use belay_schemas::plan::{EdgeKind, Mode, Node, Phase, Plan};
use serde_json::json;

use crate::listing::comes_before;
use crate::support::{Input, World};

/// Groups with these settings of their capacity providers.
fn environment(groups: &[(&str, &str)]) -> String {
    let placed: String = groups.iter().map(|(name, _)| format!("  {name}: {{core_plugin: ec2-asg}}\n")).collect();
    let own: String = groups
        .iter()
        .map(|(name, provider)| format!("      {name}: {{container_instances: {{cluster: default{provider}}}}}\n"))
        .collect();
    format!(
        "components:\n{placed}plugin_config:\n  ec2-ecs: {{region: us-east-1}}\n  ec2-asg:\n    vpc: main\n    launch_config: {{ami: ami-12345678, type: t3.micro, sg: [app], profile: app}}\n    components:\n{own}"
    )
}

const PROVIDER: &str = ", capacity_provider: {max: 4}";

/// Groups of one instance each, with these further settings, and a service with this capacity.
fn model(groups: &[(&str, &str)], capacity: &str) -> String {
    let groups: String =
        groups.iter().map(|(name, more)| format!("  {name}: {{image: ami-12345678{more}}}\n")).collect();
    format!("components:\n{groups}  web: {{image: nginx:1.27, plugin: {{ec2-ecs: {{mem: 128, {capacity}}}}}}}\n")
}

fn one(capacity: &str) -> String {
    model(&[("nodes", "")], capacity)
}

/// The world in which a service runs on the provider of a group.
fn running() -> World {
    let input = Input::new(&one("capacity: [{group: nodes}]"), &environment(&[("nodes", PROVIDER)]));
    World::new().apply(&input.world(World::new()).plan())
}

fn called(plan: &Plan, operation: &str) -> Vec<String> {
    let of =
        |node: &&Node| node.phase != Phase::Undo && node.action.mutation().is_some_and(|c| c.operation == operation);
    plan.nodes.iter().filter(of).map(|node| node.id.clone()).collect()
}

/// Whether the way forward leads from one node to another one.
fn leads(plan: &Plan, from: &str, to: &str) -> bool {
    comes_before(plan, from, to, &[EdgeKind::After])
}

#[test]
fn nothing_is_left_to_do_and_what_ecs_chose_stays() {
    let input = Input::new(&one("capacity: [{group: nodes}]"), &environment(&[("nodes", PROVIDER)]));
    let plan = input.clone().world(World::new()).plan();
    assert!(leads(&plan, "nodes.provider.attached", "nodes.group.A.up"));
    assert!(leads(&plan, "nodes.group.A.joined", "web.service.create"));
    // Managed scaling has started more of them.
    let more = running().with(|w| w.fleet.groups.get_mut("shop.nodes_A").unwrap()["DesiredCapacity"] = json!(3));
    assert_eq!(input.world(more).plan().nodes.len(), 0);
}

#[test]
fn ecs_is_never_told_of_managed_instances_which_the_cluster_has_anyway() {
    let input = Input::new(&one("capacity: [{group: nodes}]"), &environment(&[("nodes", PROVIDER)]));
    let before = World::new().with(|w| {
        w.cluster["capacityProviders"] = json!(["FARGATE", "media"]);
        w.providers = vec![json!({"name": "media", "status": "ACTIVE", "managedInstancesProvider": {}})];
    });
    let plan = input.world(before).plan();
    let puts = plan.nodes.iter().filter_map(|n| n.action.mutation().filter(|c| c.operation.starts_with("PutCluster")));
    let told: Vec<_> = puts.map(|call| call.input["capacityProviders"].clone()).collect();
    assert_eq!(told, [json!(["FARGATE", "shop_nodes"]), json!(["FARGATE"])], "there and back");
    // What is looked at before and after is the whole list.
    let plan = serde_json::to_value(&plan).expect("JSON").to_string();
    assert!(plan.contains(r#""capacityProviders":["FARGATE","media"]"#), "the guard");
    assert!(plan.contains(r#""capacityProviders":["FARGATE","media","shop_nodes"]"#), "the probe");
}

#[test]
fn settings_change_in_place() {
    let changed = ", capacity_provider: {max: 6, target_capacity: 80, warmup: 60}";
    let input = Input::new(&one("capacity: [{group: nodes}]"), &environment(&[("nodes", changed)]));
    let plan = input.clone().world(running()).plan();
    assert_eq!(called(&plan, "UpdateCapacityProvider"), ["nodes.provider.update"]);
    assert_eq!(called(&plan, "UpdateAutoScalingGroup"), ["nodes.group.A.scale"]);
    assert_eq!(plan.nodes.iter().filter(|n| n.phase == Phase::Deploy && n.action.mutation().is_some()).count(), 2);
    assert_eq!(input.world(running().apply(&plan)).plan().nodes.len(), 0);
}

#[test]
fn providers_of_one_cluster_come_one_after_the_other_whoever_uses_whom() {
    // By name `a` is first, and it needs `b`.
    let groups = [("a", ", uses: {b: {}}"), ("b", "")];
    let model = model(&groups, "capacity: [{group: a}, {group: b}]");
    let environment = environment(&[("a", PROVIDER), ("b", PROVIDER)]);
    let input = Input::new(&model, &environment);
    let before = World::new().with(|w| w.cluster["capacityProviders"] = json!(["FARGATE", "theirs"]));
    let plan = input.clone().world(before.clone()).plan();
    let put = |id: &str| {
        let node = plan.nodes.iter().find(|node| node.id == id).expect(id);
        node.action.mutation().expect("a call").input["capacityProviders"].clone()
    };
    assert_eq!(put("b.provider.attach"), json!(["FARGATE", "shop_b", "theirs"]));
    assert_eq!(put("a.provider.attach"), json!(["FARGATE", "shop_a", "shop_b", "theirs"]));
    assert_eq!(put("a.provider.attach.undo"), json!(["FARGATE", "shop_b", "theirs"]));
    assert_eq!(put("b.provider.attach.undo"), json!(["FARGATE", "theirs"]));
    assert!(leads(&plan, "b.provider.attached", "a.provider.attach"));
    assert_eq!(input.world(before.apply(&plan)).plan().nodes.len(), 0);
}

#[test]
fn a_provider_that_is_given_up_goes_and_its_group_stays() {
    // As many instances as there are, from now on.
    let input = Input::new(&one("launch_type: EC2"), &environment(&[("nodes", "")]));
    let running = running().with(|w| w.fleet.groups.get_mut("shop.nodes_A").unwrap()["MaxSize"] = json!(1));
    let plan = input.clone().world(running.clone()).plan();
    assert_eq!(called(&plan, "PutClusterCapacityProviders"), ["providers.default.detach"]);
    assert_eq!(called(&plan, "DeleteCapacityProvider"), ["nodes.provider.shop_nodes.delete"]);
    assert_eq!(called(&plan, "DeleteAutoScalingGroup"), Vec::<String>::new());
    assert!(leads(&plan, "commit", "providers.default.detach"));
    assert!(leads(&plan, "providers.default.detached", "nodes.provider.shop_nodes.delete"));
    assert_eq!(input.world(running.apply(&plan)).plan().nodes.len(), 0);
}

#[test]
fn a_provider_that_services_use_stays() {
    // The service would not be deployed.
    let input = Input::new(&one("launch_type: EC2"), &environment(&[("nodes", "")]));
    let outcome = input.clone().options(|o| o.only = vec!["nodes".to_owned()]).world(running()).compile();
    assert!(outcome.text.contains("service `shop_web` uses the capacity provider `shop_nodes`"), "{}", outcome.text);
    assert!(outcome.plan.is_none());
    // Nor may a service go on with it.
    let input = Input::new(&one("capacity: [{provider: shop_nodes}]"), &environment(&[("nodes", "")]));
    let outcome = input.world(running()).compile();
    assert!(outcome.text.contains("does not have the capacity provider `shop_nodes`"), "{}", outcome.text);
}

#[test]
fn what_runs_on_a_provider_needs_it() {
    let input = Input::new(&one("capacity: [{group: nodes}]"), &environment(&[("nodes", PROVIDER)]));
    let outcome = input.options(|o| o.only = vec!["web".to_owned()]).world(World::new()).compile();
    assert!(outcome.text.contains("add `--only nodes`, or deploy `nodes` first"), "{}", outcome.text);
}

#[test]
fn a_group_without_a_provider_gives_way_to_one_with() {
    let before = Input::new(&one("launch_type: EC2"), &environment(&[("nodes", "")])).world(World::new()).plan();
    let running = World::new().apply(&before);
    let input =
        Input::new(&one("capacity: [{group: nodes}], network_mode: bridge"), &environment(&[("nodes", PROVIDER)]));
    let plan = input.world(running).plan();
    for (earlier, later) in [
        ("nodes.group.B.create", "nodes.provider.create"),
        ("nodes.provider.attached", "nodes.group.B.up"),
        ("nodes.group.B.joined", "nodes.group.A.drain"),
        ("nodes.group.A.drained", "web.service.update"),
    ] {
        assert!(leads(&plan, earlier, later), "{earlier} before {later}");
    }
}

#[test]
fn another_name_brings_another_group() {
    let model = model(&[("nodes-2", "")], "capacity: [{group: nodes-2}]");
    let input = Input::new(&model, &environment(&[("nodes-2", PROVIDER)]));
    let plan = input.clone().world(running()).plan();
    for (earlier, later) in [
        ("nodes-2.group.A.joined", "web.service.update"),
        ("web.service.deployed", "nodes.group.A.drain"),
        ("nodes.group.A.drained", "commit"),
        ("nodes.provider.shop_nodes.gone", "nodes.group.A.delete"),
    ] {
        assert!(leads(&plan, earlier, later), "{earlier} before {later}");
    }
    let never = format!("{model}lifecycle: {{teardown_orphans: never}}\n");
    let outcome = Input::new(&never, &environment(&[("nodes-2", PROVIDER)])).world(running()).compile();
    assert!(
        outcome.text.contains("capacity provider `shop_nodes` is of no component of the model: it is left alone"),
        "{}",
        outcome.text
    );
    assert_eq!(called(&outcome.plan.unwrap(), "DeleteCapacityProvider"), Vec::<String>::new());
}

#[test]
fn a_teardown_takes_the_provider_out_of_its_cluster_when_its_services_are_gone() {
    let input = Input::new(&one("capacity: [{group: nodes}]"), &environment(&[("nodes", PROVIDER)]));
    let plan = input.options(|o| o.mode = Mode::Teardown).world(running()).plan();
    assert!(leads(&plan, "web.service.gone", "providers.default.detach"));
    assert!(leads(&plan, "nodes.provider.shop_nodes.gone", "nodes.group.A.delete"));
    assert_eq!(called(&plan, "DeleteCapacityProvider"), ["nodes.provider.shop_nodes.delete"]);
}

fn refused(input: Input, words: &str) {
    let outcome = input.compile();
    assert!(outcome.text.contains(words), "{}", outcome.text);
    assert!(outcome.plan.is_none());
}

#[test]
fn what_neither_can_be_first_nor_belongs_to_two_is_refused() {
    let circle = model(&[("nodes", ", uses: {web: {}}")], "capacity: [{group: nodes}]");
    let input = Input::new(&circle, &environment(&[("nodes", PROVIDER)])).world(World::new());
    refused(input, "`nodes` uses `web`, which runs on its capacity provider");
    let named = ", capacity_provider: {name: fleet}";
    let two = model(&[("nodes", ""), ("spare", "")], "capacity: [{group: nodes}]");
    let input = Input::new(&two, &environment(&[("nodes", named), ("spare", named)])).world(World::new());
    refused(input, "`nodes` and `spare` both have the capacity provider `fleet`");
}

#[test]
fn what_still_starts_tasks_on_a_provider_keeps_it() {
    let scheduled = one("schedule: {when: rate(1 day), role: ecsEventsRole}, capacity: [{group: nodes}]");
    let input = Input::new(&scheduled, &environment(&[("nodes", PROVIDER)]));
    let world = World::new().apply(&input.world(World::new()).plan());
    let gives_up = Input::new(&scheduled.replace(", capacity: [{group: nodes}]", ""), &environment(&[("nodes", "")]));
    let only = gives_up.clone().options(|o| o.only = vec!["nodes".to_owned()]);
    refused(only.world(world.clone()), "starts tasks on the capacity provider `shop_nodes`");
    assert!(gives_up.world(world).compile().plan.is_some());
}

#[test]
fn instances_do_not_go_before_what_runs_on_them() {
    let renamed = model(&[("others", "")], "capacity: [{group: others}]");
    let environment = environment(&[("others", PROVIDER)]);
    let before = renamed.clone() + "lifecycle: {teardown_orphans: before}\n";
    refused(
        Input::new(&before, &environment).world(running()),
        "would take the instances of `shop_nodes` away before service",
    );
    assert!(Input::new(&renamed, &environment).world(running()).compile().plan.is_some());
}
