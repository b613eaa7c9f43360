//! How many calls something takes, by operation.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use crate::cloud::{Cloud, CloudError};

/// What a look-up in a registry counts as.
const REGISTRY: &str = "registry digest";

/// A cloud that counts the calls made through it.
pub struct Counted<'a> {
    cloud: &'a dyn Cloud,
    counts: Mutex<Counts>,
}

/// Numbers of calls by operation. Shown, the most frequent one comes first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<String, u64>);

impl<'a> Counted<'a> {
    /// Counts from zero.
    pub fn new(cloud: &'a dyn Cloud) -> Self {
        Self { cloud, counts: Mutex::default() }
    }

    /// The calls so far.
    pub fn counts(&self) -> Counts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, name: String) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).0.entry(name).or_default() += 1;
    }
}

impl Counts {
    /// All calls, look-ups in registries included.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// By `service Operation`, look-ups in registries as `registry digest`.
    pub fn by_operation(&self) -> &BTreeMap<String, u64> {
        &self.0
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all: Vec<(&String, &u64)> = self.0.iter().collect();
        // Stable: equally frequent ones stay in the order of their names.
        all.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (at, (name, count)) in all.into_iter().enumerate() {
            write!(f, "{}{count} {name}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[async_trait]
impl Cloud for Counted<'_> {
    async fn call(&self, service: &str, operation: &str, input: &Value) -> Result<Value, CloudError> {
        self.count(format!("{service} {operation}"));
        self.cloud.call(service, operation, input).await
    }

    async fn image_digest(&self, image: &str) -> Result<String, CloudError> {
        self.count(REGISTRY.to_owned());
        self.cloud.image_digest(image).await
    }

    async fn settle(&self) -> Result<(), CloudError> {
        self.cloud.settle().await
    }

    fn joins_reads(&self) -> bool {
        self.cloud.joins_reads()
    }
}
