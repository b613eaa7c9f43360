//! Digests from a real Docker registry with a password, the way they are observed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "peers/pusher.rs"]
mod pusher;

use std::fs;
use std::path::Path;

use belay_executor::cloud::ErrorKind;
use belay_executor::registry::{Registries, Settings};
use belay_tests::binaries::program;
use belay_tests::registry::{DockerRegistry, PASSWORD, USER};
use belay_tests::servers::{Emulator, REGION, Server};
use pusher::{INDEX, Pusher};
use serde_json::{Value, json};

/// The registries of this machine as seen with what `docker login` wrote.
fn logged_in(folder: &Path, registry: &str, password: &str) -> Registries {
    let file = folder.join("config.json");
    let auth = json!({"auths": {registry: {"username": USER, "password": password}}});
    fs::write(&file, auth.to_string()).unwrap();
    Registries::new(Settings { docker_config: Some(file), ..Settings::default() })
}

#[tokio::test]
async fn tags_indexes_passwords_and_silence() {
    let registry = DockerRegistry::start().unwrap_or_else(|error| panic!("{error}"));
    let folder = tempfile::tempdir().unwrap();
    let registries = logged_in(folder.path(), registry.address(), PASSWORD);
    let at = |rest: &str| format!("{}/{rest}", registry.address());
    // What is asked for while nothing is there is not remembered as missing.
    let error = registries.digest(&at("shop/web:1")).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::NotFound, "ImageNotFound"));

    let pusher = Pusher::new(registry.address()).await;
    let amd = pusher.image("shop/web", "1", "amd64").await;
    assert_eq!(registries.digest(&at("shop/web:1")).await.unwrap(), amd["digest"]);
    let arm = pusher.image("shop/web", "arm", "arm64").await;
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [amd, arm]});
    let index = pusher.manifest("shop/web", "latest", INDEX, &index).await;
    // Without a tag it is `latest`, and of several platforms the index.
    assert_eq!(registries.digest(&at("shop/web")).await.unwrap(), index["digest"]);
    assert_ne!(index["digest"], amd["digest"]);
    assert_eq!(registries.digest(&at("shop/web:none")).await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(registries.digest(&at("shop/nothing:1")).await.unwrap_err().kind, ErrorKind::NotFound);

    // A tag that was moved is another image to whoever looks for the first time.
    pusher.manifest("shop/web", "1", INDEX, &json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [arm]})).await;
    let later = logged_in(folder.path(), registry.address(), PASSWORD);
    assert_ne!(later.digest(&at("shop/web:1")).await.unwrap(), amd["digest"]);

    let wrong = logged_in(folder.path(), registry.address(), "guess");
    let error = wrong.digest(&at("shop/web:1")).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Environment, "RegistryAccessDenied"));
    let file = folder.path().join("config.json").display().to_string();
    assert!(error.message.contains(registry.address()) && error.message.contains(&file), "{error}");
    assert!(!error.to_string().contains("guess"), "{error}");
    let nobody = Registries::new(Settings::default());
    let error = nobody.digest(&at("shop/web:1")).await.unwrap_err();
    assert!(error.message.contains("there are none for it: `docker login"), "{error}");

    let gone = registry.stop();
    let error = logged_in(folder.path(), &gone, PASSWORD).digest(&format!("{gone}/shop/web:1")).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Environment, "RegistryUnreachable"));
}

/// The program, with an account reached over HTTP and what `docker login` left in the user's home.
#[tokio::test]
async fn belay_observe_asks_them_with_what_docker_login_left() {
    let registry = DockerRegistry::start().unwrap_or_else(|error| panic!("{error}"));
    let image = Pusher::new(registry.address()).await.image("shop/web", "1", "amd64").await;
    let server = Server::start(Emulator::Moto).unwrap_or_else(|error| panic!("{error}"));
    let home = tempfile::tempdir().unwrap();
    let observe = |password: &str| {
        fs::create_dir_all(home.path().join(".docker")).unwrap();
        let login = json!({"auths": {registry.address(): {"username": USER, "password": password}}});
        fs::write(home.path().join(".docker/config.json"), login.to_string()).unwrap();
        let wanted = format!("{}/shop/web:1", registry.address());
        let scope = json!({"format": 1, "project": "shop", "images": [wanted]});
        fs::write(home.path().join("scope.json"), scope.to_string()).unwrap();
        let mut command = program("belay", home.path());
        command.args(["observe", "scope.json"]).envs([
            ("AWS_ENDPOINT_URL", server.endpoint()),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]);
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        let observed: Value = serde_json::from_slice(&output.stdout).unwrap();
        (observed["images"][&wanted].clone(), observed.to_string() + &said)
    };
    let (seen, said) = observe(PASSWORD);
    assert_eq!(seen, json!({"digest": image["digest"]}));
    assert!(said.contains("1 registry digest") && !said.contains(PASSWORD), "{said}");
    let (seen, said) = observe("a-wrong-guess");
    assert!(seen["error"].as_str().unwrap().starts_with("RegistryAccessDenied"), "{seen}");
    assert!(!said.contains("a-wrong-guess"), "{said}");
}
