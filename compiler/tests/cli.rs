//! The program as a user meets it: in a folder of its own, in an empty environment.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "helpers of tests run the program on files")]

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const MODEL: &str = "\
components:
  web:
    image: nginx:${tag-1.13}
    replicas: 2
    uses: {back: {}}
    plugin: {ec2-ecs: {mem: 256}}
  back:
    image: back:1.0
    plugin: {ec2-ecs: {mem: 128}}
";

const ENVIRONMENT: &str = "\
plugin_config:
  ec2-ecs: {region: us-east-1, cluster: default}
";

/// A folder with files in it.
struct Folder(TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Self(folder)
    }

    fn good() -> Self {
        Self::new(&[("model.yaml", MODEL), ("prod.yaml", ENVIRONMENT)])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_belayc"));
        command.env_clear().current_dir(self.0.path()).args(arguments.split_whitespace());
        command
    }

    fn run(&self, arguments: &str) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().unwrap()
    }

    fn run_with(&self, arguments: &str, input: &str) -> Output {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Exit code, standard output and standard error in one text.
fn all(output: &Output) -> String {
    let mut text = format!("exit {}\n", output.status.code().unwrap());
    for (name, part) in [("stdout", out(output)), ("stderr", err(output))] {
        if !part.is_empty() {
            text.push_str(&format!("--- {name}\n{part}"));
        }
    }
    text
}

const INPUTS: &str = "-p shop -m model.yaml -e prod.yaml";

#[test]
fn compile_writes_the_plan_to_stdout_and_nothing_else_there() {
    let output = Folder::good().run(&format!("compile {INPUTS}"));
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let plan = belay_schemas::checker::load(&out(&output)).unwrap();
    assert_eq!(plan.project, "shop");
}

#[test]
fn a_plan_is_a_file_or_nothing() {
    let folder = Folder::good();
    let output = folder.run(&format!("compile {INPUTS} -o plan.json"));
    insta::assert_snapshot!(all(&output));
    assert_eq!(folder.names(), ["model.yaml", "plan.json", "prod.yaml"]);
    let first = fs::read_to_string(folder.path("plan.json")).unwrap();

    fs::write(folder.path("model.yaml"), "components: {web: {image: 1}}\n").unwrap();
    let output = folder.run(&format!("compile {INPUTS} -o plan.json"));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read_to_string(folder.path("plan.json")).unwrap(), first);
    assert_eq!(folder.names(), ["model.yaml", "plan.json", "prod.yaml"]);
}

#[test]
fn the_same_inputs_give_the_same_bytes_wherever_they_lie() {
    let folder = Folder::good();
    let relative = out(&folder.run(&format!("compile {INPUTS}")));
    let dotted = out(&folder.run("compile -p shop -m ./model.yaml -e ./prod.yaml"));
    let absolute =
        format!("compile -p shop -m {} -e prod.yaml", fs::canonicalize(folder.path("model.yaml")).unwrap().display());
    assert_eq!(relative, dotted);
    assert_eq!(relative, out(&folder.run(&absolute)));
    assert_eq!(relative, out(&Folder::good().run(&format!("compile {INPUTS}"))));
}

#[test]
fn changes_have_an_exit_code_of_their_own() {
    let folder = Folder::good();
    assert_eq!(folder.run(&format!("compile {INPUTS} --exit-code")).status.code(), Some(9));
    assert_eq!(folder.run(&format!("compile {INPUTS}")).status.code(), Some(0));
}

#[test]
fn check_tells_all_errors_of_all_files() {
    let folder = Folder::new(&[
        (
            "model.yaml",
            "components:\n  web:\n    imagee: nginx\n    replicas: two\n    env: {A: \"${nope}\"}\n    replicas: 3\n",
        ),
        ("prod.yaml", "plugin_config:\n  ec2-ecs: {clustre: default}\n"),
    ]);
    insta::assert_snapshot!(all(&folder.run(&format!("check {INPUTS}"))));
}

#[test]
fn check_says_nothing_about_good_inputs() {
    insta::assert_snapshot!(all(&Folder::good().run(&format!("check {INPUTS}"))));
}

