//! Pushes images to a real Docker registry; shared by the tests that need one.

use belay_tests::registry::{PASSWORD, USER};
use oci_client::client::{Client, ClientConfig, ClientProtocol};
use oci_client::secrets::RegistryAuth;
use oci_client::{Reference, RegistryOperation};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Media type of an image for one platform.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an image for several platforms.
#[allow(dead_code, reason = "not every test that includes this file pushes indexes")]
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn sha256(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Pushes as `docker push` would.
pub struct Pusher {
    client: Client,
    registry: String,
}

impl Pusher {
    /// Logs in.
    pub async fn new(registry: &str) -> Self {
        // Whoever was first has named the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client =
            Client::try_from(ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() }).unwrap();
        let auth = RegistryAuth::Basic(USER.to_owned(), PASSWORD.to_owned());
        let pusher = Self { client, registry: registry.to_owned() };
        pusher.client.auth(&pusher.at("shop/web", "1"), &auth, RegistryOperation::Push).await.unwrap();
        pusher
    }

    fn at(&self, name: &str, tag: &str) -> Reference {
        Reference::with_tag(self.registry.clone(), name.to_owned(), tag.to_owned())
    }

    /// Pushes a manifest; returns how an index refers to it.
    pub async fn manifest(&self, name: &str, tag: &str, kind: &'static str, manifest: &Value) -> Value {
        let body = manifest.to_string().into_bytes();
        let (digest, size) = (sha256(&body), body.len());
        self.client.push_manifest_raw(&self.at(name, tag), body, kind.parse().unwrap()).await.unwrap();
        json!({"mediaType": kind, "digest": digest, "size": size})
    }

    /// Pushes an image of nothing for one platform.
    pub async fn image(&self, name: &str, tag: &str, architecture: &str) -> Value {
        let platform = json!({"architecture": architecture, "os": "linux"});
        let config = platform.to_string().into_bytes();
        let digest = sha256(&config);
        let size = config.len();
        self.client.push_blob(&self.at(name, tag), config, &digest).await.unwrap();
        let kind = "application/vnd.oci.image.config.v1+json";
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
                              "config": {"mediaType": kind, "digest": digest, "size": size}});
        let mut referred = self.manifest(name, tag, MANIFEST, &manifest).await;
        referred["platform"] = platform;
        referred
    }
}
