//! The compiler's stages in order: validate → resolve → normalise → diff → lower → order → check → emit.
//!
//! Invariants: a pure function of loaded inputs, observed state and options; a plan comes out only when nothing is wrong
//! with them and the independent checker finds nothing wrong with it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use belay_schemas::FORMAT;
use belay_schemas::checker;
use belay_schemas::image::Image;
use belay_schemas::late::is_reserved;
use belay_schemas::model::ScheduledBy;
use belay_schemas::observed::Observed;
use belay_schemas::plan::{Inputs, Mode, Notice, Plan, Target, canonical_digest};
use belay_schemas::scope::Scope;
use serde_json::Value;

use crate::asg;
use crate::diagnostics::{Diagnostic, Place, Report, Severity};
use crate::ecs::desired::{self, Desired, Kind};
use crate::ecs::facts::Facts;
use crate::ecs::lower::{Goes, Lowerer, Work, schedule};
use crate::ecs::ownership::{self, Leftovers, Orphan, Standing};
use crate::ecs::scope::is_service;
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
        check_observed(context, &placement, observed, report);
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
    let orphans = orphans(context, &placement, report);
    capacity.finish(!orphans.is_empty(), report);
    quota.finish(report);
    let leftovers = leftover_families(context, &orphans);
    let groups = groups::resolve(context, report);
    let routing = routing::resolve(context, options.mode == Mode::Deploy, report);
    let schedules = leftover_schedules(context, &placement, report);
    let surplus = leftover_registries(context, &placement, &registered, report);
    let records = leftover_records(context, &placement, &recorded, report);
    if report.has_errors() {
        return None;
    }
    let goes = Goes {
        orphans: &orphans,
        leftover_families: &leftovers,
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

/// Whether the observation is one of this target, for these inputs.
fn check_observed(context: Context<'_>, placement: &Placement<'_>, observed: &Observed, report: &mut Report) {
    let mut refuse = |code, message: String, place: Option<Place>| {
        let diagnostic = Diagnostic::error(code, message);
        let diagnostic = match place {
            Some(place) => diagnostic.at(place),
            None => diagnostic,
        };
        report.push(diagnostic.help("run `belayc scope` and `belay observe` again with these inputs"));
    };
    if observed.scope.project != context.options.project {
        refuse(
            "B505",
            format!("the observed state is of project `{}`, not `{}`", observed.scope.project, context.options.project),
            None,
        );
    }
    let asg = context.loaded.environment.plugin_config.as_ref().and_then(|p| p.asg.as_ref());
    if let Some(region) = asg.and_then(|a| a.region.as_ref())
        && *region != observed.region
    {
        refuse(
            "B505",
            format!("the observed state is of region {}, not {region}", observed.region),
            Some(asg::settings::place(&["region"])),
        );
    }
    if let Some(region) = &context.settings.region
        && *region != observed.region
    {
        refuse(
            "B505",
            format!("the observed state is of region {}, not {region}", observed.region),
            Some(settings::place(&["region"])),
        );
    }
    if let Some(account) = &context.settings.account
        && *account != observed.account
    {
        refuse(
            "B505",
            format!("the observed state is of account {}, not {account}", observed.account),
            Some(settings::place(&["cluster"])),
        );
    }
    if !placement.uses_ecs {
        return;
    }
    let cluster = &context.settings.cluster;
    match &observed.scope.ecs {
        Some(scope) if scope.cluster == *cluster => {}
        _ => {
            refuse(
                "B505",
                format!("the observed state does not look at cluster `{cluster}`"),
                Some(settings::place(&["cluster"])),
            );
            return;
        }
    }
    if let Some(scope) = &observed.scope.ecs
        && scope.tag_prefix != context.settings.tag_prefix
    {
        refuse(
            "B505",
            format!(
                "the observed state looks at tags `{}:…`, not `{}:…`",
                scope.tag_prefix, context.settings.tag_prefix
            ),
            Some(settings::place(&["tag_prefix"])),
        );
    }
    if let Some(scope) = &observed.scope.ecs
        && context.options.mode == Mode::Teardown
        && !scope.teardown
    {
        refuse(
            "B505",
            "the observed state was made for a deployment: it lacks what only a teardown needs".to_owned(),
            None,
        );
    }
    let looked_at = |name: &&String| {
        observed.scope.ecs.as_ref().is_some_and(|scope| scope.adopt.contains(&context.service_name(name)))
    };
    for name in context.options.adopt.iter().filter(|name| placement.ecs.contains(name.as_str()) && !looked_at(name)) {
        // Its environment was hashed, and could not be brought back.
        let message =
            format!("the observed state was made without `--adopt {name}`: it does not hold all of that service");
        report.push(
            Diagnostic::error("B505", message)
                .help(format!("run `belayc scope` with `--adopt {name}` too, and `belay observe` again")),
        );
    }
    unobserved_images(context, placement, report);
    let found = context.facts.and_then(|f| f.cluster(cluster));
    let status = found.and_then(|c| c.get("status")).and_then(Value::as_str);
    if status != Some("ACTIVE") {
        let what = status.map_or("does not exist".to_owned(), |s| format!("is {s}"));
        report.push(
            Diagnostic::error(
                "B510",
                format!("cluster `{cluster}` {what} in account {} and region {}", observed.account, observed.region),
            )
            .at(settings::place(&["cluster"]))
            .help("create it first, or name another one; then observe again"),
        );
    }
}

/// Images of which the observation says nothing: the model changed after it. Told once, however many there are.
fn unobserved_images(context: Context<'_>, placement: &Placement<'_>, report: &mut Report) {
    const SHOWN: usize = 10;
    let Some(facts) = context.facts else { return };
    let wanted = |name: &str| {
        context.options.mode == Mode::Deploy && placement.ecs.contains(name) && context.options.includes(name)
    };
    let components = context.loaded.model.components.iter().filter(|(name, _)| wanted(name));
    let images = components.flat_map(|(name, component)| {
        let place = Place::model(["components", name]);
        let sidecars = component.containers.iter().map({
            let place = place.clone();
            move |(sidecar, c)| (c.image.as_str(), place.child("containers").child(sidecar).child("image"))
        });
        std::iter::once((component.image.as_str(), place.child("image"))).chain(sidecars)
    });
    let mut missing: BTreeMap<&str, Place> = BTreeMap::new();
    for (image, place) in images {
        // One that is malformed is told where it is read, one with a digest needs no look-up.
        if facts.image(image).is_none() && Image::fault(image).is_none() && Image::parse(image).digest.is_none() {
            missing.entry(image).or_insert(place);
        }
    }
    let Some((first, place)) = missing.first_key_value() else { return };
    let message = if missing.len() == 1 {
        format!("the observed state says nothing about image `{first}`")
    } else {
        let mut names: Vec<String> = missing.keys().take(SHOWN).map(|image| format!("`{image}`")).collect();
        if missing.len() > SHOWN {
            names.push(format!("{} more", missing.len() - SHOWN));
        }
        format!("the observed state says nothing about {} images: {}", missing.len(), names.join(", "))
    };
    let mut diagnostic = Diagnostic::error("B521", message).at(place.clone());
    for (image, place) in missing.iter().skip(1).take(SHOWN - 1) {
        diagnostic = diagnostic.related(place.clone(), format!("`{image}` is here"));
    }
    report
        .push(diagnostic.help("the model changed after the observation: run `belayc scope` and `belay observe` again"));
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

/// What is to be taken away: in a teardown everything, else what the model does not have any more.
fn orphans<'a>(context: Context<'a>, placement: &Placement<'_>, report: &mut Report) -> Vec<Orphan<'a>> {
    let Some(facts) = context.facts else { return Vec::new() };
    let deploy = context.options.mode == Mode::Deploy;
    let leftovers = Leftovers::of(&context.loaded.model, context.options);
    if leftovers == Leftovers::Untold {
        return Vec::new();
    }
    let in_model = |name: &str| deploy && placement.ecs.contains(name) && is_service(context, name);
    let mut all = ownership::orphans(context, facts, &in_model);
    all.retain(|o| context.options.includes(&o.component));
    if leftovers == Leftovers::Stay {
        for orphan in &all {
            let what = format!("service `{}` runs but is not in the model", orphan.service_name);
            ownership::left_alone(&what, true, report);
        }
        return Vec::new();
    }
    all.retain(|orphan| {
        ownership::at_rest(orphan.service_name, orphan.service, &Place::model(["components"]).key(), report)
    });
    all
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

/// Of what is the project's and not wanted any more, what this plan takes away: whose it is (`component`), and what is said
/// of it where it stays (`told`).
fn leaving<T>(
    context: Context<'_>,
    placement: &Placement<'_>,
    mut all: Vec<T>,
    component: impl Fn(&T) -> &str,
    told: impl Fn(&T) -> String,
    report: &mut Report,
) -> Vec<T> {
    let leftovers = Leftovers::of(&context.loaded.model, context.options);
    let own = |one: &T| leftovers.takes(placement.ecs.contains(component(one)));
    all.retain(|one| context.options.includes(component(one)));
    if leftovers == Leftovers::Stay {
        for one in all.iter().filter(|one| !own(one)) {
            ownership::left_alone(&told(one), true, report);
        }
    }
    all.retain(own);
    all
}

/// Cloud Map services of the project that nobody registers with any more.
fn leftover_registries<'a>(
    context: Context<'a>,
    placement: &Placement<'_>,
    registered: &BTreeSet<String>,
    report: &mut Report,
) -> Vec<registries::Surplus<'a>> {
    let told =
        |one: &registries::Surplus<'_>| format!("Cloud Map service `{}` is of no component of the model", one.name());
    leaving(context, placement, registries::surplus(context, registered), |one| one.component, told, report)
}

/// Records of Route 53 of the project that nobody wants any more.
fn leftover_records<'a>(
    context: Context<'a>,
    placement: &Placement<'_>,
    recorded: &BTreeSet<String>,
    report: &mut Report,
) -> Vec<records::Surplus<'a>> {
    let told = |one: &records::Surplus<'_>| format!("the record `{}` is of no component of the model", one.name);
    leaving(context, placement, records::surplus(context, recorded), |one| one.component, told, report)
}

