//! What does not matter for a plan, and what orders it.

use belay_schemas::plan::{EdgeKind, Plan};
use serde_json::Value;

use crate::listing::{comes_before, compiled};
use crate::support::{ENVIRONMENT, Input, World};

/// The plan's bytes without the places in the files, which move with the lines.
fn meaning(plan: &Plan) -> String {
    let mut plan = plan.clone();
    for why in plan.nodes.iter_mut().flat_map(|n| &mut n.why) {
        why.at = None;
    }
    plan.digest = String::new();
    plan.to_json()
}

#[test]
fn the_order_of_keys_does_not_matter() {
    let one = "components:
  web: {image: nginx:1.27, replicas: 2, env: {A: 1, B: 2}, uses: {back: {}, cache: {}}, plugin: {ec2-ecs: {cpu: 10, mem: 64}}}
  back: {image: back:1, uses: {cache: {}}, plugin: {ec2-ecs: {mem: 64}}}
  cache: {image: cache:1, plugin: {ec2-ecs: {mem: 64}}}
";
    let other = "components:
  cache: {plugin: {ec2-ecs: {mem: 64}}, image: cache:1}
  back: {plugin: {ec2-ecs: {mem: 64}}, uses: {cache: {}}, image: back:1}
  web: {plugin: {ec2-ecs: {mem: 64, cpu: 10}}, uses: {cache: {}, back: {}}, env: {B: 2, A: 1}, replicas: 2, image: nginx:1.27}
";
    let compile = |model: &str| compiled(&Input::new(model, ENVIRONMENT).world(World::new()));
    let (one, other) = (compile(one), compile(other));
    assert_eq!(meaning(&one), meaning(&other));
    assert_eq!(one.inputs, other.inputs);
}

#[test]
fn time_and_free_room_do_not_matter() {
    let model = "components: {web: {image: nginx:1.27, plugin: {ec2-ecs: {mem: 64}}}}\n";
    let input = Input::new(model, ENVIRONMENT).world(World::new());
    let later = input
        .compile_with(|mut observed| {
            observed.observed_at = "2027-01-01T00:00:00Z".to_owned();
            for read in observed.reads.iter_mut().filter(|r| r.operation == "DescribeContainerInstances") {
                if let Some(Value::Array(instances)) =
                    read.output.as_mut().and_then(|o| o.get_mut("containerInstances"))
                {
                    instances.truncate(2);
                }
            }
            observed
        })
        .plan
        .expect("a plan");
    assert_eq!(input.plan().to_json(), later.to_json());
}

#[test]
fn who_is_used_runs_first_and_goes_back_last() {
    let model = "components:
  web: {image: nginx:1.27, uses: {back: {}}, plugin: {ec2-ecs: {mem: 64}}}
  back: {image: back:1, uses: {cache: {}}, plugin: {ec2-ecs: {mem: 64}}}
  cache: {image: cache:1, plugin: {ec2-ecs: {mem: 64}}}
";
    let plan = compiled(&Input::new(model, ENVIRONMENT).world(World::new()));
    let after = [EdgeKind::After];
    assert!(comes_before(&plan, "cache.service.deployed", "back.service.create", &after));
    assert!(comes_before(&plan, "back.service.deployed", "web.service.create", &after));
    assert!(!comes_before(&plan, "back.service.deployed", "web.task-definition.register", &after));
    let back = [EdgeKind::UndoAfter];
    assert!(comes_before(&plan, "web.service.create.undone", "back.service.create.undo", &back));
    assert!(comes_before(&plan, "back.service.create.undone", "cache.service.create.undo", &back));

    // What does not change passes the order on.
    let world = World::new().apply(&plan);
    let newer = model.replace("cache:1", "cache:2").replace("nginx:1.27", "nginx:1.28");
    let plan = compiled(&Input::new(&newer, ENVIRONMENT).world(world));
    assert!(comes_before(&plan, "cache.service.deployed", "web.service.update", &after));
}
