//! Time: waits that can come to an end, and limits of at least a second.

use super::Findings;
use super::view::View;
use crate::plan::{Action, Wait};

pub(super) fn check(view: &View<'_>, found: &mut Findings) {
    for (_, node) in view.nodes() {
        let id = node.id.as_str();
        if node.timeout == 0 {
            found.add("P902", [id], "`timeout` is at least one second");
        }
        match &node.action {
            Action::Wait { wait } => limits(id, wait, found),
            Action::Http { http } if http.timeout == 0 => {
                found.add("P902", [id], "`http.timeout` is at least one second");
            }
            Action::Exec { exec } if exec.timeout == 0 => {
                found.add("P902", [id], "`exec.timeout` is at least one second");
            }
            _ => {}
        }
    }
}

fn limits(id: &str, wait: &Wait, found: &mut Findings) {
    if wait.reads.is_empty() {
        found.add("P901", [id], "a wait makes at least one read a poll");
    }
    for (at, evidence) in wait.evidence.iter().enumerate() {
        if evidence.reads.is_empty() {
            found.add("P901", [id], format!("evidence[{at}] makes at least one read"));
        }
    }
    let Wait { interval, no_progress, overall, hold, .. } = *wait;
    if interval == 0 {
        found.add("P902", [id], "`interval` is at least one second");
    }
    if no_progress < interval {
        found.add("P902", [id], format!("`noProgress` ({no_progress} s) is at least `interval` ({interval} s)"));
    }
    if overall < no_progress {
        found.add("P902", [id], format!("`overall` ({overall} s) is at least `noProgress` ({no_progress} s)"));
    }
    if overall < hold {
        found.add("P902", [id], format!("`overall` ({overall} s) is at least `hold` ({hold} s)"));
    }
}
