//! Plans that are limited with `--only`: what they leave alone, what they warn of, and that they say so.

use belay_compiler::show::{compare, markdown, text};
use belay_schemas::plan::{Mode, Plan};
use serde_json::json;

use crate::listing::compiled;
use crate::support::{ENVIRONMENT, Input, World, env, group_arn, web, web_with};

const BACK: &str = "  back:\n    image: back:1\n    plugin: {ec2-ecs: {mem: 64}}\n";
const OTHER: &str = "  other:\n    image: other:1\n    plugin: {ec2-ecs: {mem: 64}}\n";

const LISTENER: &str =
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/main/0123456789abcdef/0123456789abcdef";

fn model() -> String {
    web("uses: {back: {}}") + BACK
}

fn running(model: &str) -> World {
    World::new().apply(&Input::new(model, ENVIRONMENT).world(World::new()).plan())
}

fn only(input: Input, names: &[&str]) -> Input {
    input.options(|o| o.only = names.iter().map(|name| (*name).to_owned()).collect())
}

fn teardown(model: &str, world: World, names: &[&str]) -> Input {
    only(Input::new(model, ENVIRONMENT).world(world), names).options(|o| o.mode = Mode::Teardown)
}

/// What every way to read a plan says of its limits.
fn says(plan: &Plan, what: &str) {
    for (name, shown) in [("text", text(plan)), ("markdown", markdown(plan, None))] {
        assert!(shown.contains(what), "{name}: {shown}");
    }
}

#[test]
fn a_limited_plan_says_so_and_touches_nothing_else() {
    // `back` would change, `other` is an orphan.
    let newer = model().replace("nginx:1.27", "nginx:1.28").replace("back:1", "back:2");
    let input = Input::new(&newer, ENVIRONMENT).world(running(&(model() + OTHER)));
    let plan = compiled(&only(input.clone(), &["web"]));
    assert_eq!(plan.only, ["web"]);
    assert_eq!(plan.components.keys().collect::<Vec<_>>(), ["web"]);
    assert!(plan.nodes.iter().all(|node| node.component.as_deref().is_none_or(|name| name == "web")));
    says(&plan, "Limited to web: nothing else of shop was compared or changes.");

    let whole = compiled(&input);
    assert!(whole.only.is_empty() && whole.components.contains_key("other"));
    let difference = compare(&plan, &whole);
    assert!(!difference.same);
    assert!(difference.text.contains("limited to: only web → all components"), "{}", difference.text);
}

/// `web` and `back`, each with a rule of its own that leads to it.
fn routed(hosts: [&str; 2]) -> (String, String, World) {
    let gateway = |name: &str, component: &str| {
        format!("  {name}: {{type: load_balancer, exposes: {{port: \"\", target_port: 80}}, target: [{component}]}}\n")
    };
    let back = BACK.replace("    plugin", "    provides: {ports: [80]}\n    plugin");
    let model =
        web("provides: {ports: [80]}") + &back + "gateways:\n" + &gateway("front", "web") + &gateway("side", "back");
    let [first, second] = hosts;
    let environment = env(&format!(
        "lb: {{front: front, side: side}}\nlisteners: {{main: \"{LISTENER}\"}}\nrules: {{web: {{listener: main, priority: 10, host: [{first}], to: front}}, back: {{listener: main, priority: 20, host: [{second}], to: side}}}}"
    ));
    let mut world = World::new().group("front", "instance").group("side", "instance");
    let rule = |name: &str, priority: &str, group: &str| {
        json!({"RuleArn": format!("{}/{priority}", LISTENER.replace(":listener/", ":listener-rule/")), "Priority": priority, "IsDefault": false,
            "Conditions": [{"Field": "host-header", "Values": ["old.example.com"], "HostHeaderConfig": {"Values": ["old.example.com"]}}],
            "Actions": [{"Type": "forward", "TargetGroupArn": group_arn(group)}],
            "Tags": [{"Key": "belay:project", "Value": "shop"}, {"Key": "belay:rule", "Value": name}]})
    };
    world.rules.insert(LISTENER.to_owned(), vec![rule("web", "10", "front"), rule("back", "20", "side")]);
    (model, environment, world)
}

