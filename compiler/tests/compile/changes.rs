//! Changes of what runs.

use belay_schemas::plan::Change;
use serde_json::json;

use crate::listing::{compiled, golden, inputs};
use crate::support::{ENVIRONMENT, FRONT, Input, World, digest, env, raw_service, raw_task, web, web_with};

/// The same input after a first deployment of `before`.
fn after(before: &Input, model: &str) -> Input {
    let world = before.world.clone().unwrap_or_else(World::new).apply(&before.plan());
    let mut input = before.clone().world(world);
    input.model = model.to_owned();
    input
}

fn first(model: &str) -> Input {
    Input::new(model, ENVIRONMENT).world(World::new())
}

/// Nothing is to be done.
#[track_caller]
fn nothing(input: &Input) {
    let plan = compiled(input);
    assert!(plan.nodes.is_empty(), "{}", crate::listing::listing(&plan));
    assert!(plan.components.values().all(|c| c.change == Change::None));
}

#[test]
fn a_new_image() {
    let before = first(&web("replicas: 2"));
    golden("update", &after(&before, &web("replicas: 2").replace("nginx:1.27", "nginx:1.28")));
}

#[test]
fn a_plan_is_of_the_health_checks_that_were_observed() {
    let world = |path: &str| {
        World::new().group("front", "instance").with(|w| w.target_groups[0]["HealthCheckPath"] = json!(path))
    };
    let observed = |world: World| {
        let input = Input::new(&(web("provides: {ports: [80]}") + FRONT), &env("lb: {front: front}")).world(world);
        input.plan().inputs.observed
    };
    assert_eq!(observed(world("/")), observed(world("/")));
    assert_ne!(observed(world("/")), observed(world("/up")));
}

#[test]
fn accepting_what_comes_and_goes_is_right_at_other_times_too() {
    let accepting = |code: &str| first(&web_with(&format!("mem: 128, accept: {{{code}: Known}}"), "")).compile().codes;
    assert_eq!(accepting("B458"), [""; 0]);
    assert_eq!(accepting("B451"), ["B305"]);
}

#[test]
fn nothing_to_change() {
    let rich = web_with(
        "mem: 256, mem_reserve: 128, cpu: 10, role: reader, command: [/serve], args: [-v]",
        "replicas: 2\nprovides: {ports: [80]}\nenv: {A: 1, B: \"\"}\nlabels: {c: d}\nvolumes: {logs: {path: /logs}}\ncontainers: {side: {image: side:1, mem: 16, depends_on: {web: START}}}",
    ) + FRONT;
    let environment = env("volumes: {logs: {}}\nlb: {front: front}\ndiscovery_zone: shop.internal");
    let before = Input::new(&rich, &environment).world(World::new().group("front", "instance"));
    nothing(&after(&before, &rich));
}

#[test]
fn a_tag_of_the_same_digest_is_no_change() {
    let before = first(&web(""));
    let mut other = after(&before, &web("").replace("nginx:1.27", "nginx:stable"));
    other.world = other.world.map(|w| w.moved("nginx:stable", "nginx:1.27"));
    nothing(&other);
}

#[test]
fn another_digest_of_the_same_tag_is_a_change() {
    let before = first(&web(""));
    let mut pushed = after(&before, &web(""));
    pushed.world = pushed.world.map(|w| w.moved("nginx:1.27", "nginx:1.27 pushed again"));
    let plan = golden("update-same-tag", &pushed);
    let image = inputs(&plan, "RegisterTaskDefinition")[0]["containerDefinitions"][0]["image"].clone();
    assert_eq!(image, format!("nginx@{}", digest("nginx:1.27 pushed again")));
}

/// What runs names a tag, as services that somebody else made do.
fn tagged_world() -> World {
    let input = first(&web(""));
    input.world.clone().unwrap_or_else(World::new).apply(&input.plan()).with(|w| {
        for (task, _) in w.definitions.values_mut() {
            task["containerDefinitions"][0]["image"] = json!("nginx:1.27");
        }
    })
}

