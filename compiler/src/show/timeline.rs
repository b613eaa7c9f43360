//! How long a run may take: a prediction from the limits in the plan alone.
//!
//! Invariants: `least` is what a run takes in which every call is answered at once and every wait is over at its first
//! look; `most` is what it takes when every call and wait uses up its time without failing. What AWS will really take
//! lies between the two, and the plan cannot know it.

use std::collections::BTreeMap;

use belay_schemas::plan::{Action, EdgeKind, Node, Phase, Plan};

use super::order;

/// Seconds that a call takes at least.
const CALL: u64 = 1;

/// A forward step in time, in seconds from the start of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    /// Earliest begin and end.
    pub least: (u64, u64),
    /// Latest begin and end.
    pub most: (u64, u64),
    /// On the chain that takes longest.
    pub critical: bool,
}

/// When each forward step runs.
pub(super) struct Timeline<'a> {
    /// By node id.
    pub slots: BTreeMap<&'a str, Slot>,
    /// Seconds of the whole run.
    pub least: u64,
    /// Seconds of the whole run.
    pub most: u64,
    /// The ids of the chain that takes longest, in order.
    pub critical: Vec<&'a str>,
}

impl<'a> Timeline<'a> {
    pub fn new(plan: &'a Plan) -> Self {
        let mut before: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for edge in plan.edges.iter().filter(|e| e.kind == EdgeKind::After) {
            before.entry(edge.to.as_str()).or_default().push(&edge.from);
        }
        let mut slots: BTreeMap<&'a str, Slot> = BTreeMap::new();
        let mut cause: BTreeMap<&str, &'a str> = BTreeMap::new();
        // Reads before the start end before anything else begins, edges or not.
        let mut start = (0, 0);
        for node in order::forward(plan) {
            let (least, most) = duration(node);
            let mut begin = if node.phase == Phase::Preflight { (0, 0) } else { start };
            for from in before.get(node.id.as_str()).into_iter().flatten() {
                let Some((id, slot)) = slots.get_key_value(from) else { continue };
                begin.0 = begin.0.max(slot.least.1);
                if slot.most.1 >= begin.1 {
                    begin.1 = slot.most.1;
                    cause.insert(&node.id, id);
                }
            }
            let slot = Slot { least: (begin.0, begin.0 + least), most: (begin.1, begin.1 + most), critical: false };
            if node.phase == Phase::Preflight {
                start = (start.0.max(slot.least.1), start.1.max(slot.most.1));
            }
            slots.insert(&node.id, slot);
        }
        let least = slots.values().map(|s| s.least.1).max().unwrap_or(0);
        let most = slots.values().map(|s| s.most.1).max().unwrap_or(0);
        // Of several that end last, one that something else leads to.
        let last =
            slots.iter().filter(|(_, s)| s.most.1 == most).max_by_key(|(id, s)| (cause.contains_key(*id), s.most.0));
        let mut critical: Vec<&'a str> = Vec::new();
        let mut at = last.map(|(id, _)| *id);
        while let Some(id) = at {
            critical.push(id);
            at = cause.get(id).copied();
        }
        critical.reverse();
        for id in &critical {
            if let Some(slot) = slots.get_mut(id) {
                slot.critical = true;
            }
        }
        Self { slots, least, most, critical }
    }
}

/// Least and most seconds of a step.
fn duration(node: &Node) -> (u64, u64) {
    let once = match &node.action {
        Action::Commit { .. } => (0, 0),
        Action::Call { .. } | Action::Read { .. } => (CALL, node.timeout.max(CALL)),
        Action::Wait { wait } => (wait.hold + CALL, wait.overall.max(wait.hold + CALL)),
        Action::Http { http } => (CALL, http.timeout.max(CALL)),
        Action::Exec { exec } => (CALL, exec.timeout.max(CALL)),
        Action::Gate { .. } => (0, 0),
        Action::Delay { delay } => (*delay, *delay),
    };
    match &node.each {
        // At least one portion; at most as many as the list may have.
        Some(each) => (once.0, once.1 * u64::from(each.max.div_ceil(each.chunk.max(1)).max(1))),
        None => once,
    }
}

/// `2 min 30 s`.
pub(super) fn time(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, 0) => format!("{m} min"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, 0, _) => format!("{h} h"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn times_are_short() {
        assert_eq!([5, 60, 150, 3600, 5430].map(time), ["5 s", "1 min", "2 min 30 s", "1 h", "1 h 30 min"]);
    }
}
