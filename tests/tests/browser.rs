//! The HTML page and the diagrams as a reader meets them: in Debian's Chromium, driven by playwright-core, judged by axe
//! and by Mermaid itself.
//!
//! With `BELAY_SHOTS=FOLDER` the screenshots are kept there. The pages of how many fixtures are
//! looked at is said by `BELAY_FAULTS` (see `extent.rs`).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use belay_compiler::show;
use belay_schemas::checker;
use belay_schemas::plan::Plan;
use belay_tests::extent::OneIn;
use belay_tests::fixtures::{Fixture, every, read};
use belay_tests::pipeline::Inputs;
use belay_tests::target;
use serde_json::{Value, json};

/// Of how many fixtures one is looked at where not all are: one program writes all pages.
const SAMPLED: OneIn = OneIn { quick: 12, ci: 4 };

/// Milliseconds in which a page has to be there, whatever its size.
const OPEN: u64 = 2_000;

/// The folder with the tools, installed as the lock file says.
fn tools() -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    let folder = target::folder("browser");
    fs::create_dir_all(&folder).unwrap();
    let lock = read(&from.join("package-lock.json"));
    for name in ["package.json", "package-lock.json", "look.mjs"] {
        fs::copy(from.join(name), folder.join(name)).unwrap();
    }
    let installed = folder.join("installed");
    if fs::read_to_string(&installed).is_ok_and(|text| text == lock) {
        return folder;
    }
    let npm =
        Command::new("npm").args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder).output();
    let npm = npm.expect("this test needs Node.js with npm");
    assert!(npm.status.success(), "npm ci fails:\n{}", String::from_utf8_lossy(&npm.stderr));
    fs::write(installed, lock).unwrap();
    folder
}

fn look(job: &Value) -> Value {
    let folder = tools();
    let mut child = Command::new("node")
        .arg("look.mjs")
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(job.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "look.mjs fails (it needs Debian's chromium):\n{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// 500 services of three layers and more.
fn large() -> Plan {
    let mut model = String::from("components:\n");
    for n in 0..500 {
        let uses = if n == 0 { String::new() } else { format!("svc{}: {{}}", (n - 1) / 3) };
        model.push_str(&format!(
            "  svc{n}:\n    image: shop/svc{n}:1.{n}.0\n    replicas: {}\n    uses: {{{uses}}}\n    env: {{URL: http://x/{n}}}\n    plugin: {{ec2-ecs: {{cpu: 16, mem: 32}}}}\n",
            1 + n % 3
        ));
    }
    Inputs::new("large", model, "plugin_config: {ec2-ecs: {region: us-east-1}}\n").compile(None).unwrap().0
}

/// A plan whose texts are written by somebody who means harm.
fn hostile() -> Plan {
    let mut plan = checker::load(&read(&Fixture::named("shop").dir().join("plan.json"))).unwrap();
    let texts = [
        "</script><script>document.title='no'</script>",
        "\"; alert(1); \" end",
        "a[b](c) {{x}} | `d` *e* #1 @team\nsubgraph z",
        "<!-- --> %%{init: {}}%% ]]> &lt; &#60;",
        "{{details}} {{script}} --> n1; end",
    ];
    for (at, node) in plan.nodes.iter_mut().enumerate() {
        node.summary = texts[at % texts.len()].to_owned();
    }
    plan.project = "</title><b>".to_owned();
    plan.seal()
}

#[test]
fn comments_stay_under_the_limit_at_any_size_and_say_what_they_leave_out() {
    let plan = large();
    let comment = show::markdown(&plan, None);
    let characters = comment.chars().count();
    assert!(characters < show::MARKDOWN_LIMIT, "{characters} characters");
    assert!(characters > show::MARKDOWN_LIMIT / 2, "{characters} characters: more would have fitted");
    for said in ["Creates 500 components, with 1000 calls", "Left out, because", "the inputs of"] {
        assert!(comment.contains(said), "does not say: {said}");
    }
    // The more there is, the less each gets: but the head is always there.
    let mut longer = plan;
    for node in &mut longer.nodes {
        node.summary = node.summary.repeat(40);
        node.irreversible = Some("x ".repeat(200));
    }
    let comment = show::markdown(&longer.seal(), None);
    assert!(comment.chars().count() < show::MARKDOWN_LIMIT);
    assert!(comment.contains("cannot be undone") && comment.contains("Left out"), "{comment}");
}

#[test]
fn what_a_plan_says_is_never_markup() {
    let plan = hostile();
    let comment = show::markdown(&plan, None);
    let prose: String = comment.split("```").step_by(2).collect();
    for forbidden in ["<script", "@team", " #1", "<b>"] {
        assert!(!prose.replace("`</title><b>`", "").contains(forbidden), "{forbidden} in\n{prose}");
    }
    let page = show::html(&plan, None);
    assert_eq!(page.matches("<script").count(), 3);
    assert!(!page.contains("</title><b>"));
}

#[test]
fn pages_and_diagrams_hold_in_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    let (mut pages, mut diagrams) = (Vec::new(), Vec::new());
    let mut add = |name: &str, plan: &Plan, sizes: &[&str]| {
        let page = folder.path().join(format!("{name}.html"));
        fs::write(&page, show::html(plan, None)).unwrap();
        let mut row = vec![json!(page)];
        row.extend(sizes.iter().map(|size| json!(size)));
        pages.push(row);
        let diagram = folder.path().join(format!("{name}.mmd"));
        fs::write(&diagram, show::mermaid(plan)).unwrap();
        diagrams.push(diagram);
        // What stands in the comment is another diagram.
        let comment = show::markdown(plan, None);
        if let Some((_, rest)) = comment.split_once("```mermaid\n") {
            let diagram = folder.path().join(format!("{name}-comment.mmd"));
            fs::write(&diagram, rest.split("```").next().unwrap()).unwrap();
            diagrams.push(diagram);
        }
    };
    let shown: Vec<Fixture> =
        every().enumerate().filter(|(at, f)| SAMPLED.takes(*at) || f.name == "shop").map(|(_, f)| f).collect();
    for (at, fixture) in shown.iter().enumerate() {
        let plan = checker::load(&read(&fixture.dir().join("plan.json"))).unwrap();
        let sizes: &[&str] = match at % 2 {
            _ if fixture.name == "shop" => &["desktop", "phone"],
            0 => &["desktop"],
            _ => &["phone"],
        };
        add(&fixture.name.replace('/', "-"), &plan, sizes);
    }
    add("hostile", &hostile(), &["desktop"]);
    add("large", &large(), &["desktop", "phone"]);
    let shots = std::env::var_os("BELAY_SHOTS").map(PathBuf::from);
    let found = look(&json!({"pages": pages, "mermaid": diagrams, "shots": shots, "most": OPEN}));
    let wrong: Vec<&str> = found["wrong"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), found["times"]);
    assert_eq!(found["times"].as_object().unwrap().len(), 2 * (shown.len() + 1 + 1 + 2), "{}", found["times"]);
    println!("{}", found["times"]);
}
