//! Several environments at once: `-e NAME=FILE[,FILE…]`, each with a plan of its own.
//!
//! Invariant: either all environments of a command line have names or none has; where they have, every file that belongs
//! to one of them says so with `{environment}` in its path.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::args::Inputs;
use crate::commands::Failure;
use crate::files;

/// What stands for the environment's name in a path.
const PLACEHOLDER: &str = "{environment}";

/// The inputs for one environment.
#[derive(Debug)]
pub struct One {
    /// Its name; absent where there is only one.
    pub name: Option<String>,
    /// Its inputs.
    pub inputs: Inputs,
    /// Where its result goes.
    pub output: Option<PathBuf>,
}

/// Takes the inputs apart by environment.
///
/// # Errors
/// A command line that mixes named and unnamed environments, leaves open which file is whose, or writes over an input.
pub fn environments(inputs: &Inputs, output: Option<&Path>) -> Result<Vec<One>, Failure> {
    let all = apart(inputs, output)?;
    for one in &all {
        let read = [&one.inputs.model].into_iter().chain(&one.inputs.environments).chain(&one.inputs.observed);
        files::check_output(one.output.as_deref(), read)?;
    }
    Ok(all)
}

fn apart(inputs: &Inputs, output: Option<&Path>) -> Result<Vec<One>, Failure> {
    let named: Vec<Option<(&str, &str)>> = inputs.environments.iter().map(|path| split(path)).collect();
    if named.iter().all(Option::is_none) {
        let one = One { name: None, inputs: inputs.clone(), output: output.map(Path::to_owned) };
        return Ok(vec![one]);
    }
    let mut all = Vec::new();
    let mut seen = BTreeSet::new();
    for (path, named) in inputs.environments.iter().zip(&named) {
        let Some((name, files)) = named else {
            return Err(Failure::usage(format!(
                "`-e {}` has no name, but another environment has one: write NAME=FILE[,FILE…] for each of them",
                path.display()
            )));
        };
        if !seen.insert(*name) {
            return Err(Failure::usage(format!(
                "environment `{name}` is given twice: write its files in one argument, separated by commas"
            )));
        }
        let mut inputs = inputs.clone();
        inputs.environments = files.split(',').map(PathBuf::from).collect();
        inputs.observed = inputs.observed.as_deref().map(|path| of(path, name, "--observed")).transpose()?;
        let output = output.filter(|path| !files::is_dash(path)).map(|path| of(path, name, "--output")).transpose()?;
        all.push(One { name: Some((*name).to_owned()), inputs, output });
    }
    if all.len() > 1 && all.iter().any(|one| one.output.is_none()) {
        return Err(Failure::usage(format!(
            "several environments give several files: write `--output` with {PLACEHOLDER} in it, such as `-o {PLACEHOLDER}.plan.json`"
        )));
    }
    Ok(all)
}

/// `NAME=FILES`, if it is that: a name has no separators of folders or of a file's kind in it.
fn split(path: &Path) -> Option<(&str, &str)> {
    let (name, files) = path.to_str()?.split_once('=')?;
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (!name.is_empty() && name.chars().all(legal) && !files.is_empty()).then_some((name, files))
}

fn of(path: &Path, name: &str, option: &str) -> Result<PathBuf, Failure> {
    match path.to_str() {
        Some(text) if text.contains(PLACEHOLDER) => Ok(PathBuf::from(text.replace(PLACEHOLDER, name))),
        _ => Err(Failure::usage(format!(
            "with named environments, `{option} {}` has to say whose it is: write {PLACEHOLDER} where the name stands",
            path.display()
        ))),
    }
}
