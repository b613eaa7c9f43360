//! Components whose tasks are not kept running: they run once, or at certain times.
//!
//! Invariant: where such tasks run is said as for services, so their settings are taken from the service that the component
//! would otherwise be; what only a service can have is refused, never dropped.

use belay_schemas::model::{Once, OnceWhen, Schedule, ScheduledBy, Text};
use serde_json::{Map, Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::Context;
use crate::ecs::json::{items, text};

use super::Part;
use super::task::role_arn;

/// Seconds for a task that runs once to end.
const TIMEOUT: u32 = 900;
/// How often EventBridge tries a start that fails, and for how many seconds, unless somebody says otherwise.
const RETRIES: (u32, u32) = (185, 86_400);
/// Characters of the name of a schedule or of a rule at most.
const NAME: usize = 64;

/// What a component is in AWS.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A service keeps its tasks running.
    Service,
    /// Its task runs to its end.
    Once(Box<OnceTask>),
    /// Its tasks are started at certain times.
    Scheduled(Box<Timetable>),
}

/// A task that runs once.
#[derive(Debug, Clone)]
pub struct OnceTask {
    /// RunTask's input, without cluster, task definition, token and tags of ours.
    pub run: Map<String, Value>,
    /// Components that wait for it.
    pub before: Vec<String>,
    /// Components that it waits for.
    pub after: Vec<String>,
    /// When it runs.
    pub when: OnceWhen,
    /// The command that takes back what it did.
    pub undo: Vec<String>,
    /// Why nothing has to.
    pub accepted: Option<String>,
    /// Seconds for it to end.
    pub timeout: u64,
    /// Where it is said.
    pub place: Place,
}

/// When a task starts, and what starts it.
#[derive(Debug, Clone)]
pub struct Timetable {
    /// Name of the schedule or of the rule.
    pub name: String,
    /// Which of the two it is.
    pub by: ScheduledBy,
    /// CreateSchedule's input, without name, token, task definition and tags of ours; a rule's time, state and target in
    /// the same shape, without what rules do not have.
    pub content: Value,
    /// Where it is said.
    pub place: Place,
}

/// Members of a service that RunTask takes as they are.
const SHARED: [&str; 10] = [
    "capacityProviderStrategy",
    "enableECSManagedTags",
    "enableExecuteCommand",
    "launchType",
    "networkConfiguration",
    "placementConstraints",
    "placementStrategy",
    "platformVersion",
    "propagateTags",
    "tags",
];

/// What a component is, from its settings and the service that it would be.
pub fn kind(part: Part<'_>, service: &Value, report: &mut Report) -> Kind {
    let settings = &part.settled.settings;
    let (key, kind) = match (&settings.once, &settings.schedule) {
        (None, None) => return Kind::Service,
        (Some(_), Some(_)) => {
            let error = Diagnostic::error("B327", format!("`{}` is to run once, and on a schedule", part.name));
            report.push(
                error
                    .at(part.settled.place("schedule"))
                    .related(part.settled.place("once"), "it is to run once here")
                    .help("keep one of the two; a second component may have the same image"),
            );
            return Kind::Service;
        }
        (Some(wanted), None) => ("once", Kind::Once(Box::new(once(part, wanted, service, report)))),
        (None, Some(wanted)) => ("schedule", Kind::Scheduled(Box::new(timetable(part, wanted, service, report)))),
    };
    refuse_service(part, key, service, report);
    kind
}

/// What only a service can have.
fn refuse_service(part: Part<'_>, key: &str, service: &Value, report: &mut Report) {
    let settings = &part.settled.settings;
    let what = if key == "once" { "runs once" } else { "runs on a schedule" };
    let component = Place::model(["components", part.name]);
    let settled = |key| part.settled.place(key);
    let mut refused = vec![
        (part.component.replicas.is_some(), "replicas", component.child("replicas")),
        (part.component.singleton == Some(true), "singleton", component.child("singleton")),
        (settings.scaling.is_some(), "scaling", settled("scaling")),
        (settings.daemon == Some(true), "daemon", settled("daemon")),
        (settings.deployment.is_some(), "deployment", settled("deployment")),
        (settings.grace_period.is_some(), "grace_period", settled("grace_period")),
        (settings.connect.is_some(), "connect", settled("connect")),
        (settings.discovery.is_some(), "discovery", settled("discovery")),
    ];
    if let Some(attachment) = part.attachments.first() {
        refused.push((true, "a load balancer", attachment.place.clone()));
    }
    if text(service, "propagateTags") == Some("SERVICE") {
        refused.push((true, "propagate_tags: SERVICE", settled("propagate_tags")));
    }
    if key == "schedule" && !items(service, "volumeConfigurations").is_empty() {
        refused.push((true, "a volume of EBS", component.child("volumes")));
    }
    for (_, name, place) in refused.into_iter().filter(|(said, ..)| *said) {
        report.push(
            Diagnostic::error("B327", format!("`{}` {what}, which does not go with {name}", part.name))
                .at(place)
                .related(settled(key), "it is no service because of this")
                .help(format!("remove {name}, or remove `{key}`")),
        );
    }
}

