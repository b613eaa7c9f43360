//! What the model does not have any more, and what is torn down.

use belay_schemas::plan::{Change, Mode};

use crate::listing::{golden, inputs, listing};
use crate::support::{ENVIRONMENT, Input, World, web};

const BACK: &str = "  back:\n    image: back:1\n    plugin: {ec2-ecs: {mem: 64}}\n";

/// `web` and `back`, which uses nothing, run.
fn running() -> World {
    let input = Input::new(&(web("uses: {back: {}}") + BACK), ENVIRONMENT).world(World::new());
    World::new().apply(&input.plan())
}

fn without_back(lifecycle: &str) -> Input {
    Input::new(&(web("").replace("nginx:1.27", "nginx:1.28") + lifecycle), ENVIRONMENT).world(running())
}

#[test]
fn after_the_rest() {
    golden("orphan-after", &without_back(""));
}

#[test]
fn before_the_rest() {
    golden("orphan-before", &without_back("lifecycle: {teardown_orphans: before}\n"));
}

#[test]
fn never() {
    let outcome = without_back("lifecycle: {teardown_orphans: never}\n").compile();
    assert_eq!(outcome.codes, ["B506"]);
    let plan = outcome.plan.expect("a plan");
    assert!(!listing(&plan).contains("shop_back"), "{}", listing(&plan));
    assert_eq!(plan.notices.len(), 1);
}

#[test]
fn everything() {
    let input = Input::new(&(web("uses: {back: {}}") + BACK), ENVIRONMENT).world(running());
    golden("teardown", &input.options(|o| o.mode = Mode::Teardown));
}

#[test]
fn one_component() {
    let input = Input::new(&(web("") + BACK), ENVIRONMENT).world(running()).options(|o| {
        o.mode = Mode::Teardown;
        o.only = vec!["back".to_owned()];
    });
    let plan = crate::listing::compiled(&input);
    assert_eq!(plan.components.keys().collect::<Vec<_>>(), ["back"]);
    assert_eq!(inputs(&plan, "DeleteService").len(), 1);
}

#[test]
fn only_one_is_deployed() {
    let newer = (web("uses: {back: {}}") + BACK).replace("nginx:1.27", "nginx:1.28").replace("back:1", "back:2");
    let input = Input::new(&newer, ENVIRONMENT).world(running()).options(|o| o.only = vec!["web".to_owned()]);
    let plan = crate::listing::compiled(&input);
    assert_eq!(plan.components.keys().collect::<Vec<_>>(), ["web"]);
    assert_eq!(inputs(&plan, "UpdateService").len(), 1);
    let dropped = Input::new(&web("").replace("nginx:1.27", "nginx:1.28"), ENVIRONMENT)
        .world(running())
        .options(|o| o.only = vec!["web".to_owned()]);
    assert!(inputs(&crate::listing::compiled(&dropped), "DeleteService").is_empty());
}

#[test]
fn what_others_own_is_never_touched() {
    let world =
        running().service("shop_back", |s| s["tags"] = serde_json::json!([{"key": "belay:project", "value": "shop2"}]));
    let input = Input::new(&web(""), ENVIRONMENT).world(world.clone());
    let plan = input.plan();
    assert!(!listing(&plan).contains("DeleteService"), "{}", listing(&plan));
    let teardown = Input::new(&(web("") + BACK), ENVIRONMENT).world(world).options(|o| o.mode = Mode::Teardown);
    let plan = teardown.plan();
    assert_eq!(inputs(&plan, "DeleteService").len(), 1);
    assert_eq!(plan.components["web"].change, Change::Remove);
}

#[test]
fn revisions_of_a_service_that_is_gone_are_tidied() {
    let mut world = running();
    world.services.remove("shop_back");
    let plan = crate::listing::compiled(&Input::new(&web(""), ENVIRONMENT).world(world));
    assert_eq!(plan.components["back"].change, Change::Tidy);
    assert_eq!(inputs(&plan, "DeregisterTaskDefinition").len(), 1);
}

#[test]
fn an_orphan_without_tasks_is_only_deleted() {
    let world = running().service("shop_back", |s| s["desiredCount"] = serde_json::json!(0));
    let plan = crate::listing::compiled(&Input::new(&web(""), ENVIRONMENT).world(world));
    assert!(inputs(&plan, "UpdateService").is_empty());
    assert_eq!(inputs(&plan, "DeleteService").len(), 1);
}

#[test]
fn a_renamed_component_is_made_before_the_old_one_goes() {
    let model = (web("") + BACK).replace("back:\n", "backend:\n");
    let plan = crate::listing::compiled(&Input::new(&model, ENVIRONMENT).world(running()));
    assert_eq!(plan.components["back"].change, Change::Remove);
    assert_eq!(plan.components["backend"].change, Change::Create);
}
