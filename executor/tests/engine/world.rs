//! A small world in memory: named things with a value, which take time to become ready, and faults on demand.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use belay_executor::cloud::{Clock, Cloud, CloudError, ErrorKind};
use serde_json::{Value, json};

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Reject,
    Throttle,
    /// The request never arrives, and nobody says so.
    LostRequest,
    /// The request takes effect, its answer is lost.
    LostAnswer,
    Unreachable,
    /// Its answer is lost, and the next three reads of the thing are throttled.
    LostAndBlind,
    /// It takes effect, but only in part.
    Partial,
    /// What it makes never becomes ready.
    NeverReady,
    /// What it makes breaks.
    Breaks,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Thing {
    pub value: String,
    pub run: String,
    pub ready_at: u64,
    pub broken: bool,
    pub count: u64,
}

#[derive(Debug, Clone, Default)]
pub struct Inner {
    pub things: BTreeMap<String, Thing>,
    /// Mutations in the order in which they took effect: `Put web new`.
    pub log: Vec<String>,
    /// Mutations in the order in which they arrived, or would have.
    pub sent: Vec<String>,
    pub calls: usize,
    /// By `operation name`; the first is used up first.
    pub faults: BTreeMap<String, VecDeque<Fault>>,
    pub fired: Vec<(String, Fault)>,
    /// Seconds until what was put is ready.
    pub slowness: u64,
    /// Reads at the same moment are to be made as one call.
    pub joins: bool,
    pub joint_reads: Vec<usize>,
    /// Nobody may describe services.
    pub denied: bool,
    pub in_flight: usize,
    pub most_in_flight: usize,
}

/// The world; clones share it.
#[derive(Clone, Default)]
pub struct World {
    pub inner: Arc<Mutex<Inner>>,
    pub now: Arc<AtomicU64>,
}

pub const START: u64 = 1_700_000_000_000;

impl World {
    pub fn new(things: &[&str]) -> Self {
        let world = Self::default();
        world.now.store(START, Ordering::SeqCst);
        for name in things {
            let thing = Thing { value: "old".into(), ..Thing::default() };
            world.inner.lock().unwrap().things.insert((*name).to_owned(), thing);
        }
        world
    }

    pub fn fault(&self, on: &str, fault: Fault) -> &Self {
        self.inner.lock().unwrap().faults.entry(on.to_owned()).or_default().push_back(fault);
        self
    }

    pub fn faults(&self, on: &str, fault: Fault, times: usize) -> &Self {
        for _ in 0..times {
            self.fault(on, fault);
        }
        self
    }

    pub fn snapshot(&self) -> (Inner, u64) {
        (self.inner.lock().unwrap().clone(), self.now.load(Ordering::SeqCst))
    }

    pub fn from_snapshot((inner, now): (Inner, u64)) -> Self {
        Self { inner: Arc::new(Mutex::new(inner)), now: Arc::new(AtomicU64::new(now)) }
    }

    pub fn values(&self) -> BTreeMap<String, String> {
        self.inner.lock().unwrap().things.iter().map(|(name, thing)| (name.clone(), thing.value.clone())).collect()
    }

    pub fn value(&self, name: &str) -> String {
        self.values().remove(name).unwrap_or_default()
    }

    pub fn log(&self) -> Vec<String> {
        self.inner.lock().unwrap().log.clone()
    }

    pub fn all_faults_fired(&self) -> bool {
        self.inner.lock().unwrap().faults.values().all(VecDeque::is_empty)
    }

