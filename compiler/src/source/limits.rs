//! What the reader takes at most. The limits are far above any real model and far below what harms a machine.

/// Bytes of one file: 64 MiB. A model of 50 MB compiles within 20 s and 2 GiB, however it is cut into components (1.3 GB
/// with as many as a cluster takes: the bench of compiling); one of 40,000 components is refused after 0.9 GB.
pub const FILE_BYTES: usize = 64 << 20;

/// Levels of nesting.
pub const DEPTH: usize = 100;

/// Values that the anchors and aliases of one file may stand for together. An alias costs as many values as the anchored
/// node has, so that a short file cannot stand for a huge one.
pub const ALIASED_VALUES: usize = 1_000_000;

/// What to do about too many levels.
pub const FLATTER: &str = "write it flatter: no key of Belay lies this deep";
