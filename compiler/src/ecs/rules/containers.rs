//! Rules of single containers: images, logging, health checks, secrets.
//!
//! Source: ECS developer guide, "Container definitions".

use std::collections::{BTreeMap, BTreeSet};

use belay_schemas::image::Image;
use serde_json::Value;

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::json::{items, number, text};
use crate::meaning::secrets;

use super::Subject;

const FIRELENS: &str = "awsfirelens";
const FARGATE_LOG_DRIVERS: [&str; 3] = ["awslogs", "splunk", FIRELENS];

pub fn check(subject: &Subject<'_>, report: &mut Report) {
    for (name, container) in subject.containers() {
        logging(subject, name, container, report);
        health(subject, name, container, report);
        secret_references(subject, name, container, report);
        plain_text(subject, name, container, report);
        image(subject, name, report);
    }
    router(subject, report);
}

/// A container that routes logs, and one that hands it some: ECS takes neither without the other.
fn router(subject: &Subject<'_>, report: &mut Report) {
    let routes = |c: &Value| c.get("firelensConfiguration").is_some();
    let routed = |c: &Value| c.pointer("/logConfiguration/logDriver").and_then(Value::as_str) == Some(FIRELENS);
    let router = subject.containers().find(|(_, container)| routes(container));
    let source = subject.containers().find(|(_, container)| routed(container));
    match (router, source) {
        (None, Some((name, _))) => report.push(
            subject
                .error(
                    "B415",
                    format!("`{name}` hands its output to a log router, and there is none in its task"),
                    subject.in_container(name, ["logConfiguration", "logDriver"]),
                )
                .help("write one under `containers`: an image of Fluent Bit or Fluentd with `raw: {firelensConfiguration: {type: fluentbit}}`"),
        ),
        (Some((name, _)), None) => report.push(
            subject
                .error(
                    "B415",
                    format!("`{name}` routes logs, and no container of its task hands it any"),
                    subject.in_container(name, ["firelensConfiguration"]),
                )
                .help("write `logs: {driver: awsfirelens, options: {Name: …}}` where the output is, or leave `firelensConfiguration` away"),
        ),
        _ => {}
    }
}

fn image(subject: &Subject<'_>, name: &str, report: &mut Report) {
    let written = subject.desired.images.get(name).map(String::as_str);
    if let Some(written) = written
        && Image::parse(written).is_floating()
    {
        report.push(
            Diagnostic::warning("B419", format!("`{written}` means another image whenever somebody pushes"))
                .at(subject.in_container(name, ["image"]))
                .help("name a version or a digest, so that the model says what runs"),
        );
    }
}

fn logging(subject: &Subject<'_>, name: &str, container: &Value, report: &mut Report) {
    let Some(configuration) = container.get("logConfiguration") else { return };
    let at = |member: &str| subject.in_container(name, ["logConfiguration", member]);
    let driver = text(configuration, "logDriver").unwrap_or_default();
    if subject.desired.fargate && !FARGATE_LOG_DRIVERS.contains(&driver) {
        report.push(
            subject
                .error("B415", format!("Fargate has no log driver `{driver}`"), at("logDriver"))
                .help(format!("use one of: {}", FARGATE_LOG_DRIVERS.join(", "))),
        );
    }
    if driver == "splunk" {
        splunk(subject, name, configuration, report);
    }
    if driver != "awslogs" {
        return;
    }
    let empty = Value::Null;
    let options = configuration.get("options").unwrap_or(&empty);
    let mut needed = vec!["awslogs-group", "awslogs-region"];
    if subject.desired.fargate {
        needed.push("awslogs-stream-prefix");
    }
    let missing: Vec<&str> = needed.into_iter().filter(|o| text(options, o).is_none_or(str::is_empty)).collect();
    if !missing.is_empty() {
        report.push(
            subject
                .error("B415", format!("the awslogs driver of `{name}` lacks {}", missing.join(" and ")), at("options"))
                .help("write them under `logConfiguration.options`"),
        );
    }
    group(subject, name, options, report);
    if text(options, "awslogs-datetime-format").is_some() && text(options, "awslogs-multiline-pattern").is_some() {
        report.push(
            subject
                .error(
                    "B415",
                    "awslogs-datetime-format and awslogs-multiline-pattern exclude each other",
                    at("options"),
                )
                .help("keep one of the two"),
        );
    }
}

/// Docker starts no container whose Splunk driver does not know where to and as whom.
fn splunk(subject: &Subject<'_>, name: &str, configuration: &Value, report: &mut Report) {
    let secret = |option: &str| items(configuration, "secretOptions").iter().any(|s| text(s, "name") == Some(option));
    let said = |option: &str| configuration.pointer(&format!("/options/{option}")).is_some() || secret(option);
    let missing: Vec<&str> = ["splunk-url", "splunk-token"].into_iter().filter(|option| !said(option)).collect();
    if missing.is_empty() {
        return;
    }
    report.push(
        subject
            .error(
                "B415",
                format!("the splunk driver of `{name}` lacks {}", missing.join(" and ")),
                subject.in_container(name, ["logConfiguration"]),
            )
            .help(
                "write `options: {splunk-url: …}`, and the token as a reference: `secret_options: {splunk-token: …}`",
            ),
    );
}

