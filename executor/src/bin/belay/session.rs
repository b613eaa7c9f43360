//! `apply`, `resume`, `rollback`: a session of a run, watched, interruptible, with a verdict at its end.

use std::path::Path;
use std::sync::Arc;

use belay_executor::journal::{Shelf, fresh_run_id};
use belay_executor::progress::{Json, Live, Paint, Plain, Story, Tone, Verdict, Watcher, Watching};
use belay_executor::run::{self, Interrupt, Options, RunStatus, Setup, signals};
use belay_schemas::journal::OnFailure;
use belay_schemas::plan::Plan;
use serde_json::json;

use crate::approve;
use crate::cli::{self, Format};
use crate::consent;
use crate::failure::Failure;
use crate::files;
use crate::place::{Place, Use};
use crate::say::say;
use crate::shelf;

/// `belay apply`
pub async fn apply(args: &cli::Apply) -> Result<u8, Failure> {
    let plan = files::plan(&args.plan)?;
    let place = Place::open(&args.place, Use::Change, plan.target.region.as_deref()).await?;
    let approved_by = approve::required(&args.approvals, &args.plan, &plan, &place)?;
    consent::to_apply(&plan, &place, args.yes)?;
    let run = fresh_run_id(place.clock.now());
    if args.format == Format::Human && !plan.nodes.is_empty() {
        announce("run", &run, &plan, &place, &args.journal.journal);
        for approver in &approved_by {
            say(format_args!("approved by {} ({}), until {}", approver.signer, approver.key, approver.expires));
        }
    }
    let options = Options {
        on_failure: match args.on_failure {
            cli::OnFailure::Rollback => OnFailure::Rollback,
            cli::OnFailure::Pause => OnFailure::Pause,
        },
        concurrency: args.concurrency,
        run_id: Some(run),
        region: Some(place.region.clone()),
        world: place.world.clone(),
        approved_by,
        ..Options::on(shelf::open(&args.journal.journal).await?)
    };
    let session = Session::new(&place, args.format, Story::new(plan.clone()));
    let status = run::apply(&plan, &options, session.setup()).await;
    session.end(&plan, &args.journal.journal, status)
}

/// `belay resume`
pub async fn resume(args: &cli::Resume) -> Result<u8, Failure> {
    let taken = Taken::up("resuming", args.run.as_deref(), &args.journal.journal, &args.place, args.format).await?;
    let status = run::resume_on(
        taken.shelf.as_ref(),
        &taken.run,
        &args.approve,
        Some(&taken.place.region),
        taken.session.setup(),
    )
    .await;
    taken.session.end(&taken.plan, &args.journal.journal, status)
}

/// `belay rollback`
pub async fn rollback(args: &cli::Rollback) -> Result<u8, Failure> {
    let taken = Taken::up("rolling back", args.run.as_deref(), &args.journal.journal, &args.place, args.format).await?;
    let status =
        run::rollback_on(taken.shelf.as_ref(), &taken.run, Some(&taken.place.region), taken.session.setup()).await;
    taken.session.end(&taken.plan, &args.journal.journal, status)
}

/// A run that is taken up from its journal.
struct Taken {
    shelf: Arc<dyn Shelf>,
    run: String,
    plan: Plan,
    place: Place,
    session: Session,
}

impl Taken {
    async fn up(
        what: &str,
        id: Option<&str>,
        journal: &Path,
        place: &cli::Where,
        format: Format,
    ) -> Result<Self, Failure> {
        let shelf = shelf::open(journal).await?;
        let run = shelf.find(id)?;
        let (status, plan) = run::status_on(shelf.as_ref(), &run)?;
        let place = Place::again(place, &status).await?;
        if format == Format::Human {
            announce(what, &status.run, &plan, &place, journal);
        }
        let session = Session::new(&place, format, Story::from(plan.clone(), &status));
        Ok(Self { shelf, run, plan, place, session })
    }
}

