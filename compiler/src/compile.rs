//! The compiler's stages in order: validate → resolve → normalise → diff → lower → order → check → emit.
//!
//! Invariants: a pure function of loaded inputs, observed state and options; a plan comes out only when nothing is wrong
//! with them and the independent checker finds nothing wrong with it.

mod leftovers;
mod observation;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use belay_schemas::FORMAT;
use belay_schemas::checker;
use belay_schemas::late::is_reserved;
use belay_schemas::observed::Observed;
use belay_schemas::plan::{Inputs, Mode, Notice, Plan, Target, canonical_digest};
use belay_schemas::scope::Scope;
use serde_json::Value;

use crate::asg;
use crate::diagnostics::{Diagnostic, Place, Report, Severity};
use crate::ecs::desired::{self, Desired, Kind};
use crate::ecs::facts::Facts;
use crate::ecs::lower::{Goes, Lowerer, Work, schedule};
use crate::ecs::ownership::{self, Standing};
use crate::ecs::settings::{self, Settings};
use crate::ecs::{Context, diff, groups, records, registries, routing, rules};
use crate::meaning;
use crate::partial;
use crate::placement::Placement;
use crate::source::Loaded;

/// What the command line asks for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Project name.
    pub project: String,
    /// Deploy or tear down.
    pub mode: Mode,
    /// Replace all tasks even where nothing differs.
    pub replace_all: bool,
    /// Only these components; all when empty.
    pub only: Vec<String>,
    /// Components whose service, which nobody's tags claim, is taken over.
    pub adopt: Vec<String>,
}

impl Options {
    /// Whether a plan is about a component.
    pub fn includes(&self, component: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|one| one == component)
    }
}

