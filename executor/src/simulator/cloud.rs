//! The simulated AWS behind the cloud seam.
//!
//! Invariants: a call is answered at the current virtual time and takes none; the world is on disk before a mutation is
//! answered; time passes only when somebody waits for it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use belay_schemas::aws;
use serde_json::Value;

use super::errors::{missing, throttled, unknown_operation};
use super::file::{self, FileError};
use super::request::{Answer, short, text, validate_request};
use super::time::Time;
use super::world::{LogEntry, Outcome, World};
use super::{
    autoscaling, cloudwatch, ec2, ecr, ecs, elb, elbv2, events, iam, logs, quotas, route53, s3, scaling, scheduler,
    servicediscovery, sts, throttle, web,
};
use crate::cloud::{Clock, Cloud, CloudError, ErrorKind};
use crate::http;

/// A simulated AWS account, as a cloud and as a clock.
#[derive(Debug)]
pub struct SimulatedCloud {
    state: Mutex<State>,
    file: Option<PathBuf>,
    /// Wall seconds per virtual second.
    pace: f64,
}

#[derive(Debug)]
struct State {
    world: World,
    /// Whether the world differs from its file.
    dirty: bool,
    /// Another number whenever the world may look different.
    look: u64,
}

impl SimulatedCloud {
    /// A world in memory, whose time passes as fast as it is waited for.
    #[must_use]
    pub fn new(world: World) -> Self {
        Self::again(world, 0)
    }

    /// A world in memory that goes on from another one's, with its [`look_number`](Self::look_number).
    pub(crate) fn again(world: World, look: u64) -> Self {
        Self { state: Mutex::new(State { world, dirty: false, look }), file: None, pace: 0.0 }
    }

    /// Another number whenever the world may look different.
    pub(crate) fn look_number(&self) -> u64 {
        self.lock().look
    }

    /// The world in a file, which is kept up to date; a file that does not exist starts as the default account.
    /// `pace` is wall seconds per virtual second; 0: never wait.
    ///
    /// # Errors
    /// A file that cannot be read or holds no world.
    pub fn open(path: &Path, pace: f64) -> Result<Self, FileError> {
        let (world, dirty) = match file::read(path)? {
            Some(world) => (world, false),
            None => (World::default_account(), true),
        };
        Ok(Self { state: Mutex::new(State { world, dirty, look: 0 }), file: Some(path.to_owned()), pace })
    }

    /// Writes the world's file if it differs, so that one that cannot be written is told before anything depends on it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self) -> Result<(), FileError> {
        self.save(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of the world as it is now.
    #[must_use]
    pub fn world(&self) -> World {
        self.lock().world.clone()
    }

    /// Looks at the world without copying it.
    pub fn look<R>(&self, work: impl FnOnce(&World) -> R) -> R {
        work(&self.lock().world)
    }

    /// Another number whenever a read may be answered differently than before; none where calls are counted, because no
    /// two of them are the same there.
    pub(crate) fn generation(&self) -> Option<u64> {
        let state = self.lock();
        (!state.world.throttling.enabled).then_some(state.look)
    }

    /// Looks at the world or changes it from outside, as somebody else in the account would.
    pub fn with_world<R>(&self, work: impl FnOnce(&mut World) -> R) -> R {
        let mut state = self.lock();
        state.dirty = true;
        state.look += 1;
        let result = work(&mut state.world);
        state.world.settle();
        result
    }

    fn save(&self, state: &mut State) -> Result<(), FileError> {
        if let (Some(path), true) = (&self.file, state.dirty) {
            file::write(path, &state.world)?;
        }
        state.dirty = false;
        Ok(())
    }

    fn answer(&self, service: &str, operation: &str, input: &Value) -> Result<Value, CloudError> {
        let mut state = self.lock();
        let before = self.file.as_ref().map(|_| state.world.clone());
        let (answer, mutating) = state.world.answer(service, operation, input);
        if mutating {
            state.dirty = true;
            state.look += 1;
            // Nobody may learn of a change that a crash could take back: what is not on disk did not happen.
            if let (Err(error), Some(before)) = (self.save(&mut state), before) {
                state.world = before;
                return Err(unwritten(&error));
            }
        }
        answer
    }

    /// The next moment to go to on the way to `at`: every event when time is paced, the end when it is not.
    fn step(&self, at: Time) -> Option<(Time, Time)> {
        let state = self.lock();
        let now = state.world.now;
        (now < at).then(|| {
            let next = state.world.next_event().filter(|_| self.pace > 0.0);
            (now, next.map_or(at, |next| next.clamp(now.plus(1), at)))
        })
    }
}

#[async_trait]
impl Cloud for SimulatedCloud {
    async fn call(&self, service: &str, operation: &str, input: &Value) -> Result<Value, CloudError> {
        self.answer(service, operation, input)
    }

    async fn image_digest(&self, image: &str) -> Result<String, CloudError> {
        let unknown = || missing("ImageNotFoundException", format!("The registry has no image {image}"));
        self.lock().world.digest_of(image).ok_or_else(unknown)
    }

    async fn settle(&self) -> Result<(), CloudError> {
        let mut state = self.lock();
        self.save(&mut state).map_err(|error| unwritten(&error))
    }
}

#[async_trait]
impl Clock for SimulatedCloud {
    fn now(&self) -> u64 {
        self.lock().world.now.millis()
    }

