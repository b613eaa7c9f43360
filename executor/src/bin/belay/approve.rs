//! `approve`, and what `apply --require-approval` asks for.
//!
//! Signing is left to the user's `ssh-keygen`, as git leaves it: only so agents, passphrases and hardware keys work, and
//! no private key is ever in this process. Verifying needs no other program (see `belay_executor::approval`).
//!
//! Invariants: nobody signs what they were not shown; what `ssh-keygen` gives back is written only if it verifies.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use belay_executor::approval::{AllowedSigners, Approval, NAMESPACE, Statement, Wanted, judge};
use belay_executor::progress::{Paint, Tone};
use belay_executor::time::rfc3339;
use belay_schemas::journal::Approver;
use belay_schemas::plan::Plan;

use crate::cli::{self, Expiry};
use crate::consent;
use crate::failure::Failure;
use crate::files;
use crate::place::Place;
use crate::say::say;

/// `belay approve`
pub fn approve(args: &cli::Approve) -> Result<u8, Failure> {
    let plan = files::plan(&args.plan)?;
    let statement = statement(args, &plan)?;
    if args.statement {
        files::write(None, &statement.to_string())?;
        return Ok(0);
    }
    let output = match &args.output {
        Some(path) => path.clone(),
        None => beside(&args.plan).ok_or_else(|| {
            let reason = "the plan comes from standard input, so its approval has no place beside it".to_owned();
            Failure::Usage { reason, help: Some("name a file with -o".to_owned()) }
        })?,
    };
    let paint = Paint::of(&std::io::stderr());
    for line in consent::lines(&plan) {
        say(line);
    }
    say(format_args!("{} {}", paint.tone(Tone::Subject, "approving:"), statement.place()));
    say(format_args!("plan {}, until {}", statement.plan, rfc3339(statement.expires.saturating_mul(1000))));

    let armoured = sign(&statement, &key(args.key.as_deref())?)?;
    let broken =
        |reason: String| Failure::Environment { reason: format!("ssh-keygen gave no usable signature: {reason}") };
    let approval = Approval::new(statement, &armoured).map_err(broken)?;
    approval.verify().map_err(broken)?;
    let before = match std::fs::read_to_string(&output) {
        Ok(text) => {
            Approval::parse_all(&text).map_err(|error| unreadable(&output, &error))?;
            text.trim_end().to_owned() + "\n"
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(Failure::Read { path: output.display().to_string(), source }),
    };
    files::write(Some(&output), &(before + &approval.to_text()))?;
    say(format_args!("written to {}", output.display()));
    Ok(0)
}

/// Whose approvals let the plan be applied here; nobody's when none are asked for. A plan without steps does nothing that
/// could be approved.
pub fn required(args: &cli::Approvals, path: &Path, plan: &Plan, place: &Place) -> Result<Vec<Approver>, Failure> {
    let Some(signers) = args.allowed_signers.as_ref().filter(|_| args.require_approval && !plan.nodes.is_empty())
    else {
        return Ok(Vec::new());
    };
    let allowed = AllowedSigners::parse(&files::read(signers)?).map_err(|error| Failure::Input {
        path: signers.display().to_string(),
        reason: error.to_string(),
        help: Some("ssh-keygen(1) describes the file under ALLOWED SIGNERS".to_owned()),
    })?;
    let mut approvals = Vec::new();
    for file in approval_files(args, path)? {
        approvals.extend(Approval::parse_all(&files::read(&file)?).map_err(|error| unreadable(&file, &error))?);
    }
    let statement = Statement::of(plan, &place.account, &place.region, 0);
    let count = usize::try_from(args.approvals).unwrap_or(usize::MAX);
    let judgement = judge(&approvals, &allowed, Wanted { statement: &statement, now: now(), count });
    if judgement.enough {
        return Ok(judgement.approved_by);
    }
    let mut reason = format!("this plan is not approved: {} of {count} approvals", judgement.approved_by.len());
    for approver in &judgement.approved_by {
        reason.push_str(&format!("\n  good: {} ({})", approver.signer, approver.key));
    }
    for rejected in &judgement.rejected {
        reason.push_str(&format!("\n  {rejected}"));
    }
    let help =
        "nothing was changed; `belay approve` signs this plan, `belayc diff` tells how it differs from another one";
    Err(Failure::Usage { reason, help: Some(help.to_owned()) })
}

fn approval_files(args: &cli::Approvals, plan: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !args.approval.is_empty() {
        return Ok(args.approval.clone());
    }
    let missing = |reason: String, help: &str| Failure::Usage { reason, help: Some(help.to_owned()) };
    match beside(plan) {
        None => Err(missing(
            "the plan comes from standard input, so there is no approval beside it".to_owned(),
            "name the file with --approval",
        )),
        Some(file) if file.exists() => Ok(vec![file]),
        Some(file) => Err(missing(
            format!("this plan is not approved: there is no {}", file.display()),
            "nothing was changed; `belay approve` writes it, --approval names another file",
        )),
    }
}

/// `plan.json.approval` of `plan.json`.
fn beside(plan: &Path) -> Option<PathBuf> {
    (plan != Path::new("-")).then(|| {
        let mut name = plan.as_os_str().to_owned();
        name.push(".approval");
        PathBuf::from(name)
    })
}

fn unreadable(path: &Path, error: &impl std::fmt::Display) -> Failure {
    let help = "`belay approve` writes approvals; several in one file stand one after the other".to_owned();
    Failure::Input { path: path.display().to_string(), reason: error.to_string(), help: Some(help) }
}

/// Seconds since the Unix epoch by the wall clock: an approval is of people's time, also where a simulated world has
/// another one.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

fn statement(args: &cli::Approve, plan: &Plan) -> Result<Statement, Failure> {
    let pinned = |name: &str, of_plan: Option<&String>, given: Option<&String>| match (of_plan, given) {
        (Some(plan), Some(given)) if plan != given => {
            Err(Failure::Usage { reason: format!("the plan is for {name} {plan}, not {given}"), help: None })
        }
        (Some(value), _) | (None, Some(value)) => Ok(value.clone()),
        (None, None) => Err(Failure::Usage {
            reason: format!("the plan names no {name}, and an approval is always for one"),
            help: Some(format!("give --{name}, or compile with --observed")),
        }),
    };
    let account = pinned("account", plan.target.account.as_ref(), args.account.as_ref())?;
    let region = pinned("region", plan.target.region.as_ref(), args.region.as_ref())?;
    let expires = match args.expires {
        Expiry::At(at) if at <= now() => {
            return Err(Failure::Usage { reason: format!("{} is over", rfc3339(at.saturating_mul(1000))), help: None });
        }
        Expiry::At(at) => at,
        Expiry::In(seconds) => now().saturating_add(seconds),
    };
    Ok(Statement::of(plan, &account, &region, expires))
}

/// A key as `ssh-keygen -f` takes it.
struct Key {
    file: PathBuf,
    /// Whether only the agent has the private key.
    of_agent: bool,
    /// Keeps a file alive that was written for a key that git's configuration holds as text.
    _written: Option<tempfile::NamedTempFile>,
}

/// The key that was named, or the one that git signs with.
fn key(named: Option<&Path>) -> Result<Key, Failure> {
    if let Some(file) = named {
        std::fs::metadata(file).map_err(|source| Failure::Read { path: file.display().to_string(), source })?;
        return Ok(Key { file: file.to_owned(), of_agent: false, _written: None });
    }
    let configured = (git("gpg.format").as_deref() == Some("ssh")).then(|| git("user.signingKey")).flatten();
    let Some(configured) = configured else {
        let reason = "no key to sign with: git is not configured to sign with an SSH key either".to_owned();
        let help = "name one with --key, such as ~/.ssh/id_ed25519, or the .pub file of a key that the agent has";
        return Err(Failure::Usage { reason, help: Some(help.to_owned()) });
    };
    let literal = configured.strip_prefix("key::").or_else(|| configured.starts_with("ssh-").then_some(&*configured));
    let Some(literal) = literal else {
        return Ok(Key { file: PathBuf::from(configured), of_agent: false, _written: None });
    };
    let wrong = |source| Failure::Write { path: "a temporary file".to_owned(), source };
    let mut file = tempfile::NamedTempFile::new().map_err(wrong)?;
    writeln!(file, "{literal}").map_err(wrong)?;
    Ok(Key { file: file.path().to_owned(), of_agent: true, _written: Some(file) })
}

/// A setting of git, where git is there and has it.
fn git(name: &str) -> Option<String> {
    let output = Command::new("git").args(["config", "--get", "--type=path", name]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The armoured signature of `ssh-keygen`. Its questions and errors go where ours go.
fn sign(statement: &Statement, key: &Key) -> Result<String, Failure> {
    let mut command = Command::new("ssh-keygen");
    command.args(["-Y", "sign", "-q", "-n", NAMESPACE, "-f"]).arg(&key.file);
    if key.of_agent {
        command.arg("-U");
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let cannot = |error: std::io::Error| Failure::Environment {
        reason: format!("cannot run ssh-keygen, which signs approvals (OpenSSH 8.1 or newer): {error}"),
    };
    let mut child = command.spawn().map_err(cannot)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that ends without reading says why by its exit code.
        let _ = stdin.write_all(statement.to_string().as_bytes());
    }
    let output = child.wait_with_output().map_err(cannot)?;
    if !output.status.success() {
        let reason = format!("ssh-keygen did not sign with {} ({})", key.file.display(), output.status);
        return Err(Failure::Environment { reason });
    }
    String::from_utf8(output.stdout).map_err(|_| Failure::Environment { reason: "ssh-keygen gave no text".to_owned() })
}
