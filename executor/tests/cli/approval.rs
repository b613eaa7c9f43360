//! Approvals through the binary and the real `ssh-keygen`: theirs verify here, ours verify there, and everything else is
//! refused before anything is changed, with its reason.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use insta::assert_snapshot;
use serde_json::Value;

use crate::belay::{Answer, Desk};
use crate::plans;

const NAMESPACE: &str = "belay-approval";
const REQUIRED: [&str; 7] =
    ["apply", "plan.json", "--simulated", "w.json", "--require-approval", "--allowed-signers", "signers"];

/// Runs a program in the desk's folder, with something on standard input.
fn run(desk: &Desk, program: &str, args: &[&str], input: &str) -> String {
    use std::io::Write;
    let mut command = Command::new(program);
    command.args(args).current_dir(desk.path("")).env("HOME", desk.path("")).env_remove("SSH_AUTH_SOCK");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {args:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Makes a key without a passphrase and gives the public one.
fn new_key(desk: &Desk, name: &str, kind: &[&str]) -> String {
    let args: Vec<&str> = ["-q", "-N", "", "-C", "", "-f", name, "-t"].iter().chain(kind).copied().collect();
    run(desk, "ssh-keygen", &args, "");
    desk.read(&format!("{name}.pub")).trim().to_owned()
}

/// A plan, and a file of allowed signers that lists ann, who has a key.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("plan.json", &plans::create("nginx:1"));
    let key = new_key(&desk, "ann", &["ed25519"]);
    desk.write("signers", &format!("ann@example.com {key}\n"));
    desk
}

/// Signs a statement with the real program and puts it where `apply` looks.
fn signed(desk: &Desk, statement: &str, key: &str, namespace: &str) {
    let signature = run(desk, "ssh-keygen", &["-Y", "sign", "-q", "-n", namespace, "-f", key], statement);
    desk.write("plan.json.approval", &format!("{statement}{signature}"));
}

fn statement(desk: &Desk) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_belay"))
        .args(["approve", "plan.json", "--statement", "--expires", "2099-01-01T00:00:00Z"])
        .current_dir(desk.path(""))
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// Without keys and times, which differ each time.
fn stable(answer: &Answer) -> String {
    let key = regex::Regex::new(r"SHA256:[A-Za-z0-9+/]{43}").unwrap();
    let time = regex::Regex::new(r"until 20[2-8]\d-\d\d-\d\dT[\d:]{8}Z").unwrap();
    time.replace_all(&key.replace_all(&answer.said(), "SHA256:KEY"), "until TIME").into_owned()
}

/// Applies, and makes sure that a refusal came before everything else.
fn refused(desk: &Desk, more: &[&str]) -> Answer {
    let args: Vec<&str> = REQUIRED.iter().chain(more).copied().collect();
    let answer = desk.belay(&args);
    assert!(!desk.path(".belay").exists(), "a run began: {}", answer.said());
    let world: Value = serde_json::from_str(&desk.read("w.json")).unwrap();
    assert_eq!(world["services"], serde_json::json!({}), "a service was made");
    answer
}

#[test]
fn a_plan_that_was_approved_is_applied_and_who_approved_is_on_record() {
    let desk = desk();
    let approved = desk.belay(&["approve", "plan.json", "--key", "ann"]).expect(0);
    assert_snapshot!("approve", stable(&approved));
    let applied = desk.belay(&REQUIRED).expect(0);
    assert!(stable(&applied).contains("approved by ann@example.com (SHA256:KEY), until TIME\n"), "{}", applied.said());
    let status = desk.belay(&["status"]).expect(0);
    assert!(stable(&status).contains("approved by ann@example.com (SHA256:KEY), until TIME\n"), "{}", status.said());
    let status: Value = serde_json::from_str(&desk.belay(&["status", "--format", "json"]).expect(0).out).unwrap();
    assert_eq!(status["status"]["approvedBy"][0]["signer"], "ann@example.com");
}

#[test]
fn each_kind_of_key_verifies_here_and_there() {
    for kind in [
        ["ed25519"].as_slice(),
        &["ecdsa", "-b", "256"],
        &["ecdsa", "-b", "384"],
        &["ecdsa", "-b", "521"],
        &["rsa", "-b", "2048"],
    ] {
        let desk = desk();
        let key = new_key(&desk, "bob", kind);
        desk.write("signers", &format!("bob@example.com namespaces=\"git,{NAMESPACE}\" {key}\n"));
        // Ours there.
        desk.belay(&["approve", "plan.json", "--key", "bob"]).expect(0);
        let approval = desk.read("plan.json.approval");
        let begin = approval.find("-----BEGIN").unwrap();
        desk.write("signature", &approval[begin..]);
        let verify = ["-Y", "verify", "-f", "signers", "-I", "bob@example.com", "-n", NAMESPACE, "-s", "signature"];
        run(&desk, "ssh-keygen", &verify, &approval[..begin]);
        desk.belay(&REQUIRED).expect(0);
        // Theirs here.
        std::fs::remove_file(desk.path("w.json")).unwrap();
        std::fs::remove_dir_all(desk.path(".belay")).unwrap();
        signed(&desk, &statement(&desk), "bob", NAMESPACE);
        desk.belay(&REQUIRED).expect(0);
    }
}

/// An agent that ends with the test.
struct Agent(Child);

impl Agent {
    fn on(socket: &Path) -> Self {
        Self(Command::new("ssh-agent").arg("-D").arg("-a").arg(socket).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn keys_of_an_agent_and_of_gits_configuration_sign() {
    let desk = desk();
    let socket = desk.path("agent");
    let _agent = Agent::on(&socket);
    let add =
        || Command::new("ssh-add").arg("-q").arg(desk.path("ann")).env("SSH_AUTH_SOCK", &socket).output().unwrap();
    let begun = Instant::now();
    let added = std::iter::repeat_with(add).any(|added| added.status.success() || begun.elapsed().as_secs() > 20);
    assert!(added && begun.elapsed().as_secs() <= 20, "no agent answered");
    // Only the agent has it from here on.
    std::fs::remove_file(desk.path("ann")).unwrap();
    let public = desk.read("ann.pub");
    let by_file = desk.belay_where(&["approve", "plan.json", "--key", "ann.pub"], "SSH_AUTH_SOCK", &socket);
    desk.write(".gitconfig", &format!("[gpg]\nformat = ssh\n[user]\nsigningKey = key::{public}"));
    let by_git = desk.belay_where(&["approve", "plan.json"], "SSH_AUTH_SOCK", &socket);
    by_file.expect(0);
    by_git.expect(0);
    assert_eq!(
        desk.read("plan.json.approval").matches("BEGIN SSH SIGNATURE").count(),
        2,
        "the second follows the first"
    );
    desk.belay(&REQUIRED).expect(0);
}

#[test]
fn two_people_are_two_and_one_person_is_one() {
    let desk = desk();
    let (bob, second) = (new_key(&desk, "bob", &["ed25519"]), new_key(&desk, "second", &["ed25519"]));
    let ann = desk.read("ann.pub");
    desk.write("signers", &format!("ann@example.com {ann}bob@example.com {bob}\nann@example.com,ops {second}\n"));
    let mut said = String::new();
    for key in ["ann", "ann", "second", "bob"] {
        desk.belay(&["approve", "plan.json", "--key", key]).expect(0);
        if key != "bob" {
            let answer = refused(&desk, &["--approvals", "2"]).expect(2);
            writeln!(said, "--- and {key}\n{}", stable(&answer)).unwrap();
        }
    }
    assert_snapshot!("two_people", said);
    let args: Vec<&str> = REQUIRED.iter().chain(&["--approvals", "2"]).copied().collect();
    desk.belay(&args).expect(0);
}

#[test]
fn whatever_is_no_approval_of_this_plan_here_and_now_is_refused_with_a_reason() {
    let desk = desk();
    let ann = desk.read("ann.pub").trim().to_owned();
    let eve = new_key(&desk, "eve", &["ed25519"]);
    let good = statement(&desk);
    let listed = format!("ann@example.com {ann}\n");
    desk.belay(&["world", "-o", "w.json"]).expect(0);
    let mut said = String::new();
    let mut case = |name: &str, make: &dyn Fn()| {
        let _ = std::fs::remove_file(desk.path("plan.json.approval"));
        desk.write("signers", &listed).write("plan.json", &plans::create("nginx:1"));
        make();
        writeln!(said, "--- {name}\n{}", stable(&refused(&desk, &[]))).unwrap();
    };
    let sign = |statement: &str| signed(&desk, statement, "ann", NAMESPACE);
    let signers = |text: &str| {
        sign(&good);
        desk.write("signers", text);
    };
    case("nobody approved", &|| {});
    case("the plan was changed after it was approved", &|| {
        sign(&good);
        desk.write("plan.json", &plans::create("nginx:2"));
    });
    case("the approval was made to fit the changed plan", &|| {
        sign(&good);
        let digest = |text: &str| text.lines().find_map(|l| l.strip_prefix("plan: ")).unwrap().to_owned();
        desk.write("plan.json", &plans::create("nginx:2"));
        let approval = desk.read("plan.json.approval").replace(&digest(&good), &digest(&statement(&desk)));
        desk.write("plan.json.approval", &approval);
    });
    case("for another account", &|| sign(&good.replace("123456789012", "999999999999")));
    case("for another region", &|| sign(&good.replace("us-east-1", "eu-west-1")));
    case("for another cluster", &|| sign(&good.replace("cluster: default", "cluster: blue")));
    case("for another project", &|| sign(&good.replace("project: shop", "project: blog")));
    case("expired", &|| sign(&good.replace("2099", "2020")));
    case("signed for git", &|| signed(&desk, &good, "ann", "git"));
    case("signed by somebody else", &|| signed(&desk, &good, "eve", NAMESPACE));
    case("the key is for something else", &|| signers(&format!("ann@example.com namespaces=\"git\" {ann}")));
    case("the key is not valid any more", &|| signers(&format!("ann@example.com valid-before=\"20200101Z\" {ann}")));
    case("the key is not valid yet", &|| signers(&format!("ann@example.com valid-after=\"20900101Z\" {ann}")));
    case("a time in whatever time zone", &|| signers(&format!("ann@example.com valid-before=\"20900101\" {ann}")));
    case("an authority", &|| signers(&format!("# ours\n\n*@example.com cert-authority {ann}")));
    case("an option that nobody knows", &|| signers(&format!("ann@example.com no-touch-required {ann}")));
    case("a line without a key", &|| signers("ann@example.com ssh-ed25519"));
    case("an empty list", &|| signers("# nobody\n"));
    case("no signature", &|| {
        desk.write("plan.json.approval", &good);
    });
    case("more is said than is signed", &|| {
        sign(&good);
        desk.write("plan.json.approval", &format!("and anything else\n{}", desk.read("plan.json.approval")));
    });
    case("a certificate signed", &|| {
        run(&desk, "ssh-keygen", &["-q", "-s", "eve", "-I", "ann", "-n", "ann", "ann.pub"], "");
        signed(&desk, &good, "ann-cert.pub", NAMESPACE);
        std::fs::remove_file(desk.path("ann-cert.pub")).unwrap();
        desk.write("signers", &format!("*@example.com {eve}"));
    });
    assert_snapshot!("refusals", said);
}

#[test]
fn an_approval_of_a_plan_without_account_holds_in_one_account_only() {
    let desk = desk();
    let mut plan = plans::create_json("nginx:1");
    plan["target"].as_object_mut().unwrap().remove("account");
    desk.write("plan.json", &plans::sealed(plan));
    let unsaid = desk.belay(&["approve", "plan.json", "--key", "ann"]).expect(2);
    assert_snapshot!("no_account", unsaid.said());
    desk.belay(&["approve", "plan.json", "--key", "ann", "--account", "999999999999"]).expect(0);
    let elsewhere = refused(&desk, &[]).expect(2);
    assert!(elsewhere.err.contains("it is for shop in account 999999999999"), "{}", elsewhere.said());
    desk.belay(&["approve", "plan.json", "--key", "ann", "--account", "123456789012"]).expect(0);
    desk.belay(&REQUIRED).expect(0);
}

#[test]
fn what_cannot_be_signed_is_told() {
    let desk = desk();
    let mut said = String::new();
    let path = Path::new("/nonexistent");
    for (args, variable) in [
        (["approve", "plan.json"].as_slice(), "HOME"),
        (&["approve", "plan.json", "--key", "nothing"], "HOME"),
        (&["approve", "plan.json", "--key", "ann", "--expires", "2020-01-01T00:00:00Z"], "HOME"),
        (&["approve", "plan.json", "--key", "ann", "--expires", "soon"], "HOME"),
        (&["approve", "plan.json", "--key", "ann", "--account", "999999999999"], "HOME"),
        (&["approve", "-", "--key", "ann"], "HOME"),
        (&["approve", "plan.json", "--key", "ann"], "PATH"),
        (&["apply", "plan.json", "--require-approval"], "HOME"),
        (&["apply", "plan.json", "--approvals", "2"], "HOME"),
    ] {
        let answer = if args.contains(&"-") {
            desk.belay_with(args, &plans::create("nginx:1"))
        } else {
            desk.belay_where(args, variable, path)
        };
        writeln!(said, "$ belay {}\n{}\n", args.join(" "), stable(&answer)).unwrap();
        assert!(!desk.path("plan.json.approval").exists());
    }
    assert_snapshot!("cannot_sign", said);
}
