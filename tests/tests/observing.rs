//! Observing many services takes the fewest calls, and what is not looked at is nothing that a plan needs: revisions
//! are tidied away in time, and a teardown leaves none behind.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use belay_executor::cloud::Cloud;
use belay_executor::observe::{Counted, observe};
use belay_executor::run::Outcome;
use belay_executor::simulator::{SimulatedCloud, World};
use belay_schemas::observed::Observed;
use belay_schemas::plan::Mode;
use belay_tests::pipeline::{Inputs, apply, block_on};
use serde_json::{Value, json};

const ENVIRONMENT: &str = "core_plugin: ec2-ecs\nplugin_config: {ec2-ecs: {region: us-east-1}}\n";

fn component(name: &str, image: &str) -> String {
    format!("  {name}: {{image: \"{image}\", replicas: 0, plugin: {{ec2-ecs: {{cpu: 64, mem: 64}}}}}}\n")
}

/// A project of many services.
fn many(count: usize) -> Inputs {
    let mut model = String::from("components:\n");
    for number in 0..count {
        model.push_str(&component(&format!("s{number:03}"), "acme/a:1"));
    }
    Inputs::new("shop", model, ENVIRONMENT)
}

fn ecs(cloud: &SimulatedCloud, operation: &str, input: &Value) -> Value {
    block_on(cloud.call("ecs", operation, input)).unwrap()
}

/// Registers so many revisions of each family, and runs the newest.
fn run_services(cloud: &SimulatedCloud, names: impl Iterator<Item = String>, revisions: usize) {
    let tags = json!([{"key": "belay:project", "value": "shop"}]);
    for name in names {
        let family = format!("default_{name}");
        let container = json!({"name": "main", "image": "acme/a:1", "cpu": 64, "memory": 64});
        for _ in 0..revisions {
            let input = json!({"family": family, "containerDefinitions": [container], "tags": tags});
            ecs(cloud, "RegisterTaskDefinition", &input);
        }
        let input = json!({"serviceName": name, "taskDefinition": family, "desiredCount": 0, "tags": tags});
        ecs(cloud, "CreateService", &input);
    }
}

/// An account without throttling: what is asked of it is counted here, not paced.
fn account() -> Arc<SimulatedCloud> {
    Arc::new(SimulatedCloud::new(World::default_account()))
}

fn counted(inputs: &Inputs, cloud: &SimulatedCloud) -> (Observed, BTreeMap<String, u64>) {
    let counted = Counted::new(cloud);
    let observed = block_on(observe(&inputs.scope().unwrap(), &counted, cloud, "us-east-1")).unwrap();
    (observed, counted.counts().by_operation().clone())
}

/// Holds how often each operation was called.
fn assert_calls(counts: &BTreeMap<String, u64>, expected: &[(&str, u64)]) {
    let counts: Vec<(&str, u64)> = counts.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    assert_eq!(counts, expected);
}

#[test]
fn five_hundred_services_take_the_calls_that_batch_limits_force() {
    let cloud = account();
    run_services(&cloud, (0..500).map(|number| format!("shop_s{number:03}")), 1);
    let (observed, counts) = counted(&many(500), &cloud);
    // 500 services in tens, their revisions in twenties, lists by the hundred, task definitions one by one.
    let expected = [
        ("ecs DescribeClusters", 1),
        ("ecs DescribeContainerInstances", 1),
        ("ecs DescribeServiceRevisions", 25),
        ("ecs DescribeServices", 50),
        ("ecs DescribeTaskDefinition", 500),
        ("ecs ListContainerInstances", 1),
        ("ecs ListServices", 5),
        ("ecs ListTaskDefinitions", 5),
        ("registry digest", 1),
        ("sts GetCallerIdentity", 1),
    ];
    assert_calls(&counts, &expected);
    assert_eq!(observed.outputs("ecs", "DescribeTaskDefinition").count(), 500);
}

