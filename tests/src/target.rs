//! Where tests may write: below Cargo's target directory, never in the repository.

use std::env;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn repository() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// A folder in Cargo's target directory, the same for every test process and profile.
///
/// It is found from where the running test stands, so that it follows `CARGO_TARGET_DIR`: Cargo marks the root of its
/// target directory with a `CACHEDIR.TAG`.
pub fn folder(name: &str) -> PathBuf {
    let running = env::current_exe().unwrap_or_default();
    let root = running.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    root.map_or_else(|| repository().join("target"), Path::to_owned).join(name)
}