    async fn wait_until(&self, at: u64) {
        let at = Time::at_or_after_millis(at);
        while let Some((now, next)) = self.step(at) {
            if self.pace > 0.0 {
                #[allow(clippy::cast_precision_loss)] // a span of seconds
                let wall = next.since(now) as f64 * self.pace;
                tokio::time::sleep(Duration::try_from_secs_f64(wall).unwrap_or_default()).await;
            }
            let mut state = self.lock();
            if state.world.advance(next) {
                state.look += 1;
            }
            state.dirty = true;
            if self.pace > 0.0 {
                // A clock cannot fail; what could not be written stays dirty for the next call, which can.
                let _ = self.save(&mut state);
            }
        }
    }

    fn is_virtual(&self) -> bool {
        true
    }
}

impl World {
    /// Answers a call, and says whether it was one that changes something.
    fn answer(&mut self, service: &str, operation: &str, input: &Value) -> (Result<Value, CloudError>, bool) {
        let mutating = http::changes(service, operation);
        let answer = self.dispatch(service, operation, input);
        self.settle();
        if mutating {
            let shape = aws::operation(service, operation);
            let token = shape.ok().and_then(|operation| text(input, operation.token.as_deref()?)).map(str::to_owned);
            let outcome = match &answer {
                Ok(reply) if reply.repeated => Outcome::Deduplicated,
                Ok(_) => Outcome::Ok,
                Err(error) => Outcome::Error(error.code.clone()),
            };
            let entry = LogEntry {
                sequence: self.log.len() as u64 + 1,
                at: self.now,
                service: service.to_owned(),
                operation: operation.to_owned(),
                concerns: concerns(input),
                client_token: token,
                outcome,
            };
            self.log.push(entry.into());
        }
        (answer.map(|reply| reply.output), mutating)
    }

    fn dispatch(&mut self, service: &str, operation: &str, input: &Value) -> Answer {
        match service {
            http::HTTP => return web::request(self, operation, input),
            http::METADATA => return web::metadata(self, input),
            _ => {}
        }
        validate_request(service, operation, input)?;
        if !throttle::admit(self, service, operation) {
            return Err(throttled(service));
        }
        match service {
            "ecs" => ecs::call(self, operation, input),
            "elb" => elb::call(self, operation, input),
            "elbv2" => elbv2::call(self, operation, input),
            "ec2" => ec2::call(self, operation, input),
            "autoscaling" => autoscaling::call(self, operation, input),
            "iam" => iam::call(self, operation, input),
            "s3" => s3::call(self, operation, input),
            "sts" => sts::call(self, operation, input),
            "ecr" => ecr::call(self, operation, input),
            "logs" => logs::call(self, operation, input),
            "application-autoscaling" => scaling::call(self, operation, input),
            "cloudwatch" => cloudwatch::call(self, operation, input),
            "events" => events::call(self, operation, input),
            "route53" => route53::call(self, operation, input),
            "scheduler" => scheduler::call(self, operation, input),
            "service-quotas" => quotas::call(self, operation, input),
            "servicediscovery" => servicediscovery::call(self, operation, input),
            _ => Err(unknown_operation(format!("The simulated AWS does not model the service {service}."))),
        }
    }
}

fn unwritten(error: &FileError) -> CloudError {
    CloudError::new(ErrorKind::Environment, "WorldFileNotWritten", error.to_string())
}

/// What a call concerns, in short: what its input names first, of these.
pub(crate) fn concerns(input: &Value) -> String {
    const NAMES: [&str; 26] = [
        "uri",
        "AlarmName",
        "PolicyName",
        "ScheduledActionName",
        "ResourceId",
        "logGroupName",
        "AutoScalingGroupName",
        "LaunchConfigurationName",
        "LaunchTemplateName",
        "LaunchTemplateId",
        "serviceDeploymentArn",
        "serviceName",
        "service",
        "family",
        "task",
        "taskDefinition",
        "resourceArn",
        "TargetGroupArn",
        "RuleArn",
        "ListenerArn",
        "LoadBalancerName",
        "Name",
        "cluster",
        "ResourceARN",
        "HostedZoneId",
        "Id",
    ];
    const LISTS: [&str; 5] = ["AlarmNames", "containerInstances", "taskDefinitions", "RulePriorities", "InstanceIds"];
    let listed = |name: &str| {
        let words = input.get(name)?.as_array()?.iter().filter_map(Value::as_str).map(short);
        Some(words.collect::<Vec<_>>().join(", "))
    };
    if let Some(list) = LISTS.iter().find_map(|name| listed(name)) {
        return list;
    }
    let Some(name) = NAMES.iter().find(|name| text(input, name).is_some()) else { return String::new() };
    let value = text(input, name).unwrap_or_default();
    // ARNs are told without account and region.
    let value = value.splitn(6, ':').nth(5).filter(|_| value.starts_with("arn:")).unwrap_or(value);
    match (*name, text(input, "cluster")) {
        ("service" | "serviceName", cluster) => format!("{}/{}", short(cluster.unwrap_or("default")), short(value)),
        _ => value.to_owned(),
    }
}
