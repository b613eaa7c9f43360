//! Plain lines: `12:00:05  web.service.update  done in 3 s`. Invariant: one line a piece of news, flushed at once.

use std::io::Write;

use super::{Line, Paint, Story, Tone, Watcher};
use crate::run::RunEvent;
use crate::time::time_of_day;

/// Writes lines as things happen.
pub struct Plain<W> {
    out: W,
    paint: Paint,
    story: Story,
    width: usize,
}

impl<W: Write + Send> Plain<W> {
    /// Tells the story of a run to `out`.
    pub fn new(out: W, paint: Paint, story: Story) -> Self {
        let width = node_width(&story);
        Self { out, paint, story, width }
    }
}

impl<W: Write + Send> Watcher for Plain<W> {
    fn event(&mut self, event: &RunEvent) {
        for line in self.story.apply(event) {
            // A reader that went away does not stop a run.
            let _ = writeln!(self.out, "{}", render(&line, self.paint, self.width));
        }
        let _ = self.out.flush();
    }
}

/// Width of the column of node ids: that of the longest one, within reason.
pub(super) fn node_width(story: &Story) -> usize {
    story.plan().nodes.iter().map(|node| node.id.len()).max().unwrap_or(0).min(48)
}

/// A piece of news as text, without the newline at its end.
pub(super) fn render(line: &Line, paint: Paint, width: usize) -> String {
    let time = paint.tone(Tone::Quiet, &time_of_day(line.at));
    let mut text = match &line.node {
        Some(node) => {
            let padding = " ".repeat(width.saturating_sub(node.len()));
            format!("{time}  {}{padding}  {}", paint.tone(Tone::Subject, node), paint.tone(line.tone, &line.text))
        }
        None => format!("{time}  {}", paint.tone(line.tone, &line.text)),
    };
    for detail in &line.details {
        text.push_str("\n            ");
        text.push_str(detail);
    }
    text
}
