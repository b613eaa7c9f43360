//! The command line as users write it. Invariant: nothing is interpreted here beyond its form.

use std::path::PathBuf;

use belay_executor::rehearse::Options as RehearseOptions;
use belay_executor::run::Options;
use clap::{Args, Parser, Subcommand, ValueEnum};

const AFTER_HELP: &str = "\
Files: `-` is standard input (or output, with -o). Plans and JSON go to standard output, everything for people to \
standard error (status: to standard output).

Exit codes:
   0  done
   1  the input or the plan is invalid
   2  usage; declined, or not approved
   3  the run failed or was interrupted, and was rolled back
   4  stuck: a person has to act
   5  the plan is stale, nothing was changed
   6  environment: credentials, network, a held lock
   7  target state reached, but not all tidying done; `belay resume` tries again
   8  paused or interrupted, can be resumed
  70  a bug of belay";

const OBSERVE: &str = "\
Example:
  belayc scope -p shop -m model.yaml -e prod.yaml | belay observe - -o observed.json";

const VERIFY: &str = "\
Examples:
  belay verify plan.json
  belay verify plan.json --simulated world.json --format json";

const APPLY: &str = "\
Examples:
  belay apply plan.json
  belay apply plan.json --on-failure pause
  belay apply plan.json --yes --require-approval --allowed-signers signers --approvals 2
  belay apply plan.json --simulated world.json --pace 0.05";

const APPROVE: &str = "\
Examples:
  belay approve plan.json
  belay approve plan.json --key ~/.ssh/id_ed25519 --expires 2h
  belay approve plan.json --expires 2026-01-31T18:00:00Z -o ann.approval

Where only ssh-keygen is at hand, it does the same:
  belay approve plan.json --statement > ann.txt
  ssh-keygen -Y sign -n belay-approval -f ~/.ssh/id_ed25519 ann.txt
  cat ann.txt ann.txt.sig >> plan.json.approval";

const RESUME: &str = "\
Examples:
  belay resume
  belay resume 20260101T000230Z-a03351 --approve web.gate";

const ROLLBACK: &str = "\
Examples:
  belay rollback
  belay rollback 20260101T000230Z-a03351";

const STATUS: &str = "\
Examples:
  belay status
  belay status --list
  belay status 20260101T000230Z-a03351 --format json";

const REHEARSE: &str = "\
Examples:
  belay rehearse plan.json --observed observed.json
  belay rehearse plan.json --observed observed.json --format json > rehearsal.json

The settings of a world are those members of a world file (`belay world -o world.json` writes one):
  {\"timings\": {\"taskStartSeconds\": 60}, \"images\": {\"shop/web:2\": {\"behaviour\": {\"kind\": \"never-healthy\"}}}}";

const WORLD: &str = "\
Examples:
  belay world -o world.json
  belay world --observed observed.json -o world.json";

const MAN: &str = "\
Example:
  belay man /usr/local/share/man/man1";

const COMPLETIONS: &str = "\
Example:
  belay completions bash > ~/.local/share/bash-completion/completions/belay";

/// Replays an approved plan exactly, and brings the old state back when a step fails.
#[derive(Debug, Parser)]
#[command(name = "belay", version, after_help = AFTER_HELP, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// When to use colour: auto (on a terminal, unless `NO_COLOR` is set), always, never
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = When::Auto, global = true, hide_possible_values = true)]
    pub color: When,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read what a scope names, for the compiler
    ///
    /// Nothing is changed. Environment values of task definitions that do not carry the project's ownership tag are
    /// replaced by their SHA-256, so that other people's secrets do not get into the file.
    #[command(after_help = OBSERVE)]
    Observe(Observe),
    /// Look, without changing anything, whether a plan's assumptions still hold
    #[command(after_help = VERIFY)]
    Verify(Verify),
    /// Sign that a plan may be applied
    ///
    /// Writes an SSH signature over the plan's digest, the environment and an expiry, made by `ssh-keygen` with the key
    /// that you have: from a file, an agent or a hardware key. `belay apply --require-approval` asks for it.
    #[command(after_help = APPROVE)]
    Approve(Approve),
    /// Run a plan
    #[command(after_help = APPLY)]
    Apply(Apply),
    /// Go on with a run that was paused, interrupted or killed
    #[command(after_help = RESUME)]
    Resume(Resume),
    /// Take back what a run did
    #[command(after_help = ROLLBACK)]
    Rollback(Rollback),
    /// Tell how a run stands
    #[command(after_help = STATUS)]
    Status(Status),
    /// Let every step of a plan fail in every way, on a simulated AWS
    ///
    /// Every run must end in the target state or in the initial one, with enough healthy capacity at every moment.
    /// Needs no credentials and leaves nothing behind. Exit code 1 when a run does not end as it must.
    #[command(after_help = REHEARSE)]
    Rehearse(Rehearse),
    /// Write a simulated world: the default account, or one that looks like what was observed
    #[command(after_help = WORLD)]
    World(World),
    /// Write the manual pages
    #[command(after_help = MAN)]
    Man {
        /// The folder to write them to
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Write a completion script for a shell
    #[command(after_help = COMPLETIONS)]
    Completions(Completions),
}