#[test]
fn check_without_observed_state_leaves_look_ups_open_and_checks_the_rest() {
    let gateway = "gateways:\n  site: {type: load_balancer, exposes: {port: 80}, target: [web]}\n";
    let environment = "plugin_config:\n  ec2-ecs: {region: us-east-1, lb: {site: by-name}}\n";
    let folder = Folder::new(&[("model.yaml", &format!("{MODEL}{gateway}")), ("prod.yaml", environment)]);
    let checked = folder.run(&format!("check {INPUTS}"));
    assert_eq!(checked.status.code(), Some(0), "{}", all(&checked));
    assert!(all(&checked).contains("warning[B345]"), "{}", all(&checked));
    let compiled = folder.run(&format!("compile {INPUTS} -o plan.json"));
    assert_eq!(compiled.status.code(), Some(1), "{}", all(&compiled));
    assert!(!folder.path("plan.json").exists());
}

#[test]
fn check_for_programs_and_github_writes_to_stdout() {
    let folder =
        Folder::new(&[("model.yaml", "components: {web: {image: nginx, replica: 2}}\n"), ("prod.yaml", "{}\n")]);
    insta::assert_snapshot!(all(&folder.run(&format!("check {INPUTS} --format json"))));
    insta::assert_snapshot!(all(&folder.run(&format!("check {INPUTS} --format github"))));
}

#[test]
fn files_that_cannot_be_read_are_all_named() {
    let folder = Folder::new(&[("prod.yaml", "vars: {a: 1}\n")]);
    fs::create_dir(folder.path("folder")).unwrap();
    fs::write(folder.path("latin.yaml"), b"vars: {a: \xe9}\n").unwrap();
    fs::write(folder.path("wide.yaml"), b"\xff\xfea\0").unwrap();
    let output = folder.run("check -p shop -m model.yaml -e prod.yaml -e folder -e latin.yaml -e wide.yaml");
    insta::assert_snapshot!(all(&output));
}

#[test]
fn hostile_files_are_refused() {
    let bomb = (1..10).fold("a0: &a0 [x]\n".to_owned(), |text, n| {
        format!("{text}a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", "))
    });
    let folder = Folder::new(&[
        ("bomb.yaml", &bomb),
        ("empty.yaml", ""),
        ("deep.yaml", &"[".repeat(100_000)),
        ("nul.yaml", "a: \0\n"),
        ("prod.yaml", ENVIRONMENT),
    ]);
    for (name, code) in [("bomb", "B010"), ("empty", "B005"), ("deep", "B011"), ("nul", "B003")] {
        let output = folder.run(&format!("check -p shop -m {name}.yaml -e prod.yaml"));
        assert_eq!(output.status.code(), Some(1));
        assert!(err(&output).contains(&format!("error[{code}]")), "{}", err(&output));
    }
}

#[test]
fn standard_input_is_a_file_like_any_other_but_only_once() {
    let folder = Folder::good();
    let output = folder.run_with("compile -p shop -m - -e prod.yaml", MODEL);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(out(&output).contains("<stdin>:2:3"));
    let output = folder.run_with("check -p shop -m - -e prod.yaml", "components: {web: 1}\n");
    insta::assert_snapshot!(all(&output));
    insta::assert_snapshot!(all(&folder.run("check -p shop -m - -e -")));
}

#[test]
fn variables_come_from_the_command_line() {
    let folder = Folder::good();
    let output = folder.run(&format!("compile {INPUTS} --var tag=1.27"));
    assert!(out(&output).contains("\"nginx:1.27\""));
    insta::assert_snapshot!(all(&folder.run(&format!("check {INPUTS} --var tga=1"))));
    insta::assert_snapshot!(all(&folder.run(&format!("check {INPUTS} --var tga=1 --deny-warnings"))));
    insta::assert_snapshot!(all(&folder.run(&format!("check {INPUTS} --var tag"))));
    insta::assert_snapshot!(all(&folder.run(&format!("check {INPUTS} --var a-b=1"))));
}

#[test]
fn colour_is_for_terminals_or_on_request() {
    let folder = Folder::new(&[("model.yaml", "components: {web: 1}\n"), ("prod.yaml", "{}\n")]);
    let coloured = |arguments: &str, no_color: Option<&str>| {
        let mut command = folder.command(&format!("check {INPUTS} {arguments}"));
        if let Some(value) = no_color {
            command.env("NO_COLOR", value);
        }
        err(&command.output().unwrap()).contains('\u{1b}')
    };
    assert!(!coloured("", None));
    assert!(coloured("--color always", None));
    assert!(!coloured("", Some("1")));
    assert!(!coloured("--color never", None));
}

#[test]
fn scope_is_json() {
    let output = Folder::good().run(&format!("scope {INPUTS}"));
    let scope: belay_schemas::scope::Scope = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(scope.project, "shop");
    assert_eq!(scope.region.as_deref(), Some("us-east-1"));
}

#[test]
fn observed_state_that_is_none_is_located() {
    let folder = Folder::good();
    for (name, text) in [
        ("truncated.json", "{\n  \"format\": 1,\n  \"account\": \"1"),
        ("version.json", "{\n  \"format\": 2,\n  \"accounts\": []\n}\n"),
        ("unversioned.json", "{}\n"),
        ("scope.json", "{\n  \"format\": 1,\n  \"project\": \"shop\"\n}\n"),
        ("list.json", "[]\n"),
    ] {
        fs::write(folder.path(name), text).unwrap();
        let output = folder.run(&format!("check {INPUTS} --observed {name}"));
        insta::assert_snapshot!(name, all(&output));
    }
    insta::assert_snapshot!(all(&folder.run(&format!("check {INPUTS} --observed none.json"))));
}

#[test]
fn show_lists_a_plan_for_people() {
    let folder = Folder::good();
    folder.run(&format!("compile {INPUTS} -o plan.json"));
    let mut settings = insta::Settings::clone_current();
    settings.add_filter("sha256:[0-9a-f]{64}", "sha256:…");
    settings.bind(|| {
        insta::assert_snapshot!("show_text", all(&folder.run("show plan.json")));
        insta::assert_snapshot!("show_node", all(&folder.run("show plan.json --node web.service.create")));
    });
    let plan = fs::read_to_string(folder.path("plan.json")).unwrap();
    assert_eq!(out(&folder.run("show plan.json --format json")), plan);
    assert_eq!(out(&folder.run_with("show - --format json", &plan)), plan);
    insta::assert_snapshot!(all(&folder.run("show plan.json --node web.service.creat")));
}

#[test]
fn show_refuses_what_is_no_plan_and_unknown_formats() {
    let folder = Folder::good();
    folder.run(&format!("compile {INPUTS} -o plan.json"));
    insta::assert_snapshot!(all(&folder.run("show none.json")));
    insta::assert_snapshot!(all(&folder.run("show model.yaml")));
    insta::assert_snapshot!(all(&folder.run("show plan.json --format html --node web.service.create")));
    insta::assert_snapshot!(all(&folder.run("show plan.json --format tree")));
    let plan = fs::read_to_string(folder.path("plan.json")).unwrap();
    fs::write(folder.path("changed.json"), plan.replace("nginx:1.13", "nginx:1.14")).unwrap();
    let output = folder.run("show changed.json");
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("changed after it was compiled"), "{}", err(&output));
}

