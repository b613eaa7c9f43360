//! The two programs, built once for the tests that run them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder that holds `belayc` and `belay`, built as the tests themselves are.
///
/// # Panics
/// When they cannot be built.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["build", "--locked", "-q", "-p", "belay-compiler", "-p", "belay-executor", "--bins"]);
        if !cfg!(debug_assertions) {
            command.arg("--release");
        }
        // What Cargo tells tests of themselves is no setting: build scripts (ring's) would run again because of it, and all
        // that is built on them.
        let told = |name: &str| {
            let about = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
            about.iter().any(|start| name.starts_with(start))
        };
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(told) {
                command.env_remove(name);
            }
        }
        command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
        let output = command.output().unwrap_or_else(|e| panic!("cargo does not start: {e}"));
        assert!(output.status.success(), "the programs do not build:\n{}", String::from_utf8_lossy(&output.stderr));
        // …/target/debug/deps/test-… → …/target/debug
        let mut folder = std::env::current_exe().unwrap_or_else(|e| panic!("{e}"));
        folder.pop();
        if folder.ends_with("deps") {
            folder.pop();
        }
        folder
    })
}

/// A command for one of the programs in a cleared environment.
pub fn program(name: &str, dir: &Path) -> Command {
    let mut command = Command::new(folder().join(name));
    command.env_clear().env("HOME", dir).current_dir(dir);
    command
}