#[test]
fn old_revisions_cost_one_look_each_at_those_that_may_go() {
    let cloud = account();
    run_services(&cloud, (0..500).map(|number| format!("shop_s{number:03}")), 3);
    // Somebody else's, of which only the newest is looked at, and only because its name could be ours.
    run_services(&cloud, ["shop_x-web".to_owned()].into_iter(), 1);
    let (_, counts) = counted(&many(500), &cloud);
    let expected = [
        ("ecs DescribeClusters", 1),
        ("ecs DescribeContainerInstances", 1),
        ("ecs DescribeServiceRevisions", 26),
        ("ecs DescribeServices", 51),
        // The running ones, and of each family of three the one that an update would deregister.
        ("ecs DescribeTaskDefinition", 501 + 500),
        ("ecs ListContainerInstances", 1),
        ("ecs ListServices", 6),
        ("ecs ListTaskDefinitions", 16),
        ("registry digest", 1),
        ("sts GetCallerIdentity", 1),
    ];
    assert_calls(&counts, &expected);
}

#[test]
fn an_account_full_of_other_revisions_is_asked_family_by_family() {
    let cloud = account();
    run_services(&cloud, (0..8).map(|number| format!("shop_s{number:03}")), 1);
    run_services(&cloud, ["elsewhere".to_owned()].into_iter(), 250);
    let (observed, counts) = counted(&many(8), &cloud);
    // Two pages of a hundred say that there are more; then one list for each of the eight families.
    assert_eq!(counts["ecs ListTaskDefinitions"], 2 + 8);
    assert_eq!(counts["ecs ListTaskDefinitionFamilies"], 1);
    let text = serde_json::to_string(&observed).unwrap();
    assert!(!text.contains("elsewhere:"));

    // With few of them, one list is enough, and it names the project's only.
    let cloud = account();
    run_services(&cloud, (0..8).map(|number| format!("shop_s{number:03}")), 1);
    run_services(&cloud, ["elsewhere".to_owned()].into_iter(), 50);
    let (observed, counts) = counted(&many(8), &cloud);
    assert_eq!(counts["ecs ListTaskDefinitions"], 1);
    assert!(!counts.contains_key("ecs ListTaskDefinitionFamilies"));
    let text = serde_json::to_string(&observed).unwrap();
    assert!(!text.contains("elsewhere:"), "what others have is not recorded");
}

#[test]
fn images_in_ecr_are_asked_for_by_the_hundred_and_a_missing_one_spoils_no_other() {
    let cloud = account();
    let here = "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop/web";
    let elsewhere = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/web:1";
    let missing = format!("{here}:t037");
    cloud.with_world(|world| {
        let gone = belay_executor::simulator::world::Image { missing: true, ..Default::default() };
        world.images.insert(missing.clone(), gone);
    });
    let mut scope = many(1).scope().unwrap();
    scope.images = (0..250).map(|number| format!("{here}:t{number:03}")).collect();
    scope.images.extend([elsewhere.to_owned(), "nginx:1".to_owned(), format!("{here}@sha256:00")]);
    let counted = Counted::new(cloud.as_ref());
    let observed = block_on(observe(&scope, &counted, cloud.as_ref(), "us-east-1")).unwrap();
    let counts = counted.counts().by_operation().clone();
    // Three calls, of which one is halved until the missing tag stands alone: 50, 25, 12 or 13, 6 or 7, 3 or 4, …
    assert!((4..=3 + 2 * 7).contains(&counts["ecr DescribeImages"]), "{counts:?}");
    assert_eq!(counts["registry digest"], 2, "another region's and another registry's");
    assert_eq!(observed.images.len(), 253);
    let world = cloud.world();
    for (image, seen) in &observed.images {
        match image {
            image if *image == missing => {
                assert!(seen.error.as_deref().unwrap_or_default().contains("ImageNotFoundException"), "{seen:?}");
            }
            image => assert_eq!(seen.digest, world.digest_of(image), "{image}"),
        }
    }
    // None of it is a read of the target: the compiler takes digests from where it takes all of them.
    assert_eq!(observed.outputs("ecr", "DescribeImages").count(), 0);
}

