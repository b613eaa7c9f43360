//! What people see on standard error.

use std::io::Write as _;

use anstream::{AutoStream, ColorChoice};

use crate::args::Color;

/// Whether to colour what goes to standard error.
pub fn coloured(color: Color) -> bool {
    chosen(color, || AutoStream::choice(&std::io::stderr()))
}

/// Whether to colour what goes to standard output.
pub fn coloured_output(color: Color) -> bool {
    chosen(color, || AutoStream::choice(&std::io::stdout()))
}

fn chosen(color: Color, auto: impl FnOnce() -> ColorChoice) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => auto() != ColorChoice::Never,
    }
}

/// Writes to standard error; there is nobody to tell when that fails.
pub fn say(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// An error without a place in an input.
pub fn error(message: &str) {
    say(&format!("error: {message}\n"));
}

/// A bug of ours: what to report.
pub fn bug(what: &str) {
    say(&format!(
        "belayc {} has a bug and cannot go on; nothing was written.\n\
         Please report this, if you can with the files that led to it:\n  {}\n",
        env!("CARGO_PKG_VERSION"),
        what.replace('\n', "\n  ")
    ));
}