#[test]
fn an_output_that_cannot_be_written_is_the_environments_fault() {
    let folder = Folder::good();
    insta::assert_snapshot!(all(&folder.run(&format!("compile {INPUTS} -o none/plan.json"))));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let folder = Folder::good();
    let mut child = folder.command("schema plan").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), err(&output).as_str()), (Some(0), ""));
}

#[test]
fn schemas_are_the_committed_ones() {
    let folder = Folder::new(&[]);
    for kind in belay_schemas::json_schema::Kind::ALL {
        let committed =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../schemas/{}.schema.json", kind.name()));
        let output = folder.run(&format!("schema {}", kind.name()));
        assert_eq!(out(&output), fs::read_to_string(committed).unwrap());
    }
    insta::assert_snapshot!(all(&folder.run("schema modle")));
}

#[test]
fn completions_and_help_are_there() {
    let folder = Folder::new(&[]);
    for shell in ["bash", "zsh", "fish"] {
        let output = folder.run(&format!("completions {shell}"));
        assert!(output.status.success() && out(&output).contains("belayc"), "{shell}");
    }
    insta::assert_snapshot!("help", all(&folder.run("--help")));
    insta::assert_snapshot!("help_compile", all(&folder.run("compile --help")));
    assert_eq!(folder.run("").status.code(), Some(2));
    assert_eq!(folder.run("compile -p shop").status.code(), Some(2));
}

#[test]
fn codes_are_explained() {
    let folder = Folder::new(&[]);
    insta::assert_snapshot!("explain_page", all(&folder.run("explain b302")));
    insta::assert_snapshot!("explain_unknown", all(&folder.run("explain B999")));
    let list = folder.run("explain");
    assert!(out(&list).starts_with("B001  file cannot be read\n"), "{}", out(&list));
}

