//! Five hundred services against the request rates that AWS publishes for ECS: the run finds its rate by what is refused
//! at the beginning, is refused nothing afterwards, and takes as long as `belay rehearse` says.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use belay_executor::rehearse::{durations, predict};
use belay_executor::run::{Options, Outcome};
use belay_executor::simulator::world::Outcome as CallOutcome;
use belay_executor::simulator::{SimulatedCloud, World};
use belay_tests::pipeline::{Inputs, apply};

const SERVICES: usize = 500;
/// Seconds after its first refusal in which a family may still be refused what was under way.
const ADAPTING: u64 = 2;

fn inputs() -> Inputs {
    let mut model = String::from("components:\n");
    for i in 0..SERVICES {
        // Writing to a string cannot fail.
        let _ =
            writeln!(model, "  s{i:03}: {{image: \"shop/s:1\", replicas: 1, plugin: {{ec2-ecs: {{cpu: 2, mem: 6}}}}}}");
    }
    let environment = "core_plugin: ec2-ecs\nplugin_config: {ec2-ecs: {region: us-east-1, cluster: default}}\n";
    Inputs::new("shop", model, environment)
}

#[test]
fn five_hundred_services_keep_to_the_published_rates_and_take_as_long_as_was_said() {
    let mut world = World::default_account();
    world.throttling.enabled = true;
    let cloud = Arc::new(SimulatedCloud::new(world));
    let inputs = inputs();
    let observed = inputs.observe(&cloud).unwrap();
    let (plan, _) = inputs.compile(Some(&observed)).unwrap();
    let durations = durations(&cloud.world());
    let said = predict(&plan, Some(&observed), &durations, Options::CONCURRENCY).seconds;

    let before = cloud.world().log.len();
    let journal = tempfile::tempdir().unwrap();
    let status = apply(&cloud, &plan, journal.path(), "rates").unwrap();
    assert_eq!(status.outcome, Some(Outcome::Done), "{:?}", status.failures().collect::<Vec<_>>());
    let world = cloud.world();
    let mut first: BTreeMap<&str, u64> = BTreeMap::new();
    let mut refused: BTreeMap<&str, usize> = BTreeMap::new();
    let mut done: BTreeMap<&str, usize> = BTreeMap::new();
    let mut late = Vec::new();
    for call in &world.log[before..] {
        match &call.outcome {
            CallOutcome::Error(code) if code.contains("Throttl") => {
                let begun = *first.entry(&call.operation).or_insert_with(|| call.at.seconds());
                *refused.entry(&call.operation).or_default() += 1;
                if call.at.seconds() > begun + ADAPTING {
                    late.push(format!("{} {} {} s later", call.operation, call.concerns, call.at.seconds() - begun));
                }
            }
            _ => *done.entry(&call.operation).or_default() += 1,
        }
    }
    let took = (status.last_at - status.started_at) / 1000;
    println!("{SERVICES} services: {took} s, {said} s were said; refused {refused:?} of {done:?}");
    assert_eq!(done["RegisterTaskDefinition"], SERVICES);
    assert_eq!(done["CreateService"], SERVICES);
    assert!(late.is_empty(), "refused after it was known how fast AWS is: {late:?}");
    for (operation, count) in &refused {
        assert!(*count <= Options::CONCURRENCY as usize, "{operation} was refused {count} times");
    }
    assert!(said.abs_diff(took) * 10 <= took, "it takes {took} s, {said} s were said");
}
