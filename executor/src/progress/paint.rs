//! Colours by meaning. Invariant: the same text with and without colour.

use anstyle::{AnsiColor, Effects, Style};

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    Plain,
    /// Of less interest.
    Quiet,
    /// What the line is about.
    Subject,
    /// Went well.
    Good,
    /// Needs a look.
    Warn,
    /// Went wrong.
    Bad,
}

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint {
    /// Whether to colour.
    pub colour: bool,
}

impl Paint {
    /// Colours only where the stream and the environment (`NO_COLOR`, `CLICOLOR`, `TERM`) agree.
    pub fn of<S: anstream::stream::RawStream>(stream: &S) -> Self {
        Self { colour: anstream::AutoStream::choice(stream) != anstream::ColorChoice::Never }
    }

    /// The text in the colour of its meaning.
    pub fn tone(self, tone: Tone, text: &str) -> String {
        let style = match tone {
            _ if !self.colour => return text.to_owned(),
            Tone::Plain => return text.to_owned(),
            Tone::Quiet => Style::new() | Effects::DIMMED,
            Tone::Subject => Style::new() | Effects::BOLD,
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Warn => AnsiColor::Yellow.on_default(),
            Tone::Bad => AnsiColor::Red.on_default() | Effects::BOLD,
        };
        format!("{style}{text}{style:#}")
    }
}