#[test]
fn the_rules_of_what_a_plan_leaves_alone_stay() {
    let touched = |input: &Input| -> Vec<String> {
        let nodes = input.plan().nodes.into_iter();
        nodes.filter(|node| node.id.starts_with("rule.") && !node.id.contains(".undo")).map(|node| node.id).collect()
    };
    let (model, environment, world) = routed(["new.example.com", "newer.example.com"]);
    let input = Input::new(&model, &environment).world(world);
    assert_eq!(touched(&input), ["rule.back.change", "rule.web.change"]);
    assert_eq!(touched(&only(input.clone(), &["web"])), ["rule.web.change"]);
    let teardown = input.options(|o| o.mode = Mode::Teardown);
    assert_eq!(touched(&teardown), ["rule.back.delete", "rule.web.delete"]);
    assert_eq!(touched(&only(teardown, &["back"])), ["rule.back.delete"]);
}

#[test]
fn target_groups_of_what_a_plan_leaves_alone_stay() {
    let (model, environment, _) = routed(["a.example.com", "b.example.com"]);
    let environment = environment.clone() + "    target_groups: {front: {vpc: main}, side: {vpc: main}}\n";
    let world = World::new().with(|w| {
        w.rules.insert(LISTENER.to_owned(), Vec::new());
        w.vpcs.push(json!({"VpcId": "vpc-12345678", "Tags": [{"Key": "Name", "Value": "main"}]}));
    });
    let input = Input::new(&model, &environment).world(world);
    let made = |input: &Input| -> Vec<String> {
        let nodes = input.plan().nodes.into_iter().map(|node| node.id);
        nodes.filter(|id| id.starts_with("target-group.") && id.ends_with(".create")).collect()
    };
    assert_eq!(made(&input), ["target-group.front.create", "target-group.side.create"]);
    assert_eq!(made(&only(input, &["web"])), ["target-group.front.create"]);
}

#[test]
fn a_priority_that_a_rule_out_of_the_plan_has_is_said_to_be_ours() {
    let (model, environment, world) = routed(["new.example.com", "newer.example.com"]);
    let swapped = environment.replace("priority: 10", "priority: 11").replace("priority: 20", "priority: 10");
    let input = Input::new(&model, &swapped.replace("priority: 11", "priority: 20")).world(world);
    assert!(input.compile().plan.is_some(), "all rules may change places");
    let outcome = only(input, &["web"]).compile();
    assert_eq!(outcome.codes, ["B443"], "{}", outcome.text);
    assert!(
        outcome.text.contains("it is rule `back` of this project, which `--only` leaves as it is"),
        "{}",
        outcome.text
    );
}

#[test]
fn who_cannot_reach_what_is_new_is_named() {
    let of = |offers: &str| {
        format!(
            "components:\n  api:\n    image: nginx:1.27\n    provides: {{ports: [80, 81]}}\n    plugin: {{ec2-ecs: {{mem: 128, connect: {{offers: [{offers}]}}}}}}\n  web:\n    image: nginx:1.27\n    uses: {{api: {{}}}}\n    plugin: {{ec2-ecs: {{mem: 128}}}}\n"
        )
    };
    let environment = env("namespace: shop.internal");
    let world = World::new().namespace("shop.internal", 1, "DNS_PRIVATE");
    let before = Input::new(&of("{port: 80}"), &environment).world(world.clone());
    let world = world.apply(&before.plan());
    let input = Input::new(&of("{port: 80}, {port: 81, name: admin}"), &environment).world(world);
    let outcome = only(input.clone(), &["api"]).compile();
    assert_eq!(outcome.codes, ["B328"], "{}", outcome.text);
    assert!(outcome.text.contains("`api` offers admin.shop.internal:81 from now on"), "{}", outcome.text);
    assert_eq!(only(input.clone(), &["api", "web"]).compile().codes, [""; 0]);
    assert_eq!(only(input, &["web"]).compile().codes, [""; 0]);
}

#[test]
fn nothing_to_do_is_said_of_what_was_compared() {
    let newer = model().replace("back:1", "back:2");
    let input = Input::new(&newer, ENVIRONMENT).world(running(&model()));
    let plan = compiled(&only(input, &["web"]));
    assert_eq!(plan.nodes, []);
    says(&plan, "Nothing to do: what runs of it is what the model says. Limited to web: nothing else");
    let gone = compiled(&teardown(&model(), World::new(), &["web", "back"]));
    says(&gone, "the project owns nothing of it in the target. Limited to back and web:");
}

