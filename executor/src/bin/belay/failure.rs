//! What ends the program before a run could end it: one type with its exit code, its words and a way out.
//!
//! Invariant: exit codes are those of the help text; every failure of ours passes through here.

use std::process::ExitCode;

use belay_executor::journal::JournalError;
use belay_executor::observe::ObserveError;
use belay_executor::progress::{Paint, Tone};
use belay_executor::rehearse::RehearseError;
use belay_executor::run::RunError;
use belay_executor::simulator::FileError;
use belay_schemas::checker::LoadError;

use crate::say::say;

/// Why the program could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("cannot read {path}: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("cannot write {path}: {source}")]
    Write { path: String, source: std::io::Error },
    #[error("{path}: {reason}")]
    Input { path: String, reason: String, help: Option<String> },
    #[error("{path}: {source}")]
    Plan { path: String, source: LoadError },
    #[cfg(not(feature = "aws"))]
    #[error("this build of belay knows only the simulated AWS")]
    NoAws,
    #[cfg(feature = "aws")]
    #[error(transparent)]
    Aws(#[from] belay_executor::aws::ConfigurationError),
    #[error(transparent)]
    Observe(#[from] ObserveError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    World(#[from] FileError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Rehearse(#[from] RehearseError),
    #[error("{reason}")]
    Usage { reason: String, help: Option<String> },
    #[error("{reason}")]
    Environment { reason: String },
    #[error("cannot start: {0}")]
    Runtime(std::io::Error),
}

impl Failure {
    /// The exit code, as the help text lists them.
    pub fn code(&self) -> u8 {
        match self {
            Self::World(FileError::Write { .. }) => 6,
            Self::World(_) | Self::Read { .. } | Self::Input { .. } | Self::Plan { .. } => 1,
            Self::Observe(ObserveError::Format(_) | ObserveError::Region { .. }) => 1,
            Self::Journal(JournalError::NoRun(_) | JournalError::NoRuns(_)) | Self::Usage { .. } => 2,
            Self::Journal(JournalError::Io { .. } | JournalError::Elsewhere { .. }) | Self::Write { .. } => 6,
            Self::Journal(_) => 1,
            #[cfg(feature = "aws")]
            Self::Aws(_) => 6,
            #[cfg(not(feature = "aws"))]
            Self::NoAws => 6,
            Self::Observe(_) | Self::Environment { .. } | Self::Runtime(_) => 6,
            Self::Run(error) | Self::Rehearse(RehearseError::Run(error)) => error.exit_code(),
            Self::Rehearse(RehearseError::Stale(_)) => 1,
            Self::Rehearse(RehearseError::Runtime(_)) => 6,
            Self::Rehearse(RehearseError::Broken) => 70,
        }
    }

    /// What to do about it, where that is not obvious.
    fn help(&self) -> Option<String> {
        let help = match self {
            Self::Input { help, .. } | Self::Usage { help, .. } => return help.clone(),
            #[cfg(not(feature = "aws"))]
            Self::NoAws => {
                "give `--simulated WORLD.json` to work on a simulated world (a missing file starts from the default \
                 account); a build with the feature `aws` connects to AWS"
            }
            #[cfg(feature = "aws")]
            Self::Aws(error) => return aws_help(error),
            Self::Plan { source: LoadError::Digest { .. }, .. } => {
                "a plan runs only as it was reviewed: compile it again instead of editing it"
            }
            Self::Plan { source: LoadError::Violations(_), .. } => "compile it again with the belayc of this version",
            Self::Observe(ObserveError::Region { .. }) => {
                "name the same region in the environment file and in the AWS configuration (AWS_REGION, profile)"
            }
            Self::Journal(JournalError::In { .. }) | Self::Run(RunError::Journal(JournalError::In { .. })) => {
                "take the journal from a backup if there is one; else observe, compile and apply again: what runs is \
                 compared with what is wanted"
            }
            Self::Run(RunError::Unwritten { .. }) => {
                "what was sent stands in the journal; once that can be written again, `belay resume` goes on from there"
            }
            Self::Run(RunError::Account { .. }) => {
                "use credentials of the plan's account, or observe and compile for this one"
            }
            Self::Run(RunError::Region { .. }) => "work in the plan's region, or observe and compile for this one",
            Self::Journal(JournalError::NoRuns(_)) => "`--journal DIR` names another journal directory",
            Self::Journal(JournalError::NoRun(_)) => "`belay status --list` lists the runs",
            _ => return None,
        };
        Some(help.to_owned())
    }

    /// Tells it on standard error and gives the exit code.
    pub fn report(&self) -> ExitCode {
        let paint = Paint::of(&std::io::stderr());
        say(format_args!("{} {self}", paint.tone(Tone::Bad, "error:")));
        let mut source = std::error::Error::source(self);
        let mut said = self.to_string();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !said.contains(&text) {
                say(format_args!("  because: {text}"));
                said = text;
            }
            source = cause.source();
        }
        if let Some(help) = self.help() {
            say(format_args!("{} {help}", paint.tone(Tone::Good, "help:")));
        }
        ExitCode::from(self.code())
    }
}

/// What to do about a configuration that does not lead to AWS.
#[cfg(feature = "aws")]
fn aws_help(error: &belay_executor::aws::ConfigurationError) -> Option<String> {
    use belay_executor::aws::ConfigurationError as Error;
    let help = match error {
        Error::NoRegion => "write `region` into the environment file, or set AWS_REGION",
        Error::Region { .. } => {
            "name the same region in the environment file and in the AWS configuration (AWS_REGION, profile)"
        }
        Error::Credentials(_) => {
            "set AWS_PROFILE, log in (`aws sso login`), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; \
             `--simulated WORLD.json` works on a simulated world without any"
        }
        Error::Bundle { .. } => "name a file with certificates in PEM",
    };
    Some(help.to_owned())
}
