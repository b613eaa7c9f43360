//! Belay.
fn main() {}
