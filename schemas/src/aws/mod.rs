//! The shapes of the AWS operations that a plan may hold, and the validator of their inputs and outputs.
//!
//! The shapes come from `schemas/aws/*.json`, which `schemas/aws/derive.py` derives from botocore's public models. An
//! operation that is not in there cannot stand in a plan, cannot be simulated and cannot be called.
//!
//! Invariants: a service's file is parsed once, when it is first asked for; the tables are immutable and live as long as
//! the process; a valid input is validated without allocation.

pub mod authorization;
mod effect;
mod fault;
mod load;
mod shapes;
mod validate;

use std::sync::OnceLock;

pub use effect::is_destructive;
pub use fault::{Fault, FaultKind};
pub use shapes::{
    Http, Kind, List, MapShape, Member, Namespace, Operation, Pagination, Pattern, Range, Service, ServiceFacts, Shape,
    ShapeId, Structure, Text, Wire,
};
pub use validate::{Strictness, validate_input, validate_output};

/// A service's file, and its table once it is needed.
struct Embedded {
    name: &'static str,
    text: &'static str,
    table: OnceLock<Result<Service, String>>,
}

impl Embedded {
    const fn new(name: &'static str, text: &'static str) -> Self {
        Self { name, text, table: OnceLock::new() }
    }
}

/// Sorted by name.
static SERVICES: [Embedded; 17] = [
    Embedded::new("application-autoscaling", include_str!("../../aws/application-autoscaling.json")),
    Embedded::new("autoscaling", include_str!("../../aws/autoscaling.json")),
    Embedded::new("cloudwatch", include_str!("../../aws/cloudwatch.json")),
    Embedded::new("ec2", include_str!("../../aws/ec2.json")),
    Embedded::new("ecr", include_str!("../../aws/ecr.json")),
    Embedded::new("ecs", include_str!("../../aws/ecs.json")),
    Embedded::new("elb", include_str!("../../aws/elb.json")),
    Embedded::new("elbv2", include_str!("../../aws/elbv2.json")),
    Embedded::new("events", include_str!("../../aws/events.json")),
    Embedded::new("iam", include_str!("../../aws/iam.json")),
    Embedded::new("logs", include_str!("../../aws/logs.json")),
    Embedded::new("route53", include_str!("../../aws/route53.json")),
    Embedded::new("s3", include_str!("../../aws/s3.json")),
    Embedded::new("scheduler", include_str!("../../aws/scheduler.json")),
    Embedded::new("service-quotas", include_str!("../../aws/service-quotas.json")),
    Embedded::new("servicediscovery", include_str!("../../aws/servicediscovery.json")),
    Embedded::new("sts", include_str!("../../aws/sts.json")),
];

/// Why there is no shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// Belay does not know the service.
    #[error("there is no service `{name}` here{}", fault::suggestion(.nearest.as_deref()))]
    UnknownService {
        /// As it was asked for.
        name: String,
        /// The known name that is closest to it.
        nearest: Option<String>,
    },
    /// Belay does not know the operation.
    #[error("{service} has no operation `{name}` here{}", fault::suggestion(.nearest.as_deref()))]
    UnknownOperation {
        /// The service.
        service: String,
        /// As it was asked for.
        name: String,
        /// The known name that is closest to it.
        nearest: Option<String>,
    },
    /// The embedded file is not what this module understands: a bug of ours.
    #[error("the embedded shapes of {service} are broken: {reason}")]
    Broken {
        /// The service.
        service: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The names of all services, sorted.
pub fn services() -> impl Iterator<Item = &'static str> {
    SERVICES.iter().map(|embedded| embedded.name)
}

/// The text of a service's file, a JSON Schema.
///
/// # Errors
/// [`ShapeError::UnknownService`].
pub fn document(service: &str) -> Result<&'static str, ShapeError> {
    find(service).map(|embedded| embedded.text)
}

/// A service by the AWS CLI's name of it.
///
/// # Errors
/// [`ShapeError::UnknownService`], and [`ShapeError::Broken`] never in a tested build.
pub fn service(name: &str) -> Result<&'static Service, ShapeError> {
    let embedded = find(name)?;
    let table = embedded.table.get_or_init(|| load::parse(embedded.name, embedded.text));
    let broken = |reason: &String| ShapeError::Broken { service: name.to_owned(), reason: reason.clone() };
    table.as_ref().map_err(broken)
}

/// An operation by its service's and its own exact name.
///
/// # Errors
/// An unknown service or operation, with the nearest known name.
pub fn operation(service: &str, name: &str) -> Result<&'static Operation, ShapeError> {
    lookup(service, name).map(|(_, operation)| operation)
}

fn lookup(service: &str, name: &str) -> Result<(&'static Service, &'static Operation), ShapeError> {
    let table = self::service(service)?;
    let unknown = || ShapeError::UnknownOperation {
        service: service.to_owned(),
        name: name.to_owned(),
        nearest: fault::nearest(name, table.operations().iter().map(|operation| &*operation.name)).map(str::to_owned),
    };
    table.operation(name).map(|operation| (table, operation)).ok_or_else(unknown)
}

fn find(name: &str) -> Result<&'static Embedded, ShapeError> {
    let unknown = || ShapeError::UnknownService {
        name: name.to_owned(),
        nearest: fault::nearest(name, services()).map(str::to_owned),
    };
    SERVICES.iter().find(|embedded| embedded.name == name).ok_or_else(unknown)
}
