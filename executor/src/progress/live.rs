//! A live tree on a terminal: the run, its components at work, their steps with elapsed time and where each stands;
//! what is finished moves up as plain lines.
//!
//! Invariant: never more lines than the terminal has; what does not fit is counted in the last one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use belay_schemas::journal::RunPhase;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::plain::{node_width, render};
use super::story::count;
use super::{Paint, Story, Tone, Watcher};
use crate::run::{RunEvent, What};
use crate::time::duration;

/// Tells the time on the run's clock, in milliseconds.
pub type Now = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Shows a run on a terminal.
pub struct Live {
    story: Story,
    paint: Paint,
    width: usize,
    now: Now,
    screen: MultiProgress,
    head: ProgressBar,
    /// One bar a line of the tree, in order; a bar's key is a component or a node.
    bars: Vec<(Key, ProgressBar)>,
    height: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Component(String),
    Node(String),
    Rest(usize),
}

impl Live {
    /// Shows the story of a run on standard error.
    pub fn new(story: Story, paint: Paint, now: Now) -> Self {
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(12));
        let height = usize::from(console::Term::stderr().size().0);
        let head = screen.add(ProgressBar::new_spinner());
        head.set_style(style("{spinner} {msg}"));
        // Only now: a bar that ticks before it is on the screen draws itself once and leaves that behind.
        head.enable_steady_tick(Duration::from_millis(120));
        let width = node_width(&story);
        Self { story, paint, width, now, screen, head, bars: Vec::new(), height: height.max(6) }
    }

    /// The lines of the tree that ought to be there now.
    fn wanted(&self) -> Vec<Key> {
        let mut tree: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (id, _) in self.story.running() {
            let component = self.story.plan().node(id).and_then(|n| n.component.as_deref()).unwrap_or("");
            tree.entry(component).or_default().push(id);
        }
        let mut keys: Vec<Key> = Vec::new();
        for (component, nodes) in tree {
            if !component.is_empty() {
                keys.push(Key::Component(component.to_owned()));
            }
            keys.extend(nodes.into_iter().map(|id| Key::Node(id.to_owned())));
        }
        let room = self.height - 4;
        if keys.len() > room {
            let hidden = keys.split_off(room);
            keys.push(Key::Rest(hidden.iter().filter(|key| matches!(key, Key::Node(_))).count()));
        }
        keys
    }

    fn redraw(&mut self) {
        let wanted = self.wanted();
        self.bars.retain(|(key, bar)| {
            let stays = wanted.contains(key);
            if !stays {
                bar.finish_and_clear();
                self.screen.remove(bar);
            }
            stays
        });
        for (at, key) in wanted.into_iter().enumerate() {
            if self.bars.get(at).map(|(there, _)| there) != Some(&key) {
                let bar = self.screen.insert(at + 1, self.bar(&key));
                bar.enable_steady_tick(Duration::from_millis(120));
                self.bars.insert(at, (key, bar));
            }
        }
        for (key, bar) in &self.bars {
            if let Key::Node(id) = key {
                let summary = || self.story.plan().node(id).map(|n| self.paint.tone(Tone::Quiet, &n.summary));
                bar.set_message(self.story.progress(id).map(str::to_owned).or_else(summary).unwrap_or_default());
            }
        }
        self.head.set_message(self.headline());
    }

    fn headline(&self) -> String {
        let tally = self.story.tally();
        let doing = match self.story.phase() {
            None | Some(RunPhase::Checking) => self.paint.tone(Tone::Quiet, "checking the plan's assumptions"),
            Some(RunPhase::Deploy) => format!("deploying  {} of {}", tally.done, count(tally.all, "step")),
            Some(RunPhase::Finalize) => format!("tidying  {} of {}", tally.done, count(tally.all, "step")),
            Some(RunPhase::Undo) => {
                self.paint.tone(Tone::Warn, &format!("going back  {} of {}", tally.done, count(tally.all, "step")))
            }
        };
        let target = &self.story.plan().target;
        let project = self.paint.tone(Tone::Subject, &self.story.plan().project);
        format!("{project} in {}  {doing}", target.place())
    }

    fn bar(&self, key: &Key) -> ProgressBar {
        match key {
            Key::Component(name) => {
                let change = self.story.plan().components.get(name).map(|c| c.change);
                let change = change.map(change_word).unwrap_or_default();
                let name = self.paint.tone(Tone::Subject, name);
                let text = format!("  {name} {}", self.paint.tone(Tone::Quiet, change));
                let bar = ProgressBar::new_spinner();
                bar.set_style(style("{prefix}"));
                bar.with_prefix(text)
            }
            Key::Node(id) => {
                let node = self.story.plan().node(id);
                let name = node.and_then(|n| n.component.as_deref()).and_then(|c| id.strip_prefix(c)).unwrap_or(id);
                let name = name.trim_start_matches('.').to_owned();
                let template = if self.paint.colour {
                    "    {spinner:.cyan} {prefix}{took:>12}  {wide_msg}"
                } else {
                    "    {spinner} {prefix}{took:>12}  {wide_msg}"
                };
                let since = self
                    .story
                    .running()
                    .find_map(|(running, since)| (running == id).then_some(since))
                    .unwrap_or_default();
                let now = Arc::clone(&self.now);
                let bar = ProgressBar::new_spinner();
                bar.set_style(style(template).with_key(
                    "took",
                    move |_: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
                        let _ = out.write_str(&duration((now)().saturating_sub(since) / 1000 * 1000));
                    },
                ));
                bar.with_prefix(format!("{name:<28}"))
            }
            Key::Rest(hidden) => {
                let bar = ProgressBar::new_spinner();
                bar.set_style(style("{prefix}"));
                bar.with_prefix(self.paint.tone(Tone::Quiet, &format!("  and {} more at work", count(*hidden, "step"))))
            }
        }
    }
}

impl Watcher for Live {
    fn event(&mut self, event: &RunEvent) {
        for line in self.story.apply(event) {
            // Where a step stands is told in its own line of the tree.
            let shown = matches!(event.what, What::Polled { .. } | What::Started) && line.tone == Tone::Quiet;
            if shown || matches!(event.what, What::Retrying { .. }) {
                continue;
            }
            let _ = self.screen.println(render(&line, self.paint, self.width));
        }
        self.redraw();
    }

    fn finish(&mut self) {
        for (_, bar) in self.bars.drain(..) {
            bar.finish_and_clear();
        }
        self.head.finish_and_clear();
        let _ = self.screen.clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants of this file; a broken one would show as the plain default.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn change_word(change: belay_schemas::plan::Change) -> &'static str {
    use belay_schemas::plan::Change;
    match change {
        Change::Create => "create",
        Change::Update => "update",
        Change::Scale => "scale",
        Change::Run => "run",
        Change::Remove => "remove",
        Change::Tidy => "tidy",
        Change::None => "unchanged",
    }
}
