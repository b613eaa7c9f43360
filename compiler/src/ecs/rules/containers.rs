//! Rules of single containers: logging, health checks, secrets, and what Fargate leaves out.
//!
//! Source: ECS developer guide, "Container definitions" and "Task definition differences for Fargate".

use std::collections::BTreeSet;

use serde_json::Value;

use crate::diagnostics::Report;
use crate::ecs::image::Image;
use crate::ecs::json::{flag, items, number, text};

use super::Subject;

const FARGATE_LOG_DRIVERS: [&str; 3] = ["awslogs", "splunk", "awsfirelens"];

pub fn check(subject: &Subject<'_>, report: &mut Report) {
    for (name, container) in subject.containers() {
        logging(subject, name, container, report);
        health(subject, name, container, report);
        secrets(subject, name, container, report);
        image(subject, name, container, report);
        if subject.desired.fargate {
            fargate_container(subject, name, container, report);
        }
    }
    if subject.desired.fargate {
        fargate_task(subject, report);
    }
}

fn image(subject: &Subject<'_>, name: &str, container: &Value, report: &mut Report) {
    let written = subject.desired.images.get(name).map(String::as_str);
    let lowered = text(container, "image").unwrap_or_default();
    // The model's own images were judged where they were read; a raw block may have put another one in.
    let from_raw = written.is_none_or(|w| Image::parse(w).repository != Image::parse(lowered).repository);
    if from_raw && let Some(fault) = Image::fault(lowered) {
        report.push(
            subject
                .error("B419", fault, subject.in_container(name, ["image"]))
                .help("write registry/repository:tag or registry/repository@sha256:…"),
        );
    }
    if let Some(written) = written
        && Image::parse(written).is_floating()
    {
        report.push(
            crate::diagnostics::Diagnostic::warning(
                "B419",
                format!("`{written}` means another image whenever somebody pushes"),
            )
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

fn secrets(subject: &Subject<'_>, name: &str, container: &Value, report: &mut Report) {
    let plain: BTreeSet<&str> = items(container, "environment").iter().filter_map(|e| text(e, "name")).collect();
    let region = subject.context.settings.region.as_deref().or(subject.context.facts.map(|f| f.region));
    for secret in items(container, "secrets") {
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
        let arn: Vec<&str> = from.splitn(6, ':').collect();
        if let (["arn", _, service, there, ..], Some(here)) = (arn.as_slice(), region)
            && *there != here
            && arn.len() < 6
        {
            report.push(
                subject
                    .error(
                        "B420",
                        format!(
                            "`{from}` is not a full ARN, and the secret is in {there} while the tasks run in {here}"
                        ),
                        place.clone(),
                    )
                    .help(format!("write arn:aws:{service}:{there}:ACCOUNT:…")),
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

fn fargate_container(subject: &Subject<'_>, name: &str, container: &Value, report: &mut Report) {
    let mut refuse = |member: &str, what: &str| {
        report.push(
            subject
                .error(
                    "B414",
                    format!("container `{name}` {what}, which Fargate does not allow"),
                    subject.in_container(name, [member]),
                )
                .help(format!("remove `{member}`, or run the component on container instances")),
        );
    };
    if flag(container, "privileged") == Some(true) {
        refuse("privileged", "is privileged");
    }
    if !items(container, "dockerSecurityOptions").is_empty() {
        refuse("dockerSecurityOptions", "has Docker security options");
    }
}

fn fargate_task(subject: &Subject<'_>, report: &mut Report) {
    let task = subject.task();
    if text(task, "pidMode") == Some("host") {
        report.push(
            subject
                .error(
                    "B414",
                    "the task shares the host's processes (`pidMode: host`), which Fargate does not allow",
                    subject.in_task(["pidMode"]),
                )
                .help("remove `pidMode`, or write `task`"),
        );
    }
    if task.get("ipcMode").is_some() {
        report.push(
            subject
                .error("B414", "`ipcMode` is not available on Fargate", subject.in_task(["ipcMode"]))
                .help("remove it"),
        );
    }
    let placed = [
        (task, "placementConstraints", true),
        (subject.service(), "placementConstraints", false),
        (subject.service(), "placementStrategy", false),
    ];
    for (document, member, in_task) in placed {
        if !items(document, member).is_empty() {
            let place = if in_task { subject.in_task([member]) } else { subject.in_service([member]) };
            report
                .push(subject.error("B414", format!("`{member}` has no meaning on Fargate"), place).help("remove it"));
        }
    }
}
