//! Services without an SDK client of their own here: the SDK's orchestrator with its credentials, signer and transport,
//! for requests that are written already. An operation of such a service is one line in `schemas/aws/derive.py`.

use std::convert::Infallible;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::auth::{SigV4OperationSigningConfig, SigningOptions};
use aws_runtime::user_agent::{ApiMetadata, UserAgentInterceptor};
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{
    AuthSchemeOptionResolverParams, SharedAuthScheme, SharedAuthSchemeOptionResolver,
};
use aws_smithy_runtime_api::client::identity::SharedIdentityResolver;
use aws_smithy_runtime_api::client::orchestrator::OrchestratorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::config_bag::Layer;
use aws_types::SigningName;
use aws_types::region::{Region, SigningRegion};
use belay_schemas::aws::ServiceFacts;

use super::endpoints;
use super::exchange::{Exchange, Unanswered};
use super::wire::{Answer, Request};

/// The carrier of every service that has no client of its own.
pub(super) struct Generic {
    config: SdkConfig,
    region: String,
    /// One for all calls: credentials are cached by it.
    identity: Option<SharedIdentityResolver>,
}

impl Generic {
    pub fn new(config: &SdkConfig, region: &str) -> Self {
        let identity = config.credentials_provider().map(SharedIdentityResolver::new);
        Self { config: config.clone(), region: region.to_owned(), identity }
    }

    /// Sends a request and gives what came back.
    pub async fn send(
        &self,
        facts: &'static ServiceFacts,
        operation: &str,
        request: Request,
    ) -> Result<Answer, Unanswered> {
        let exchange = Exchange::default();
        let endpoint = endpoints::of(facts, &self.region, &self.config);
        let mut builder = Operation::builder()
            .service_name(facts.service_id.to_string())
            .operation_name(operation.to_owned())
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&endpoint.url)
            .no_retry()
            .with_connection_poisoning()
            .interceptor(UserAgentInterceptor::new())
            .runtime_plugin(self.signing(facts, endpoint.signing_region));
        if let Some(client) = self.config.http_client() {
            builder = builder.http_client(client);
        }
        if let Some(timeouts) = self.config.timeout_config() {
            builder = builder.timeout_config(timeouts.clone());
        }
        if let Some(sleep) = self.config.sleep_impl() {
            builder = builder.sleep_impl(sleep);
        }
        if let Some(time) = self.config.time_source() {
            builder = builder.time_source(time);
        }
        let operation = builder
            .interceptor(exchange.escort(request))
            // The escort puts its own in the place of both.
            .serializer(|(): ()| Err("the request is written already".into()))
            .deserializer::<(), Infallible>(|_| Err(OrchestratorError::other("the answer is kept as it came")))
            .build();
        let result = operation.invoke(()).await;
        exchange.end(result)
    }

    fn signing(&self, facts: &'static ServiceFacts, region: String) -> StaticRuntimePlugin {
        let mut layer = Layer::new("signing");
        let mut options = SigningOptions::default();
        if &*facts.name == "s3" {
            options.double_uri_encode = false;
            options.normalize_uri_path = false;
            options.content_sha256_header = true;
        }
        layer.store_put(SigV4OperationSigningConfig {
            region: Some(SigningRegion::from(Region::new(region))),
            name: Some(SigningName::from(facts.signing_name.to_string())),
            signing_options: options,
            ..SigV4OperationSigningConfig::default()
        });
        layer.store_put(AuthSchemeOptionResolverParams::new(()));
        layer.store_put(ApiMetadata::new(&facts.name, env!("CARGO_PKG_VERSION")));
        let mut components = RuntimeComponentsBuilder::new("signing");
        components.push_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()));
        components.set_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(
            StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]),
        )));
        components.set_identity_cache(self.config.identity_cache());
        if let Some(identity) = &self.identity {
            components.set_identity_resolver(SCHEME_ID, identity.clone());
        }
        StaticRuntimePlugin::new().with_config(layer.freeze()).with_runtime_components(components)
    }
}
