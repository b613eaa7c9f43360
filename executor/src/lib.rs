//! Belay's executor: replays exactly what an approved plan says, journals every step, and brings the old state back
//! when a step fails. It makes no choice that the plan does not hold.

pub mod cloud;
pub mod observe;
pub mod time;
