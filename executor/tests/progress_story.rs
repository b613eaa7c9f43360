//! What people and programs are told of a run, from its records.

#![allow(clippy::unwrap_used, reason = "helpers of tests; a failure here is a failed test")]

use belay_executor::progress::{Json, Paint, Plain, Story, Verdict, Watcher};
use belay_executor::run::{NodeStatus, NodeWord, Outcome, RunEvent, RunStatus, StuckNode, What};
use belay_schemas::journal::{
    CallError, CallOutcome, Checkpoint, Failure, FailureKind, Finding, GuardFailure, PauseReason, RunPhase, SessionMode,
};
use belay_schemas::plan::{Call, Plan};
use serde_json::{Value, json};

fn plan() -> Plan {
    let call = |operation: &str| json!({"call": {"service": "ecs", "operation": operation, "input": {}}});
    let wait = json!({"wait": {"reads": [], "until": "`true`", "noProgress": 60, "overall": 600, "interval": 5}});
    let node = |id: &str, phase: &str, summary: &str, action: Value| json!({"id": id, "component": "web", "phase": phase, "summary": summary, "action": action});
    let mut register =
        node("web.task-definition.register", "deploy", "register revision", call("RegisterTaskDefinition"));
    register["undo"] = json!([{"nodes": ["web.task-definition.register.undo"]}]);
    let mut migrate =
        node("web.migrate", "deploy", "run the migration", json!({"exec": {"argv": ["m"], "timeout": 9}}));
    migrate["irreversible"] = json!("a migration");
    migrate["accepted"] = json!({"reason": "additive only", "at": "model.yaml:9:3"});
    let plan = json!({
        "format": 1, "project": "shop", "mode": "deploy", "digest": "",
        "target": {"partition": "aws", "cluster": "default"}, "inputs": {"model": "", "environment": ""},
        "components": {"web": {"change": "update", "floor": 2}, "back": {"change": "none", "floor": 1}},
        "nodes": [
            register, migrate,
            node("web.service.update", "deploy", "update service shop_web", call("UpdateService")),
            node("web.service.deployed", "deploy", "wait for the deployment of shop_web", wait),
            node("web.task-definition.register.undo", "undo", "deregister it", call("DeregisterTaskDefinition")),
            {"id": "commit", "phase": "deploy", "summary": "commit", "action": {"commit": "shop runs"}},
            {"id": "ask", "phase": "deploy", "summary": "ask", "action": {"gate": {"text": "Are you ready?"}}},
        ],
        "edges": [],
    });
    serde_json::from_value::<Plan>(plan).unwrap().seal()
}

const START: u64 = 1_763_640_000_000;

fn event(second: u64, node: &str, what: What) -> RunEvent {
    let node = (!node.is_empty()).then(|| node.to_owned());
    RunEvent { at: START + second * 1000, node, component: None, phase: None, elapsed: None, what }
}

fn done(second: u64, node: &str) -> RunEvent {
    event(second, node, What::Done { answer: Value::Null.into() })
}

fn polled(second: u64, progress: Value, holding: bool) -> RunEvent {
    let clocks = Checkpoint { elapsed: 5000, progress, ..Checkpoint::default() };
    event(second, "web.service.deployed", What::Polled { clocks, holding })
}

fn forward() -> Vec<RunEvent> {
    let lost = CallError { code: "Timeout".into(), message: "no answer in 30 s".into() };
    let call = Call { service: "ecs".into(), operation: "RegisterTaskDefinition".into(), input: json!({}) };
    let register = "web.task-definition.register";
    vec![
        event(0, "", What::Session { mode: SessionMode::Apply }),
        event(0, "", What::Checked { guards: 7, failures: Vec::new() }),
        event(0, "", What::Entered { phase: RunPhase::Deploy }),
        event(0, register, What::Started),
        event(0, register, What::Sending { chunk: 0, attempt: 1, call: call.into() }),
        event(1, register, What::Answered { chunk: 0, outcome: CallOutcome::Unknown { error: lost } }),
        event(
            3,
            register,
            What::Answered { chunk: 0, outcome: CallOutcome::ProvenApplied { answer: json!({"long": 1}).into() } },
        ),
        done(3, register),
        event(3, "web.migrate", What::Started),
        done(9, "web.migrate"),
        event(9, "web.service.update", What::Started),
        event(
            9,
            "web.service.update",
            What::Retrying {
                operation: "ecs UpdateService".into(),
                reason: "Rate exceeded".into(),
                at: START + 11_000,
            },
        ),
        done(11, "web.service.update"),
        event(11, "web.service.deployed", What::Started),
        polled(14, json!({"running": 1, "wanted": 2}), false),
        polled(19, json!({"running": 1, "wanted": 2}), false),
        polled(24, json!({"running": 2, "wanted": 2}), true),
    ]
}

