//! The way of a pull request, as far as it can be run here: the scripts of `fixtures/pull-request` with the real programs
//! on a simulated AWS; and who learns which secret on that way.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use belay_executor::cloud::Cloud as _;
use belay_executor::simulator::SimulatedCloud;
use belay_schemas::checker;
use belay_tests::binaries;
use belay_tests::fixtures::{Fixture, read, root};
use belay_tests::loopback::{Loopback, Response};
use belay_tests::pipeline::block_on;
use serde_json::{Value, json};
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

    /// A program of that name in `bin`, as a shell script.
    fn program(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let bin = self.path("bin");
        fs::create_dir_all(&bin).unwrap();
        fs::write(bin.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
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
    let policy: Value = serde_json::from_str(&read(&folder.path("out/policy.json"))).unwrap();
    assert_eq!(policy["Version"], "2012-10-17");

    // Somebody approves a digest: another one is refused, the right one is applied.
    let digest = checker::load(&plan).unwrap().digest;
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

/// A step of the workflow: its script, and what its environment holds once GitHub's expressions are put in.
fn step<'w>(
    workflow: &'w Value,
    job: &str,
    holds: &str,
    expressions: &[(&str, &str)],
) -> (&'w str, Vec<(String, String)>) {
    let steps = workflow["jobs"][job]["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["run"].as_str().is_some_and(|run| run.contains(holds)));
    let step = step.unwrap_or_else(|| panic!("no step of {job} runs {holds}"));
    let own = step["env"].as_object().into_iter().flatten();
    let variables = workflow["env"].as_object().into_iter().flatten().chain(own).map(|(name, value)| {
        let mut text = value.as_str().unwrap().to_owned();
        for (expression, stands_for) in expressions {
            text = text.replace(&format!("${{{{ {expression} }}}}"), stands_for);
        }
        assert!(!text.contains("${{"), "{name}: {text}");
        (name.clone(), text)
    });
    (step["run"].as_str().unwrap(), variables.collect())
}

#[test]
fn the_workflow_runs_as_it_stands() {
    let text = read(&root().join("pull-request/github-actions.yml"));
    let workflow: Value = serde_yaml::from_str(&text).unwrap();
    let jobs = workflow["jobs"].as_object().unwrap();
    let mut names: Vec<&str> = jobs.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["apply", "comment", "observe", "plan"]);
    // Only two jobs may become a role; the one that compiles has no credentials at all.
    for (name, job) in jobs {
        let role = job["permissions"]["id-token"].as_str() == Some("write");
        assert_eq!(role, ["observe", "apply"].contains(&name.as_str()), "{name:?}");
    }
    assert_eq!(jobs["apply"]["environment"].as_str(), Some("production"));

    // The steps' own scripts, with a `belay` that works on a simulated AWS and a `gh` that notes what it is asked.
    let folder = Folder::of("upgrade");
    fs::create_dir_all(folder.path("ci")).unwrap();
    for script in ["plan.sh", "apply.sh"] {
        fs::rename(folder.path(script), folder.path("ci").join(script)).unwrap();
    }
    fs::remove_file(folder.path("observed.json")).unwrap();
    let programs = binaries::folder().display();
    folder.program("belayc", &format!("exec {programs}/belayc \"$@\""));
    folder.program(
        "belay",
        &format!(
            "command=$1; shift\ncase $command in observe | verify | apply) set -- \"$@\" --simulated world.json ;; esac\nexec {programs}/belay \"$command\" \"$@\""
        ),
    );
    folder.program("gh", "echo \"$*\" >>asked.txt\ncase $* in *--paginate*) cat ids.txt ;; esac");
    fs::write(folder.path("ids.txt"), "").unwrap();
    let expressions =
        [("github.token", "token"), ("github.repository", "shop/deploy"), ("github.event.pull_request.number", "7")];
    let run = |job: &str, holds: &str, more: &[(&str, &str)]| {
        let all: Vec<(&str, &str)> = expressions.iter().chain(more).copied().collect();
        let (script, variables) = step(&workflow, job, holds, &all);
        let mut variables: Vec<(&str, &str)> = variables.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        variables.extend([("GITHUB_OUTPUT", "output.txt"), ("GITHUB_STEP_SUMMARY", "summary.md")]);
        let output = folder.shell(&format!("set -e\nPATH=$PWD/bin:$PATH\n{script}"), &variables);
        assert_eq!(output.status.code(), Some(0), "{job}: {}", said(&output));
        said(&output)
    };
    run("observe", "belay observe", &[]);
    run("plan", "ci/plan.sh", &[]);
    let plan = checker::load(&read(&folder.path("out/plan.json"))).unwrap();
    assert_eq!(read(&folder.path("output.txt")), format!("changes=9\ndigest={}\n", plan.digest));
    let comment = read(&folder.path("out/comment.md"));
    assert_eq!(read(&folder.path("summary.md")), comment);
    assert!(comment.contains("#### Rehearsal") && comment.contains("It holds: "), "{comment}");
    // The first time the comment is written, then it is found by its first line and written over.
    run("comment", "gh api", &[]);
    fs::write(folder.path("ids.txt"), "4711\n").unwrap();
    run("comment", "gh api", &[]);
    let mark = comment.lines().next().unwrap();
    let comments = "repos/shop/deploy/issues/7/comments";
    let asked = [
        format!("api --paginate {comments} --jq .[] | select(.body | startswith(\"{mark}\")) | .id"),
        format!("api -X POST {comments} -F body=@out/comment.md"),
        format!("api --paginate {comments} --jq .[] | select(.body | startswith(\"{mark}\")) | .id"),
        "api -X PATCH repos/shop/deploy/issues/comments/4711 -F body=@out/comment.md".to_owned(),
    ];
    assert_eq!(read(&folder.path("asked.txt")).lines().collect::<Vec<_>>(), asked);
    let said = run("apply", "ci/apply.sh", &[("needs.plan.outputs.digest", &plan.digest)]);
    assert!(said.contains("shop is as planned") || said.contains("Done"), "{said}");
}

#[test]
fn the_scripts_ask_for_signatures_where_signers_are_named() {
    let folder = Folder::of("upgrade");
    let output = folder.shell("sh plan.sh", &[]);
    assert_eq!(output.status.code(), Some(9), "{}", said(&output));
    let digest = checker::load(&read(&folder.path("out/plan.json"))).unwrap().digest;
    let make = "ssh-keygen -q -t ed25519 -N '' -C '' -f key && echo \"ann@example.com $(cat key.pub)\" >signers";
    assert!(folder.shell(make, &[]).status.success());
    let signed = [("PLAN", "out/plan.json"), ("DIGEST", digest.as_str()), ("SIGNERS", "signers")];
    let apply = "sh apply.sh --simulated world.json";
    let output = folder.shell(apply, &signed);
    assert!(
        output.status.code() == Some(2) && said(&output).contains("this plan is not approved"),
        "{}",
        said(&output)
    );
    let output = folder.shell("belay approve out/plan.json --key key", &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let output = folder.shell(apply, &signed);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn a_plan_that_cannot_reach_its_target_is_commented_as_such() {
    // Its image never becomes healthy: the rehearsal is told so by the settings.
    let folder = Folder::of("upgrade");
    folder.program(
        "belay",
        &format!(
            "case $1 in rehearse) exec {0}/belay \"$@\" --world-settings broken.json ;; esac\nexec {0}/belay \"$@\"",
            binaries::folder().display()
        ),
    );
    let broken = json!({"images": {"shop/api:5.2.0": {"behaviour": {"kind": "never-healthy"}}}});
    fs::write(folder.path("broken.json"), broken.to_string()).unwrap();
    let output = folder.shell("PATH=$PWD/bin:$PATH sh plan.sh", &[]);
    assert_eq!(output.status.code(), Some(9), "it is taken back, so that it holds: {}", said(&output));
    let comment = read(&folder.path("out/comment.md"));
    assert!(comment.contains("Even undisturbed it does not reach the target state"), "{}{comment}", said(&output));
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
const TOKEN: &str = "session-token-MARK-3d";
const REGISTRY: &str = "registry-password-MARK-3e";
const LITERAL: &str = "looks-like-a-secret-MARK-4d";
const ALLOWED: &str = "allowed-plaintext-MARK-5e";
const SECRETS: [&str; 6] = [FOREIGN, RESOLVED, CREDENTIAL, TOKEN, REGISTRY, LITERAL];
const PARAMETER: &str = "arn:aws:ssm:us-east-1:123456789012:parameter/shop/db";

/// What a command or a file says.
type Seen = Vec<(String, String)>;

/// Everything that a command said, after it ended as expected.
fn ended(what: &str, output: &Output, expected: i32) -> (String, String) {
    assert_eq!(output.status.code(), Some(expected), "{what}: {}", said(output));
    (what.to_owned(), said(output))
}

/// Every file below a folder, but for some.
fn written(folder: &Path, but: &[&str]) -> Seen {
    let mut paths = Vec::new();
    files(folder, &mut paths);
    paths.retain(|path| !but.iter().any(|name| path.ends_with(name)));
    let text = |path: &PathBuf| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    let name = |path: &PathBuf| path.strip_prefix(folder).unwrap().display().to_string();
    paths.iter().map(|path| (name(path), text(path))).collect()
}

/// Nobody says a secret, plain or as it stands in a header.
fn none_is_seen(seen: &Seen) {
    for (name, text) in seen {
        for secret in SECRETS {
            let encoded = STANDARD.encode(secret);
            assert!(!text.contains(secret) && !text.contains(&encoded), "{secret} is seen in {name}");
        }
        let login = STANDARD.encode(format!("user:{REGISTRY}"));
        assert!(!text.contains(&login), "the registry's password is seen in {name}");
    }
}

#[test]
fn no_secret_is_seen_but_what_the_model_allows() {
    let folder = Folder::of("upgrade");
    // Somebody else runs a service whose name begins as ours do.
    let cloud = SimulatedCloud::open(&folder.path("world.json"), 0.0).unwrap();
    let call = |operation: &str, input: Value| block_on(cloud.call("ecs", operation, &input)).unwrap();
    let container = json!({"name": "report", "image": "other/report:1", "memory": 64,
                           "environment": [{"name": "PLAIN", "value": FOREIGN}]});
    call("RegisterTaskDefinition", json!({"family": "report", "containerDefinitions": [container]}));
    call("CreateService", json!({"serviceName": "shop_report", "taskDefinition": "report", "desiredCount": 1}));
    drop(cloud);
    // The model names a secret by reference and allows one literal.
    let model = read(&folder.path("model.yaml"));
    let changed = model.replacen(
        "      LOG_LEVEL: ${log_level-info}\n    plugin:\n      ec2-ecs: {cpu: 128, mem: 256}\n",
        &format!(
            "      LOG_LEVEL: ${{log_level-info}}\n      API_TOKEN: {ALLOWED}\n    allow_plaintext: [API_TOKEN]\n    plugin:\n      ec2-ecs: {{cpu: 128, mem: 256, role: arn:aws:iam::123456789012:role/web, raw: {{task_definition: {{executionRoleArn: arn:aws:iam::123456789012:role/agent, containerDefinitions: {{secrets: [{{name: DB_PASSWORD, valueFrom: {PARAMETER}}}]}}}}}}}}\n"
        ),
        1,
    );
    assert_ne!(changed, model);
    let model = changed;
    fs::write(folder.path("model.yaml"), &model).unwrap();
    let environment = [
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", CREDENTIAL),
        ("AWS_SESSION_TOKEN", TOKEN),
        ("DB_PASSWORD", RESOLVED),
    ];
    let mut seen = Seen::new();
    let mut run = |what: &str, expected: i32| seen.push(ended(what, &folder.shell(what, &environment), expected));
    let inputs = "-p shop -m model.yaml -e prod.yaml";
    run(&format!("belayc scope {inputs} | belay observe - --simulated world.json -o observed.json"), 0);
    let observed = read(&folder.path("observed.json"));
    assert!(
        observed.contains("shop_report") && observed.contains("\"PLAIN\""),
        "somebody else's service was not looked at"
    );
    run(&format!("belayc render {inputs} -o render.yaml"), 0);
    run(&format!("belayc compile {inputs} --observed observed.json -o other.json --replace-all"), 0);
    run("sh plan.sh", 9);
    run("belay rehearse out/plan.json --observed observed.json --pairs 0 --format json > rehearsal.json", 0);
    for format in ["text", "markdown", "mermaid", "dot", "html", "json"] {
        run(&format!("belayc show out/plan.json --format {format} --rehearsal rehearsal.json"), 0);
    }
    run("belayc show out/plan.json --node web.task-definition.register", 0);
    run("belayc diff other.json out/plan.json", 0);
    run("belayc policy out/plan.json", 0);
    run("belay rehearse out/plan.json --observed observed.json --pairs 0", 0);
    run("belay verify out/plan.json --simulated world.json", 0);
    run("belay apply out/plan.json --yes --simulated world.json --trace trace.jsonl", 0);
    run("belay status --format json", 0);
    run("belay status", 0);
    run("belay rollback --format json", 0);
    // A literal that is not allowed is refused, and the refusal does not repeat it.
    let wrong = model.replace(ALLOWED, LITERAL).replace("    allow_plaintext: [API_TOKEN]\n", "");
    fs::write(folder.path("model.yaml"), wrong).unwrap();
    for format in ["human", "json", "github"] {
        run(&format!("belayc check {inputs} --format {format}"), 1);
    }
    fs::write(folder.path("keys.yaml"), format!("vars: {{aws_secret_access_key: {CREDENTIAL}}}\n")).unwrap();
    run(&format!("belayc check {inputs} -e keys.yaml"), 1);

    // What the user wrote, and the simulated AWS itself, hold them.
    let written = written(folder.0.path(), &["model.yaml", "keys.yaml", "world.json"]);
    for needed in ["journal.jsonl", "trace.jsonl", "observed.json", "plan.json", "plan.html", "rehearsal.json"] {
        assert!(
            written.iter().any(|(name, text)| name.ends_with(needed) && !text.is_empty()),
            "{needed} was not looked at"
        );
    }
    seen.extend(written);
    none_is_seen(&seen);
    // The secret is there by reference, and nobody who has the plan's policy could resolve it.
    let of = |name: &str| &seen.iter().find(|(n, _)| n == name).unwrap().1;
    assert!(of("out/plan.json").contains(PARAMETER));
    assert!(!of("out/policy.json").contains("ssm:") && !of("out/policy.json").contains("secretsmanager:"));
    // The literal that the model allows is reviewed text: these hold it, and no other.
    let run_id = regex::Regex::new(r"runs/[^/]+/").unwrap();
    let mut holders: Vec<String> = seen
        .iter()
        .filter(|(_, text)| text.contains(ALLOWED))
        .map(|(name, _)| run_id.replace(name, "runs/RUN/").into_owned())
        .collect();
    holders.sort_unstable();
    insta::assert_snapshot!("holders_of_an_allowed_literal", holders.join("\n"));
}

/// Credentials are sent where they belong, signed or in a registry's header, and said nowhere.
#[test]
fn credentials_are_used_and_never_said() {
    let aws = Loopback::start(|_| {
        Some(Response::ok(
            "<GetCallerIdentityResponse xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><GetCallerIdentityResult>\
             <Arn>arn:aws:iam::123456789012:user/deployer</Arn><UserId>AIDA</UserId><Account>123456789012</Account>\
             </GetCallerIdentityResult></GetCallerIdentityResponse>",
        ))
    });
    for (source, accepted) in [("environment", true), ("file", true), ("file", false)] {
        let registry = Loopback::start(move |request| {
            let digest = format!("sha256:{}", "ab".repeat(32));
            Some(match request.headers.contains_key("authorization") {
                true if accepted => Response {
                    status: 200,
                    headers: vec![
                        ("docker-content-digest".to_owned(), digest),
                        ("content-type".to_owned(), "application/vnd.oci.image.manifest.v1+json".to_owned()),
                    ],
                    body: "{}".to_owned(),
                },
                true => Response::error(403, "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no\"}]}"),
                false => Response {
                    status: 401,
                    headers: vec![("www-authenticate".to_owned(), "Basic realm=\"shop\"".to_owned())],
                    body: String::new(),
                },
            })
        });
        let home = TempDir::new().unwrap();
        let write = |name: &str, text: String| {
            let path = home.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let login = json!({"auths": {registry.address(): {"auth": STANDARD.encode(format!("user:{REGISTRY}"))}}});
        write(".docker/config.json", login.to_string());
        let image = format!("{}/shop/web:1", registry.address());
        write("scope.json", json!({"format": 1, "project": "shop", "images": [image]}).to_string());
        let mut command = binaries::program("belay", home.path());
        command.args(["observe", "scope.json", "-o", "observed.json", "--trace", "trace.jsonl"]);
        command.envs([("AWS_ENDPOINT_URL", aws.url().as_str()), ("AWS_REGION", "us-east-1")]);
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        match source {
            "environment" => {
                command.envs([("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", CREDENTIAL)]);
                command.env("AWS_SESSION_TOKEN", TOKEN);
            }
            _ => write(
                ".aws/credentials",
                format!(
                    "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = {CREDENTIAL}\naws_session_token = {TOKEN}\n"
                ),
            ),
        }
        let output = command.output().unwrap();
        let mut seen = vec![ended("belay observe", &output, 0)];
        // They were used: AWS got the token and a signature, the registry the password.
        let asked = aws.take();
        assert!(asked.iter().all(|r| r.headers["x-amz-security-token"] == TOKEN) && !asked.is_empty(), "{source}");
        assert!(!format!("{asked:?}").contains(CREDENTIAL), "the key itself is sent to nobody");
        let sent = format!("Basic {}", STANDARD.encode(format!("user:{REGISTRY}")));
        assert!(registry.take().iter().any(|r| r.headers.get("authorization") == Some(&sent)), "{source}: no login");
        seen.extend(written(home.path(), &["config.json", "credentials"]));
        assert!(seen.iter().any(|(name, text)| name == "trace.jsonl" && text.contains("GetCallerIdentity")));
        let observed = &seen.iter().find(|(name, _)| name == "observed.json").unwrap().1;
        assert_eq!(observed.contains("RegistryAccessDenied"), !accepted, "{observed}");
        none_is_seen(&seen);
    }
}