fn once(part: Part<'_>, wanted: &Once, service: &Value, report: &mut Report) -> OnceTask {
    let place = part.settled.place("once");
    let mut run: Map<String, Value> =
        SHARED.iter().filter_map(|m| Some(((*m).to_owned(), service.get(*m)?.clone()))).collect();
    if let Some(volumes) = service.get("volumeConfigurations") {
        run.insert("volumeConfigurations".to_owned(), volumes.clone());
    }
    match (&wanted.accepted, wanted.undo.is_empty()) {
        (None, true) => report.push(
            Diagnostic::error("B326", format!("nothing takes back what the task `{}` does", part.name))
                .at(place.clone())
                .help("write `undo: [COMMAND, …]` with the command that does, or `accepted: REASON` if none has to: reviewers see the reason"),
        ),
        (Some(_), false) => report.push(
            Diagnostic::error("B326", format!("the task `{}` has a way back and is accepted to have none", part.name))
                .at(place.child("accepted"))
                .related(place.child("undo"), "the way back is here")
                .help("keep one of the two"),
        ),
        _ => {}
    }
    OnceTask {
        run,
        before: wanted.before.clone(),
        after: wanted.after.clone(),
        when: wanted.when.unwrap_or_default(),
        undo: wanted.undo.iter().map(|Text(word)| word.clone()).collect(),
        accepted: wanted.accepted.clone(),
        timeout: u64::from(wanted.timeout.unwrap_or(TIMEOUT)),
        place,
    }
}

fn timetable(part: Part<'_>, wanted: &Schedule, service: &Value, report: &mut Report) -> Timetable {
    let context = part.context;
    let place = part.settled.place("schedule");
    let name = context.family(part.name);
    if name.len() > NAME {
        report.push(
            Diagnostic::error("B401", format!("`{name}` is too long for the name of a schedule"))
                .at(Place::model(["components", part.name]).key())
                .help(format!(
                    "it has {} characters and may have {NAME}: shorten the names of cluster, project or component",
                    name.len()
                )),
        );
    }
    check_when(&wanted.when, &place.child("when"), report);
    let by = wanted.by.unwrap_or_default();
    if by == ScheduledBy::Rule {
        refuse_for_rules(wanted, &place, report);
    }
    let mut parameters = Map::from_iter([("TaskCount".to_owned(), json!(wanted.count.unwrap_or(1)))]);
    for member in SHARED.into_iter().filter(|m| *m != "tags") {
        let Some(value) = service.get(member) else { continue };
        let mut name = member.to_owned();
        name[..1].make_ascii_uppercase();
        let value = if member == "networkConfiguration" { network(value) } else { value.clone() };
        parameters.insert(name, value);
    }
    // Each of the two has tags of its own shape, of which these are the task's.
    let tags = items(service, "tags").iter().map(|tag| match by {
        ScheduledBy::Scheduler => tag.clone(),
        ScheduledBy::Rule => json!({"Key": tag["key"], "Value": tag["value"]}),
    });
    parameters.insert("Tags".to_owned(), tags.collect());
    let (retries, age) = RETRIES;
    let mut target = json!({
        "Arn": cluster_arn(context, &place, report),
        "RoleArn": role_arn(context, &wanted.role),
        "RetryPolicy": {
            "MaximumRetryAttempts": wanted.retries.unwrap_or(retries),
            "MaximumEventAgeInSeconds": wanted.retry_for.unwrap_or(age),
        },
        "EcsParameters": parameters,
    });
    if let Some(queue) = &wanted.dead_letter {
        target["DeadLetterConfig"] = json!({"Arn": queue});
    }
    let mut content = json!({
        "ScheduleExpression": wanted.when,
        "State": if wanted.enabled == Some(false) { "DISABLED" } else { "ENABLED" },
        "Target": target,
    });
    if by == ScheduledBy::Scheduler {
        content["ScheduleExpressionTimezone"] = wanted.timezone.as_deref().unwrap_or("UTC").into();
        content["FlexibleTimeWindow"] = match wanted.window {
            None => json!({"Mode": "OFF"}),
            Some(minutes) => json!({"Mode": "FLEXIBLE", "MaximumWindowInMinutes": minutes}),
        };
    }
    Timetable { name, by, content, place }
}

