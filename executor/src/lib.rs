//! Belay's executor: replays exactly what an approved plan says, journals every step, and brings the old state back
//! when a step fails. It makes no choice that the plan does not hold.

pub mod approval;
#[cfg(feature = "aws")]
pub mod aws;
pub mod cloud;
pub mod http;
pub mod journal;
pub mod lock;
pub mod observe;
pub mod progress;
#[cfg(feature = "registry")]
pub mod registry;
pub mod rehearse;
pub mod run;
mod shared;
pub mod simulator;
pub mod time;
pub mod trace;

/// Bytes as lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
        text.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
    }
    text
}