/// Where to work.
#[derive(Debug, Args)]
pub struct Where {
    /// Work on this simulated world instead of AWS; a missing file starts from the default account
    #[arg(long, value_name = "WORLD.json")]
    pub simulated: Option<PathBuf>,
    /// Wall-clock seconds that a simulated second takes; 0 never waits
    #[arg(long, value_name = "FACTOR", default_value_t = 0.0, value_parser = pace)]
    pub pace: f64,
    /// Write a line of JSON for each call to this file: time, node, operation, request id, outcome; no secrets
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Journal {
    /// Directory in which runs are journalled, or `s3://BUCKET/PREFIX`, from where any machine can take them up
    #[arg(long, value_name = "DIR", default_value = ".belay")]
    pub journal: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for people
    Human,
    /// JSON for programs, on standard output
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnFailure {
    /// Take back everything that was done
    Rollback,
    /// Stop where it is
    Pause,
}

#[derive(Debug, Args)]
pub struct Observe {
    /// What to look at, as `belayc scope` writes it
    #[arg(value_name = "SCOPE.json")]
    pub scope: PathBuf,
    /// Where to write the observed state [default: standard output]
    #[arg(short, long, value_name = "OBSERVED.json")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub place: Where,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// The plan
    #[arg(value_name = "PLAN.json")]
    pub plan: PathBuf,
    #[command(flatten)]
    pub place: Where,
    /// How to tell the result
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct Approve {
    /// The plan
    #[arg(value_name = "PLAN.json")]
    pub plan: PathBuf,
    /// The key: a private key's file, or a public key's whose private one the agent has [default: what git signs with]
    #[arg(long, value_name = "FILE", conflicts_with = "statement")]
    pub key: Option<PathBuf>,
    /// Until when it may be applied: a time such as 2026-01-31T18:00:00Z, or a length such as 90m, 24h, 7d from now
    #[arg(long, value_name = "WHEN", default_value = "24h", value_parser = expiry)]
    pub expires: Expiry,
    /// The account, where the plan names none
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    pub account: Option<String>,
    /// The region, where the plan names none
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// Where to write the approval; one that is there stays, and this one comes after it [default: PLAN.json.approval]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Only print what there is to sign
    #[arg(long, conflicts_with = "output")]
    pub statement: bool,
}

/// When an approval ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// Seconds since the Unix epoch.
    At(u64),
    /// Seconds from now.
    In(u64),
}

#[derive(Debug, Args)]
pub struct Approvals {
    /// Refuse a plan without a signed approval of exactly this plan for this environment
    #[arg(long, requires = "allowed_signers")]
    pub require_approval: bool,
    /// Whose signatures count: a file as git and ssh-keygen(1) have it
    #[arg(long, value_name = "FILE", requires = "require_approval")]
    pub allowed_signers: Option<PathBuf>,
    /// Approvals by different people that are needed
    #[arg(long, value_name = "N", default_value_t = 1, requires = "require_approval", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub approvals: u32,
    /// A file with approvals; may be given several times [default: PLAN.json.approval]
    #[arg(long, value_name = "FILE", requires = "require_approval")]
    pub approval: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Apply {
    /// The plan
    #[arg(value_name = "PLAN.json")]
    pub plan: PathBuf,
    /// What a failure before the commit point leads to
    #[arg(long, value_enum, default_value_t = OnFailure::Rollback)]
    pub on_failure: OnFailure,
    /// Steps at the same time, at most
    #[arg(long, value_name = "N", default_value_t = Options::CONCURRENCY, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub concurrency: u32,
    /// Do not ask for confirmation
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub approvals: Approvals,
    #[command(flatten)]
    pub place: Where,
    #[command(flatten)]
    pub journal: Journal,
    /// How to tell what happens
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct Resume {
    /// The run [default: the latest that was not stale]
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// Answer the question of this gate with yes; may be given several times
    #[arg(long, value_name = "NODE")]
    pub approve: Vec<String>,
    #[command(flatten)]
    pub place: Where,
    #[command(flatten)]
    pub journal: Journal,
    /// How to tell what happens
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct Rollback {
    /// The run [default: the latest that was not stale]
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    #[command(flatten)]
    pub place: Where,
    #[command(flatten)]
    pub journal: Journal,
    /// How to tell what happens
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct Status {
    /// The run [default: the latest that was not stale]
    #[arg(value_name = "RUN", conflicts_with = "list")]
    pub run: Option<String>,
    /// List all runs, the newest first
    #[arg(long)]
    pub list: bool,
    #[command(flatten)]
    pub journal: Journal,
    /// How to tell it
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct Rehearse {
    /// The plan
    #[arg(value_name = "PLAN.json")]
    pub plan: PathBuf,
    /// What was observed: the state that every run begins in
    #[arg(long, value_name = "OBSERVED.json")]
    pub observed: PathBuf,
    /// How the simulated world differs: timings, images, throttling
    #[arg(long, value_name = "SETTINGS.json")]
    pub world_settings: Option<PathBuf>,
    /// What pairs of faults are drawn with
    #[arg(long, value_name = "N", default_value_t = RehearseOptions::SEED)]
    pub seed: u32,
    /// Pairs of faults at most, beyond one second fault of each kind at each compensation
    #[arg(long, value_name = "N", default_value_t = RehearseOptions::PAIRS)]
    pub pairs: usize,
    /// Make every run with the whole plan, even where its parts share nothing
    #[arg(long)]
    pub whole: bool,
    /// Steps at the same time, at most
    #[arg(long, value_name = "N", default_value_t = Options::CONCURRENCY, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub concurrency: u32,
    /// How to tell what was found
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct World {
    /// Make a world that looks like this observed state
    #[arg(long, value_name = "OBSERVED.json")]
    pub observed: Option<PathBuf>,
    /// Where to write it
    #[arg(short, long, value_name = "WORLD.json")]
    pub output: PathBuf,
}

#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

fn account(text: &str) -> Result<String, String> {
    let fits = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
    if fits { Ok(text.to_owned()) } else { Err("twelve digits".to_owned()) }
}

fn expiry(text: &str) -> Result<Expiry, String> {
    if let Some(at) = belay_executor::time::parse_rfc3339(text) {
        return Ok(Expiry::At(at));
    }
    let length = [('m', 60), ('h', 3600), ('d', 86_400)].into_iter().find_map(|(unit, seconds)| {
        let number = text.strip_suffix(unit)?.parse::<u64>().ok()?;
        number.checked_mul(seconds).filter(|length| (1..=366 * 86_400).contains(length))
    });
    length
        .map(Expiry::In)
        .ok_or_else(|| "a time such as 2026-01-31T18:00:00Z, or 90m, 24h, 7d (a year at most)".to_owned())
}

fn pace(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor.is_finite() && factor >= 0.0 => Ok(factor),
        _ => Err("a number of 0 or more, such as 0.1".to_owned()),
    }
}
