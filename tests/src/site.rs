//! The whole way with the built programs, as somebody at a shell takes it, in an account that is reached over HTTP.
//!
//! Invariants: the programs see nothing but what a user would set: the endpoint, credentials, a region; inputs are a
//! fixture's own files, with the account's number and its registry in the place of the fixture's.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use belay_schemas::plan::{Mode, Plan};
use serde_json::Value;
use tempfile::TempDir;

use crate::account::Account;
use crate::binaries::program;
use crate::fixtures::{Fixture, read};
use crate::python::peers;
use crate::servers::{Credentials, REGION};

/// The account of the fixtures' texts.
const WRITTEN: &str = "123456789012";

/// A folder in which somebody works.
#[derive(Debug)]
pub struct Site {
    dir: TempDir,
    endpoint: String,
    account: Account,
    project: &'static str,
    mode: Mode,
    environments: Vec<String>,
    /// What is written in the place of something else in inputs.
    instead: Vec<(String, String)>,
    /// The registry that images come from, if it is not the account's own.
    registry: Option<String>,
    /// The metadata service of the host, if it has one.
    metadata: Option<String>,
}

/// How a program ended.
#[derive(Debug)]
pub struct Done {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Site {
    /// A folder for a fixture's files.
    ///
    /// # Panics
    /// When it cannot be made, as everything here.
    pub fn new(fixture: &Fixture, endpoint: &str, account: &Account) -> Self {
        let mut site = Self::bare(endpoint, account, fixture.project, fixture.mode);
        site.environments.splice(..1, fixture.environments.iter().map(|name| (*name).to_owned()));
        site
    }

    /// A folder whose model and whose environment `prod.yaml` are still to be written.
    pub fn bare(endpoint: &str, account: &Account, project: &'static str, mode: Mode) -> Self {
        let dir = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let site = Self {
            dir,
            endpoint: endpoint.to_owned(),
            account: account.clone(),
            project,
            mode,
            // How often to look is a setting like any other; the last file wins.
            environments: vec!["prod.yaml".to_owned(), "often.yaml".to_owned()],
            instead: Vec::new(),
            registry: None,
            metadata: None,
        };
        site.write("often.yaml", &read(&peers().join("often.yaml")));
        site
    }

    /// The same for a fixture whose environments name what has other ids in this account.
    #[must_use]
    pub fn calling(mut self, instead: Vec<(String, String)>) -> Self {
        self.instead = instead;
        self
    }

    /// Leaves the settings of ECS away.
    #[must_use]
    pub fn without_services(mut self) -> Self {
        self.environments.retain(|name| name != "often.yaml");
        self
    }

    /// Images come from another registry, to which somebody has logged in.
    ///
    /// # Panics
    /// When the login cannot be written.
    #[must_use]
    pub fn from_registry(mut self, address: &str, user: &str, password: &str) -> Self {
        self.registry = Some(address.to_owned());
        let login = serde_json::json!({"auths": {address: {"username": user, "password": password}}});
        std::fs::create_dir_all(self.path(".docker")).unwrap_or_else(|error| panic!("{error}"));
        self.write(".docker/config.json", &login.to_string());
        self
    }

    /// The programs run on a host whose metadata service is there.
    #[must_use]
    pub fn on_host(mut self, metadata: &str) -> Self {
        self.metadata = Some(metadata.to_owned());
        self
    }

