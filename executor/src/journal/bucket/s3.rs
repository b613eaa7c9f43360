//! S3 as a place for runs: `s3://BUCKET/PREFIX`, with the credentials, region and endpoint of this process.
//!
//! Invariant: credentials come from the same chain as those of the calls to AWS (profiles, SSO, roles), and are asked for
//! anew before each request, because they expire.

use std::sync::Arc;

use async_trait::async_trait;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use object_store::aws::{AmazonS3Builder, AwsCredential};
use object_store::{ClientOptions, CredentialProvider, Error, RetryConfig};

use super::{Bucket, JournalError, PATIENCE};

/// What a place in S3 begins with.
pub const SCHEME: &str = "s3://";

/// The SDK's chain of credentials, as the object store asks for them.
#[derive(Debug)]
struct Chain(SharedCredentialsProvider);

#[async_trait]
impl CredentialProvider for Chain {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> Result<Arc<AwsCredential>, Error> {
        let found = self.0.provide_credentials().await;
        let found = found.map_err(|error| Error::Generic { store: "S3", source: Box::new(error) })?;
        Ok(Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        }))
    }
}

impl Bucket {
    /// Opens `s3://BUCKET/PREFIX`. Nothing is asked yet.
    ///
    /// # Errors
    /// An address that is none; no region, no credentials.
    pub async fn s3(url: &str) -> Result<Self, JournalError> {
        let wrong = |reason: String| JournalError::Elsewhere { place: url.to_owned(), reason };
        let rest = url.strip_prefix(SCHEME).ok_or_else(|| wrong("it does not begin with s3://".to_owned()))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(wrong("it names no bucket: s3://BUCKET/PREFIX".to_owned()));
        }
        let config = crate::aws::configuration().await.map_err(|error| wrong(error.to_string()))?;
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        let chain = config.credentials_provider().ok_or_else(|| wrong("there are no AWS credentials".to_owned()))?;
        // Whichever client of this process came first has named it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(region)
            .with_credentials(Arc::new(Chain(chain)))
            // What is tried again, and what that means, is said in `store`.
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
            .with_client_options(ClientOptions::new().with_allow_http(true));
        if let Some(endpoint) = crate::aws::configured_endpoint("s3", &config) {
            // Whoever stands in for S3 is rarely known under a name for each bucket.
            builder = builder.with_endpoint(endpoint).with_virtual_hosted_style_request(false);
        }
        let store = builder.build().map_err(|error| wrong(error.to_string()))?;
        Self::new(Arc::new(store), url.trim_end_matches('/'), prefix, PATIENCE)
    }
}