/// Says what is about to happen, where, and what keeps others from doing it at the same time.
fn announce(what: &str, run: &str, plan: &Plan, place: &Place, journal: &Path) {
    let paint = Paint::of(&std::io::stderr());
    let digest: String = plan.digest.chars().take("sha256:".len() + 12).collect();
    say(format_args!(
        "{what} {}: plan {digest}, {} in {} ({})",
        paint.tone(Tone::Subject, run),
        paint.tone(Tone::Subject, &plan.project),
        plan.target.place(),
        place.describe()
    ));
    let whom = if shelf::is_local(journal) { "directory" } else { "place" };
    let lock = format!("journal and lock: {} (who uses another {whom} is not locked out)", journal.display());
    say(paint.tone(Tone::Quiet, &lock));
}

/// What watches and interrupts a run.
struct Session {
    place: Place,
    format: Format,
    watching: Watching,
    interrupt: Interrupt,
    signals: std::sync::Mutex<Option<run::Signals>>,
}

impl Session {
    fn new(place: &Place, format: Format, story: Story) -> Self {
        let (interrupt, signals) = signals();
        let watching = Watching::new(watcher(place, format, story));
        let signals = std::sync::Mutex::new(Some(signals));
        Self { place: place.clone(), format, watching, interrupt, signals }
    }

    /// What the run is given. Ctrl-C (and a request to terminate) counts from here on.
    fn setup(&self) -> Setup<'_> {
        let taken = self.signals.lock().ok().and_then(|mut signals| signals.take());
        listen(self.interrupt.clone());
        Setup {
            cloud: Arc::clone(&self.place.cloud),
            clock: Arc::clone(&self.place.clock),
            listener: &self.watching,
            signals: taken.unwrap_or_else(run::Signals::none),
        }
    }

    /// The verdict and its exit code.
    fn end(&self, plan: &Plan, journal: &Path, status: Result<RunStatus, run::RunError>) -> Result<u8, Failure> {
        self.watching.finish();
        let status = status?;
        let verdict = Verdict::of(plan, &status, &journal_option(journal));
        match self.format {
            Format::Json => files::write(None, &format!("{}\n", json!({"verdict": verdict})))?,
            Format::Human => {
                // Evidence was told when it happened.
                for line in verdict.lines(Paint::of(&std::io::stderr()), false) {
                    say(line);
                }
            }
        }
        Ok(verdict.exit_code)
    }
}

/// The option that makes a suggested command find the same journal.
pub fn journal_option(journal: &Path) -> String {
    if journal == Path::new(".belay") {
        return String::new();
    }
    let name = journal.display().to_string();
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+@%,:=".contains(c));
    if plain { format!(" --journal {name}") } else { format!(" --journal '{}'", name.replace('\'', r"'\''")) }
}

fn watcher(place: &Place, format: Format, story: Story) -> Box<dyn Watcher> {
    use std::io::IsTerminal;
    let stderr = std::io::stderr();
    let paint = Paint::of(&stderr);
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    match format {
        Format::Json => Box::new(Json::new(std::io::stdout())),
        Format::Human if stderr.is_terminal() && !dumb => {
            let clock = Arc::clone(&place.clock);
            Box::new(Live::new(story, paint, Arc::new(move || clock.now())))
        }
        Format::Human => Box::new(Plain::new(stderr, paint, story)),
    }
}

/// Hands Ctrl-C and requests to terminate to the run, each time they come. Where they cannot be caught the process dies
/// of them, and the run is resumed later.
#[cfg(unix)]
fn listen(interrupt: Interrupt) {
    use tokio::signal::unix::{SignalKind, signal};
    let streams = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut ctrl_c), Ok(mut terminate)) = streams else { return };
    tokio::spawn(async move {
        loop {
            let came = tokio::select! {
                came = ctrl_c.recv() => came,
                came = terminate.recv() => came,
            };
            if came.is_none() {
                return;
            }
            interrupt.send();
        }
    });
}

/// Hands Ctrl-C to the run, each time it comes.
#[cfg(not(unix))]
fn listen(interrupt: Interrupt) {
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            interrupt.send();
        }
    });
}
