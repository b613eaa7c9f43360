//! Digests of images in Docker registries: what a tag stands for now.
//!
//! Invariants: read-only, and no layers are fetched; a manifest is asked for with HEAD first, which Docker Hub does not
//! count as a pull; of an image for several platforms the digest is that of its index, as `docker pull` shows it; each
//! image is asked for once, however it is written, and only a few at a time; registries are spoken to over TLS, except
//! on this machine, where Docker takes them without as well; no password or token enters an error or a log.

mod credentials;
mod errors;

use std::collections::HashMap;
use std::env;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use belay_schemas::image::Image;
use oci_client::client::{Client, ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::{Reference, RegistryOperation};
use tokio::sync::{OnceCell, Semaphore};

use crate::cloud::{CloudError, ErrorKind};
use credentials::Login;

/// Look-ups at the same time.
const IN_FLIGHT: usize = 8;
/// For how long a registry may keep silent.
const PATIENCE: Duration = Duration::from_secs(30);
/// For how long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// What is known of this machine's ways to registries.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Where `docker login` leaves credentials.
    pub docker_config: Option<PathBuf>,
    /// The proxy for `https`.
    pub https_proxy: Option<String>,
    /// The proxy for `http`; never used for this machine's own registries.
    pub http_proxy: Option<String>,
    /// Hosts that are reached without a proxy, separated by commas.
    pub no_proxy: Option<String>,
}

impl Settings {
    /// As Docker finds them: `DOCKER_CONFIG` or `~/.docker`, and the usual variables for proxies.
    pub fn of_environment() -> Self {
        let text =
            |name: &str| env::var(name).or_else(|_| env::var(name.to_lowercase())).ok().filter(|v| !v.is_empty());
        let folder = env::var_os("DOCKER_CONFIG").filter(|v| !v.is_empty()).map(PathBuf::from);
        let home = || env::home_dir().map(|home| home.join(".docker"));
        Self {
            docker_config: folder.or_else(home).map(|folder| folder.join("config.json")),
            https_proxy: text("HTTPS_PROXY").or_else(|| text("ALL_PROXY")),
            http_proxy: text("HTTP_PROXY").or_else(|| text("ALL_PROXY")),
            no_proxy: text("NO_PROXY"),
        }
    }
}

/// One cell for each thing that is looked up once.
type Cells<T> = Mutex<HashMap<String, Arc<OnceCell<T>>>>;

/// All registries, with the credentials of this machine.
pub struct Registries {
    settings: Settings,
    tls: OnceCell<Client>,
    plain: OnceCell<Client>,
    permits: Semaphore,
    /// By registry.
    logins: Cells<Arc<Login>>,
    /// Repositories that a token was fetched for, or that need none.
    opened: Cells<()>,
    /// Digests by image.
    digests: Cells<String>,
}

impl Default for Registries {
    fn default() -> Self {
        Self::new(Settings::of_environment())
    }
}

