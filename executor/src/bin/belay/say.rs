//! Telling people. Invariant: a reader that went away never stops a run, so failing to write is ignored, where
//! `eprintln!` would panic.

use std::fmt::Display;
use std::io::Write;

/// One line on standard error.
pub fn say(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