#[test]
fn a_mutable_tag_is_pinned_before_it_is_left() {
    let mut input = first(&web("").replace("nginx:1.27", "nginx:1.28"));
    input.world = Some(tagged_world());
    golden("update-pin", &input);
}

#[test]
fn a_running_tag_of_the_wanted_digest_is_no_change() {
    let mut input = first(&web(""));
    input.world = Some(tagged_world());
    nothing(&input);
}

#[test]
fn only_the_number() {
    let before = first(&web("replicas: 2"));
    let plan = golden("scale", &after(&before, &web("replicas: 3")));
    assert_eq!(plan.components["web"].change, Change::Scale);
    assert_eq!(
        inputs(&plan, "UpdateService"),
        [json!({"cluster": "default", "service": "shop_web", "desiredCount": 3})]
    );
}

#[test]
fn number_and_image_at_once() {
    let before = first(&web("replicas: 4"));
    golden("update-and-scale", &after(&before, &web("replicas: 2").replace("nginx:1.27", "nginx:1.28")));
}

#[test]
fn disabled() {
    let before = first(&web("replicas: 2"));
    let plan = compiled(&after(&before, &web("replicas: 0")));
    assert_eq!(inputs(&plan, "UpdateService")[0]["desiredCount"], 0);
}

#[test]
fn only_settings() {
    let before = first(&raw_service("desiredCount: 2"));
    let plan = golden(
        "settings",
        &after(
            &before,
            &raw_service(
                "desiredCount: 2\nenableExecuteCommand: true\ndeploymentConfiguration: {minimumHealthyPercent: 50}",
            ),
        ),
    );
    assert!(inputs(&plan, "RegisterTaskDefinition").is_empty());
}

#[test]
fn a_field_dropped_from_the_model_goes_back_to_its_default() {
    let before = first(&raw_service(
        "desiredCount: 2\nenableExecuteCommand: true\npropagateTags: SERVICE\nplacementConstraints: [{type: distinctInstance}]\nhealthCheckGracePeriodSeconds: 0",
    ));
    let plan = compiled(&after(&before, &raw_service("desiredCount: 2")));
    assert_eq!(
        inputs(&plan, "UpdateService"),
        [json!({"cluster": "default", "service": "shop_web", "enableExecuteCommand": false,
            "propagateTags": "NONE", "placementConstraints": []})]
    );
    let before = first(&raw_task("containerDefinitions: {user: nobody}"));
    let plan = compiled(&after(&before, &raw_task("containerDefinitions: {cpu: 0}")));
    assert_eq!(inputs(&plan, "RegisterTaskDefinition")[0]["containerDefinitions"][0].get("user"), None);
}

#[test]
fn another_gateway_of_a_running_service() {
    let model = web("provides: {ports: [80]}") + FRONT;
    let world = World::new().group("front", "instance").group("other", "instance");
    let before = Input::new(&model, &env("lb: {front: front}")).world(world);
    let mut moved = after(&before, &model);
    moved.environments = vec![env("lb: {front: other}")];
    golden("gateway-change", &moved);
    let mut dropped = after(&before, &web("provides: {ports: [80]}"));
    dropped.environments = vec![env("")];
    let plan = compiled(&dropped);
    assert_eq!(inputs(&plan, "UpdateService")[0]["loadBalancers"], json!([]));
}

#[test]
fn everything_is_replaced_when_asked() {
    let before = first(&web(""));
    let plan = golden("replace-all", &after(&before, &web("")).options(|o| o.replace_all = true));
    assert_eq!(inputs(&plan, "UpdateService").len(), 1);
}

#[test]
fn three_revisions_are_kept() {
    let mut input = first(&web("replicas: 2"));
    let mut kept = Vec::new();
    for version in 28..34 {
        input = after(&input, &web("replicas: 2").replace("nginx:1.27", &format!("nginx:1.{version}")));
        let plan = compiled(&input);
        kept.push(inputs(&plan, "DeregisterTaskDefinition").len());
    }
    assert_eq!(kept, [0, 0, 1, 1, 1, 1]);
    let world = after(&input, &input.model.clone()).world.expect("a world");
    let active = world.definitions.values().filter(|(t, _)| t["status"] == "ACTIVE").count();
    assert_eq!(active, 3);
}

