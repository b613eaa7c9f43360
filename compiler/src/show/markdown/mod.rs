//! A plan as a comment in a pull request: what a reviewer has to know first, everything else folded.
//!
//! Invariants: fewer than 60,000 characters at any size of a plan (GitHub takes 65,536): what matters least gives way
//! first, and the comment says what it leaves out; whatever names and values a plan holds, they are shown as they are,
//! mention nobody and close no tag.

mod escape;
mod sections;

use belay_schemas::plan::Plan;
use belay_schemas::rehearsal::Rehearsal;

use super::verdict;
pub(super) use escape::prose;
use sections::Section;

/// Characters that a comment may have.
pub const LIMIT: usize = 60_000;

/// Characters that are kept for the last line, which says what was left out.
const FOOTER: usize = 1_000;

/// The comment. `rehearsal` is what `belay rehearse --format json` printed for this plan.
pub fn markdown(plan: &Plan, rehearsal: Option<&Rehearsal>) -> String {
    let head = sections::head(plan);
    let mut left = LIMIT - FOOTER - length(&head).min(LIMIT - FOOTER);
    // By importance: what comes first gets the room that it asks for.
    let mut shown: Vec<(usize, String)> = Vec::new();
    let mut missing: Vec<String> = Vec::new();
    for (place, section) in sections::by_importance(plan, rehearsal) {
        let Section { text, left_out } = section(left);
        debug_assert!(length(&text) <= left, "section {place} takes {} of {left}", length(&text));
        if length(&text) <= left {
            left -= length(&text);
            shown.push((place, text));
        }
        missing.extend(left_out);
    }
    shown.sort_by_key(|(place, _)| *place);
    let mut out = head;
    shown.iter().for_each(|(_, text)| out.push_str(text));
    if !missing.is_empty() {
        let missing = verdict::join(&missing);
        out.push_str(&format!(
            "\n> [!NOTE]\n> Left out, because a comment cannot be longer: {missing}. `belayc show PLAN.json` has all of it.\n"
        ));
    }
    out
}

/// What GitHub counts.
fn length(text: &str) -> usize {
    text.chars().count()
}
