//! What `docker login` left behind for a registry: in `config.json`, in a credential store, or with a helper.
//!
//! Invariant: an error names where credentials were looked for, never what was found there; what a helper prints is
//! not repeated.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use belay_schemas::image::DOCKER_HUB;
use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use oci_client::secrets::RegistryAuth;

/// How to speak to a registry.
pub(super) struct Login {
    pub(super) auth: RegistryAuth,
    /// Where that comes from, for people.
    pub(super) source: Source,
}

/// Where credentials come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// There are none.
    Nowhere,
    /// From what Docker's configuration file says or refers to.
    Docker(PathBuf),
}

/// Why it is not known how to speak to a registry.
#[derive(Debug, thiserror::Error)]
pub(super) enum CredentialError {
    #[error("Docker's configuration {} cannot be read: {source}", .file.display())]
    Unreadable { file: PathBuf, source: io::Error },
    #[error("Docker's configuration {} is not what `docker login` writes", .file.display())]
    Malformed { file: PathBuf },
    #[error("the credentials of registry {registry} in {} cannot be decoded: `docker login {registry}` again", .file.display())]
    Undecodable { registry: String, file: PathBuf },
    #[error("{} leaves the credentials of registry {registry} to a helper, {what}: `docker login {registry}` again, or take `credsStore` and `credHelpers` out", .file.display())]
    Helper { registry: String, file: PathBuf, what: String },
    #[error("{} holds an identity token for registry {registry}, which Belay cannot use: `docker login {registry}` with a user or token name and its password instead", .file.display())]
    IdentityToken { registry: String, file: PathBuf },
}

/// Names under which `docker login` may have filed a registry.
fn names(registry: &str) -> Vec<&str> {
    match registry {
        DOCKER_HUB => vec!["https://index.docker.io/v1/", "index.docker.io", DOCKER_HUB],
        other => vec![other],
    }
}

/// What Docker would use. Without any credentials, registries are asked anonymously.
pub(super) fn find(registry: &str, file: Option<&Path>) -> Result<Login, CredentialError> {
    let nobody = Login { auth: RegistryAuth::Anonymous, source: Source::Nowhere };
    let Some(file) = file else { return Ok(nobody) };
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(nobody),
        Err(source) => return Err(CredentialError::Unreadable { file: file.to_owned(), source }),
    };
    let (to, at) = (|| registry.to_owned(), || file.to_owned());
    for name in names(registry) {
        let helper = |what: String| CredentialError::Helper { registry: to(), file: at(), what };
        return Err(match get_credential_from_reader(text.as_slice(), name) {
            Ok(DockerCredential::UsernamePassword(user, password)) => {
                return Ok(Login { auth: RegistryAuth::Basic(user, password), source: Source::Docker(at()) });
            }
            Ok(DockerCredential::IdentityToken(_)) => CredentialError::IdentityToken { registry: to(), file: at() },
            Err(CredentialRetrievalError::NoCredentialConfigured) => continue,
            // The words that helpers agreed on for having none.
            Err(CredentialRetrievalError::HelperFailure { stdout, .. }) if stdout.contains("credentials not found") => {
                continue;
            }
            Err(CredentialRetrievalError::HelperFailure { helper: program, .. }) => {
                helper(format!("and `{program} get` fails"))
            }
            Err(CredentialRetrievalError::HelperCommunicationError) => {
                helper("which is not installed or does not run".to_owned())
            }
            Err(CredentialRetrievalError::MalformedHelperResponse) => helper("whose answer is none".to_owned()),
            Err(
                CredentialRetrievalError::CredentialDecodingError | CredentialRetrievalError::CredentialMismatchError,
            ) => CredentialError::Undecodable { registry: to(), file: at() },
            Err(CredentialRetrievalError::ConfigNotFound | CredentialRetrievalError::ConfigReadError) => {
                CredentialError::Malformed { file: at() }
            }
        });
    }
    Ok(nobody)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `config.json` in a folder of its own.
    fn config(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        fs::write(&file, text).unwrap();
        (folder, file)
    }

    fn basic(user: &str, password: &str) -> RegistryAuth {
        RegistryAuth::Basic(user.to_owned(), password.to_owned())
    }

    #[test]
    fn each_registry_has_its_own_and_docker_hub_its_old_name() {
        // ann:secret, bob:other
        let (_folder, file) = config(
            r#"{"auths": {"https://index.docker.io/v1/": {"auth": "YW5uOnNlY3JldA=="}, "localhost:5000": {"auth": "Ym9iOm90aGVy"}}}"#,
        );
        assert_eq!(find("docker.io", Some(&file)).unwrap().auth, basic("ann", "secret"));
        let other = find("localhost:5000", Some(&file)).unwrap();
        assert_eq!((other.auth, other.source), (basic("bob", "other"), Source::Docker(file.clone())));
        let nobody = find("localhost:5001", Some(&file)).unwrap();
        assert_eq!((nobody.auth, nobody.source), (RegistryAuth::Anonymous, Source::Nowhere));
        assert_eq!(find("docker.io", None).unwrap().auth, RegistryAuth::Anonymous);
        assert_eq!(find("docker.io", Some(&file.with_extension("no"))).unwrap().auth, RegistryAuth::Anonymous);
    }

    #[test]
    fn errors_say_where_and_not_what() {
        let said = |text: &str| {
            let (_folder, file) = config(text);
            let error = find("quay.io", Some(&file)).err().map(|e| e.to_string()).unwrap_or_default();
            error.replace(&file.display().to_string(), "FILE")
        };
        assert_eq!(said("[]"), "Docker's configuration FILE is not what `docker login` writes");
        // `s3cret`, without a user
        let undecodable = said(r#"{"auths": {"quay.io": {"auth": "czNjcmV0"}}}"#);
        assert_eq!(
            undecodable,
            "the credentials of registry quay.io in FILE cannot be decoded: `docker login quay.io` again"
        );
        let helper = said(r#"{"credHelpers": {"quay.io": "is-not-there"}}"#);
        assert!(helper.contains("to a helper, which is not installed or does not run"), "{helper}");
        let token = said(r#"{"auths": {"quay.io": {"identitytoken": "s3cret"}}}"#);
        assert!(token.contains("holds an identity token") && !token.contains("s3cret"), "{token}");
    }
}
