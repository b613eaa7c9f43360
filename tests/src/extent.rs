//! How much of what takes long is tried: `cargo test` is to be repeated after every change, so that it tries a part; the
//! rest is tried where there is time.
//!
//! Invariants: which part is tried depends on the recorded seed alone; `BELAY_FAULTS` with another word than those below is
//! a failure, so that nobody believes to have tried more than was tried.

use std::env;

/// What parts are drawn with.
pub const SEED: usize = 20_261_120;

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// A part of what takes long: where nobody asks for more.
    Quick,
    /// More of it, with `BELAY_FAULTS=ci`: what takes half an hour on two processors.
    Ci,
    /// All of it: with `BELAY_FAULTS=all`, and in release builds.
    All,
}

/// How much is tried.
///
/// # Panics
/// When `BELAY_FAULTS` says something that it cannot say.
pub fn extent() -> Extent {
    match env::var("BELAY_FAULTS").as_deref() {
        Ok("all") => Extent::All,
        Ok("ci") => Extent::Ci,
        Err(_) | Ok("") if cfg!(debug_assertions) => Extent::Quick,
        Err(_) | Ok("") => Extent::All,
        Ok(other) => panic!("BELAY_FAULTS is `ci` or `all`, not `{other}`"),
    }
}

/// Whether nothing is left out.
pub fn whole() -> bool {
    extent() == Extent::All
}

/// Whether even what grows without bound is tried in full, such as all pairs of faults: with `BELAY_FAULTS=all` alone.
pub fn exhaustive() -> bool {
    env::var("BELAY_FAULTS").is_ok_and(|said| said == "all")
}

/// Of how many one is tried, where not all are.
#[derive(Debug, Clone, Copy)]
pub struct OneIn {
    /// When nobody asks for more.
    pub quick: usize,
    /// With `BELAY_FAULTS=ci`.
    pub ci: usize,
}

impl OneIn {
    /// Of how many one is tried here.
    pub fn number(self) -> usize {
        match extent() {
            Extent::Quick => self.quick,
            Extent::Ci => self.ci,
            Extent::All => 1,
        }
    }

    /// Whether the one at a position is tried.
    pub fn takes(self, at: usize) -> bool {
        let number = self.number();
        at % number == SEED % number
    }

    /// Those that are tried.
    pub fn of<T>(self, all: impl IntoIterator<Item = T>) -> Vec<T> {
        all.into_iter().enumerate().filter(|(at, _)| self.takes(*at)).map(|(_, one)| one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_so_many_is_taken() {
        for number in 1..9 {
            let one = OneIn { quick: number, ci: number };
            let taken = (0..number).filter(|at| one.takes(*at)).count();
            assert!(taken == 1 || whole() && taken == number, "{number}: {taken}");
        }
    }
}
