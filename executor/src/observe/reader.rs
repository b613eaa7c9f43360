//! Makes reads: bounded in number at a time, paced by AWS's complaints, retried when throttled, pages joined,
//! recorded.
//!
//! Invariant: on a virtual clock at most one call is in flight, and none while the clock moves.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use belay_schemas::observed::{Read, ReadError};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::ObserveError;
use crate::cloud::{Clock, Cloud, CloudError, ErrorKind, IN_FLIGHT};
use crate::run::throttle::{Throttle, is_throttle};

/// Tries of one read before its throttling is taken for an answer.
const TRIES: u32 = 8;
/// Longest pause between two tries, in milliseconds.
const LONGEST_PAUSE: u64 = 20_000;
/// Pages of one read before the answer is taken for a loop.
const MOST_PAGES: usize = 10_000;

pub(super) struct Reader<'a> {
    cloud: &'a dyn Cloud,
    clock: &'a dyn Clock,
    permits: Semaphore,
    /// Registries have their own: a slow one holds nothing else up.
    registries: Semaphore,
    throttle: Mutex<Throttle>,
    /// By service, operation and canonical input: the order in which they are written.
    reads: Mutex<BTreeMap<(String, String, String), Read>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(cloud: &'a dyn Cloud, clock: &'a dyn Clock) -> Self {
        let in_flight = if clock.is_virtual() { 1 } else { IN_FLIGHT };
        Self {
            cloud,
            clock,
            permits: Semaphore::new(in_flight),
            registries: Semaphore::new(in_flight),
            throttle: Mutex::new(Throttle::eager()),
            reads: Mutex::default(),
        }
    }

    /// Everything that was recorded, sorted.
    pub(super) fn into_reads(self) -> Vec<Read> {
        self.reads.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
    }

    /// Makes a read, all pages of it, and records the answer. `None` when what it names does not exist, which is
    /// recorded as the error that it is.
    pub(super) async fn read(
        &self,
        service: &str,
        operation: &str,
        input: Value,
    ) -> Result<Option<Value>, ObserveError> {
        match self.attempt(service, operation, &input).await? {
            Ok(output) => {
                self.record(service, operation, input, Ok(output.clone()));
                Ok(Some(output))
            }
            Err(error) => {
                self.record(service, operation, input, Err(error));
                Ok(None)
            }
        }
    }

    /// Makes a read without recording it; the inner error is "not found".
    pub(super) async fn attempt(
        &self,
        service: &str,
        operation: &str,
        input: &Value,
    ) -> Result<Result<Value, CloudError>, ObserveError> {
        match self.pages(MOST_PAGES, service, operation, input).await {
            Ok(output) => Ok(Ok(output)),
            Err(Failure::Cloud(error)) if error.kind == ErrorKind::NotFound => Ok(Err(error)),
            Err(Failure::Cloud(error)) => Err(failed(service, operation, error)),
            Err(Failure::Endless) => Err(ObserveError::answer(service, operation, "an end to its pages")),
        }
    }

    pub(super) fn record(&self, service: &str, operation: &str, input: Value, answer: Result<Value, CloudError>) {
        let key = (service.to_owned(), operation.to_owned(), input.to_string());
        let (output, error) = match answer {
            Ok(output) => (Some(output), None),
            Err(error) => (None, Some(ReadError { code: error.code, message: error.message })),
        };
        let read = Read { service: service.to_owned(), operation: operation.to_owned(), input, output, error };
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).insert(key, read);
    }

    /// Makes a read of at most so many pages without recording it; nothing when there are more.
    pub(super) async fn attempt_within(
        &self,
        most: usize,
        service: &str,
        operation: &str,
        input: &Value,
    ) -> Result<Option<Value>, ObserveError> {
        match self.pages(most, service, operation, input).await {
            Ok(output) => Ok(Some(output)),
            Err(Failure::Endless) => Ok(None),
            Err(Failure::Cloud(source)) => Err(failed(service, operation, source)),
        }
    }

    /// One call whose absence of an answer fails the observation, not recorded.
    pub(super) async fn call(&self, service: &str, operation: &str, input: &Value) -> Result<Value, ObserveError> {
        self.one(service, operation, input).await.map_err(|source| failed(service, operation, source))
    }

    /// One call whose error is only told, not recorded.
    pub(super) async fn attempt_once(
        &self,
        service: &str,
        operation: &str,
        input: &Value,
    ) -> Result<Value, CloudError> {
        self.one(service, operation, input).await
    }

    pub(super) async fn image_digest(&self, image: &str) -> Result<String, CloudError> {
        let _permit = if self.clock.is_virtual() { &self.permits } else { &self.registries }.acquire().await;
        self.retried(image, || self.cloud.image_digest(image)).await
    }

    async fn pages(&self, most: usize, service: &str, operation: &str, input: &Value) -> Result<Value, Failure> {
        let (token_in, token_out) = tokens(service);
        let mut sent = input.clone();
        match operation {
            // The default page holds only ten.
            "ListServices" if service == "ecs" => sent["maxResults"] = 100.into(),
            // Fifty, unless more are asked for.
            "DescribeAutoScalingGroups" | "DescribePolicies" => sent["MaxRecords"] = 100.into(),
            _ => {}
        }
        let mut joined = Map::new();
        let mut last_token = None;
        for _ in 0..most {
            let page = self.one(service, operation, &sent).await?;
            let Value::Object(mut page) = page else { return Ok(page) };
            let token = page.remove(token_out).filter(|t| t.as_str().is_some_and(|t| !t.is_empty()));
            join(&mut joined, page);
            match token {
                None => return Ok(Value::Object(joined)),
                same if same == last_token => return Err(Failure::Endless),
                Some(token) => {
                    sent[token_in] = token.clone();
                    last_token = Some(token);
                }
            }
        }
        Err(Failure::Endless)
    }

    /// One call at its turn, whatever becomes of it.
    pub(super) async fn one(&self, service: &str, operation: &str, input: &Value) -> Result<Value, CloudError> {
        let turn = || self.throttle().permit(service, operation, self.clock.now());
        // Whoever waits for the turn of one family of operations keeps no other family from its own; only on a virtual
        // clock, which may not move beside a call, everybody waits.
        let early = if self.clock.is_virtual() { None } else { Some(turn()) };
        if let Some(at) = early {
            self.clock.wait_until(at).await;
        }
        let _permit = self.permits.acquire().await;
        if early.is_none() {
            self.clock.wait_until(turn()).await;
        }
        self.retried(operation, || async {
            let answer = self.cloud.call(service, operation, input).await;
            if let Err(error) = &answer
                && is_throttle(&error.code)
            {
                self.throttle().throttled(service, operation, self.clock.now());
            }
            answer
        })
        .await
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads change nothing, so one whose answer was lost is sent again like one that was throttled. The permit is kept
    /// during the pause: a throttled service wants less at a time.
    async fn retried<T, F: Future<Output = Result<T, CloudError>>>(
        &self,
        salt: &str,
        call: impl Fn() -> F,
    ) -> Result<T, CloudError> {
        let mut tries = 0;
        loop {
            match call().await {
                Err(error) if tries + 1 < TRIES && matches!(error.kind, ErrorKind::Transient | ErrorKind::Unknown) => {
                    self.clock.wait_until(self.clock.now() + pause(tries, salt)).await;
                    tries += 1;
                }
                answer => return answer,
            }
        }
    }
}