#[test]
fn every_format_is_written_to_a_file_or_to_stdout() {
    let folder = Folder::good();
    folder.run(&format!("compile {INPUTS} -o plan.json"));
    for (format, part) in [
        ("markdown", "### Belay: deploy `shop`"),
        ("mermaid", "flowchart LR"),
        ("dot", "digraph plan {"),
        ("html", "<!doctype html>"),
    ] {
        let printed = out(&folder.run(&format!("show plan.json --format {format}")));
        assert!(printed.contains(part), "{format}:\n{printed}");
        let output = folder.run(&format!("show plan.json --format {format} -o shown"));
        assert!(output.status.success() && output.stdout.is_empty());
        assert_eq!(fs::read_to_string(folder.path("shown")).unwrap(), printed);
    }
    let coloured = out(&folder.run("--color always show plan.json"));
    assert!(coloured.contains("\u{1b}[1m") && !out(&folder.run("show plan.json")).contains('\u{1b}'));
}

#[test]
fn plans_are_compared_by_what_they_mean() {
    let folder = Folder::good();
    folder.run(&format!("compile {INPUTS} -o old.json"));
    fs::write(folder.path("model.yaml"), format!("# a comment moves every line\n{MODEL}")).unwrap();
    folder.run(&format!("compile {INPUTS} -o moved.json"));
    let mut settings = insta::Settings::clone_current();
    settings.add_filter("sha256:[0-9a-f]{64}", "sha256:…");
    settings.add_filter("\\b[0-9a-f]{64}\\b", "…");
    settings.bind(|| {
        insta::assert_snapshot!("diff_same", all(&folder.run("diff old.json moved.json --exit-code")));
        fs::write(folder.path("model.yaml"), MODEL.replace("1.13", "1.14").replace("uses: {back: {}}", "env: {A: b}"))
            .unwrap();
        folder.run(&format!("compile {INPUTS} -o other.json"));
        insta::assert_snapshot!("diff_other", all(&folder.run("diff old.json other.json --exit-code")));
    });
    assert_eq!(folder.run("diff old.json other.json").status.code(), Some(0));
}

#[test]
fn the_resolved_model_says_where_each_value_comes_from() {
    let folder = Folder::good();
    let output = folder.run(&format!("render {INPUTS} --var tag=1.14"));
    insta::assert_snapshot!("render", all(&output));
    // What is rendered is a model of the same meaning.
    let text = out(&output);
    let (model, environment) = text.split_once("---\n").unwrap();
    fs::write(folder.path("model.yaml"), model).unwrap();
    fs::write(folder.path("prod.yaml"), environment).unwrap();
    let again = out(&folder.run(&format!("compile {INPUTS}")));
    let first = out(&Folder::good().run(&format!("compile {INPUTS} --var tag=1.14")));
    let digest = |plan: &str| belay_schemas::checker::load(plan).unwrap().inputs.model;
    assert_eq!(digest(&again), digest(&first));
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let folder = Folder::new(&[]);
    assert!(folder.run("man pages").status.success());
    let pages = fs::read_dir(folder.path("pages")).unwrap().count();
    let help = out(&folder.run("--help"));
    assert!(pages > 12 && help.contains("diff"), "{pages} pages");
    let page = fs::read_to_string(folder.path("pages/belayc-compile.1")).unwrap();
    assert!(page.contains("Examples") && page.contains("observed"), "{page}");
}

#[test]
fn live_needs_belay_and_says_so() {
    let folder = Folder::good();
    let output = folder.run(&format!("compile {INPUTS} --live --observe-option=--no-such-option"));
    assert!([1, 6].contains(&output.status.code().unwrap()), "{}", all(&output));
    assert_eq!(folder.run(&format!("compile {INPUTS} --live --observed x.json")).status.code(), Some(2));
}

#[test]
fn several_environments_get_a_plan_each() {
    let staging = ENVIRONMENT.replace("default", "staging");
    let files = [
        ("model.yaml", MODEL),
        ("prod.yaml", ENVIRONMENT),
        ("staging.yaml", &*staging),
        ("tag.yaml", "vars: {tag: 1.14}\n"),
    ];
    let folder = Folder::new(&files);
    let both = "-p shop -m model.yaml -e staging=staging.yaml,tag.yaml -e prod=prod.yaml";
    let output = folder.run(&format!("compile {both} -o {{environment}}.plan.json"));
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let plan = |name: &str| fs::read_to_string(folder.path(&format!("{name}.plan.json"))).unwrap();
    assert!(plan("staging").contains("staging_shop_web") && plan("staging").contains("nginx:1.14"));
    assert!(plan("prod").contains("default_shop_web") && plan("prod").contains("nginx:1.13"));
    // Each is what it would be alone.
    let alone = folder.run("compile -p shop -m model.yaml -e prod.yaml");
    assert_eq!(out(&alone), plan("prod"));
    let mut settings = insta::Settings::clone_current();
    settings.add_filter("sha256:[0-9a-f]{64}", "sha256:…");
    settings.bind(|| {
        insta::assert_snapshot!("diff_environments", all(&folder.run("diff staging.plan.json prod.plan.json")));
    });
    let output = folder.run(&format!("scope {both} -o {{environment}}.scope.json"));
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(folder.names().contains(&"staging.scope.json".to_owned()));
}

