//! Tasks that run once, and tasks on a schedule.

use serde_json::json;

use crate::case::{Case, case};
use crate::support::{FRONT, Input, World, env, web_with};

#[test]
fn tasks() {
    crate::check("tasks", table());
}

/// `web` as a task that runs once.
fn once(settings: &str) -> String {
    web_with(&format!("mem: 128, once: {{{settings}}}"), "")
}

/// `web` as a task on a schedule.
fn schedule(settings: &str) -> String {
    web_with(&format!("mem: 128, schedule: {{role: ecsEventsRole, {settings}}}"), "")
}

/// With a further component of this name.
fn and(model: String, name: &str) -> String {
    model + &format!("  {name}:\n    image: {name}:1\n    plugin: {{ec2-ecs: {{mem: 128}}}}\n")
}

pub fn table() -> Vec<Case> {
    let accepted = "accepted: it adds a column";
    let hourly = "when: rate(1 hour)";
    let running = |model: &str| {
        let world = World::new();
        let plan = Input::new(model, "plugin_config: {ec2-ecs: {region: us-east-1}}\n").world(world.clone()).plan();
        world.apply(&plan)
    };
    vec![
        case("B302", "before nothing")
            .model(and(once(&format!("{accepted}, before: [bakc]")), "back"), and(once(&format!("{accepted}, before: [back]")), "back")),
        case("B321", "before what it waits for").model(
            and(once(&format!("{accepted}, before: [back], after: [back]")), "back"),
            and(once(&format!("{accepted}, before: [back]")), "back"),
        ),
        case("B326", "neither way back nor consent").model(once("before: []"), once(accepted)),
        case("B326", "both").model(once(&format!("{accepted}, undo: [migrate, down]")), once("undo: [migrate, down]")),
        case("B327", "both kinds").model(
            web_with(&format!("mem: 128, once: {{{accepted}}}, schedule: {{role: r, {hourly}}}"), ""),
            once(accepted),
        ),
        case("B327", "replicas").model(
            web_with(&format!("mem: 128, once: {{{accepted}}}"), "replicas: 2"),
            once(accepted),
        ),
        case("B327", "what services have")
            .model(
                web_with(
                    &format!("mem: 128, schedule: {{role: r, {hourly}}}, grace_period: 5, deployment: {{}}, propagate_tags: SERVICE, scaling: {{min: 1, max: 2}}"),
                    "singleton: true",
                ),
                schedule(hourly),
            )
            .world(World::new())
            .also("B360"),
        case("B327", "daemon").model(
            web_with(&format!("mem: 128, daemon: true, once: {{{accepted}}}"), ""),
            once(accepted),
        ),
        case("B327", "rule with a time zone")
            .model(schedule("when: rate(1 day), by: rule, timezone: Europe/Berlin"), schedule("when: rate(1 day), by: rule, timezone: UTC"))
            .world(World::new()),
        case("B327", "rule with a window")
            .model(schedule("when: rate(1 day), by: rule, window: 5"), schedule("when: rate(1 day), window: 5"))
            .world(World::new()),
        case("B327", "rule at one moment")
            .model(schedule("when: \"at(2027-01-31T08:00:00)\", by: rule"), schedule("when: \"at(2027-01-31T08:00:00)\""))
            .world(World::new()),
        case("B327", "load balancer")
            .model(
                web_with(&format!("mem: 128, once: {{{accepted}}}"), "provides: {ports: [80]}") + FRONT,
                web_with("mem: 128", "provides: {ports: [80]}") + FRONT,
            )
            .with_env(env("lb: {front: front}"))
            .world(World::new().group("front", "instance")),
        case("B345", "account of the cluster").with_model(schedule(hourly)).worlds(World::new(), World::new()).unobserved(),
        case("B401", "name of a schedule").model(
            schedule(hourly).replace("  web:", &format!("  {}:", "w".repeat(64))),
            schedule(hourly),
        ).world(World::new()),
        case("B446", "cron with five fields").model(schedule("when: cron(0 3 * * *)"), schedule("when: cron(0 3 * * ? *)")).world(World::new()),
        case("B446", "cron with two days").model(schedule("when: cron(0 3 1 * 1 *)"), schedule("when: cron(0 3 1 * ? *)")).world(World::new()),
        case("B446", "rate").model(schedule("when: rate(1 hours)"), schedule(hourly)).world(World::new()),
        case("B446", "moment").model(schedule("when: \"at(tomorrow)\""), schedule("when: \"at(2027-01-31T08:00:00)\"")).world(World::new()),
        case("B446", "limits at a time").model(
            web_with("mem: 128, scaling: {min: 1, max: 2, schedule: {night: {when: daily, min: 1}}}", ""),
            web_with("mem: 128, scaling: {min: 1, max: 2, schedule: {night: {when: cron(0 22 * * ? *), min: 1}}}", ""),
        ),
        case("B501", "somebody else's schedule").with_model(schedule(hourly)).worlds(
            World::new().with(|w| {
                w.schedules = vec![json!({"Name": "default_shop_web", "ScheduleExpression": "rate(1 day)", "Target": {"EcsParameters": {"Tags": []}}})];
            }),
            World::new(),
        ),
        case("B501", "somebody else's rule").with_model(schedule("when: rate(1 day), by: rule")).worlds(
            World::new().with(|w| {
                w.event_rules = vec![json!({"Name": "default_shop_web", "Arn": "arn:aws:events:us-east-1:123456789012:rule/default_shop_web", "ScheduleExpression": "rate(1 day)"})];
            }),
            World::new(),
        ),
        case("B530", "service to task").model(once(accepted), web_with("mem: 128", "")).world(running(&web_with("mem: 128", ""))),
        case("B530", "service to schedule").model(schedule(hourly), web_with("mem: 128", "")).world(running(&web_with("mem: 128", ""))),
    ]
}
