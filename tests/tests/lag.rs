//! AWS is eventually consistent: for some seconds after a change, reads may still answer what was before, and a new
//! service may not be found at all. No run takes that for a failure, for a success, or for a call that never happened.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use belay_executor::cloud::{Clock, Cloud, CloudError};
use belay_executor::run::{Outcome, Signals, Silent};
use belay_executor::simulator::faults::{At, Fault, Faulty, Kind};
use belay_executor::simulator::{SimulatedCloud, World, essence};
use belay_schemas::aws;
use belay_schemas::plan::Plan;
use belay_tests::disturb::{Disturbed, begin_on, problems, verdict};
use belay_tests::extent::OneIn;
use belay_tests::fixtures::{End, drawn};
use rayon::prelude::*;
use serde_json::Value;

/// A cloud whose reads lag behind its changes.
struct Lagging {
    inner: SimulatedCloud,
    /// For how long, in milliseconds.
    lag: u64,
    /// When which world was changed last.
    past: Mutex<Vec<(u64, World)>>,
}

impl Lagging {
    /// The world as it was just before the first change that cannot be seen yet.
    fn seen(&self) -> Option<SimulatedCloud> {
        let now = self.inner.now();
        let past = self.past.lock().unwrap();
        past.iter().find(|(at, _)| *at + self.lag > now).map(|(_, world)| SimulatedCloud::new(world.clone()))
    }
}

#[async_trait]
impl Cloud for Lagging {
    async fn call(&self, service: &str, operation: &str, input: &Value) -> Result<Value, CloudError> {
        let mutating = aws::operation(service, operation).is_ok_and(|operation| !operation.readonly);
        if mutating {
            self.past.lock().unwrap().push((self.inner.now(), self.inner.world()));
        } else if ["ecs", "autoscaling", "ec2"].contains(&service)
            && let Some(before) = self.seen()
        {
            return before.call(service, operation, input).await;
        }
        self.inner.call(service, operation, input).await
    }

    async fn image_digest(&self, image: &str) -> Result<String, CloudError> {
        self.inner.image_digest(image).await
    }

    async fn settle(&self) -> Result<(), CloudError> {
        self.inner.settle().await
    }
}

#[async_trait]
impl Clock for Lagging {
    fn now(&self) -> u64 {
        self.inner.now()
    }

    async fn wait_until(&self, at: u64) {
        self.inner.wait_until(at).await;
    }

    fn is_virtual(&self) -> bool {
        true
    }
}

fn run(plan: &Plan, world: World, lag: u64, faults: Vec<Fault>) -> Disturbed {
    let lagging = Lagging { inner: SimulatedCloud::new(world), lag, past: Mutex::default() };
    let cloud = Arc::new(Faulty::new(lagging, faults));
    let death = std::future::pending();
    let (status, journal) = begin_on(cloud.clone(), plan, &Silent, Signals::none(), death).unwrap();
    Disturbed { world: cloud.inner().inner.world(), status, journal, all_fired: cloud.all_fired() }
}

#[test]
fn reads_that_lag_behind_mislead_no_run() {
    drawn(OneIn { quick: 6, ci: 1 }).par_iter().for_each(|fixture| {
        let journal = tempfile::tempdir().unwrap();
        let world = fixture.start(journal.path());
        let cloud = Arc::new(SimulatedCloud::new(world.clone()));
        let (inputs, before) = (fixture.inputs(), essence(&world));
        let plan = inputs.plan(&cloud).unwrap();
        for lag in [1000, 2500, 4500] {
            let what = format!("{} with a lag of {lag} ms", fixture.name);
            let end = run(&plan, world.clone(), lag, Vec::new());
            let told = problems(end.status.as_ref().unwrap());
            let expected = match fixture.end {
                End::Target => Outcome::Done,
                End::Initial => Outcome::RolledBack { requested: false },
            };
            assert_eq!(verdict(&inputs, &plan, &end, &before), Ok(expected), "{what}: {told}");
        }
        // A lost answer is looked for longer than AWS lags.
        for number in 1.. {
            let fault = Fault { kind: Kind::LoseAnswer, at: At::Mutation(number) };
            let end = run(&plan, world.clone(), 2500, vec![fault]);
            if !end.all_fired {
                break;
            }
            let what = format!("{}, answer {number} lost, with a lag of 2.5 s", fixture.name);
            let told = problems(end.status.as_ref().unwrap());
            assert!(
                verdict(&inputs, &plan, &end, &before).is_ok(),
                "{what}: {:?} {told}",
                verdict(&inputs, &plan, &end, &before)
            );
        }
    });
}
