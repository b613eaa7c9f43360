//! `belayc test`: snapshot tests of a user's own models and environments.
//!
//! Invariants: a case is compiled as `belayc compile` would compile it; a case without expectations fails until somebody
//! accepts what comes out; files of the user are only written with `--accept`, and only expectations.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use belay_compiler::compile::{Options, compile};
use belay_compiler::diagnostics::{Report, SourceFile, human};
use belay_compiler::source::json;
use belay_compiler::{Sources, load, show};
use belay_schemas::plan::Mode;
use serde::Deserialize;
use similar::TextDiff;

use crate::commands::Failure;
use crate::junit::{self, Row};
use crate::{Exit, args, files, terminal};

/// What `case.yaml` may say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    project: Option<String>,
    model: Option<PathBuf>,
    environments: Option<Vec<PathBuf>>,
    observed: Option<PathBuf>,
    #[serde(default)]
    vars: BTreeMap<String, serde_yaml::Value>,
    mode: Option<Mode>,
    #[serde(default)]
    replace_all: bool,
    #[serde(default)]
    only: Vec<String>,
}

/// The files that hold what is expected.
const LISTING: &str = "plan.txt";
const DIAGNOSTICS: &str = "diagnostics.txt";
const PLAN: &str = "plan.json";

/// What came out of a case, by file; an absent text means that the file should not be there.
type Results = Vec<(&'static str, Option<String>)>;

/// Runs all cases.
///
/// # Errors
/// When there is no case, or a file cannot be read or written.
pub fn test(command: &args::Test) -> Result<Exit, Failure> {
    let mut folders = Vec::new();
    find(&command.folder, &mut folders).map_err(|error| {
        Failure::usage({
            let why = files::why(&error, "there is no such folder");
            format!("{} cannot be read: {why}", command.folder.display())
        })
    })?;
    let name = |path: &Path| {
        let inner = path.strip_prefix(&command.folder).unwrap_or(path);
        let inner = if inner.as_os_str().is_empty() { path } else { inner };
        inner.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/")
    };
    folders.retain(|path| command.filter.as_ref().is_none_or(|text| name(path).contains(text)));
    folders.sort();
    if folders.is_empty() {
        if let Some(text) = &command.filter {
            let folder = command.folder.display();
            return Err(Failure::usage(format!("no case below {folder} has `{text}` in its path")));
        }
        let what = "a case is a folder with a `case.yaml` or a `model.yaml`";
        return Err(Failure::usage(format!("no case was found in {}: {what}", command.folder.display())));
    }
    let results = run(&folders, command);
    let mut failed = 0;
    for (path, result) in folders.iter().zip(&results) {
        match result {
            Ok(None) => {}
            Ok(Some(done)) => terminal::say(&format!("{}: {done}\n", name(path))),
            Err(difference) => {
                failed += 1;
                terminal::say(&format!("{}: not as expected\n{difference}\n", name(path)));
            }
        }
    }
    let counted = if folders.len() == 1 { "1 case".to_owned() } else { format!("{} cases", folders.len()) };
    terminal::say(&match failed {
        0 => format!("{counted}, all as expected\n"),
        n => format!("{counted}, {n} not as expected; `--accept` writes what came out\n"),
    });
    if let Some(path) = &command.junit {
        let names: Vec<String> = folders.iter().map(|path| name(path)).collect();
        let rows: Vec<Row<'_>> = names
            .iter()
            .zip(&results)
            .map(|(name, result)| Row { name, failure: result.as_ref().err().map(String::as_str) })
            .collect();
        files::write(Some(path), &junit::xml("belayc", &rows))?;
    }
    Ok(if failed == 0 { Exit::Done } else { Exit::Invalid })
}

/// Folders with cases; hidden ones are left out.
fn find(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if folder.join("case.yaml").is_file() || folder.join("model.yaml").is_file() {
        found.push(folder.to_owned());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && !entry.file_name().to_string_lossy().starts_with('.') {
            find(&entry.path(), found)?;
        }
    }
    Ok(())
}

/// The results in the order of the folders, however many run at the same time.
fn run(folders: &[PathBuf], command: &args::Test) -> Vec<Result<Option<String>, String>> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = command.jobs.map_or(processors, usize::from).min(folders.len());
    let next = AtomicUsize::new(0);
    let results = Mutex::new(vec![Ok(None); folders.len()]);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(folder) = folders.get(at) else { return };
                    let result = one(folder, command.accept);
                    // Nobody panics while holding it.
                    if let Ok(mut results) = results.lock() {
                        results[at] = result;
                    }
                }
            });
        }
    });
    results.into_inner().unwrap_or_default()
}

