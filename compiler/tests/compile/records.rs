//! Records of Route 53 for components with load balancers of their own.

use belay_schemas::plan::{Mode, Phase, Plan};
use serde_json::{Value, json};

use crate::listing::{after, compiled, listing};
use crate::support::{Input, World, env, group_arn};

const WEB: &str = "web.app.shop.internal";
const API: &str = "api.app.shop.internal";

/// Two components, of which `web` uses `api`.
fn model() -> String {
    let one = |name: &str, more: &str| {
        format!(
            "  {name}:\n    image: nginx:1.27\n    replicas: 2\n    provides: {{ports: [80]}}\n    plugin: {{ec2-ecs: {{mem: 128}}}}\n{more}"
        )
    };
    format!("components:\n{}{}", one("api", ""), one("web", "    uses: {api: {}}\n"))
}

fn environment(records: &str) -> String {
    env(&format!(
        "discovery_mode: elb-manual\ndiscovery_zone: App.shop.internal.\nlb: {{web: {}, api: {}}}\n{records}",
        group_arn("front"),
        group_arn("back")
    ))
}

const RECORDS: &str = "discovery_records: {zone: shop.internal}";

fn first() -> Input {
    let world = World::new()
        .group("front", "instance")
        .group("back", "instance")
        .zone("shop.internal", 'A', true)
        .record('A', WEB, None, None)
        .record('A', API, None, None);
    Input::new(&model(), &environment(RECORDS)).world(world)
}

/// The same after its own deployment, in an environment.
fn deployed(environment: String) -> Input {
    let before = first();
    let world = before.world.clone().unwrap_or_else(World::new).apply(&before.plan());
    let mut input = before.world(world);
    input.environments = vec![environment];
    input
}

