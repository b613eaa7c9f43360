//! Observing: reading what a scope names, and what that refers to, in AWS's own shapes.
//!
//! Invariants: reads only; each read is recorded once, with its API input without paging parameters and with all pages
//! joined; reads are sorted, so that the same state gives the same document; what does not exist is recorded as the
//! error that AWS answered, every other error fails the observation; environment values of task definitions that are
//! not the project's own never leave this module in clear (see [`redact`]).

mod around;
mod asg;
mod balancers;
mod counted;
mod ecs;
mod images;
mod namespaces;
mod objects;
mod reader;
mod records;
mod redact;

pub use counted::{Counted, Counts};
pub use redact::redacted;

use std::collections::BTreeMap;

use belay_schemas::FORMAT;
use belay_schemas::observed::Observed;
use belay_schemas::scope::Scope;
use futures_util::future::{try_join3, try_join4};
use serde_json::{Value, json};

use crate::cloud::{Clock, Cloud, CloudError};
use crate::time::rfc3339;
use reader::Reader;

/// Why a target could not be observed.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// The scope is in a version of the format that this program does not read.
    #[error("the scope has format {0}; this program reads format {FORMAT}")]
    Format(u32),
    /// The scope's region is not the one that calls go to.
    #[error("the scope names region {scope}, but calls would go to {cloud}")]
    Region {
        /// Region of the environment file.
        scope: String,
        /// Region of the AWS configuration or of the simulated world.
        cloud: String,
    },
    /// A read failed in another way than "not found".
    #[error("{service} {operation} failed")]
    Call {
        /// The service.
        service: String,
        /// The operation.
        operation: String,
        /// AWS's answer.
        #[source]
        source: CloudError,
    },
    /// An answer lacks what every answer of that operation has.
    #[error("{service} {operation} gave an answer without {missing}")]
    Answer {
        /// The service.
        service: String,
        /// The operation.
        operation: String,
        /// What is missing.
        missing: String,
    },
}

impl ObserveError {
    fn answer(service: &str, operation: &str, missing: &str) -> Self {
        Self::Answer { service: service.to_owned(), operation: operation.to_owned(), missing: missing.to_owned() }
    }
}

/// Reads everything that `scope` names, and what that refers to. `region` is the one that `cloud` sends calls to.
///
/// # Errors
/// See [`ObserveError`]; what merely does not exist is no error.
pub async fn observe(
    scope: &Scope,
    cloud: &dyn Cloud,
    clock: &dyn Clock,
    region: &str,
) -> Result<Observed, ObserveError> {
    if scope.format != FORMAT {
        return Err(ObserveError::Format(scope.format));
    }
    if let Some(wanted) = &scope.region
        && wanted != region
    {
        return Err(ObserveError::Region { scope: wanted.clone(), cloud: region.to_owned() });
    }
    let observed_at = rfc3339(clock.now());
    let reader = Reader::new(cloud, clock);
    let (account, partition) = caller(&reader).await?;
    let (used, named, images, (found, objects)) = try_join4(
        async {
            match &scope.ecs {
                Some(wanted) => ecs::observe(&reader, scope, wanted).await,
                None => Ok(ecs::InUse::default()),
            }
        },
        balancers::named(&reader, scope),
        async { Ok(images::observe(&reader, region, &scope.images).await) },
        async {
            match &scope.asg {
                Some(wanted) => {
                    let found = asg::observe(&reader, scope, wanted).await?;
                    Ok((found, objects::read(&reader, &wanted.objects).await))
                }
                None => Ok((asg::Found::default(), BTreeMap::new())),
            }
        },
    )
    .await?;
    // Target groups of services may be ours, and not wanted any more.
    let beyond = balancers::used(&reader, &used, &named).await?;
    balancers::tags(&reader, &beyond).await?;
    balancers::used(&reader, &found.used, &named).await?;
    if let Some(ecs) = &scope.ecs {
        let around = around::observe(&reader, ecs, used.scaled, (used.schedules, used.event_rules), used.listeners);
        let names = namespaces::observe(&reader, scope, ecs, used.namespace, used.registries);
        try_join3(around, names, records::observe(&reader, ecs, used.records)).await?;
    }
    let mut reads = reader.into_reads();
    if let Some(ecs) = &scope.ecs {
        redact::foreign(&mut reads, &redact::Owner::of(scope, ecs));
    }
    Ok(Observed {
        format: FORMAT,
        account,
        partition,
        region: region.to_owned(),
        observed_at,
        scope: scope.clone(),
        reads,
        images,
        objects,
        home_vpc: found.home_vpc,
    })
}

/// Account and partition of the credentials. Not recorded as a read: it names a person.
async fn caller(reader: &Reader<'_>) -> Result<(String, String), ObserveError> {
    let (service, operation) = ("sts", "GetCallerIdentity");
    let identity = reader.call(service, operation, &json!({})).await?;
    let member = |name: &str| {
        identity[name].as_str().map(str::to_owned).ok_or_else(|| ObserveError::answer(service, operation, name))
    };
    let arn = member("Arn")?;
    let partition = arn.split(':').nth(1).unwrap_or_default();
    Ok((member("Account")?, partition.to_owned()))
}

/// The last part of an ARN or of a name: `shop_web` of `arn:…:service/default/shop_web`.
fn short_name(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// The strings of a list member of an answer.
fn strings<'v>(answer: &'v Value, member: &str) -> impl Iterator<Item = &'v str> {
    answer[member].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// The items of a list member of an answer.
fn items<'v>(answer: &'v Value, member: &str) -> impl Iterator<Item = &'v Value> {
    answer[member].as_array().into_iter().flatten()
}
