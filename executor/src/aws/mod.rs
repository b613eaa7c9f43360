//! AWS behind the cloud seam.
//!
//! Each call is written from the shapes in `schemas/aws`, goes through one of three carriers (aws-sdk-ecs,
//! aws-sdk-autoscaling, or for every other service the SDK's orchestrator with its credentials, signer and transport), and
//! its answer is read by the shapes again. So adding an operation is a line, and what is sent and observed does not depend
//! on which members a crate knows. Crates for all services were weighed: aws-sdk-ec2 alone takes minutes to build, and the
//! query protocols' crates have no way from and to JSON.
//!
//! Invariants: a call is sent once; no answer means that it may have happened, unless it is known that it did not leave.

mod carriers;
mod clock;
mod configuration;
mod endpoints;
mod errors;
mod exchange;
mod generic;
mod web;
mod wire;

use std::sync::OnceLock;

use async_trait::async_trait;
use aws_config::SdkConfig;
use belay_schemas::aws;
use serde_json::Value;

use crate::cloud::{Cloud, CloudError, ErrorKind};
use crate::http;
use crate::registry::Registries;
use crate::trace::{self, Detail};
use carriers::{AutoScaling, Ecs};
pub use clock::WallClock;
pub use configuration::ConfigurationError;
use errors::Call;
use generic::Generic;
use web::Web;
use wire::{Fault, WireError};

/// An AWS account and region.
pub struct AwsCloud {
    config: SdkConfig,
    region: String,
    ecs: Ecs,
    autoscaling: AutoScaling,
    generic: Generic,
    registries: Registries,
    web: Web,
    /// Who calls (STS's answer), once that was asked: the same as long as this process has the same credentials.
    caller: OnceLock<Value>,
}

/// The configuration of this process, for what is asked beside the calls of a plan.
pub(crate) async fn configuration() -> Result<SdkConfig, ConfigurationError> {
    configuration::load(None).await
}

/// Where a configuration says that a service is, if it says so.
pub(crate) fn configured_endpoint(service: &str, config: &SdkConfig) -> Option<String> {
    aws::service(service).ok().and_then(|table| endpoints::configured(&table.facts, config))
}

impl AwsCloud {
    /// Connects with the configuration of this process; `wanted` is the region of what is worked on.
    ///
    /// # Errors
    /// Without a region or credentials; see [`ConfigurationError`].
    pub async fn open(wanted: Option<&str>) -> Result<Self, ConfigurationError> {
        Self::with(configuration::load(wanted).await?)
    }

    /// Connects with a configuration that somebody else made; credentials and region are its own.
    ///
    /// # Errors
    /// Without a region; see [`ConfigurationError`].
    pub fn with(config: SdkConfig) -> Result<Self, ConfigurationError> {
        let config = configuration::complete(config)?;
        let region = config.region().ok_or(ConfigurationError::NoRegion)?.to_string();
        let (ecs, autoscaling) = (Ecs::new(&config), AutoScaling::new(&config));
        let generic = Generic::new(&config, &region);
        let registries = Registries::default();
        let web = Web::default();
        Ok(Self { config, region, ecs, autoscaling, generic, registries, web, caller: OnceLock::new() })
    }

    /// The region that calls go to.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The partition of that region, as it stands in ARNs.
    pub fn partition(&self) -> &'static str {
        endpoints::partition_of(&self.region).name
    }
}

/// Where a service's requests go when the configuration does not say: AWS's rule. `None` for an unknown service.
pub fn endpoint(service: &str, region: &str, fips: bool, dual_stack: bool) -> Option<String> {
    aws::service(service).ok().map(|table| endpoints::by_rule(&table.facts, region, fips, dual_stack).url)
}

#[async_trait]
impl Cloud for AwsCloud {
    async fn call(&self, service: &str, operation: &str, input: &Value) -> Result<Value, CloudError> {
        let asks_who = (service, operation) == ("sts", "GetCallerIdentity");
        if asks_who && let Some(known) = self.caller.get() {
            return Ok(known.clone());
        }
        match service {
            http::HTTP => return self.web.send(operation, input).await,
            http::METADATA => return web::metadata(&web::metadata_client(&self.config), input).await,
            _ => {}
        }
        let found = aws::service(service).and_then(|table| Ok((table, aws::operation(service, operation)?)));
        let (table, shape) = found.map_err(|e| not_sent("UnknownOperation", &e))?;
        let unwritable = |error: WireError| not_sent("InvalidInput", &error);
        let request = wire::encode(table, shape, input).map_err(unwritable)?;
        let outcome = match service {
            "ecs" => self.ecs.send(operation, request).await.map_err(unwritable)?,
            "autoscaling" => self.autoscaling.send(operation, request).await.map_err(unwritable)?,
            _ => self.generic.send(&table.facts, operation, request).await,
        };
        let caller = self.caller.get().and_then(|known| known["Arn"].as_str());
        let call = Call { service, iam: &table.facts.signing_name, operation, readonly: shape.readonly, caller };
        let answer = outcome.inspect(|answer| {
            trace::detail(Detail { request_id: answer.request_id(), status: Some(answer.status) });
        });
        let answer = answer.map_err(|why| {
            errors::unanswered(call, &endpoints::of(&table.facts, &self.region, &self.config).url, why)
        })?;
        if !(200..300).contains(&answer.status) {
            let mut error = errors::refused(call, answer.status, Fault::of(&answer));
            if answer.status >= 500
                && let Some(id) = answer.request_id()
            {
                // What AWS's support asks for.
                error.message = format!("{} (request {id})", error.message);
            }
            return Err(error);
        }
        let output = wire::decode(table, shape, &answer).map_err(|error| {
            // The call took effect, or may have; only what it says is lost.
            let kind = if shape.readonly { ErrorKind::Transient } else { ErrorKind::Unknown };
            CloudError::new(kind, "UnreadableAnswer", error.to_string())
        })?;
        if asks_who && output["Account"].is_string() {
            // Only the first answer is kept; they are all the same.
            let _ = self.caller.set(output.clone());
        }
        Ok(output)
    }

    async fn image_digest(&self, image: &str) -> Result<String, CloudError> {
        self.registries.digest(image).await
    }

    fn joins_reads(&self) -> bool {
        true
    }
}

fn not_sent(code: &str, error: &dyn std::error::Error) -> CloudError {
    CloudError::new(ErrorKind::Rejected, code, error.to_string())
}