#[test]
fn several_environments_are_all_right_or_none_is_written() {
    let folder = Folder::new(&[
        ("model.yaml", MODEL),
        ("prod.yaml", ENVIRONMENT),
        ("bad.yaml", "plugin_config: {ec2-ecs: {clustre: x}}\n"),
    ]);
    let output =
        folder.run("compile -p shop -m model.yaml -e good=prod.yaml -e bad=bad.yaml -o {environment}.plan.json");
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("In environment bad:") && err(&output).contains("B201"), "{}", err(&output));
    assert!(!folder.names().contains(&"good.plan.json".to_owned()));
    for (arguments, says) in [
        ("-e good=prod.yaml -e prod.yaml -o {environment}.json", "has no name"),
        ("-e good=prod.yaml -e good=bad.yaml -o {environment}.json", "given twice"),
        ("-e good=prod.yaml -e other=prod.yaml -o plan.json", "whose it is"),
        ("-e good=prod.yaml -e other=prod.yaml", "several files"),
    ] {
        let output = folder.run(&format!("compile -p shop -m model.yaml {arguments}"));
        assert_eq!(output.status.code(), Some(2), "{arguments}");
        assert!(err(&output).contains(says), "{arguments}: {}", err(&output));
    }
}

#[test]
fn what_is_read_is_not_written_over() {
    let folder = Folder::good();
    folder.run(&format!("compile {INPUTS} -o plan.json"));
    let before: Vec<String> =
        ["model.yaml", "prod.yaml", "plan.json"].map(|name| fs::read_to_string(folder.path(name)).unwrap()).into();
    for (arguments, file) in [
        (format!("compile {INPUTS} -o model.yaml"), "model.yaml"),
        (format!("scope {INPUTS} -o ./prod.yaml"), "./prod.yaml"),
        (format!("render {INPUTS} -o ../{}/prod.yaml", folder.0.path().file_name().unwrap().display()), "prod.yaml"),
        ("show plan.json --format html -o plan.json".to_owned(), "plan.json"),
        ("policy plan.json -o plan.json".to_owned(), "plan.json"),
    ] {
        let output = folder.run(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments}: {}", all(&output));
        let said = err(&output);
        assert!(said.contains(file) && said.contains("is read: name another file"), "{arguments}: {said}");
    }
    let after: Vec<String> =
        ["model.yaml", "prod.yaml", "plan.json"].map(|name| fs::read_to_string(folder.path(name)).unwrap()).into();
    assert_eq!(before, after);
    // A plan is written over the one before.
    assert_eq!(folder.run(&format!("compile {INPUTS} -o plan.json")).status.code(), Some(0));
}

#[test]
fn wrong_names_are_told_before_anything_is_observed_or_written() {
    let folder = Folder::good();
    folder.run(&format!("compile {INPUTS} -o plan.json"));
    fs::create_dir(folder.path("cases")).unwrap();
    fs::write(folder.path("cases/case.yaml"), "model: nowhere.yaml\nenvironments: [prod.yaml]\n").unwrap();
    for (arguments, code, says) in [
        ("init -p my.shop web", 2, "`my.shop` cannot be the name of a project"),
        ("init -p shop --cluster a/b web", 2, "`a/b` cannot be the name of a cluster"),
        ("init -p shop web we.b", 2, "`we.b` cannot be the name of a component"),
        ("show prod.yaml", 1, "help: a plan is what `belayc compile"),
        ("test nowhere", 2, "nowhere cannot be read: there is no such folder"),
        ("test cases", 1, "nowhere.yaml cannot be read: there is no such file"),
        ("test cases --filter web", 2, "no case below cases has `web` in its path"),
        ("policy plan.json --profile-role app=app-role", 2, "the plan's instance profiles are: none"),
        ("policy plan.json --profile-role app", 2, "write PROFILE=ROLE"),
    ] {
        let output = folder.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments}: {}", all(&output));
        assert!(err(&output).contains(says), "{arguments}: {}", err(&output));
    }
}
