//! Makes reads: bounded in number at a time, paced by AWS's complaints, retried when throttled, pages joined,
//! recorded.
//!
//! Invariant: on a virtual clock at most one call is in flight, and none while the clock moves.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use belay_schemas::aws;
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

    /// The answers of an operation that were recorded so far.
    pub(super) fn answers(&self, service: &str, operation: &str) -> Vec<Value> {
        let reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let of = reads.values().filter(|read| read.service == service && read.operation == operation);
        of.filter_map(|read| read.output.clone()).collect()
    }

    /// Makes a read, all pages of it, and records the answer. `None` when what it names does not exist, which is
    /// recorded as the error that it is.
    pub(super) async fn read(
        &self,
        service: &str,
        operation: &str,
        input: Value,
    ) -> Result<Option<Value>, ObserveError> {
        self.read_trimmed(service, operation, input, |_| ()).await
    }

    /// Makes a read, and records of its answer what `trim` leaves of it.
    pub(super) async fn read_trimmed(
        &self,
        service: &str,
        operation: &str,
        input: Value,
        trim: impl FnOnce(&mut Value),
    ) -> Result<Option<Value>, ObserveError> {
        let answer = self.attempt(service, operation, &input).await?;
        Ok(self.keep(service, operation, input, answer, trim))
    }

    /// Makes a read of one page, and records of its answer what `trim` leaves of it: what comes behind the page matters to
    /// nobody.
    pub(super) async fn read_page(
        &self,
        service: &str,
        operation: &str,
        input: Value,
        trim: impl FnOnce(&mut Value),
    ) -> Result<Option<Value>, ObserveError> {
        let answer = match self.one(service, operation, &input).await {
            Err(error) if error.kind != ErrorKind::NotFound => return Err(failed(service, operation, error)),
            answer => answer,
        };
        Ok(self.keep(service, operation, input, answer, trim))
    }

    /// Records what `trim` leaves of an answer, or the error instead of it, and gives back what is left.
    fn keep(
        &self,
        service: &str,
        operation: &str,
        input: Value,
        mut answer: Result<Value, CloudError>,
        trim: impl FnOnce(&mut Value),
    ) -> Option<Value> {
        if let Ok(output) = &mut answer {
            trim(output);
        }
        let output = answer.as_ref().ok().cloned();
        self.record(service, operation, input, answer);
        output
    }

    /// Makes a read that nothing depends on: whatever refuses it is recorded, and the observation goes on without.
    pub(super) async fn read_if_possible(
        &self,
        service: &str,
        operation: &str,
        input: Value,
    ) -> Result<(), ObserveError> {
        let answer = self.one(service, operation, &input).await;
        self.record(service, operation, input, answer);
        Ok(())
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
        let pagination = aws::operation(service, operation).ok().and_then(|known| known.pagination.as_ref());
        let tokens = pagination.and_then(|known| known.input_tokens.first().zip(known.output_tokens.first()));
        let tokens = tokens.map(|(into, out)| (&**into, &**out)).or_else(|| unlisted(service, operation));
        let Some((token_in, token_out)) = tokens else { return Ok(self.one(service, operation, input).await?) };
        let mut sent = input.clone();
        if let Some((member, size)) = page_size(service, operation) {
            sent[member] = size.into();
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

/// The tokens of an operation that has pages, which the models of AWS do not list among those that have.
fn unlisted(service: &str, operation: &str) -> Option<(&'static str, &'static str)> {
    match (service, operation) {
        ("ecs", "DescribeCapacityProviders") => Some(("nextToken", "nextToken")),
        _ => None,
    }
}

/// The member that asks for larger pages, and how large they may be, where the default ones make many calls of one.
fn page_size(service: &str, operation: &str) -> Option<(&'static str, u32)> {
    match (service, operation) {
        // The default page holds only ten.
        ("ecs", "ListServices") => Some(("maxResults", 100)),
        // Fifty, unless more are asked for.
        ("autoscaling", "DescribeAutoScalingGroups" | "DescribePolicies") => Some(("MaxRecords", 100)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use serde_json::json;

    /// An account whose every answer but the last says where the next one begins, in the words of the service.
    struct Paged {
        asked: Mutex<Vec<Value>>,
    }

    #[async_trait]
    impl Cloud for Paged {
        async fn call(&self, service: &str, operation: &str, input: &Value) -> Result<Value, CloudError> {
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(input.clone());
            let (asks, tells, list) = match (service, operation) {
                ("elbv2", "DescribeTargetGroups") => ("Marker", "NextMarker", "TargetGroups"),
                ("logs", "DescribeLogGroups") => ("nextToken", "nextToken", "logGroups"),
                ("ecs", _) => ("nextToken", "nextToken", "capacityProviders"),
                _ => ("NextToken", "NextToken", "AutoScalingGroups"),
            };
            let page = input[asks].as_str().map_or(0, |token| token.parse().unwrap_or(9));
            Ok(match page {
                0 => json!({list: ["a", "b"], tells: "1"}),
                1 => json!({list: ["c"], tells: "2"}),
                // The end is said in more than one way.
                2 if service == "elbv2" => json!({list: ["d"], tells: ""}),
                2 => json!({list: ["d"], tells: null}),
                _ => json!({list: ["there is no such page"]}),
            })
        }

        async fn image_digest(&self, image: &str) -> Result<String, CloudError> {
            Err(CloudError::new(ErrorKind::NotFound, "ImageNotFound", image))
        }
    }

    struct Still;

    #[async_trait]
    impl Clock for Still {
        fn now(&self) -> u64 {
            0
        }

        async fn wait_until(&self, _: u64) {}

        fn is_virtual(&self) -> bool {
            true
        }
    }

    #[tokio::test]
    async fn pages_are_asked_for_in_the_operation_s_own_words() {
        for (service, operation, list, asks, size) in [
            ("elbv2", "DescribeTargetGroups", "TargetGroups", "Marker", json!({})),
            ("logs", "DescribeLogGroups", "logGroups", "nextToken", json!({})),
            ("ecs", "DescribeCapacityProviders", "capacityProviders", "nextToken", json!({})),
            ("autoscaling", "DescribeAutoScalingGroups", "AutoScalingGroups", "NextToken", json!({"MaxRecords": 100})),
        ] {
            let cloud = Paged { asked: Mutex::default() };
            let reader = Reader::new(&cloud, &Still);
            let found = reader.read(service, operation, json!({})).await.unwrap().unwrap();
            assert_eq!(found, json!({list: ["a", "b", "c", "d"]}));
            let mut asked = vec![size.clone(), size.clone(), size];
            (asked[1][asks], asked[2][asks]) = ("1".into(), "2".into());
            assert_eq!(*cloud.asked.lock().unwrap(), asked, "{service} {operation}");
            // What is recorded knows of no pages.
            assert_eq!(reader.into_reads()[0].input, json!({}));
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