/// Compiles a plan; absent when the report holds an error.
pub fn compile(loaded: &Loaded, observed: Option<&Observed>, options: &Options, report: &mut Report) -> Option<Plan> {
    check_options(loaded, observed, options, report);
    meaning::check(loaded, report);
    let placement = Placement::of(loaded);
    let settings = settings::resolve(&loaded.environment, report);
    let facts = observed.map(Facts::new);
    let context = Context { loaded, options, settings: &settings, facts: facts.as_ref() };
    if let Some(observed) = observed {
        observation::check(context, &placement, observed, report);
    }
    let only: BTreeSet<&str> = options.only.iter().map(String::as_str).collect();
    let inputs = Inputs { model: loaded.model_digest(), environment: loaded.environment_digest(), observed: None };
    let mut lowerer = Lowerer::new(context);
    let mut capacity = rules::Capacity::new(context);
    let mut quota = rules::Quota::new(context);
    let mut on_instances = false;
    let mut offered = rules::Offered::new(context);
    let mut registered = BTreeSet::new();
    let mut recorded = BTreeSet::new();
    if options.mode == Mode::Deploy {
        let placed = |name: &str| placement.ecs.contains(name) && options.includes(name);
        for (name, component) in loaded.model.components.iter().filter(|(name, _)| placed(name)) {
            let mark = report.mark();
            let desired = desired::build(context, name, component, report);
            on_instances |= !desired.fargate && !desired.managed;
            rules::check(context, &desired, report);
            crate::ecs::lower::log_groups::check(&desired.log_groups, report);
            offered.add(&desired, report);
            registered.extend(desired.registry.as_ref().map(|registry| registries::arn(context, registry)));
            recorded.extend(desired.record.as_ref().map(records::Record::key));
            refuse_reserved(&desired, report);
            let accepted = desired.accepted.clone();
            if let Some(work) = work_on(context, &desired, report) {
                capacity.add(&desired, &work, report);
                quota.add(&desired, &work);
                if !report.has_errors() {
                    lowerer.component(desired, &work, report);
                }
            }
            accept(context, name, mark, &accepted, report);
        }
        if on_instances {
            rules::check_agents(context, report);
        }
    }
    let orphans = leftovers::orphans(context, &placement, report);
    capacity.finish(!orphans.is_empty(), report);
    quota.finish(report);
    let families = leftovers::families(context, &orphans);
    let groups = groups::resolve(context, report);
    let routing = routing::resolve(context, options.mode == Mode::Deploy, report);
    let schedules = leftovers::schedules(context, &placement, report);
    let surplus = leftovers::registries(context, &placement, &registered, report);
    let records = leftovers::records(context, &placement, &recorded, report);
    if report.has_errors() {
        return None;
    }
    let goes = Goes {
        orphans: &orphans,
        leftover_families: &families,
        schedules: &schedules,
        registries: &surplus,
        records: &records,
    };
    let mut part = lowerer.finish(&goes, (&groups, &routing), report);
    let mut used = facts.as_ref().map(Facts::used);
    let mut machines = BTreeSet::new();
    if placement.uses_asg {
        let errors = report.counts_raw();
        let settings = asg::settings::resolve(&loaded.environment, report);
        // Without settings that can be read, components could only be accused of things that they did not do.
        let readable = report.counts_raw() == errors;
        let found = observed.zip(facts.as_ref()).map(|(observed, shared)| asg::facts::Facts::new(observed, shared));
        let context = asg::Context { loaded, options, settings: &settings, facts: found.as_ref() };
        if readable {
            part.join(asg::plugin::compile(context, &placement.asg, report));
        }
        if readable {
            asg::plugin::tie(context, &placement.asg, &mut part, report);
        }
        machines = placement.asg.iter().copied().filter(|name| asg::plugin::runs(context, name)).collect();
        used = found.as_ref().map(asg::facts::Facts::used);
    }
    if report.has_errors() {
        return None;
    }
    let serves = |name: &str| facts.as_ref().is_some_and(|facts| facts.service(&context.service_name(name)).is_some());
    partial::check(context, &|name| machines.contains(name) || serves(name), report);
    let lowering = part.finish(loaded);
    let known = |name: &str| loaded.model.components.contains_key(name) || lowering.components.contains_key(name);
    for name in partial::strangers(options, &known) {
        // It may have been torn down already.
        let unknown = unknown_component("--only", name, loaded);
        report.push(Diagnostic { severity: Severity::Warning, ..unknown });
    }
    if report.has_errors() {
        return None;
    }
    let plan = Plan {
        format: FORMAT,
        compiler: Some(concat!("belayc ", env!("CARGO_PKG_VERSION")).to_owned()),
        project: options.project.clone(),
        mode: options.mode,
        target: target(loaded, &placement, &settings, facts.as_ref()),
        inputs: Inputs { observed: used.map(|used| canonical_digest(&used, &[])), ..inputs },
        components: lowering.components,
        notices: notices(report),
        only: only.into_iter().map(str::to_owned).collect(),
        nodes: lowering.nodes,
        edges: lowering.edges,
        digest: String::new(),
    }
    .seal();
    // The digest was put in a moment ago.
    let violations = checker::check_contents(&plan);
    for violation in &violations {
        report.push(
            Diagnostic::error(
                "B900",
                format!("the compiled plan breaks rule {}: {}", violation.rule, violation.message),
            )
            .help("this is a bug of Belay, not of your input: please report it with the model and the environment"),
        );
    }
    violations.is_empty().then_some(plan)
}

/// Warnings about what components share, so that none of them can accept them.
const COMMON: [&str; 3] = ["B436", "B448", "B457"];

/// Warnings about what runs at the moment: accepting them is right at other times as well.
const PASSING: [&str; 2] = ["B456", "B458"];

