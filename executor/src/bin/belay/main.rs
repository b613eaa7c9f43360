//! `belay`: replays an approved plan, and every forward step hangs on a rollback edge.
//!
//! Invariants: what a program may read goes to standard output, everything for people to standard error; the exit code
//! says how it came out (see `belay --help`); a bug of ours ends the process with 70 and never with another code.

mod approve;
mod cli;
mod consent;
mod failure;
mod files;
mod look;
mod place;
mod rehearse;
mod say;
mod session;
mod shelf;
mod status;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use cli::{Cli, Command, When};
use failure::Failure;
use say::say;

/// Documents are many small values, and rehearsals take them apart on all processors at once.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        say(format_args!("\nbelay has a bug, please report it: {panic}"));
        say(format_args!(
            "If a run was in progress, its journal is whole up to here: `belay status` tells how it stands, `belay resume` goes on."
        ));
        std::process::exit(70);
    }));
    let cli = Cli::parse();
    match cli.color {
        When::Auto => {}
        When::Always => anstream::ColorChoice::Always.write_global(),
        When::Never => anstream::ColorChoice::Never.write_global(),
    }
    match run(cli.command) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => failure.report(),
    }
}

fn run(command: Command) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(Failure::Runtime)?;
    match command {
        Command::Observe(args) => runtime.block_on(look::observe(&args)),
        Command::Verify(args) => runtime.block_on(look::verify(&args)),
        Command::Rehearse(args) => rehearse::command(&args),
        Command::World(args) => look::world(&args),
        Command::Approve(args) => approve::approve(&args),
        Command::Apply(args) => runtime.block_on(session::apply(&args)),
        Command::Resume(args) => runtime.block_on(session::resume(&args)),
        Command::Rollback(args) => runtime.block_on(session::rollback(&args)),
        Command::Status(args) => runtime.block_on(status::status(&args)),
        Command::Man { folder } => {
            let failed = |source| Failure::Write { path: folder.display().to_string(), source };
            std::fs::create_dir_all(&folder).map_err(failed)?;
            clap_mangen::generate_to(Cli::command(), &folder).map_err(failed)?;
            Ok(0)
        }
        Command::Completions(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "belay", &mut script);
            files::write(None, &String::from_utf8_lossy(&script))?;
            Ok(0)
        }
    }
}
