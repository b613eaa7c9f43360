//! The AWS configuration of this process, as the AWS CLI reads it: profiles, the whole chain of credentials, region,
//! endpoints, certificates.
//!
//! Invariants: the SDK retries nothing, because only the run knows what may be sent again; every wait of the SDK has an
//! end; credentials are looked for before the first call is made.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::identity::IdentityCache;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

use super::exchange::causes;

/// Until a connection stands. The SDKs' own default is 3.1 s.
const CONNECT: Duration = Duration::from_secs(10);
/// Until the first byte of the answer.
const READ: Duration = Duration::from_secs(60);
/// Until the whole answer.
const ATTEMPT: Duration = Duration::from_secs(90);

/// Why AWS cannot be called from here.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// Nobody says which region.
    #[error("no region: neither the environment file nor the AWS configuration names one")]
    NoRegion,
    /// The configuration names another region than what is worked on.
    #[error("this is for region {wanted}, but the AWS configuration (AWS_REGION, profile) says {configured}")]
    Region {
        /// What the plan, the run or the scope says.
        wanted: String,
        /// What the configuration says.
        configured: String,
    },
    /// There are no credentials.
    #[error("no AWS credentials: {0}")]
    Credentials(String),
    /// The file of trusted authorities.
    #[error("AWS_CA_BUNDLE {path}: {reason}")]
    Bundle {
        /// The file.
        path: String,
        /// Why it cannot be used.
        reason: String,
    },
}

/// Loads the configuration for a region; without one that is wanted, the configured one.
///
/// # Errors
/// See [`ConfigurationError`].
pub(super) async fn load(wanted: Option<&str>) -> Result<SdkConfig, ConfigurationError> {
    let client = http_client()?;
    let region = region(wanted, &client).await?;
    let loader = aws_config::defaults(BehaviorVersion::latest()).region(Region::new(region)).http_client(client);
    let loader = match AppName::new(concat!("belay-", env!("CARGO_PKG_VERSION"))) {
        Ok(name) => loader.app_name(name),
        Err(_) => loader,
    };
    let config = complete(loader.load().await)?;
    let Some(provider) = config.credentials_provider() else {
        return Err(ConfigurationError::Credentials("the AWS configuration forbids them".to_owned()));
    };
    provider.provide_credentials().await.map_err(|error| {
        // Said for every link of the chain, before the reason.
        let words = causes(&error).replace("the credential provider was not enabled: ", "");
        ConfigurationError::Credentials(words)
    })?;
    Ok(config)
}

/// The configuration with what every call here relies on: no retries, an end to every wait, a transport.
///
/// # Errors
/// Certificates that cannot be read.
pub(super) fn complete(config: SdkConfig) -> Result<SdkConfig, ConfigurationError> {
    let client = config.http_client().map_or_else(http_client, Ok)?;
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT).read_timeout(READ).operation_attempt_timeout(ATTEMPT).build();
    // One cache for all carriers: credentials that cost a call are fetched once.
    let cache = config.identity_cache().unwrap_or_else(|| IdentityCache::lazy().build());
    let mut config = config.into_builder();
    config.set_identity_cache(Some(cache));
    config.set_http_client(Some(client));
    config.set_retry_config(Some(RetryConfig::disabled()));
    config.set_timeout_config(Some(timeouts));
    config.set_stalled_stream_protection(Some(StalledStreamProtectionConfig::enabled().grace_period(READ).build()));
    config.set_sleep_impl(Some(SharedAsyncSleep::new(TokioSleep::new())));
    config.set_behavior_version(Some(BehaviorVersion::latest()));
    Ok(config.build())
}

/// What is wanted wins. A configuration that names another region is taken for a mistake; where the machine happens to
/// run (IMDS) is asked only when nobody names one.
async fn region(wanted: Option<&str>, client: &SharedHttpClient) -> Result<String, ConfigurationError> {
    let named = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .region()
        .await
        .map(|region| region.to_string());
    match (wanted, named) {
        (Some(wanted), Some(configured)) if wanted != configured => {
            Err(ConfigurationError::Region { wanted: wanted.to_owned(), configured })
        }
        (Some(region), _) => Ok(region.to_owned()),
        (None, Some(region)) => Ok(region),
        (None, None) => {
            let provider = ProviderConfig::default().with_http_client(client.clone());
            let found = ImdsRegionProvider::builder().configure(&provider).build().region().await;
            found.map(|region| region.to_string()).ok_or(ConfigurationError::NoRegion)
        }
    }
}

/// One pool of connections for all services. Proxies are those of the environment (`HTTPS_PROXY`, `NO_PROXY`).
pub(super) fn http_client() -> Result<SharedHttpClient, ConfigurationError> {
    let mut trust = TrustStore::default();
    if let Some(path) = std::env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty()) {
        let wrong = |reason: String| ConfigurationError::Bundle { path: path.to_string_lossy().into_owned(), reason };
        let pem = std::fs::read(&path).map_err(|error| wrong(error.to_string()))?;
        if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
            return Err(wrong("there is no certificate in it".to_owned()));
        }
        // As the AWS CLI does it: these and no others.
        trust = TrustStore::empty().with_pem_certificate(pem);
    }
    let context = TlsContext::builder().with_trust_store(trust).build();
    let context =
        context.map_err(|error| ConfigurationError::Bundle { path: String::new(), reason: error.to_string() })?;
    // The builder's own client knows no proxies.
    Ok(Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder().proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(context.clone()).build()
    }))
}