#[test]
fn an_unowned_family_is_left_alone() {
    let mut input = first(&web("").replace("nginx:1.27", "nginx:1.28"));
    let world = first(&web(""));
    let mut world = world.world.clone().expect("a world").apply(&world.plan());
    for number in 10..16 {
        let arn = format!("arn:aws:ecs:us-east-1:123456789012:task-definition/default_shop_web:{number}");
        let task = json!({"taskDefinitionArn": arn, "family": "default_shop_web", "revision": number, "status": "ACTIVE",
            "containerDefinitions": [{"name": "web", "image": "other:1"}]});
        world.definitions.insert(arn, (task, json!([])));
    }
    input.world = Some(world);
    let plan = input.plan();
    assert!(inputs(&plan, "DeregisterTaskDefinition").is_empty());
}

#[test]
fn a_changed_user_tag_is_a_change() {
    let before = first(&raw_task("tags: [{key: team, value: a}]"));
    let plan = compiled(&after(&before, &raw_task("tags: [{key: team, value: b}]")));
    assert_eq!(inputs(&plan, "RegisterTaskDefinition").len(), 1);
}

#[test]
fn what_stands_in_the_service_revision_only() {
    let connected = raw_service("serviceConnectConfiguration: {enabled: true, namespace: shop}");
    let before = first(&connected);
    nothing(&after(&before, &connected));
    let plan = golden("service-connect-dropped", &after(&before, &raw_service("desiredCount: 1")));
    assert_eq!(inputs(&plan, "UpdateService")[0]["serviceConnectConfiguration"], json!({"enabled": false}));
}

#[test]
fn a_new_sidecar_and_a_dropped_one() {
    let with = |side: &str| web(&format!("containers: {{{side}: {{image: side:1, mem: 16}}}}"));
    let plan = compiled(&after(&first(&with("one")), &with("two")));
    let why: Vec<&str> =
        plan.node("web.service.update").expect("an update").why.iter().map(|w| w.path.as_str()).collect();
    assert_eq!(why.len(), 2, "{why:?}");
}

#[test]
fn a_service_without_a_known_task_definition_is_deployed_again() {
    let input = first(&web(""));
    let mut unknown = after(&input, &web(""));
    unknown.world = unknown.world.map(|w| w.with(|w| w.definitions.clear()));
    assert_eq!(inputs(&unknown.plan(), "UpdateService").len(), 1);
}

#[test]
fn tags_of_a_running_service() {
    let tagged = |tags: &str| raw_service(&format!("desiredCount: 2\ntags: [{tags}]"));
    let before = first(&tagged("{key: team, value: a}, {key: cost, value: \"1\"}"));
    nothing(&after(&before, &tagged("{key: cost, value: \"1\"}, {key: team, value: a}")));
    let plan = golden("tags", &after(&before, &tagged("{key: team, value: b}, {key: tier, value: web}")));
    assert_eq!(plan.components["web"].change, Change::Update);
    assert!(inputs(&plan, "UpdateService").is_empty());
    assert_eq!(inputs(&plan, "UntagResource")[0]["tagKeys"], json!(["cost"]));
    // What somebody else put there stays.
    let mut foreign = after(&before, &tagged("{key: team, value: a}, {key: cost, value: \"1\"}"));
    foreign.world = foreign.world.map(|w| {
        w.service("shop_web", |s| {
            s["tags"].as_array_mut().expect("tags").push(json!({"key": "owner", "value": "ops"}));
        })
    });
    nothing(&foreign);
    // Tasks may take their tags from the service: it has the new ones before they start.
    let both = tagged("{key: team, value: b}, {key: cost, value: \"1\"}").replace("nginx:1.27", "nginx:1.28");
    let plan = compiled(&after(&before, &both));
    assert!(plan.edges.iter().any(|e| e.from == "web.service.tag" && e.to == "web.service.update"));
}