/// Takes back the warnings about a component that its authors know of, and tells which of these there are not.
fn accept(context: Context<'_>, name: &str, mark: usize, accepted: &BTreeMap<String, Place>, report: &mut Report) {
    if accepted.is_empty() {
        return;
    }
    let taken = report.accept(mark, |code| accepted.contains_key(code));
    for (code, place) in accepted.iter().filter(|(code, _)| !taken.contains(code.as_str())) {
        let known = crate::diagnostics::codes::title(code);
        // What only an observation shows may well be there, and what depends on what runs comes and goes.
        if known.is_some() && (context.facts.is_none() || report.has_errors() || PASSING.contains(&code.as_str())) {
            continue;
        }
        let message = match known {
            Some(title) if COMMON.contains(&code.as_str()) => {
                format!("`accept` lists {code} ({title}), which is never about one component alone")
            }
            Some(title) => format!("`accept` lists {code} ({title}), and there is no such warning about `{name}`"),
            None => format!("`accept` lists `{code}`, which is no code of a warning"),
        };
        let diagnostic = Diagnostic::warning("B305", message).at(place.clone().key());
        report.push(diagnostic.help("remove it: `accept` takes codes of warnings about this one component"));
    }
}

/// The scope of these inputs; absent when the report holds an error.
pub fn scope(loaded: &Loaded, options: &Options, report: &mut Report) -> Option<Scope> {
    check_project(options, report);
    meaning::check(loaded, report);
    let settings = settings::resolve(&loaded.environment, report);
    let context = Context { loaded, options, settings: &settings, facts: None };
    let placement = Placement::of(loaded);
    let asg = placement.uses_asg.then(|| asg::settings::resolve(&loaded.environment, report));
    (!report.has_errors()).then(|| {
        let mut scope = crate::ecs::scope::scope(context, &placement);
        if let Some(settings) = &asg {
            let context = asg::Context { loaded, options, settings, facts: None };
            asg::scope::add(context, &placement.asg, &mut scope);
        }
        scope
    })
}

fn check_project(options: &Options, report: &mut Report) {
    if !meaning::is_project_name(&options.project) {
        report.push(
            Diagnostic::error("B306", format!("`{}` cannot be the name of a project", options.project))
                .help("it becomes part of ECS names: use up to 100 letters, digits, hyphens and underscores, and begin with a letter or digit"),
        );
    }
}

fn check_options(loaded: &Loaded, observed: Option<&Observed>, options: &Options, report: &mut Report) {
    check_project(options, report);
    if options.mode == Mode::Teardown && observed.is_none() {
        report.push(
            Diagnostic::error("B307", "a teardown needs to know what runs")
                .help("compile with `--observed FILE` (see `belayc scope` and `belay observe`)"),
        );
    }
    let known = |name: &&String| loaded.model.components.contains_key(*name);
    for name in options.adopt.iter().filter(|name| !known(name)) {
        report.push(unknown_component("--adopt", name, loaded));
    }
    let placement = Placement::of(loaded);
    for name in options.adopt.iter().filter(known).filter(|name| !placement.ecs.contains(name.as_str())) {
        let diagnostic =
            Diagnostic::error("B308", format!("`--adopt {name}` names a component that is no ECS service"));
        report.push(diagnostic.help("only ECS services can be taken over; Auto Scaling groups are made anew"));
    }
    for name in
        options.only.iter().filter(|name| options.mode == Mode::Deploy && !loaded.model.components.contains_key(*name))
    {
        report.push(unknown_component("--only", name, loaded));
    }
}

fn unknown_component(option: &str, name: &str, loaded: &Loaded) -> Diagnostic {
    let mut diagnostic = Diagnostic::error("B308", format!("`{option} {name}` names no component of the model"));
    if let Some(near) = crate::nearest(name, loaded.model.components.keys().map(String::as_str)) {
        diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
    }
    let known: Vec<&str> = loaded.model.components.keys().map(String::as_str).collect();
    diagnostic.help(format!("the components are: {}", known.join(", ")))
}