/// Runs one case: what was written, or how it differs.
fn one(folder: &Path, accept: bool) -> Result<Option<String>, String> {
    let results = compiled(folder)?;
    let mut differences = String::new();
    let mut written = Vec::new();
    for (name, result) in results {
        let path = folder.join(name);
        let expected = fs::read_to_string(&path).ok();
        if expected == result {
            continue;
        }
        if accept {
            let done = match &result {
                Some(text) => files::write(Some(&path), text).map_err(|failure| failure.message.unwrap_or_default()),
                None => fs::remove_file(&path).map_err(|error| error.to_string()),
            };
            done?;
            written.push(if result.is_some() { format!("{name} written") } else { format!("{name} removed") });
            continue;
        }
        let (old, new) = (expected.as_deref().unwrap_or_default(), result.as_deref().unwrap_or_default());
        differences.push_str(&match (&expected, &result) {
            (None, _) => format!("  {name} is not there; it would be:\n"),
            (_, None) => format!("  {name} is there, but nothing of the kind came out:\n"),
            _ => format!("  {name}:\n"),
        });
        for hunk in TextDiff::from_lines(old, new).unified_diff().context_radius(2).iter_hunks() {
            for line in hunk.to_string().lines() {
                differences.push_str(&format!("    {line}\n"));
            }
        }
    }
    if !differences.is_empty() {
        return Err(differences);
    }
    Ok((!written.is_empty()).then(|| written.join(", ")))
}

/// Compiles a case.
fn compiled(folder: &Path) -> Result<Results, String> {
    let path = folder.join("case.yaml");
    let case: Case = match fs::read_to_string(&path) {
        Ok(text) if text.trim().is_empty() => Case::default(),
        Ok(text) => serde_yaml::from_str(&text).map_err(|error| format!("  case.yaml: {error}\n"))?,
        Err(_) => Case::default(),
    };
    // Names in diagnostics are those that the case gives: the same wherever the folder lies.
    let read = |name: &Path| -> Result<SourceFile, String> {
        let bytes = fs::read(folder.join(name)).map_err(|error| {
            let why = files::why(&error, "there is no such file");
            format!("  {} cannot be read: {why}\n", name.display())
        })?;
        let shown = name.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/");
        SourceFile::from_bytes(shown, bytes).map_err(|error| format!("  {error}\n"))
    };
    let model = case.model.clone().unwrap_or_else(|| "model.yaml".into());
    let environments = match case.environments.clone() {
        Some(environments) => environments,
        None => beside(folder, &model)?,
    };
    let observed =
        case.observed.clone().or_else(|| folder.join("observed.json").is_file().then(|| "observed.json".into()));
    let vars = case.vars.iter().map(|(name, value)| {
        let value = match value {
            serde_yaml::Value::String(text) => text.clone(),
            other => serde_yaml::to_string(other).unwrap_or_default().trim().to_owned(),
        };
        (name.clone(), value)
    });
    let name = folder.file_name().map_or("test".into(), |name| name.to_string_lossy());
    let options = Options {
        project: case.project.clone().unwrap_or_else(|| name.into_owned()),
        mode: case.mode.unwrap_or(Mode::Deploy),
        replace_all: case.replace_all,
        only: case.only.clone(),
        adopt: Vec::new(),
    };
    let mut report = Report::new();
    let sources = Sources {
        model: read(&model)?,
        environments: environments.iter().map(|path| read(path)).collect::<Result<_, _>>()?,
        vars: vars.collect(),
    };
    let loaded = load(sources, &mut report);
    let observed = observed.map(|path| read(&path)).transpose()?.map(|file| json::observed(file, &mut report));
    let plan = match (loaded, observed) {
        (_, Some(None)) | (None, _) => None,
        (Some(loaded), observed) => compile(&loaded, observed.flatten().as_ref(), &options, &mut report),
    };
    let listing = plan.as_ref().map(|plan| without_digest(&show::text(plan)));
    let diagnostics = (!report.is_empty()).then(|| human(&report, false));
    let mut results = vec![(LISTING, listing), (DIAGNOSTICS, diagnostics)];
    if folder.join(PLAN).is_file() {
        results.push((PLAN, plan.map(|plan| plan.to_json())));
    }
    Ok(results)
}

/// The environment files beside a model.
fn beside(folder: &Path, model: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("  {error}\n"))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(PathBuf::from(entry.ok()?.file_name())))
        .filter(|name| name.extension().is_some_and(|e| e == "yaml" || e == "yml"))
        .filter(|name| name != model && name.as_os_str() != "case.yaml")
        .collect();
    found.sort();
    if found.is_empty() {
        return Err("  there is no environment: put one beside the model, or name it in case.yaml\n".to_owned());
    }
    Ok(found)
}

/// A listing tells what is done; the digest would change with every version of Belay.
fn without_digest(listing: &str) -> String {
    let lines = listing.split_inclusive('\n').filter(|line| !line.starts_with("plan sha256:"));
    lines.collect()
}