/// What is done to records, forward and back: the node, its phase, and actions with the types that they are about.
fn changes(plan: &Plan) -> Vec<(&str, Phase, String)> {
    let calls = plan.nodes.iter().filter_map(|node| Some((node, node.action.mutation()?)));
    let calls = calls.filter(|(_, call)| call.service == "route53");
    let told = |input: &Value| {
        let all = input["ChangeBatch"]["Changes"].as_array().expect("changes");
        let words = all.iter().map(|one| {
            let set = &one["ResourceRecordSet"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            format!("{} {} {}", text(&one["Action"]), text(&set["Type"]), text(&set["AliasTarget"]["DNSName"]))
        });
        words.map(|word| word.trim().to_owned()).collect::<Vec<_>>().join(", ")
    };
    calls.map(|(node, call)| (node.id.as_str(), node.phase, told(&call.input))).collect()
}

#[test]
fn a_name_is_known_before_anybody_starts_who_looks_it_up() {
    let plan = compiled(&first());
    let (put, gone) = (
        "UPSERT A main-1.us-east-1.elb.amazonaws.com., UPSERT TXT",
        "DELETE A main-1.us-east-1.elb.amazonaws.com., DELETE TXT",
    );
    let expected = [
        ("api.record.create", Phase::Deploy, put.to_owned()),
        ("api.record.create.undo", Phase::Undo, gone.to_owned()),
        ("web.record.create", Phase::Deploy, put.to_owned()),
        ("web.record.create.undo", Phase::Undo, gone.to_owned()),
    ];
    assert_eq!(changes(&plan), expected);
    for (from, to) in [
        ("api.service.deployed", "api.record.create"),
        ("api.record.create", "api.record.known"),
        ("api.record.known", "web.service.create"),
        // Back in the other order.
        ("web.record.create.undo", "web.service.create.undo"),
        ("web.service.create.undone", "api.record.create.undo"),
        ("api.record.create.undo", "api.service.create.undo"),
    ] {
        assert!(after(&plan, from, to), "{from} before {to}:\n{}", listing(&plan));
    }
    let create = plan.nodes.iter().find(|node| node.id == "web.service.create").expect("a node");
    let tags = &create.action.mutation().expect("a call").input["tags"];
    let tag = json!({"key": "belay:dns-record", "value": format!("Z0A0000000000/{WEB}")});
    assert!(tags.as_array().expect("tags").contains(&tag), "{tags}");
}

#[test]
fn what_leads_where_it_should_stays() {
    let plan = compiled(&deployed(environment(RECORDS)));
    assert!(plan.nodes.is_empty(), "{}", listing(&plan));
}

#[test]
fn a_record_that_leads_elsewhere_is_turned_and_turned_back() {
    let mut input = deployed(environment(RECORDS));
    let words = "\"belay:project=shop\" \"belay:cluster=us-east-1/default\" \"belay:component=web\"";
    input.world = input.world.map(|world| world.record('A', WEB, Some("old"), Some(words)));
    let expected = [
        ("web.record.change", Phase::Deploy, "UPSERT A main-1.us-east-1.elb.amazonaws.com., UPSERT TXT".to_owned()),
        ("web.record.change.undo", Phase::Undo, "UPSERT A old-1.us-east-1.elb.amazonaws.com., UPSERT TXT".to_owned()),
    ];
    assert_eq!(changes(&compiled(&input)), expected);
}

/// Who looks it up waits until nobody remembers where it led.
#[test]
fn a_record_follows_its_component() {
    let mut input = deployed(environment(RECORDS));
    input.model = model().replacen("nginx:1.27", "nginx:1.28", 1);
    let words = "\"belay:project=shop\" \"belay:cluster=us-east-1/default\" \"belay:component=api\"";
    input.world = input.world.map(|world| world.record('A', API, Some("old"), Some(words)));
    let plan = compiled(&input);
    assert!(after(&plan, "api.service.deployed", "api.record.change"), "{}", listing(&plan));
    assert!(after(&plan, "api.record.change.undo", "api.service.update.undo"), "{}", listing(&plan));
    let known = plan.nodes.iter().find(|node| node.id == "api.record.known").expect("a node");
    let belay_schemas::plan::Action::Wait { wait } = &known.action else { panic!("{known:?}") };
    assert_eq!(wait.hold, 60);
}

#[test]
fn whoever_looks_a_name_up_waits_for_it_even_if_nothing_else_changes() {
    let mut input = deployed(environment(RECORDS));
    input.model = model().replace("uses: {api: {}}", "uses: {api: {}}\n    env: {A: b}");
    input.world = input.world.map(|world| world.record('A', API, None, None));
    let plan = compiled(&input);
    assert_eq!(plan.components["api"].change, belay_schemas::plan::Change::Update);
    assert!(after(&plan, "api.record.known", "web.service.update"), "{}", listing(&plan));
}

#[test]
fn a_name_that_is_found_again_is_taken_away_with_its_service_gone_already() {
    let mut input = deployed(environment(RECORDS));
    input.world = input.world.map(|world| world.with(|w| w.services.clear()));
    input.options.mode = Mode::Teardown;
    let plan = compiled(&input);
    assert_eq!(changes(&plan).len(), 2, "{}", listing(&plan));
}

#[test]
fn a_record_of_which_only_the_text_is_left_is_made_again_and_the_way_back_leaves_the_text() {
    let mut input = deployed(environment(RECORDS));
    let words = "\"belay:project=shop\" \"belay:cluster=us-east-1/default\" \"belay:component=web\"";
    input.world = input.world.map(|world| world.record('A', WEB, None, Some(words)));
    let expected = [
        ("web.record.change", Phase::Deploy, "UPSERT A main-1.us-east-1.elb.amazonaws.com., UPSERT TXT".to_owned()),
        ("web.record.change.undo", Phase::Undo, "UPSERT TXT, DELETE A main-1.us-east-1.elb.amazonaws.com.".to_owned()),
    ];
    assert_eq!(changes(&compiled(&input)), expected);
}

#[test]
fn whoever_asks_for_none_any_more_loses_them_after_the_commit_point() {
    let gone = "DELETE A main-1.us-east-1.elb.amazonaws.com., DELETE TXT".to_owned();
    let expected = |name: &'static str| (name, Phase::Finalize, gone.clone());
    let both =
        [expected("api.record.api-app-shop-internal.delete"), expected("web.record.web-app-shop-internal.delete")];
    assert_eq!(changes(&compiled(&deployed(environment("")))), both);
    // With the components, too.
    let mut teardown = deployed(environment(RECORDS));
    teardown.options.mode = Mode::Teardown;
    assert_eq!(changes(&compiled(&teardown)), both);
    // A plan that is about one of them leaves the other one's alone.
    let mut only = deployed(environment(""));
    only.options.only = vec!["web".to_owned()];
    assert_eq!(changes(&compiled(&only)), both[1..]);
}

#[test]
fn what_was_made_by_hand_stays_whatever_happens() {
    let mut input = first();
    input.world =
        input.world.map(|world| world.record('A', WEB, Some("main"), None).record('A', API, Some("main"), None));
    let plan = compiled(&input);
    assert_eq!(changes(&plan), []);
    let world = input.world.clone().unwrap_or_else(World::new).apply(&plan);
    let mut teardown = input.world(world);
    teardown.options.mode = Mode::Teardown;
    assert_eq!(changes(&compiled(&teardown)), []);
}
