//! What each command does.

use std::path::Path;

use belay_compiler::compile::{self, Options};
use belay_compiler::diagnostics::{self, Report, SourceFile, codes};
use belay_compiler::source::json;
use belay_compiler::{Loaded, Sources, init, policy, show};
use belay_schemas::checker::{self, LoadError};
use belay_schemas::json_schema;
use belay_schemas::observed::Observed;
use belay_schemas::plan::{Plan, pretty};
use belay_schemas::rehearsal::Rehearsal;
use clap::CommandFactory;

use crate::args::{self, Arguments, CheckFormat, Color, Command, Inputs, ShowFormat};
use crate::{Exit, cases, files, observe, several, terminal};

/// Why a command ends early.
#[derive(Debug)]
pub struct Failure {
    /// With which exit code.
    pub exit: Exit,
    /// What to tell; nothing when everything is told already.
    pub message: Option<String>,
}

impl Failure {
    /// The command line makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: Some(message.into()) }
    }

    /// Something around the program fails.
    pub fn environment(message: impl Into<String>) -> Self {
        Self { exit: Exit::Environment, message: Some(message.into()) }
    }

    /// What was given is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { exit: Exit::Invalid, message: Some(message.into()) }
    }

    /// Everything is told already.
    pub fn told(exit: Exit) -> Self {
        Self { exit, message: None }
    }
}

/// Runs a command.
///
/// # Errors
/// Whatever ends it early.
pub fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let color = arguments.color;
    match arguments.command {
        Command::Compile(command) => compile(&command, color),
        Command::Check(command) => check(&command, color),
        Command::Scope(command) => scope(&command, color),
        Command::Init(command) => init(&command),
        Command::Show(command) => show(&command, color),
        Command::Diff(command) => diff(&command),
        Command::Test(command) => cases::test(&command),
        Command::Render(command) => render(&command, color),
        Command::Policy(command) => policy(&command),
        Command::Man { folder } => man(&folder),
        Command::Explain { code } => explain(code.as_deref()),
        Command::Schema(args::Schema { kind, output }) => {
            files::write(output.as_deref(), &json_schema::document(kind))?;
            Ok(Exit::Done)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "belayc", &mut script);
            files::print(&String::from_utf8_lossy(&script))?;
            Ok(Exit::Done)
        }
    }
}