fn work_on<'a>(context: Context<'a>, desired: &Desired, report: &mut Report) -> Option<Work<'a>> {
    match &desired.kind {
        Kind::Service => {}
        Kind::Once(_) => return was_no_service(context, desired, report).then_some(Work::Once),
        Kind::Scheduled(timetable) => {
            let free = was_no_service(context, desired, report);
            return schedule::work(context, desired, timetable, report).filter(|_| free).map(Work::Schedule);
        }
    }
    let Some(facts) = context.facts else { return Some(Work::Create) };
    let at = Place::model(["components", &desired.component]).key();
    match ownership::standing(context, facts, &desired.component, &at, report) {
        Standing::Absent => Some(Work::Create),
        Standing::Refused => None,
        Standing::Ours(service) => {
            let difference = diff::compare(context, facts, desired, service, report);
            let replace = context.options.replace_all;
            Some(if difference.is_empty() && !replace {
                Work::None
            } else {
                Work::Update { service, difference, replace }
            })
        }
    }
}

/// A service cannot become a task under the same name: its revisions would be taken for the task's.
fn was_no_service(context: Context<'_>, desired: &Desired, report: &mut Report) -> bool {
    let Some(service) = context.facts.and_then(|facts| facts.service(&desired.service_name)) else { return true };
    let name = &desired.component;
    let key = if matches!(desired.kind, Kind::Once(_)) { "once" } else { "schedule" };
    let status = service.get("status").and_then(Value::as_str).unwrap_or("ACTIVE");
    report.push(
        Diagnostic::error(
            "B530",
            format!("`{name}` runs as service `{}` ({status}), and is to be a task", desired.service_name),
        )
        .at(Place::model(["components", name, "plugin", "ec2-ecs", key]))
        .help(format!(
            "give the task another name: the service is then taken away as an orphan; or tear `{name}` down first"
        )),
    );
    false
}

/// Keys that only late values may have would let an input pass for one.
fn refuse_reserved(desired: &Desired, report: &mut Report) {
    for (document, origins) in [(&desired.task, &desired.task_origins), (&desired.service, &desired.service_origins)] {
        each_reserved(document, &mut Vec::new(), &mut |path| {
            let path = crate::ecs::pointer::pointer(path);
            report.push(
                Diagnostic::error(
                    "B364",
                    "keys `$output` and `$run` are reserved for values that are known only when a plan runs",
                )
                .at(origins.of(&crate::ecs::pointer::keyed(document, &path)))
                .help("use another key"),
            );
        });
    }
}

/// Calls `visit` with the path of every mapping that has a reserved key.
fn each_reserved<'v>(value: &'v Value, path: &mut Vec<Cow<'v, str>>, visit: &mut dyn FnMut(&[Cow<'v, str>])) {
    let mut below = |step: Cow<'v, str>, value: &'v Value, path: &mut Vec<Cow<'v, str>>| {
        if matches!(value, Value::Object(_) | Value::Array(_)) {
            path.push(step);
            each_reserved(value, path, visit);
            path.pop();
        }
    };
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| below(Cow::from(key), value, path));
            if is_reserved(map) {
                visit(path);
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, value)| below(Cow::from(at.to_string()), value, path));
        }
        _ => {}
    }
}

fn target(loaded: &Loaded, placement: &Placement<'_>, settings: &Settings, facts: Option<&Facts<'_>>) -> Target {
    let asg = loaded.environment.plugin_config.as_ref().and_then(|p| p.asg.as_ref());
    let written = settings.region.clone().or_else(|| asg.and_then(|a| a.region.clone()));
    Target {
        partition: facts.map_or("aws", |f| f.partition).to_owned(),
        account: facts.map(|f| f.account.to_owned()).or_else(|| settings.account.clone()),
        region: facts.map(|f| f.region.to_owned()).or(written),
        cluster: placement.uses_ecs.then(|| settings.cluster.clone()),
    }
}

fn notices(report: &Report) -> Vec<Notice> {
    report
        .resolved()
        .iter()
        .filter(|r| r.diagnostic.severity == Severity::Warning)
        .map(|r| Notice {
            code: r.diagnostic.code.to_owned(),
            message: r.diagnostic.message.clone(),
            at: r.location.as_ref().map(ToString::to_string),
        })
        .collect()
}