fn failed(service: &str, operation: &str, source: CloudError) -> ObserveError {
    ObserveError::Call { service: service.to_owned(), operation: operation.to_owned(), source }
}

enum Failure {
    Cloud(CloudError),
    Endless,
}

impl From<CloudError> for Failure {
    fn from(error: CloudError) -> Self {
        Self::Cloud(error)
    }
}

/// Adds a page: lists are continued, everything else is taken as the page has it.
fn join(joined: &mut Map<String, Value>, page: Map<String, Value>) {
    for (name, value) in page {
        match (joined.get_mut(&name), value) {
            (Some(Value::Array(so_far)), Value::Array(more)) => so_far.extend(more),
            (_, value) => {
                joined.insert(name, value);
            }
        }
    }
}

/// Doubles from 250 ms, spread by up to a half so that reads which were throttled together do not come back together.
fn pause(tries: u32, salt: &str) -> u64 {
    let base = (250_u64 << tries.min(10)).min(LONGEST_PAUSE);
    let spread =
        salt.bytes().fold(u64::from(tries) + 17, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0193));
    base / 2 + spread % (base / 2 + 1)
}

/// What a service calls the place of the next page, in requests and in answers.
fn tokens(service: &str) -> (&'static str, &'static str) {
    match service {
        "ecs" | "logs" => ("nextToken", "nextToken"),
        "application-autoscaling" | "autoscaling" | "ec2" | "scheduler" | "servicediscovery" => {
            ("NextToken", "NextToken")
        }
        _ => ("Marker", "NextMarker"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use belay_schemas::aws::{FaultKind, Strictness, validate_input};

    #[test]
    fn pages_are_asked_for_in_the_service_s_own_words() {
        for (service, operation) in [
            ("application-autoscaling", "DescribeScalableTargets"),
            ("application-autoscaling", "DescribeScalingPolicies"),
            ("autoscaling", "DescribeAutoScalingGroups"),
            ("ec2", "DescribeSubnets"),
            ("ecs", "ListServices"),
            ("elb", "DescribeLoadBalancers"),
            ("elbv2", "DescribeTargetGroups"),
            ("logs", "DescribeLogGroups"),
            ("servicediscovery", "ListNamespaces"),
        ] {
            let input = serde_json::json!({tokens(service).0: "next"});
            let faults = validate_input(service, operation, &input, Strictness::Exact);
            let unknown =
                |kind: &FaultKind| matches!(kind, FaultKind::UnknownMember { .. } | FaultKind::UnknownOperation);
            assert!(!faults.iter().any(|fault| unknown(&fault.kind)), "{service} {operation}: {faults:?}");
        }
    }

    #[test]
    fn pauses_grow_and_stay_bounded() {
        for tries in 0..40 {
            let pause = pause(tries, "DescribeServices");
            let base = (250_u64 << tries.min(10)).min(LONGEST_PAUSE);
            assert!((base / 2..=base).contains(&pause), "{tries}: {pause}");
        }
    }
}