/// Compiles a plan for each environment. No plan is written unless all of them came out.
fn compile(command: &args::Compile, color: Color) -> Result<Exit, Failure> {
    let mut plans = Vec::new();
    let all = several::environments(&command.inputs, command.output.as_deref())?;
    let count = all.len();
    let mut failure = None;
    for one in all {
        let mut report = Report::new();
        let plan = if command.live {
            live(&one.inputs, &command.observe_option, &mut report)?
        } else {
            plan(&one.inputs, &mut report)?
        };
        head(&one, count, &report);
        tell(&report, CheckFormat::Human, color)?;
        match accepted(plan, &report, &one.inputs) {
            Ok(plan) => plans.push((one, plan)),
            Err(error) => failure = Some(error),
        }
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    let mut changes = false;
    for (one, plan) in &plans {
        files::write_parts(one.output.as_deref(), &|out| plan.write_json(out))?;
        if let Some(path) = one.output.as_deref().filter(|path| !files::is_dash(path)) {
            terminal::say(&format!("{}: {}\n", path.display(), show::verdict(plan)));
        }
        changes |= !plan.nodes.is_empty();
    }
    Ok(if command.exit_code && changes { Exit::Changes } else { Exit::Done })
}

/// Says whose diagnostics follow, where there are several environments.
fn head(one: &several::One, count: usize, report: &Report) {
    if let Some(name) = one.name.as_ref().filter(|_| count > 1 && !report.is_empty()) {
        terminal::say(&format!("In environment {name}:\n\n"));
    }
}

/// Compiles against what `belay observe` says now.
fn live(inputs: &Inputs, observe_options: &[String], report: &mut Report) -> Result<Option<Plan>, Failure> {
    let (loaded, _) = load(inputs, report)?;
    let Some(loaded) = loaded else { return Ok(None) };
    let options = options(inputs);
    // What is wrong without an observation is wrong with one: it is told once, by the compilation.
    let Some(scope) = compile::scope(&loaded, &options, &mut Report::new()) else {
        return Ok(compile::compile(&loaded, None, &options, report));
    };
    let file = observe::observe(&pretty(&scope), observe_options)?;
    let observed = json::observed(file, report);
    Ok(observed.and_then(|observed| compile::compile(&loaded, Some(&observed), &options, report)))
}

fn check(command: &args::Check, color: Color) -> Result<Exit, Failure> {
    // Without observed state nothing can be looked up; everything else has been checked.
    let unseen = command.inputs.observed.is_none();
    let all = several::environments(&command.inputs, Some(Path::new("{environment}")))?;
    let count = all.len();
    if count > 1 && command.format == CheckFormat::Json {
        return Err(Failure::usage("`--format json` is one document: check one environment at a time"));
    }
    let mut failure = None;
    for one in all {
        let mut report = Report::new();
        let plan = plan(&one.inputs, &mut report)?;
        if unseen {
            report.demote("B345");
        }
        head(&one, count, &report);
        tell(&report, command.format, color)?;
        failure = failure.or(accepted(plan.map(drop).or(unseen.then_some(())), &report, &one.inputs).err());
    }
    failure.map_or(Ok(Exit::Done), Err)
}

fn scope(command: &args::Scope, color: Color) -> Result<Exit, Failure> {
    let all = several::environments(&command.inputs, command.output.as_deref())?;
    let count = all.len();
    let mut scopes = Vec::new();
    let mut failure = None;
    for one in all {
        let mut report = Report::new();
        let (loaded, _) = load(&one.inputs, &mut report)?;
        let scope = loaded.and_then(|loaded| compile::scope(&loaded, &options(&one.inputs), &mut report));
        head(&one, count, &report);
        tell(&report, CheckFormat::Human, color)?;
        match accepted(scope, &report, &one.inputs) {
            Ok(scope) => scopes.push((one, scope)),
            Err(error) => failure = Some(error),
        }
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    for (one, scope) in &scopes {
        files::write(one.output.as_deref(), &pretty(scope))?;
    }
    Ok(Exit::Done)
}

fn init(command: &args::Init) -> Result<Exit, Failure> {
    let Some(path) = &command.observed else {
        let project = command.project.as_deref().unwrap_or_default();
        let region = command.region.clone();
        let scope = init::scope(project, &command.cluster, &command.tag_prefix, region, &command.components)
            .map_err(Failure::usage)?;
        files::print(&pretty(&scope))?;
        return Ok(Exit::Done);
    };
    let mut report = Report::new();
    let file = files::read(path, files::JSON_BYTES, &mut report);
    let Some(observed) = file.and_then(|file| json::observed(file, &mut report)) else {
        terminal::say(&diagnostics::human(&report, false));
        return Err(Failure::told(Exit::Invalid));
    };
    let written = init::write(&observed).map_err(|reason| Failure::invalid(format!("{}: {reason}", path.display())))?;
    let folder = &command.output;
    let files = [("model.yaml", &written.model), ("prod.yaml", &written.environment)];
    if let Some((name, _)) = files.iter().find(|(name, _)| folder.join(name).exists()) {
        let there = folder.join(name);
        return Err(Failure::usage(format!("{} is there already: name another folder with -o", there.display())));
    }
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::environment(format!("{} cannot be made: {error}", folder.display())))?;
    for (name, text) in files {
        files::write(Some(&folder.join(name)), text)?;
    }
    written.notes.iter().for_each(|note| terminal::say(&format!("note: {note}\n")));
    let adopt: String = written.adopt.iter().map(|name| format!(" --adopt {name}")).collect();
    let (model, environment) = (folder.join("model.yaml"), folder.join("prod.yaml"));
    let inputs = format!("-p {} -m {} -e {}{adopt}", observed.scope.project, model.display(), environment.display());
    terminal::say(&format!(
        "written: {} and {}\nnext:\n  belayc scope {inputs} | belay observe - -o observed.json\n  belayc compile {inputs} --observed observed.json -o plan.json\n",
        model.display(),
        environment.display()
    ));
    Ok(Exit::Done)
}

fn show(command: &args::Show, color: Color) -> Result<Exit, Failure> {
    files::check_stdin([&command.plan].into_iter().chain(&command.rehearsal))?;
    files::check_output(command.output.as_deref(), [&command.plan].into_iter().chain(&command.rehearsal))?;
    let plan = read_plan(&command.plan)?;
    let rehearsal = command.rehearsal.as_deref().map(read_rehearsal).transpose()?;
    let paint = |text: String| {
        let terminal = command.output.as_deref().is_none_or(files::is_dash) && terminal::coloured_output(color);
        if terminal { show::paint(&text) } else { text }
    };
    let text = match (&command.node, command.format) {
        (None, ShowFormat::Text) => paint(show::text(&plan)),
        (None, ShowFormat::Markdown) => show::markdown(&plan, rehearsal.as_ref()),
        (None, ShowFormat::Mermaid) => show::mermaid(&plan),
        (None, ShowFormat::Dot) => show::dot(&plan),
        (None, ShowFormat::Html) => show::html(&plan, rehearsal.as_ref()),
        (None, ShowFormat::Json) => plan.to_json(),
        (Some(id), format) => {
            let text = match format {
                ShowFormat::Text => show::node(&plan, id).map(paint),
                ShowFormat::Json => plan.node(id).map(pretty),
                _ => return Err(Failure::usage("--node goes with the formats text and json")),
            };
            text.ok_or_else(|| no_such_node(&plan, id))?
        }
    };
    files::write(command.output.as_deref(), &text)?;
    Ok(Exit::Done)
}

/// Reads a plan and has it checked.
fn read_plan(path: &Path) -> Result<Plan, Failure> {
    let file = read_file(path)?;
    checker::load(&file.text).map_err(|error| {
        let foreign = matches!(
            error,
            LoadError::NotJson { .. }
                | LoadError::NotAPlan { .. }
                | LoadError::UnknownMember { .. }
                | LoadError::Form { .. }
        );
        let help = if foreign { "\nhelp: a plan is what `belayc compile … -o PLAN.json` writes" } else { "" };
        Failure::invalid(format!("{}: {error}{help}", file.name))
    })
}

fn read_rehearsal(path: &Path) -> Result<Rehearsal, Failure> {
    let file = read_file(path)?;
    serde_json::from_str(&file.text).map_err(|error| {
        let name = &file.name;
        Failure::invalid(format!("{name} is not what `belay rehearse PLAN.json --format json` writes: {error}"))
    })
}

/// Reads a file that is no YAML; why it cannot be read is told.
fn read_file(path: &Path) -> Result<SourceFile, Failure> {
    let mut report = Report::new();
    files::read(path, files::JSON_BYTES, &mut report).ok_or_else(|| {
        terminal::say(&diagnostics::human(&report, false));
        Failure::told(Exit::Invalid)
    })
}

fn diff(command: &args::Diff) -> Result<Exit, Failure> {
    files::check_stdin([&command.old, &command.new])?;
    let comparison = show::compare(&read_plan(&command.old)?, &read_plan(&command.new)?);
    files::print(&comparison.text)?;
    Ok(if command.exit_code && !comparison.same { Exit::Changes } else { Exit::Done })
}

fn render(command: &args::Scope, color: Color) -> Result<Exit, Failure> {
    let all = several::environments(&command.inputs, command.output.as_deref())?;
    let count = all.len();
    let mut rendered = Vec::new();
    let mut failure = None;
    for one in all {
        let mut report = Report::new();
        let (loaded, _) = load(&one.inputs, &mut report)?;
        head(&one, count, &report);
        tell(&report, CheckFormat::Human, color)?;
        match accepted(loaded.map(|loaded| loaded.render()), &report, &one.inputs) {
            Ok(parts) => rendered.push((one, parts)),
            Err(error) => failure = Some(error),
        }
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    for (one, [model, environment]) in &rendered {
        files::write(one.output.as_deref(), &format!("# model\n{model}---\n# environment\n{environment}"))?;
    }
    Ok(Exit::Done)
}

fn policy(command: &args::Policy) -> Result<Exit, Failure> {
    files::check_output(command.output.as_deref(), [&command.plan])?;
    let plan = read_plan(&command.plan)?;
    let (known, roles) = (policy::equipments(&plan), command.profile_role.iter().cloned().collect());
    if let Some((name, _)) = command.profile_role.iter().find(|(name, _)| !known.contains(name)) {
        let all: Vec<&str> = known.iter().map(String::as_str).collect();
        let all = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
        return Err(Failure::usage(format!("--profile-role {name}: the plan's instance profiles are: {all}")));
    }
    let policies = policy::policies(&plan, &roles);
    policies.notes.iter().for_each(|note| terminal::say(&format!("note: {note}\n")));
    let text = match policies.documents.as_slice() {
        [one] => pretty(one),
        several => pretty(&several),
    };
    files::write(command.output.as_deref(), &text)?;
    Ok(Exit::Done)
}

fn man(folder: &Path) -> Result<Exit, Failure> {
    let failed =
        |error: std::io::Error| Failure::environment(format!("{} cannot be written: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(Arguments::command(), folder).map_err(failed)?;
    Ok(Exit::Done)
}

fn explain(code: Option<&str>) -> Result<Exit, Failure> {
    let text = match code {
        None => codes::list(),
        Some(code) => codes::explain(code).ok_or_else(|| {
            Failure::usage(format!("there is no diagnostic `{code}`; `belayc explain` lists all of them"))
        })?,
    };
    files::print(&text)?;
    Ok(Exit::Done)
}

fn no_such_node(plan: &Plan, id: &str) -> Failure {
    let near = belay_compiler::nearest(id, plan.nodes.iter().map(|n| n.id.as_str()));
    let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    Failure::usage(format!("the plan has no node `{id}`{hint}"))
}

/// Reads all inputs. Several files may be unreadable; all of them are told.
fn load(inputs: &Inputs, report: &mut Report) -> Result<(Option<Loaded>, Option<Observed>), Failure> {
    let paths = [&inputs.model].into_iter().chain(&inputs.environments).chain(&inputs.observed);
    files::check_stdin(paths)?;
    let model = files::read_yaml(&inputs.model, report);
    let environments: Vec<_> = inputs.environments.iter().map(|path| files::read_yaml(path, report)).collect();
    let observed = inputs.observed.as_deref().map(|path: &Path| files::read(path, files::JSON_BYTES, report));
    let environments: Option<Vec<_>> = environments.into_iter().collect();
    let loaded = match (model, environments) {
        (Some(model), Some(environments)) => {
            belay_compiler::load(Sources { model, environments, vars: inputs.vars.clone() }, report)
        }
        _ => None,
    };
    let observed = observed.flatten().and_then(|file| json::observed(file, report));
    Ok((loaded, observed))
}

fn options(inputs: &Inputs) -> Options {
    Options {
        project: inputs.project.clone(),
        mode: inputs.mode.into(),
        replace_all: inputs.replace_all,
        only: inputs.only.clone(),
        adopt: inputs.adopt.clone(),
    }
}

fn plan(inputs: &Inputs, report: &mut Report) -> Result<Option<Plan>, Failure> {
    let (loaded, observed) = load(inputs, report)?;
    // Observed state that cannot be read is not the same as none.
    let usable = inputs.observed.is_none() || observed.is_some();
    Ok(loaded
        .filter(|_| usable)
        .and_then(|loaded| compile::compile(&loaded, observed.as_ref(), &options(inputs), report)))
}

/// Shows the report: for people on standard error, for programs on standard output.
fn tell(report: &Report, format: CheckFormat, color: Color) -> Result<(), Failure> {
    match format {
        CheckFormat::Human => {
            terminal::say(&diagnostics::human(report, terminal::coloured(color)));
            if let Some(resolved) = report.resolved().first() {
                terminal::say(&format!("`belayc explain {}` says more.\n", resolved.diagnostic.code));
            }
            Ok(())
        }
        CheckFormat::Json => files::print(&diagnostics::json(report)),
        CheckFormat::Github => files::print(&diagnostics::github(report)),
    }
}

/// The result, unless errors or denied warnings forbid it.
fn accepted<T>(result: Option<T>, report: &Report, inputs: &Inputs) -> Result<T, Failure> {
    if report.has_errors() {
        return Err(Failure::told(Exit::Invalid));
    }
    if inputs.deny_warnings && !report.is_empty() {
        return Err(Failure::invalid("there are warnings, and --deny-warnings was given"));
    }
    result.ok_or_else(|| {
        terminal::bug("nothing was compiled, and no error was told");
        Failure::told(Exit::Bug)
    })
}