/// ACTIVE revision numbers of a family, newest first.
fn active(cloud: &SimulatedCloud, family: &str) -> Vec<u64> {
    let listed = ecs(cloud, "ListTaskDefinitions", &json!({"familyPrefix": family, "sort": "DESC"}));
    let arns = listed["taskDefinitionArns"].as_array().unwrap();
    arns.iter().map(|arn| arn.as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn each_update_leaves_three_revisions_and_a_teardown_none() {
    let cloud = account();
    let journal = tempfile::tempdir().unwrap();
    let model = |version: u32| format!("components:\n{}", component("web", &format!("acme/a:{version}")));
    let mut last = Vec::new();
    for version in 1..=5 {
        let inputs = Inputs::new("shop", model(version), ENVIRONMENT);
        let plan = inputs.plan(&cloud).unwrap();
        let status = apply(&cloud, &plan, journal.path(), &format!("run-{version}")).unwrap();
        assert_eq!(status.outcome, Some(Outcome::Done), "{version}");
        let newest = u64::from(version);
        let expected: Vec<u64> = (newest.saturating_sub(2).max(1)..=newest).rev().collect();
        last = active(&cloud, "default_shop_web");
        assert_eq!(last, expected);
        assert!(inputs.plan(&cloud).unwrap().nodes.is_empty(), "nothing is left to do after {version}");
    }
    assert_eq!(last.len(), 3);

    let deploy = Inputs::new("shop", model(5), ENVIRONMENT);
    let teardown = Inputs { mode: Mode::Teardown, ..deploy.clone() };
    let refused = teardown.compile(Some(&deploy.observe(&cloud).unwrap())).unwrap_err();
    assert!(refused.contains("B505") && refused.contains("made for a deployment"), "{refused}");
    let plan = teardown.plan(&cloud).unwrap();
    let status = apply(&cloud, &plan, journal.path(), "run-6").unwrap();
    assert_eq!(status.outcome, Some(Outcome::Done));
    assert_eq!(active(&cloud, "default_shop_web"), Vec::<u64>::new());
    assert!(teardown.plan(&cloud).unwrap().nodes.is_empty());
}

#[test]
fn an_orphan_goes_with_all_of_its_revisions_and_a_foreign_one_stays() {
    let cloud = account();
    let journal = tempfile::tempdir().unwrap();
    let both = format!("components:\n{}{}", component("web", "acme/a:1"), component("old", "acme/a:1"));
    let newer = both.replace("acme/a:1", "acme/a:2");
    for (run, model) in [("run-1", both), ("run-2", newer)] {
        let plan = Inputs::new("shop", model, ENVIRONMENT).plan(&cloud).unwrap();
        assert_eq!(apply(&cloud, &plan, journal.path(), run).unwrap().outcome, Some(Outcome::Done));
    }
    let foreign = json!({"family": "default_shop_old", "tags": [{"key": "belay:project", "value": "other"}],
                         "containerDefinitions": [{"name": "main", "image": "acme/a:1", "memory": 64}]});
    ecs(&cloud, "RegisterTaskDefinition", &foreign);
    ecs(
        &cloud,
        "RegisterTaskDefinition",
        &json!({"family": "default_shop_x_y", "containerDefinitions": foreign["containerDefinitions"]}),
    );
    let only = Inputs::new("shop", format!("components:\n{}", component("web", "acme/a:2")), ENVIRONMENT);
    let (_, counts) = counted(&only, &cloud);
    // web's running one, all three of old, and the newest of the family that could be ours.
    assert_eq!(counts["ecs DescribeTaskDefinition"], 5);
    let plan = only.plan(&cloud).unwrap();
    assert_eq!(apply(&cloud, &plan, journal.path(), "run-3").unwrap().outcome, Some(Outcome::Done));
    assert_eq!(active(&cloud, "default_shop_old"), [3]);
}