/// What a schedule can have and a rule cannot.
fn refuse_for_rules(wanted: &Schedule, place: &Place, report: &mut Report) {
    let refused = [
        (wanted.when.starts_with("at("), "when", "starts a task again and again, not at one moment"),
        (wanted.timezone.as_deref().is_some_and(|zone| zone != "UTC"), "timezone", "knows UTC only"),
        (wanted.window.is_some(), "window", "starts a task at the time itself"),
    ];
    for (_, key, what) in refused.into_iter().filter(|(said, ..)| *said) {
        report.push(
            Diagnostic::error("B327", format!("a rule of EventBridge {what}"))
                .at(place.child(key))
                .related(place.child("by"), "it is to be a rule because of this")
                .help("remove `by`: EventBridge Scheduler, which is the default, can"),
        );
    }
}

/// The Scheduler spells the members of a network its own way.
fn network(service: &Value) -> Value {
    let own = &service["awsvpcConfiguration"];
    let mut out = Map::new();
    for (name, member) in
        [("AssignPublicIp", "assignPublicIp"), ("SecurityGroups", "securityGroups"), ("Subnets", "subnets")]
    {
        if let Some(value) = own.get(member) {
            out.insert(name.to_owned(), value.clone());
        }
    }
    json!({"awsvpcConfiguration": out})
}

/// The Scheduler takes no short names.
fn cluster_arn(context: Context<'_>, place: &Place, report: &mut Report) -> String {
    let cluster = &context.settings.cluster;
    let known = match context.facts {
        Some(facts) => Some((facts.partition, facts.region, facts.account)),
        None => context.settings.region.as_deref().zip(context.settings.account.as_deref()).map(|(r, a)| ("aws", r, a)),
    };
    let Some((partition, region, account)) = known else {
        report.push(
            Diagnostic::error("B345", format!("which account cluster `{cluster}` is in has to be looked up"))
                .at(place.clone())
                .help("compile with `--observed FILE` (see `belayc scope` and `belay observe`), or write the cluster's ARN in the environment"),
        );
        return String::new();
    };
    format!("arn:{partition}:ecs:{region}:{account}:cluster/{cluster}")
}

/// Whether a time is written as EventBridge Scheduler and Application Auto Scaling take it.
pub fn check_when(when: &str, place: &Place, report: &mut Report) {
    let inner = |kind: &str| when.strip_prefix(kind)?.strip_prefix('(')?.strip_suffix(')');
    let fault = if let Some(fields) = inner("cron") {
        let fields: Vec<&str> = fields.split_whitespace().collect();
        match fields.as_slice() {
            [_, _, day, _, weekday, _] if (*day == "?") != (*weekday == "?") => None,
            [_, _, _, _, _, _] => Some("of day of the month and day of the week, one is `?` and the other is not"),
            _ => Some("cron has six fields: minutes, hours, day of the month, month, day of the week, year"),
        }
    } else if let Some(rate) = inner("rate") {
        let mut words = rate.split_whitespace();
        match (words.next().map(str::parse::<u32>), words.next(), words.next()) {
            (Some(Ok(1)), Some("minute" | "hour" | "day"), None) => None,
            (Some(Ok(2..)), Some("minutes" | "hours" | "days"), None) => None,
            _ => Some("a rate is a number and a unit: `rate(1 hour)`, `rate(5 minutes)`"),
        }
    } else if let Some(at) = inner("at") {
        let shape = |b: u8| if b.is_ascii_digit() { b'0' } else { b };
        let legal = at.bytes().map(shape).eq(*b"0000-00-00T00:00:00");
        (!legal).then_some("a moment is written as `at(2027-01-31T08:00:00)`, without a time zone")
    } else {
        Some("it begins with `cron(`, `rate(` or `at(` and ends with `)`")
    };
    if let Some(fault) = fault {
        report.push(
            Diagnostic::error("B446", format!("`{when}` is no time that AWS understands"))
                .at(place.clone())
                .help(fault),
        );
    }
}
