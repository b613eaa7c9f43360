//! One JSON document a line, for programs.
//!
//! The form is stable: `{"at": MILLISECONDS, "time": RFC 3339, "node", "component", "phase", "elapsed", "is": KIND, …}`,
//! where the members after `time` are [`RunEvent`]'s and [`What`](crate::run::What)'s; answers of AWS, which may be
//! long, are left out. The program adds one last line with the member `verdict`, see [`Verdict`](super::Verdict).

use std::io::Write;

use serde_json::Value;

use super::Watcher;
use crate::run::RunEvent;
use crate::time::rfc3339;

/// Writes each event as a line of JSON.
pub struct Json<W> {
    out: W,
}

impl<W: Write + Send> Json<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write + Send> Watcher for Json<W> {
    fn event(&mut self, event: &RunEvent) {
        let mut value = serde_json::to_value(event).unwrap_or_default();
        for part in ["", "/outcome"] {
            if let Some(Value::Object(map)) = value.pointer_mut(part) {
                map.remove("answer");
            }
        }
        value["time"] = rfc3339(event.at).into();
        // A reader that went away does not stop a run.
        let _ = writeln!(self.out, "{value}");
        let _ = self.out.flush();
    }
}