/// Belay makes the groups of `logs`; one that a raw block names has to be there, or to be made by the driver.
fn group(subject: &Subject<'_>, name: &str, options: &Value, report: &mut Report) {
    let Some(group) = text(options, "awslogs-group") else { return };
    let made = subject.desired.log_groups.iter().any(|g| g.name == group);
    let (Some(facts), false) = (subject.context.facts, made) else { return };
    // Groups of other regions are not looked at.
    if text(options, "awslogs-region").is_some_and(|region| region != facts.region)
        || text(options, "awslogs-create-group") == Some("true")
        || facts.log_group(group).is_some()
        || !facts.looked_for_group(group)
    {
        return;
    }
    report.push(
        subject
            .error(
                "B416",
                format!("there is no log group `{group}`, and no task of `{name}` could start without it"),
                subject.in_container(name, ["logConfiguration", "options", "awslogs-group"]),
            )
            .help("write `logs: {group: …}` instead: Belay then makes it before the first task")
            .help("or make it first and observe again; or add the option `awslogs-create-group: \"true\"`"),
    );
}

fn health(subject: &Subject<'_>, name: &str, container: &Value, report: &mut Report) {
    let Some(check) = container.get("healthCheck") else { return };
    let at = |member: &str| subject.in_container(name, ["healthCheck", member]);
    let command: Vec<&str> = items(check, "command").iter().filter_map(Value::as_str).collect();
    if !matches!(command.first().copied(), Some("CMD" | "CMD-SHELL" | "NONE")) {
        report.push(
            subject
                .error("B417", format!("the health check of `{name}` does not start with CMD or CMD-SHELL"), at("command"))
                .help("write [\"CMD-SHELL\", \"curl -f http://localhost/ || exit 1\"] or [\"CMD\", \"program\", \"argument\"]"),
        );
    }
    for (member, low, high) in [("interval", 5, 300), ("timeout", 2, 60), ("retries", 1, 10), ("startPeriod", 0, 300)] {
        if let Some(value) = number(check, member)
            && !(low..=high).contains(&value)
        {
            report.push(
                subject
                    .error("B417", format!("`{member}` of the health check of `{name}` is {value}"), at(member))
                    .help(format!("ECS takes {low} to {high}")),
            );
        }
    }
}

/// The model's own variables were judged where they were read; a raw block may have put others in.
fn plain_text(subject: &Subject<'_>, name: &str, container: &Value, report: &mut Report) {
    let nothing = (BTreeMap::new(), BTreeSet::new());
    let component = subject.context.loaded.model.components.get(&subject.desired.component);
    let sidecar = component.and_then(|c| c.containers.get(name));
    let (env, allowed) = match (component, sidecar) {
        (_, Some(sidecar)) => (&sidecar.env, &sidecar.allow_plaintext),
        (Some(component), None) => (&component.env, &component.allow_plaintext),
        (None, None) => (&nothing.0, &nothing.1),
    };
    let variables: Vec<(&str, &str)> = items(container, "environment")
        .iter()
        .filter_map(|e| Some((text(e, "name")?, text(e, "value").unwrap_or_default())))
        .collect();
    for (variable, value) in &variables {
        let own = env.get(*variable).is_some_and(|v| v.0 == *value);
        if !own && !allowed.contains(*variable) && secrets::looks_secret(variable, value) {
            report.push(secrets::refusal(variable, subject.in_container(name, ["environment", variable])));
        }
    }
    for listed in allowed.iter().filter(|listed| !variables.iter().any(|(v, _)| v == listed)) {
        let component = Place::model(["components", &subject.desired.component]);
        let at = if sidecar.is_some() { component.child("containers").child(name) } else { component };
        report.push(
            Diagnostic::warning("B311", format!("`allow_plaintext` lists `{listed}`, which is not a variable here"))
                .at(at.child("allow_plaintext"))
                .help("remove it"),
        );
    }
}

fn secret_references(subject: &Subject<'_>, name: &str, container: &Value, report: &mut Report) {
    let plain: BTreeSet<&str> = items(container, "environment").iter().filter_map(|e| text(e, "name")).collect();
    let references = items(container, "secrets");
    if !references.is_empty() && text(subject.task(), "executionRoleArn").is_none() {
        report.push(
            subject
                .error(
                    "B420",
                    format!("container `{name}` has secrets, but the task has no execution role to fetch them"),
                    subject.in_container(name, ["secrets"]).key(),
                )
                .help("write `execution_role:` with a role that may read them, for the component or for the whole environment"),
        );
    }
    let mut seen = BTreeSet::new();
    for secret in references {
        let Some(variable) = text(secret, "name") else { continue };
        let place = subject.in_container(name, ["secrets", variable]);
        if plain.contains(variable) {
            report.push(
                subject
                    .error(
                        "B420",
                        format!("`{variable}` of `{name}` is both a plain variable and a secret"),
                        place.clone(),
                    )
                    .related(subject.in_container(name, ["environment", variable]), "the plain variable is here")
                    .help("remove it from `env`"),
            );
        }
        let from = text(secret, "valueFrom").unwrap_or_default();
        if !seen.insert(variable) {
            report.push(
                subject
                    .error("B420", format!("secret `{variable}` of `{name}` is given twice"), place.clone())
                    .help("remove one of the two"),
            );
        }
        let arn: Vec<&str> = from.splitn(6, ':').collect();
        let whole =
            matches!(arn.as_slice(), ["arn", _, "ssm" | "secretsmanager", _, _, resource] if !resource.is_empty());
        if from.starts_with("arn:") && !whole {
            report.push(
                subject
                    .error("B420", format!("`{from}` is not the ARN of an SSM parameter or of a secret"), place.clone())
                    .help("write arn:aws:ssm:REGION:ACCOUNT:parameter/NAME, arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME, or the name of an SSM parameter of this region"),
            );
        }
        if from.is_empty() {
            report.push(
                subject
                    .error("B420", format!("secret `{variable}` of `{name}` does not say where its value is"), place)
                    .help("write `valueFrom:` with the name or ARN of an SSM parameter, or the ARN of a Secrets Manager secret"),
            );
        }
    }
}