    fn answer(&self, operation: &str, input: &Value) -> Result<Value, CloudError> {
        let now = self.now.load(Ordering::SeqCst);
        let mut inner = self.inner.lock().unwrap();
        inner.calls += 1;
        if operation == "GetCallerIdentity" {
            return Ok(json!({"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/test"}));
        }
        // A request over HTTP is about what its body names, or about where it goes.
        let name = [&input["name"], &input["body"]["id"], &input["uri"]].into_iter().find_map(Value::as_str);
        let name = name.unwrap_or_default().to_owned();
        let on = format!("{operation} {name}");
        let fault = inner.faults.get_mut(&on).and_then(VecDeque::pop_front);
        if let Some(fault) = fault {
            inner.fired.push((on.clone(), fault));
        }
        let error = |kind, code: &str| Err(CloudError::new(kind, code, format!("{on} went wrong")));
        if operation != "Get" && operation != "GET" && operation != "DescribeServices" {
            let value = input["value"].as_str().unwrap_or_default();
            inner.sent.push(format!("{on} {value}").trim_end().to_owned());
        }
        match fault {
            Some(Fault::Reject) => return error(ErrorKind::Rejected, "InvalidParameter"),
            Some(Fault::Throttle) => return error(ErrorKind::Transient, "ThrottlingException"),
            Some(Fault::LostRequest) => return error(ErrorKind::Unknown, "Lost"),
            Some(Fault::Unreachable) => return error(ErrorKind::Environment, "NoNetwork"),
            _ => {}
        }
        let slowness = inner.slowness * 1000;
        let missing = CloudError::new(ErrorKind::NotFound, "NotFound", format!("no {name}"));
        let answer = match operation {
            "Get" => {
                let thing = inner.things.get(&name).ok_or(missing)?;
                let ready = now >= thing.ready_at && !thing.broken;
                json!({"name": name, "thing": {"value": thing.value, "run": thing.run, "ready": ready,
                    "broken": thing.broken, "count": thing.count, "left": thing.ready_at.saturating_sub(now) / 1000}})
            }
            "Put" | "Add" => {
                let thing = inner.things.entry(name.clone()).or_default();
                thing.count += 1;
                if let Some(value) = input["value"].as_str() {
                    thing.value = value.to_owned();
                }
                thing.run = input["run"].as_str().unwrap_or_default().to_owned();
                thing.ready_at = if fault == Some(Fault::NeverReady) { u64::MAX } else { now + slowness };
                thing.broken = fault == Some(Fault::Breaks);
                let failures = if fault == Some(Fault::Partial) { json!(["half"]) } else { json!([]) };
                json!({"name": name, "id": format!("{name}:{}", thing.count), "failures": failures})
            }
            "Delete" => {
                inner.things.remove(&name).ok_or(missing)?;
                json!({"failures": []})
            }
            "GET" => json!({"status": 200}),
            "POST" => {
                inner.things.entry(name.clone()).or_default().count += 1;
                json!({"status": 204})
            }
            // Many names at once.
            "Mark" => {
                let names = input["names"].as_array().cloned().unwrap_or_default();
                for name in &names {
                    let thing = inner.things.entry(name.as_str().unwrap_or_default().to_owned()).or_default();
                    thing.count += 1;
                    thing.value = input["value"].as_str().unwrap_or_default().to_owned();
                }
                inner.log.push(format!("Mark {}", Value::Array(names.clone())));
                json!({"marked": names.len(), "failures": []})
            }
            "DescribeServices" => {
                let names: Vec<String> = serde_json::from_value(input["services"].clone()).unwrap();
                assert!((1..=10).contains(&names.len()));
                inner.joint_reads.push(names.len());
                if inner.denied {
                    return error(ErrorKind::Rejected, "AccessDeniedException");
                }
                let (known, missing): (Vec<_>, Vec<_>) = names.iter().partition(|n| inner.things.contains_key(*n));
                let service = |name: &&String| {
                    let thing = &inner.things[*name];
                    json!({"serviceName": name, "value": thing.value, "ready": now >= thing.ready_at})
                };
                json!({"services": known.iter().map(service).collect::<Vec<_>>(),
                    "failures": missing.iter().map(|n| json!({"arn": n, "reason": "MISSING"})).collect::<Vec<_>>()})
            }
            "List" => {
                let prefix = input["prefix"].as_str().unwrap_or_default();
                json!({"names": inner.things.keys().filter(|n| n.starts_with(prefix)).collect::<Vec<_>>()})
            }
            other => panic!("no operation {other}"),
        };
        if matches!(operation, "Put" | "Add" | "Delete" | "POST") {
            let value = input["value"].as_str().unwrap_or_default();
            inner.log.push(format!("{on} {value}").trim_end().to_owned());
        }
        if fault == Some(Fault::LostAndBlind) {
            inner.faults.entry(format!("Get {name}")).or_default().extend([Fault::Throttle; 3]);
        }
        if matches!(fault, Some(Fault::LostAnswer | Fault::LostAndBlind)) {
            return error(ErrorKind::Unknown, "Lost");
        }
        Ok(answer)
    }
}

#[async_trait]
impl Cloud for World {
    async fn call(&self, _service: &str, operation: &str, input: &Value) -> Result<Value, CloudError> {
        {
            let mut inner = self.inner.lock().unwrap();
            inner.in_flight += 1;
            inner.most_in_flight = inner.most_in_flight.max(inner.in_flight);
        }
        tokio::task::yield_now().await;
        let answer = self.answer(operation, input);
        tokio::task::yield_now().await;
        self.inner.lock().unwrap().in_flight -= 1;
        answer
    }

    fn joins_reads(&self) -> bool {
        self.inner.lock().unwrap().joins
    }

    async fn image_digest(&self, image: &str) -> Result<String, CloudError> {
        Err(CloudError::new(ErrorKind::NotFound, "NoImage", image))
    }
}

#[async_trait]
impl Clock for World {
    fn now(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    async fn wait_until(&self, at: u64) {
        assert_eq!(self.inner.lock().unwrap().in_flight, 0, "time passes while a call is in flight");
        self.now.fetch_max(at, Ordering::SeqCst);
    }

    fn is_virtual(&self) -> bool {
        true
    }
}