#[test]
fn what_is_used_and_does_not_run_is_warned_of() {
    let input = Input::new(&model(), ENVIRONMENT);
    for world in [None, Some(World::new())] {
        let input = Input { world, ..input.clone() };
        let outcome = only(input, &["web"]).compile();
        assert_eq!(outcome.codes, ["B328"], "{}", outcome.text);
        assert!(outcome.text.contains("add `--only back`"), "{}", outcome.text);
        let plan = outcome.plan.expect("a plan");
        says(&plan, "which does not run, and ");
    }
    let names: [&[&str]; 2] = [&["web", "back"], &["back"]];
    for names in names {
        assert_eq!(only(input.clone(), names).compile().codes, [""; 0], "{names:?}");
    }
}

#[test]
fn a_task_that_should_run_first_is_warned_of() {
    let migrate =
        "  migrate:\n    image: migrate:1\n    plugin: {ec2-ecs: {mem: 64, once: {before: [web], accepted: adds}}}\n";
    let model = web("") + migrate;
    let outcome = only(Input::new(&model, ENVIRONMENT), &["web"]).compile();
    assert_eq!(outcome.codes, ["B328"], "{}", outcome.text);
    assert!(outcome.text.contains("`migrate` runs before `web` changes"), "{}", outcome.text);
    assert_eq!(only(Input::new(&model, ENVIRONMENT), &["web", "migrate"]).compile().codes, [""; 0]);
}

#[test]
fn who_still_uses_what_is_torn_down_is_named() {
    let outcome = teardown(&model(), running(&model()), &["back"]).compile();
    assert_eq!(outcome.codes, ["B328"], "{}", outcome.text);
    assert!(outcome.text.contains("`web` uses `back`, which is torn down"), "{}", outcome.text);
    assert_eq!(teardown(&model(), running(&model()), &["back", "web"]).compile().codes, [""; 0]);
}

#[test]
fn a_name_that_nobody_knows_tears_down_nothing_and_is_told() {
    let world = running(&(model() + OTHER));
    // An orphan is known by what runs.
    let plan = teardown(&model(), world.clone(), &["other"]).plan();
    assert_eq!(plan.components.keys().collect::<Vec<_>>(), ["other"]);
    let outcome = teardown(&model(), world, &["bakc"]).compile();
    assert_eq!(outcome.codes, ["B308"], "{}", outcome.text);
    assert!(outcome.text.contains("did you mean `back`?"), "{}", outcome.text);
    assert!(outcome.plan.is_some_and(|plan| plan.nodes.is_empty()), "it may be torn down already");
}

/// A task that goes from a schedule to a rule is never started by both, however little of a plan is asked for.
#[test]
fn what_starts_a_task_ends_when_something_else_starts_it() {
    let scheduled = |by: &str, orphans: &str| {
        web_with(&format!("mem: 128, schedule: {{when: rate(1 day), role: ecsEventsRole{by}}}"), "") + orphans
    };
    for (names, orphans) in [(&["web"][..], ""), (&[], "lifecycle: {teardown_orphans: never}\n")] {
        let world = running(&scheduled("", orphans));
        let input = Input::new(&scheduled(", by: rule", orphans), ENVIRONMENT).world(world);
        let plan = only(input, names).plan();
        let ids: Vec<&str> = plan.nodes.iter().map(|node| node.id.as_str()).collect();
        for id in ["web.schedule.disable", "web.rule.create", "web.rule.target", "web.schedule.delete"] {
            assert!(ids.contains(&id), "{id} of {ids:?}");
        }
    }
    // What is of no component of the model is another matter.
    let stays = |names| {
        let world = running(&scheduled("", ""));
        let gone = "components: {other: {image: other:1, plugin: {ec2-ecs: {mem: 64}}}}\n\
                    lifecycle: {teardown_orphans: never}\n";
        only(Input::new(gone, ENVIRONMENT).world(world), names).compile().plan.unwrap()
    };
    for names in [&["other"][..], &[]] {
        assert!(stays(names).nodes.iter().all(|node| !node.id.starts_with("web.")));
    }
}