impl Registries {
    /// Nothing is read or asked before the first look-up.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            tls: OnceCell::new(),
            plain: OnceCell::new(),
            permits: Semaphore::new(IN_FLIGHT),
            logins: Mutex::default(),
            opened: Mutex::default(),
            digests: Mutex::default(),
        }
    }

    /// The digest (`sha256:…`) that an image has in its registry now. One that is written down needs no look-up.
    ///
    /// # Errors
    /// `NotFound` for a missing tag; `Transient` when the registry is too busy or asks to come back later;
    /// `Environment` when it cannot be reached or does not let these credentials read, `Rejected` for anything else.
    pub async fn digest(&self, image: &str) -> Result<String, CloudError> {
        if let Some(fault) = Image::fault(image) {
            return Err(CloudError::new(ErrorKind::Rejected, "InvalidImage", format!("{image}: {fault}")));
        }
        let wanted = Image::parse(image);
        if let Some(digest) = wanted.digest {
            return Ok(digest.to_owned());
        }
        let (registry, path, tag) = (wanted.registry(), wanted.path(), wanted.tag.unwrap_or("latest"));
        let reference = Reference::with_tag(registry.to_owned(), path.into_owned(), tag.to_owned());
        let cell = cell(&self.digests, reference.whole());
        cell.get_or_try_init(|| self.look_up(&reference)).await.cloned()
    }

    async fn look_up(&self, reference: &Reference) -> Result<String, CloudError> {
        let _permit = self.permits.acquire().await;
        let client = self.client(reference.registry()).await?;
        let login = cell(&self.logins, reference.registry().to_owned());
        let login = login.get_or_try_init(|| self.login(reference.registry())).await?;
        let told = |error: OciDistributionError| errors::told(&error, reference, &login.source);
        let repository = format!("{}/{}", reference.registry(), reference.repository());
        cell(&self.opened, repository)
            .get_or_try_init(|| async {
                client.auth(reference, &login.auth, RegistryOperation::Pull).await.map(|_| ()).map_err(told)
            })
            .await?;
        let digest = client.fetch_manifest_digest(reference, &login.auth).await.map_err(told)?;
        if Image::fault(&format!("image@{digest}")).is_some() {
            let message = format!("{} has the digest `{digest}`, which ECS does not take", reference.whole());
            return Err(CloudError::new(ErrorKind::Rejected, "UnknownDigest", message));
        }
        Ok(digest)
    }

    /// What `docker login` left for a registry. A helper is a program, and may take its time.
    async fn login(&self, registry: &str) -> Result<Arc<Login>, CloudError> {
        let (registry, file) = (registry.to_owned(), self.settings.docker_config.clone());
        let found = tokio::task::spawn_blocking(move || credentials::find(&registry, file.as_deref())).await;
        let found = found.map_err(|error| CloudError::new(ErrorKind::Environment, "Credentials", error.to_string()))?;
        found.map(Arc::new).map_err(|error| CloudError::new(ErrorKind::Environment, "Credentials", error.to_string()))
    }

    async fn client(&self, registry: &str) -> Result<&Client, CloudError> {
        let (cell, protocol) = match is_this_machine(registry) {
            true => (&self.plain, ClientProtocol::Http),
            false => (&self.tls, ClientProtocol::Https),
        };
        cell.get_or_try_init(|| async {
            // Whoever was first to name the provider of this process's TLS has named this one too.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let plain = matches!(protocol, ClientProtocol::Http);
            let config = ClientConfig {
                protocol,
                read_timeout: Some(PATIENCE),
                connect_timeout: Some(CONNECT),
                user_agent: concat!("belay/", env!("CARGO_PKG_VERSION")),
                https_proxy: self.settings.https_proxy.clone(),
                http_proxy: self.settings.http_proxy.clone(),
                no_proxy: match plain {
                    // As Docker does, whatever the variables say.
                    true => Some("*".to_owned()),
                    false => self.settings.no_proxy.clone(),
                },
                ..ClientConfig::default()
            };
            let unusable = |error: OciDistributionError| {
                CloudError::new(ErrorKind::Environment, "Tls", format!("no client for registries: {error}"))
            };
            Client::try_from(config).map_err(unusable)
        })
        .await
    }
}

fn cell<T>(cells: &Cells<T>, key: String) -> Arc<OnceCell<T>> {
    let mut cells = cells.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(cells.entry(key).or_default())
}

/// Whether a registry stands on this machine: `localhost`, `127.0.0.0/8`, `::1`.
fn is_this_machine(registry: &str) -> bool {
    let host = match registry.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => registry.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_spoken_to_without_tls() {
        for (registry, expected) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("127.8.0.1", true),
            ("[::1]:5000", true),
            ("docker.io", false),
            ("localhost.example.com", false),
            ("127.0.0.1.example.com", false),
            ("10.0.0.1:5000", false),
            ("[2001:db8::1]:5000", false),
        ] {
            assert_eq!(is_this_machine(registry), expected, "{registry}");
        }
    }

    #[test]
    fn references_are_what_the_client_takes_them_for() {
        let image = |text: &str| {
            let image = Image::parse(text);
            let tag = image.tag.map(str::to_owned);
            (image.registry().to_owned(), image.path().into_owned(), tag, image.digest.map(str::to_owned))
        };
        let digest = format!("sha256:{}", "a".repeat(64));
        let pinned =
            ["nginx@", "nginx:1.13@", "localhost:5000/a/b@", "quay.io/a/b/c:1@"].map(|i| format!("{i}{digest}"));
        let plain = [
            "nginx:1.13",
            "shop/web:2.4.0",
            "docker.io/nginx:1",
            "index.docker.io/shop/web:1",
            "localhost/web:1",
            "localhost:5000/web:x",
            "registry:5000/team/app:1.2",
            "quay.io/a/b/c:x",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop/web:1",
            "public.ecr.aws/nginx/nginx:1.27",
            "a.b/c__d-e.f:T_a.g-1",
        ];
        for text in plain.iter().copied().chain(pinned.iter().map(String::as_str)) {
            assert_eq!(Image::fault(text), None, "{text}");
            let theirs: Reference = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            let registry = match theirs.resolve_registry() {
                "index.docker.io" => "docker.io",
                other => other,
            };
            let tag = theirs.tag().map(str::to_owned);
            let theirs = (registry.to_owned(), theirs.repository().to_owned(), tag, theirs.digest().map(str::to_owned));
            assert_eq!(image(text), theirs, "{text}");
        }
        // What either refuses, the other refuses too.
        for text in
            ["", "nginx/Web:1", "nginx:", "nginx:a b", "nginx@sha256:abc", "a//b:1", "https://nginx:1", "nginx:-1"]
        {
            assert!(Image::fault(text).is_some(), "{text}");
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }
}