/// Schedules and rules of EventBridge of the project that its model does not want any more.
fn leftover_schedules<'a>(
    context: Context<'a>,
    placement: &Placement<'_>,
    report: &mut Report,
) -> Vec<schedule::Leftover<'a>> {
    let Some(facts) = context.facts else { return Vec::new() };
    let deploy = context.options.mode == Mode::Deploy;
    let leftovers = Leftovers::of(&context.loaded.model, context.options);
    let components = &context.loaded.model.components;
    // What one of the model gives up for something else starts its task no more, whatever becomes of orphans.
    let own = |one: &schedule::Leftover<'_>| leftovers.takes(deploy && placement.ecs.contains(one.component.as_str()));
    let scheduled = |name: &str, by: ScheduledBy| {
        let wanted = |c| desired::settle(context, name, c).settings.schedule.as_ref().map(|s| s.by.unwrap_or_default());
        deploy && placement.ecs.contains(name) && components.get(name).and_then(wanted) == Some(by)
    };
    let mut all = schedule::leftovers(context, facts, &scheduled);
    all.retain(|leftover| context.options.includes(&leftover.component));
    if leftovers == Leftovers::Stay {
        for leftover in all.iter().filter(|one| !own(one)) {
            ownership::left_alone(&format!("{} is not in the model", leftover.told()), true, report);
        }
    }
    all.retain(own);
    for leftover in all.iter().filter(|one| one.is_shared()) {
        report.push(
            Diagnostic::warning(
                "B506",
                format!("{} has targets that are not Belay's: it is left alone", leftover.told()),
            )
            .at(Place::model(["components"]).key())
            .help("Belay takes its own target away; delete the rule when nobody needs the others any more"),
        );
    }
    all
}

/// Components that left revisions behind although their services are gone.
fn leftover_families(context: Context<'_>, orphans: &[Orphan<'_>]) -> Vec<String> {
    let Some(facts) = context.facts else { return Vec::new() };
    let deploy = context.options.mode == Mode::Deploy;
    if Leftovers::of(&context.loaded.model, context.options) != Leftovers::Go {
        return Vec::new();
    }
    let prefix = context.family("");
    let kept = |name: &str| {
        (deploy && context.loaded.model.components.contains_key(name))
            || orphans.iter().any(|o| o.component == name)
            || facts.service(&context.service_name(name)).is_some()
    };
    facts
        .families()
        .filter_map(|f| f.strip_prefix(&prefix))
        .filter(|name| context.options.includes(name) && !kept(name))
        .map(str::to_owned)
        .collect()
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
