//! The way of a pull request, as far as it can be run here: the scripts of `fixtures/pull-request` with the real programs
//! on a simulated AWS; and who learns which secret on that way.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use belay_tests::binaries;
use belay_tests::fixtures::{Fixture, read, root};
use tempfile::TempDir;

/// A folder with the files of a fixture, and a shell in which both programs are found.
struct Folder(TempDir);

impl Folder {
    fn of(fixture: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let from = Fixture::named(fixture).dir();
        for name in ["model.yaml", "prod.yaml", "observed.json", "world.json"] {
            fs::copy(from.join(name), folder.path().join(name)).unwrap();
        }
        for name in ["plan.sh", "apply.sh"] {
            fs::copy(root().join("pull-request").join(name), folder.path().join(name)).unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn shell(&self, script: &str, variables: &[(&str, &str)]) -> Output {
        let programs = binaries::folder();
        let mut command = Command::new("sh");
        command.args(["-c", script]).env_clear().current_dir(self.0.path()).env("HOME", self.0.path());
        command.env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
        command.envs([("PROJECT", "shop"), ("MODEL", "model.yaml"), ("ENVIRONMENTS", "prod.yaml")]);
        command.envs([("OBSERVED", "observed.json"), ("OUT", "out")]).envs(variables.iter().copied());
        command.output().unwrap()
    }
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("exit {:?}\n{}{}", output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_plan_is_made_reviewed_and_applied_by_the_scripts() {
    let folder = Folder::of("upgrade");
    let output = folder.shell("sh plan.sh", &[]);
    assert_eq!(output.status.code(), Some(9), "{}", said(&output));
    let plan = read(&folder.path("out/plan.json"));
    assert_eq!(
        plan,
        read(&Fixture::named("upgrade").dir().join("plan.json")),
        "the scripts compile what everybody does"
    );
    assert!(read(&folder.path("out/comment.md")).starts_with("<!-- belay shop default -->\n"));
    assert!(read(&folder.path("out/plan.html")).contains("<!doctype html>"));
    let policy: serde_json::Value = serde_json::from_str(&read(&folder.path("out/policy.json"))).unwrap();
    assert_eq!(policy["Version"], "2012-10-17");

    // Somebody approves a digest: another one is refused, the right one is applied.
    let digest = belay_schemas::checker::load(&plan).unwrap().digest;
    let apply = "sh apply.sh --simulated world.json";
    let output = folder.shell(apply, &[("PLAN", "out/plan.json"), ("DIGEST", "sha256:other")]);
    assert!(
        output.status.code() == Some(1) && said(&output).contains("is not the plan that was approved"),
        "{}",
        said(&output)
    );
    let approved = [("PLAN", "out/plan.json"), ("DIGEST", digest.as_str())];
    let output = folder.shell(apply, &approved);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));

    // The same plan once more is stale: what it relies on has moved, by itself.
    let output = folder.shell(apply, &approved);
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    // Compiled against what runs now, asked for by the compiler itself, there is nothing to do.
    let live =
        "belayc compile -p shop -m model.yaml -e prod.yaml --live --observe-option=--simulated=world.json --exit-code";
    let output = folder.shell(live, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("\"nodes\": []"), "{}", said(&output));
}

#[test]
fn wrong_inputs_are_annotated_and_nothing_is_planned() {
    let folder = Folder::of("upgrade");
    let model = read(&folder.path("model.yaml")).replacen("replicas:", "replcas:", 1);
    fs::write(folder.path("model.yaml"), model).unwrap();
    let output = folder.shell("sh plan.sh", &[("FORMAT", "github")]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("::error file=model.yaml,line=5"), "{}", said(&output));
    assert!(!folder.path("out/plan.json").exists());
}

#[test]
fn the_workflow_calls_what_exists() {
    let text = read(&root().join("pull-request/github-actions.yml"));
    let workflow: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
    let jobs = workflow["jobs"].as_mapping().unwrap();
    let names: Vec<&str> = jobs.keys().filter_map(|name| name.as_str()).collect();
    assert_eq!(names, ["observe", "plan", "comment", "apply"]);
    // Only two jobs may become a role; the one that compiles has no credentials at all.
    for (name, job) in jobs {
        let role = job["permissions"]["id-token"].as_str() == Some("write");
        assert_eq!(role, ["observe", "apply"].contains(&name.as_str().unwrap()), "{name:?}");
    }
    assert_eq!(jobs["apply"]["environment"].as_str(), Some("production"));
    for script in ["plan.sh", "apply.sh"] {
        assert!(text.contains(&format!("sh ci/{script}")));
        let check = Command::new("sh").arg("-n").arg(root().join("pull-request").join(script)).status().unwrap();
        assert!(check.success(), "{script} is no shell script");
    }
}

/// Every file below a folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// One marked value per class of what must not be seen; the last one is allowed by the model.
const FOREIGN: &str = "foreign-environment-MARK-1a";
const RESOLVED: &str = "resolved-parameter-MARK-2b";
const CREDENTIAL: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYMARK3cKEY0";
const LITERAL: &str = "looks-like-a-secret-MARK-4d";
const ALLOWED: &str = "allowed-plaintext-MARK-5e";

#[test]
fn no_secret_is_seen_but_what_the_model_allows() {
    let folder = Folder::of("upgrade");
    let mut world: serde_json::Value = serde_json::from_str(&read(&folder.path("world.json"))).unwrap();
    let text = serde_json::to_string(&world).unwrap();
    assert!(!text.contains("MARK"));
    plant(&mut world);
    fs::write(folder.path("world.json"), serde_json::to_string(&world).unwrap()).unwrap();
    // The model names a secret by reference and allows one literal.
    let model = read(&folder.path("model.yaml")).replacen(
        "      LOG_LEVEL: ${log_level-info}\n",
        &format!(
            "      LOG_LEVEL: ${{log_level-info}}\n      API_TOKEN: {ALLOWED}\n    allow_plaintext: [API_TOKEN]\n"
        ),
        1,
    );
    fs::write(folder.path("model.yaml"), &model).unwrap();
    let environment = [
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", CREDENTIAL),
        ("AWS_SESSION_TOKEN", CREDENTIAL),
        ("PARAMETER_OF_THE_AGENT", RESOLVED),
    ];
    let mut seen: Vec<(String, String)> = Vec::new();
    let mut run = |what: &str, expected: i32| {
        let output = folder.shell(what, &environment);
        assert_eq!(output.status.code(), Some(expected), "{what}: {}", said(&output));
        seen.push((what.to_owned(), said(&output)));
    };
    let inputs = "-p shop -m model.yaml -e prod.yaml";
    run(&format!("belayc scope {inputs} | belay observe - --simulated world.json -o observed.json"), 0);
    run(&format!("belayc render {inputs} -o render.yaml"), 0);
    run("sh plan.sh", 9);
    for format in ["text", "markdown", "mermaid", "dot", "html", "json"] {
        run(&format!("belayc show out/plan.json --format {format}"), 0);
    }
    run("belay apply out/plan.json --yes --simulated world.json --format json", 0);
    run("belay status --format json", 0);
    run("belay status", 0);
    // A literal that is not allowed is refused, and the refusal does not repeat it.
    fs::write(
        folder.path("model.yaml"),
        model.replace(ALLOWED, LITERAL).replace("    allow_plaintext: [API_TOKEN]\n", ""),
    )
    .unwrap();
    run("! belayc check -p shop -m model.yaml -e prod.yaml", 0);
    run("! belayc check -p shop -m model.yaml -e prod.yaml --format json", 0);
    fs::write(folder.path("keys.yaml"), format!("vars: {{aws_secret_access_key: {CREDENTIAL}}}\n")).unwrap();
    run("! belayc check -p shop -m model.yaml -e prod.yaml -e keys.yaml", 0);

    let mut paths = Vec::new();
    files(folder.0.path(), &mut paths);
    // What the user wrote, and the simulated AWS itself, hold them.
    paths.retain(|p| !["model.yaml", "keys.yaml", "world.json"].iter().any(|name| p.ends_with(name)));
    seen.extend(
        paths
            .into_iter()
            .map(|p| (p.display().to_string(), String::from_utf8_lossy(&fs::read(&p).unwrap()).into_owned())),
    );
    assert!(
        seen.iter().any(|(name, _)| name.ends_with("journal.jsonl") || name.contains("/runs/")),
        "no journal was looked at"
    );
    for (name, text) in &seen {
        for secret in [FOREIGN, RESOLVED, CREDENTIAL, LITERAL] {
            assert!(!text.contains(secret), "{secret} is seen in {name}");
        }
    }
    let holders: Vec<&str> =
        seen.iter().filter(|(_, text)| text.contains(ALLOWED)).map(|(name, _)| name.as_str()).collect();
    assert!(
        holders.iter().any(|name| name.ends_with("plan.json")),
        "a literal that is allowed is reviewed text: {holders:?}"
    );
}

/// Somebody else registered what `worker` runs now: nothing says that its environment is ours to show.
fn plant(world: &mut serde_json::Value) {
    let revision = &mut world["taskDefinitions"]["default_shop_worker"]["revisions"]["1"];
    revision["tags"] = serde_json::json!({});
    let container = revision["content"]["containerDefinitions"][0].as_object_mut().expect("a container");
    container.insert("environment".to_owned(), serde_json::json!([{"name": "PLAIN", "value": FOREIGN}]));
}