    /// Where the files are.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// A JSON file.
    pub fn json(&self, name: &str) -> Value {
        serde_json::from_str(&read(&self.path(name))).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Takes the model and the environments out of a folder, as they are in this account; the images that they name.
    pub fn take(&self, folder: &Path) -> Vec<String> {
        let here = |name: &str| {
            let text = read(&folder.join(name));
            self.instead.iter().fold(text, |text, (written, here)| text.replace(written, here))
        };
        for name in self.environments.iter().filter(|name| *name != "often.yaml") {
            self.write(name, &here(name).replace(WRITTEN, &self.account.id));
        }
        let registry = self.registry.clone().unwrap_or_else(|| self.account.registry());
        let model = here("model.yaml").replace(&format!("{WRITTEN}.dkr.ecr.{REGION}.amazonaws.com/"), "");
        let (model, images) = with_registry(&model.replace(WRITTEN, &self.account.id), &registry);
        self.write("model.yaml", &model);
        images
    }

    /// From now on the programs act as somebody.
    pub fn act_as(&mut self, who: &Credentials) {
        self.account.credentials = who.clone();
    }

    /// Runs one of the programs here.
    pub fn run(&self, name: &str, arguments: &[&str]) -> Done {
        let mut command = program(name, self.dir());
        let who = &self.account.credentials;
        command.args(arguments).stdin(Stdio::null()).envs([
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", &who.id),
            ("AWS_SECRET_ACCESS_KEY", &who.secret),
        ]);
        if let Some(token) = &who.token {
            command.env("AWS_SESSION_TOKEN", token);
        }
        if let Some(metadata) = &self.metadata {
            command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata);
        }
        let output: Output = command.output().unwrap_or_else(|error| panic!("{name}: {error}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Done { code: output.status.code().unwrap_or(-1), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Runs one of the programs, which has to end with 0; what it printed.
    pub fn must(&self, name: &str, arguments: &[&str]) -> Done {
        let done = self.run(name, arguments);
        assert_eq!(done.code, 0, "{name} {arguments:?}:\n{}{}", done.stdout, done.stderr);
        done
    }

    fn inputs(&self, mode: Mode) -> Vec<&str> {
        let mut arguments = vec!["-p", self.project, "-m", "model.yaml"];
        for environment in &self.environments {
            arguments.extend(["-e", environment]);
        }
        if mode == Mode::Teardown {
            arguments.extend(["--mode", "teardown"]);
        }
        arguments
    }

    /// `belayc scope`: writes `scope.json`.
    pub fn scope(&self, mode: Mode) {
        let mut scope = vec!["scope", "-o", "scope.json"];
        scope.extend(self.inputs(mode));
        self.must("belayc", &scope);
    }

    /// `belayc scope`, `belay observe`: writes `observed.json`.
    pub fn observe(&self, mode: Mode) {
        self.scope(mode);
        self.must("belay", &["observe", "scope.json", "-o", "observed.json"]);
    }

    /// `belayc compile` of what was observed: writes `plan.json`.
    pub fn compile(&self, mode: Mode, options: &[&str]) -> Plan {
        let mut compile = vec!["compile", "--observed", "observed.json", "-o", "plan.json"];
        compile.extend(self.inputs(mode));
        compile.extend(options);
        self.must("belayc", &compile);
        serde_json::from_value(self.json("plan.json")).unwrap_or_else(|error| panic!("plan.json: {error}"))
    }

    /// Observes, compiles in the fixture's mode. No warnings are expected.
    pub fn plan(&self) -> Plan {
        self.plan_in(self.mode)
    }

    /// The same in another mode.
    pub fn plan_in(&self, mode: Mode) -> Plan {
        self.observe(mode);
        self.compile(mode, &["--deny-warnings"])
    }

    /// `belay apply`
    pub fn apply(&self) -> Done {
        self.run("belay", &["apply", "plan.json", "--yes"])
    }
}

/// A model whose images come from a registry; and the images, as the model named them.
fn with_registry(model: &str, registry: &str) -> (String, Vec<String>) {
    let (mut text, mut images) = (String::new(), Vec::new());
    let mut rest = model;
    while let Some(at) = rest.find("image: ") {
        let (before, found) = rest.split_at(at + "image: ".len());
        let found = found.trim_start_matches('"');
        let end = found.find(['"', ',', '}', '\n', ' ']).unwrap_or(found.len());
        // A machine image has no registry.
        if found.starts_with("ami-") {
            text.push_str(&format!("{before}{}", &found[..end]));
            rest = &found[end..];
            continue;
        }
        images.push(found[..end].to_owned());
        text.push_str(&format!("{before}\"{registry}/{}\"", &found[..end]));
        rest = found[end..].trim_start_matches('"');
    }
    text.push_str(rest);
    images.sort();
    images.dedup();
    (text, images)
}

#[cfg(test)]
mod tests {
    use super::with_registry;

    #[test]
    fn images_are_found_however_they_are_written() {
        let model = "m:\n  image: ami-1 # AMI\na:\n  image: x/y:1\n  containers: {b: {image: \"z:2\", mem: 1}, c: {image: w}}\n";
        let (text, images) = with_registry(model, "R");
        assert_eq!(images, ["w", "x/y:1", "z:2"]);
        assert_eq!(
            text,
            "m:\n  image: ami-1 # AMI\na:\n  image: \"R/x/y:1\"\n  containers: {b: {image: \"R/z:2\", mem: 1}, c: {image: \"R/w\"}}\n"
        );
    }
}