fn told(tail: Vec<RunEvent>) -> String {
    let mut out = Vec::new();
    let mut plain = Plain::new(&mut out, Paint { colour: false }, Story::new(plan()));
    for event in forward().into_iter().chain(tail) {
        plain.event(&event);
    }
    plain.finish();
    String::from_utf8(out).unwrap()
}

fn failure() -> Failure {
    let finding = |title: &str, lines: &[&str]| Finding {
        title: title.into(),
        lines: lines.iter().map(|line| (*line).to_owned()).collect(),
    };
    Failure {
        kind: FailureKind::Wait,
        reason: "the deployment was rolled back by its circuit breaker".into(),
        evidence: vec![
            finding("service events", &["(service shop_web) deployment failed: tasks failed to start."]),
            finding("stopped tasks", &["task 01: CannotPullContainerError: no such image\nexit code 1"]),
            finding("target health", &[]),
        ],
    }
}

#[test]
fn a_run_that_reaches_its_end() {
    let told = told(vec![
        done(70, "web.service.deployed"),
        event(70, "commit", What::Started),
        done(70, "commit"),
        event(70, "", What::Entered { phase: RunPhase::Finalize }),
        event(71, "", What::Interrupted { times: 1 }),
    ]);
    insta::assert_snapshot!(told, @r#"
    12:00:00  all 7 assumptions of the plan hold
    12:00:01  web.task-definition.register       no certain answer (Timeout: no answer in 30 s); finding out whether it took effect
    12:00:03  web.task-definition.register       it did take effect
    12:00:03  web.task-definition.register       done in 3 s
    12:00:03  web.migrate                        run the migration
    12:00:09  web.migrate                        done in 6 s
    12:00:09  web.service.update                 ecs UpdateService: Rate exceeded; again in 2 s
    12:00:11  web.service.update                 done in 2 s
    12:00:11  web.service.deployed               wait for the deployment of shop_web
    12:00:14  web.service.deployed               running 1, wanted 2
    12:00:24  web.service.deployed               running 2, wanted 2, holding
    12:01:10  web.service.deployed               done in 59 s
    12:01:10  commit point reached: the new state stays, what is left is tidying
    12:01:11  interrupted: past the commit point, stopping where it can be resumed
    "#);
}

#[test]
fn a_run_that_fails_and_goes_back() {
    let undo = "web.task-definition.register.undo";
    let told = told(vec![
        event(131, "web.service.deployed", What::Failed { failure: failure() }),
        event(131, "", What::Entered { phase: RunPhase::Undo }),
        event(131, "web.task-definition.register", What::Case { case: 0, taken: true, why: None }),
        event(131, undo, What::Started),
        event(
            131,
            undo,
            What::Sending {
                chunk: 0,
                attempt: 2,
                call: Call { service: String::new(), operation: String::new(), input: Value::Null }.into(),
            },
        ),
        done(132, undo),
    ]);
    insta::assert_snapshot!(told, @r#"
    12:00:00  all 7 assumptions of the plan hold
    12:00:01  web.task-definition.register       no certain answer (Timeout: no answer in 30 s); finding out whether it took effect
    12:00:03  web.task-definition.register       it did take effect
    12:00:03  web.task-definition.register       done in 3 s
    12:00:03  web.migrate                        run the migration
    12:00:09  web.migrate                        done in 6 s
    12:00:09  web.service.update                 ecs UpdateService: Rate exceeded; again in 2 s
    12:00:11  web.service.update                 done in 2 s
    12:00:11  web.service.deployed               wait for the deployment of shop_web
    12:00:14  web.service.deployed               running 1, wanted 2
    12:00:24  web.service.deployed               running 2, wanted 2, holding
    12:02:11  web.service.deployed               FAILED after 2 min 00 s: the deployment was rolled back by its circuit breaker
                service events:
                  (service shop_web) deployment failed: tasks failed to start.
                stopped tasks:
                  task 01: CannotPullContainerError: no such image
                  exit code 1
    12:02:11  going back to the state before the run
    12:02:11  web.task-definition.register.undo  sent again (attempt 2)
    12:02:12  web.task-definition.register.undo  done in 1 s
    "#);
}

#[test]
fn interruptions_and_gates() {
    let told = told(vec![
        event(20, "ask", What::Started),
        event(20, "ask", What::Approved),
        event(20, "", What::Interrupted { times: 1 }),
        event(20, "web.service.deployed", What::Abandoned),
        event(20, "", What::Entered { phase: RunPhase::Undo }),
        event(21, "", What::Interrupted { times: 2 }),
    ]);
    insta::assert_snapshot!(told.lines().skip(10).collect::<Vec<_>>().join("\n"), @r#"
    12:00:24  web.service.deployed               running 2, wanted 2, holding
    12:00:20  ask                                asks: Are you ready?
    12:00:20  ask                                approved
    12:00:20  interrupted: turning back (once more stops where it can be resumed)
    12:00:20  web.service.deployed               left
    12:00:20  going back to the state before the run
    12:00:21  interrupted again: stopping where it can be resumed
    "#);
}

#[test]
fn a_stale_plan_names_the_field_that_moved() {
    let moved = GuardFailure {
        node: "web.service.update".into(),
        read: "ecs DescribeServices".into(),
        field: "services[0].taskDefinition".into(),
        expected: json!("…:41"),
        found: json!("…:42"),
        error: None,
    };
    let mut story = Story::new(plan());
    let status = GuardFailure { field: "services[0].status".into(), expected: json!("ACTIVE"), ..moved.clone() };
    let lines = story.apply(&event(0, "", What::Checked { guards: 2, failures: vec![moved, status] }));
    insta::assert_snapshot!(format!("{}\n{}", lines[0].text, lines[0].details.join("\n")), @r#"
    1 of the plan's 2 assumptions does not hold
    web.service.update: ecs DescribeServices: `services[0].taskDefinition` is "…:42", the plan relies on "…:41"
    web.service.update: ecs DescribeServices: `services[0].status` is "…:42", the plan relies on "ACTIVE"
    "#);
}

#[test]
fn programs_get_one_event_a_line_without_long_answers() {
    let mut out = Vec::new();
    let mut json = Json::new(&mut out);
    for event in forward().iter().skip(3).take(4) {
        json.event(event);
    }
    insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r#"
    {"at":1763640000000,"is":"started","node":"web.task-definition.register","time":"2025-11-20T12:00:00Z"}
    {"at":1763640000000,"attempt":1,"call":{"input":{},"operation":"RegisterTaskDefinition","service":"ecs"},"chunk":0,"is":"sending","node":"web.task-definition.register","time":"2025-11-20T12:00:00Z"}
    {"at":1763640001000,"chunk":0,"is":"answered","node":"web.task-definition.register","outcome":{"error":{"code":"Timeout","message":"no answer in 30 s"},"result":"unknown"},"time":"2025-11-20T12:00:01Z"}
    {"at":1763640003000,"chunk":0,"is":"answered","node":"web.task-definition.register","outcome":{"result":"proven-applied"},"time":"2025-11-20T12:00:03Z"}
    "#);
}

fn status(outcome: Option<Outcome>, words: &[(&str, NodeWord)]) -> RunStatus {
    let nodes = plan().nodes.into_iter().map(|node| NodeStatus {
        state: words.iter().find(|(id, _)| *id == node.id).map_or(NodeWord::Pending, |(_, word)| *word),
        failure: words.contains(&(node.id.as_str(), NodeWord::Failed)).then(failure),
        node: node.id,
        component: node.component,
        phase: node.phase,
        summary: node.summary,
        elapsed: None,
    });
    RunStatus {
        run: "R1".into(),
        plan: plan().digest,
        project: "shop".into(),
        account: "123456789012".into(),
        region: None,
        world: None,
        started_at: START,
        approved_by: Vec::new(),
        last_at: START + 132_000,
        phase: RunPhase::Deploy,
        outcome,
        stale: Vec::new(),
        unreachable: None,
        waiting_for: Vec::new(),
        stuck: Vec::new(),
        nodes: nodes.collect(),
    }
}

fn verdict(status: &RunStatus) -> String {
    Verdict::of(&plan(), status, " --journal runs").lines(Paint { colour: false }, true).join("\n")
}

#[test]
fn the_last_word_says_what_the_state_is_and_what_to_do() {
    let done = [("web.service.update", NodeWord::Done), ("web.migrate", NodeWord::Done)];
    let back = [
        ("web.service.update", NodeWord::Undone),
        ("web.migrate", NodeWord::Kept),
        ("web.service.deployed", NodeWord::Failed),
    ];
    let mut said = vec![
        verdict(&status(Some(Outcome::NothingToDo), &[])),
        verdict(&status(Some(Outcome::Done), &done)),
        verdict(&status(Some(Outcome::RolledBack { requested: false }), &back)),
        verdict(&status(Some(Outcome::Stale), &[])),
        verdict(&status(Some(Outcome::FinalizeIncomplete), &done)),
        verdict(&status(None, &done)),
    ];
    let mut gate = status(Some(Outcome::Paused { reason: PauseReason::Gate }), &[]);
    gate.waiting_for = vec!["ask".into()];
    said.push(verdict(&gate));
    let mut away = status(Some(Outcome::Environment), &[]);
    away.unreachable = Some("ExpiredToken: the token is too old".into());
    said.push(verdict(&away));
    let mut stuck = status(Some(Outcome::Stuck), &back);
    stuck.stuck.push(StuckNode {
        node: "web.service.update".into(),
        summary: "update service shop_web".into(),
        reason: "no way back applies".into(),
        todo: "Look at it.".into(),
    });
    said.push(verdict(&stuck));
    insta::assert_snapshot!(said.join("\n\n"), @r#"
    Nothing to do: shop in default is as the plan wants it.

    Done: shop in default is as the plan wants it (2 steps, 2 min 12 s).
      web  updated

    Rolled back: shop in default is as it was before, but for what is named below (1 step undone, 2 min 12 s).
      failed web.service.deployed: the deployment was rolled back by its circuit breaker
          service events:
            (service shop_web) deployment failed: tasks failed to start.
          stopped tasks:
            task 01: CannotPullContainerError: no such image
            exit code 1
      stays web.migrate: run the migration (accepted: additive only)

    Stale: shop in default is not as the plan assumes. Nothing was changed.
      next: observe and compile again, and review the new plan

    shop in default is as the plan wants it, but not all of the old is gone (2 min 12 s).
      web  updated
      next: `belay resume R1 --journal runs` tries the rest again

    In progress: a belay works on shop in default, or its process ended without a word.
      next: if no belay is at work on it, `belay resume R1 --journal runs` goes on
      next: `belay rollback R1 --journal runs` takes back what was done

    Paused for approval of ask.
      next: `belay resume R1 --journal runs --approve ask` answers yes and goes on
      next: `belay rollback R1 --journal runs` takes back what was done

    shop in default cannot be reached from here (ExpiredToken: the token is too old). Nothing was changed.
      next: put that right and apply the plan again

    STUCK: shop in default is in neither the old nor the new state. A person has to act.
      failed web.service.deployed: the deployment was rolled back by its circuit breaker
          service events:
            (service shop_web) deployment failed: tasks failed to start.
          stopped tasks:
            task 01: CannotPullContainerError: no such image
            exit code 1
      stuck at web.service.update: no way back applies
          Look at it.
      stays web.migrate: run the migration (accepted: additive only)
      next: then `belay resume R1 --journal runs` tries the way back again
    "#);
}
