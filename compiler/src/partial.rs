//! Plans that are limited to some components (`--only`): what is left out although those rely on it.
//!
//! Invariant: only what the model says of those components counts; whatever else is left out is left out on purpose.

use belay_schemas::plan::Mode;

use crate::compile::Options;
use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::desired::settle;
use crate::ecs::{Context, connect, records};

/// Tells what the components of a limited plan rely on and the plan leaves out. `runs`: whether a component of the model
/// runs now.
pub fn check(context: Context<'_>, runs: &dyn Fn(&str) -> bool, report: &mut Report) {
    if context.options.only.is_empty() {
        return;
    }
    let components = &context.loaded.model.components;
    let included = |name: &str| context.options.includes(name);
    for (name, component) in components {
        let place = Place::model(["components", name]);
        for used in component.uses.keys() {
            let at = place.child("uses").child(used).key();
            match context.options.mode {
                Mode::Deploy if included(name) && !included(used) && !is_task(context, used) && !runs(used) => report
                    .push(
                        Diagnostic::warning(
                            "B328",
                            format!("`{name}` uses `{used}`, which does not run, and `--only` leaves it out"),
                        )
                        .at(at)
                        .help(format!("add `--only {used}`, or deploy `{used}` first")),
                    ),
                Mode::Deploy if included(used) && !included(name) => {
                    if let Some((before, after)) = records::renamed(context, used) {
                        let message = format!(
                            "`{name}` looks `{used}` up as {before}, which becomes {after}, and `--only` leaves `{name}` out"
                        );
                        let diagnostic = Diagnostic::error("B328", message).at(at.clone());
                        report.push(diagnostic.help(format!("add `--only {name}`, so that it searches the new zone")));
                    }
                    let news = connect::beyond(context, name, used);
                    if !news.is_empty() {
                        let message = format!(
                            "`{used}` offers {} from now on, which `{name}` reaches only once it is deployed anew, and `--only` leaves it out",
                            news.join(", ")
                        );
                        report.push(
                            Diagnostic::warning("B328", message)
                                .at(at)
                                .help(format!("add `--only {name}`: later plans do not see that it is needed")),
                        );
                    }
                }
                Mode::Teardown if included(used) && !included(name) && runs(name) => report.push(
                    Diagnostic::warning(
                        "B328",
                        format!("`{name}` uses `{used}`, which is torn down, and `--only` leaves `{name}` as it is"),
                    )
                    .at(at)
                    .help(format!("add `--only {name}`, or tear `{name}` down first")),
                ),
                _ => {}
            }
        }
        if context.options.mode == Mode::Teardown || included(name) {
            continue;
        }
        let settled = settle(context, name, component);
        let Some(once) = &settled.settings.once else { continue };
        for (key, others, when) in [("before", &once.before, "before"), ("after", &once.after, "after")] {
            if let Some(other) = others.iter().find(|other| included(other)) {
                report.push(
                    Diagnostic::warning(
                        "B328",
                        format!("`{name}` runs {when} `{other}` changes, and `--only` leaves it out"),
                    )
                    .at(settled.place("once").child(key))
                    .help(format!("add `--only {name}`, unless it is not needed this time")),
                );
            }
        }
    }
}

/// Tasks are not running: they run once, or at certain times.
fn is_task(context: Context<'_>, name: &str) -> bool {
    context.loaded.model.components.get(name).is_some_and(|component| {
        let settled = settle(context, name, component);
        settled.settings.once.is_some() || settled.settings.schedule.is_some()
    })
}

/// Names that a limited teardown found nothing for: neither in the model nor among what the project owns.
pub fn strangers<'o>(options: &'o Options, known: &dyn Fn(&str) -> bool) -> Vec<&'o str> {
    options.only.iter().map(String::as_str).filter(|name| options.mode == Mode::Teardown && !known(name)).collect()
}
