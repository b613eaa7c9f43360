//! Runs through the binary: forward, back, paused, killed, interrupted, locked out.

use std::time::{Duration, Instant};

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::belay::{Answer, Desk};
use crate::plans;

const APPLY: [&str; 4] = ["apply", "plan.json", "--simulated", "w.json"];

fn desk(plan: &str) -> Desk {
    let desk = Desk::new();
    desk.write("plan.json", plan);
    desk
}

/// A world in which images behave as given.
fn world(desk: &Desk, images: Value) {
    desk.belay(&["world", "-o", "w.json"]).expect(0);
    let mut world: Value = serde_json::from_str(&desk.read("w.json")).unwrap();
    world["images"] = images;
    desk.write("w.json", &world.to_string());
}

fn calls(desk: &Desk) -> Vec<String> {
    let world: Value = serde_json::from_str(&desk.read("w.json")).unwrap();
    world["log"].as_array().unwrap().iter().map(|entry| entry["operation"].as_str().unwrap().to_owned()).collect()
}

fn only_run(desk: &Desk) -> std::path::PathBuf {
    let mut runs = std::fs::read_dir(desk.path(".belay/runs")).unwrap();
    runs.next().unwrap().unwrap().path()
}

/// Waits until a run has journalled `text`.
fn until_journalled(desk: &Desk, text: &str) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        if desk.path(".belay/runs").is_dir()
            && std::fs::read_dir(desk.path(".belay/runs")).unwrap().next().is_some()
            && std::fs::read_to_string(only_run(desk).join("journal.jsonl")).unwrap_or_default().contains(text)
        {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{text} was not journalled");
}

fn interrupt(id: u32) {
    let status = std::process::Command::new("kill").args(["-INT", &id.to_string()]).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_plan_is_applied_and_then_it_is_stale() {
    let desk = desk(&plans::create("nginx:1.27"));
    assert_snapshot!(desk.belay(&["verify", "plan.json", "--simulated", "w.json"]).said(), @r#"
    DIR/w.json does not exist yet: starting from the default account (123456789012, us-east-1)
    the plan's assumptions hold in account 123456789012, us-east-1, simulated world w.json
    exit 0
    "#);
    assert_snapshot!(desk.belay(&APPLY).said(), @r#"
    run RUN: plan sha256:DIGEST, shop in default (account 123456789012, us-east-1, simulated world w.json)
    journal and lock: .belay (who uses another directory is not locked out)
    00:00:00  the plan's one assumption holds
    00:00:00  web.task-definition.register       done in 0 s
    00:00:00  web.service.create                 done in 0 s
    00:00:00  web.service.deployed               wait until the deployment of shop_web is done
    00:00:00  web.service.deployed               failed 0, pending 0, running 0
    00:00:05  web.service.deployed               failed 0, pending 2, running 0
    00:00:20  web.service.deployed               failed 0, pending 0, running 2
    00:01:00  web.service.deployed               done in 1 min 00 s
    00:01:00  commit point reached: the new state stays, what is left is tidying
    Done: shop in default is as the plan wants it (4 steps, 1 min 00 s).
      web  created
    exit 0
    "#);
    assert_snapshot!(desk.belay(&APPLY).said(), @r#"
    run RUN: plan sha256:DIGEST, shop in default (account 123456789012, us-east-1, simulated world w.json)
    journal and lock: .belay (who uses another directory is not locked out)
    00:01:00  the plan's one assumption does not hold
                web.service.create: ecs DescribeServices: `length(services[?status != 'INACTIVE'])` is 1, the plan relies on 0
    Stale: shop in default is not as the plan assumes. Nothing was changed.
      next: observe and compile again, and review the new plan
    exit 5
    "#);
    assert_snapshot!(desk.belay(&["verify", "plan.json", "--simulated", "w.json"]).said(), @r#"
    stale: account 123456789012, us-east-1, simulated world w.json is not as the plan assumes
      web.service.create: ecs DescribeServices: `length(services[?status != 'INACTIVE'])` is 1, the plan relies on 0
    next: observe and compile again, and review the new plan
    exit 5
    "#);
    assert_eq!(calls(&desk), ["RegisterTaskDefinition", "CreateService"]);
}

#[test]
fn a_failure_is_explained_and_rolled_back() {
    let desk = desk(&plans::create("broken:1"));
    world(&desk, json!({"broken:1": {"behaviour": {"kind": "cannot-pull"}}}));
    assert_snapshot!(desk.belay(&APPLY).said(), @r#"
    run RUN: plan sha256:DIGEST, shop in default (account 123456789012, us-east-1, simulated world w.json)
    journal and lock: .belay (who uses another directory is not locked out)
    00:00:00  the plan's one assumption holds
    00:00:00  web.task-definition.register       done in 0 s
    00:00:00  web.service.create                 done in 0 s
    00:00:00  web.service.deployed               wait until the deployment of shop_web is done
    00:00:00  web.service.deployed               failed 0, pending 0, running 0
    00:00:05  web.service.deployed               failed 0, pending 2, running 0
    00:00:10  web.service.deployed               failed 2, pending 2, running 0
    00:00:15  web.service.deployed               failed 3, pending 0, running 0
    00:00:20  web.service.deployed               FAILED after 20 s: the deployment failed
                service events:
                  (service shop_web) (deployment ecs-svc/1000000000000000001) deployment failed: tasks failed to start.
                  (service shop_web) has started 2 tasks: (task 00000000000000000000000000000003) (task 00000000000000000000000000000004).
                  (service shop_web) has started 2 tasks: (task 00000000000000000000000000000001) (task 00000000000000000000000000000002).
                stopped tasks:
                  CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref broken:1
                  CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref broken:1
    00:00:20  going back to the state before the run
    00:00:20  web.service.create.undo            done in 0 s
    00:00:20  web.service.create.undone          wait until shop_web is gone
    00:00:20  web.service.create.undone          progress 0
    00:00:25  web.service.create.undone          done in 5 s
    00:00:25  web.task-definition.register.undo  done in 0 s
    Rolled back: shop in default is as it was before (2 steps undone, 25 s).
      failed web.service.deployed: the deployment failed
    exit 3
    "#);
    assert_snapshot!(desk.belay(&["status"]).said(), @r#"
    run RUN of shop in default (account 123456789012, us-east-1, simulated world DIR/w.json)
    plan sha256:DIGEST, begun 2026-01-01T00:00:00Z, last news 2026-01-01T00:00:25Z
    Rolled back: shop in default is as it was before (2 steps undone, 25 s).
      failed web.service.deployed: the deployment failed
          service events:
            (service shop_web) (deployment ecs-svc/1000000000000000001) deployment failed: tasks failed to start.
            (service shop_web) has started 2 tasks: (task 00000000000000000000000000000003) (task 00000000000000000000000000000004).
            (service shop_web) has started 2 tasks: (task 00000000000000000000000000000001) (task 00000000000000000000000000000002).
          stopped tasks:
            CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref broken:1
            CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref broken:1

    -         commit                                          commit
    undone    web.service.create                         0 s  create service shop_web
    done      web.service.create.undo                    0 s  delete service shop_web
    done      web.service.create.undone                  5 s  wait until shop_web is gone
    FAILED    web.service.deployed                      20 s  wait until the deployment of shop_web is done
    undone    web.task-definition.register               0 s  register a revision of default_shop_web
    done      web.task-definition.register.undo          0 s  deregister that revision
    exit 0
    "#);
    assert_eq!(calls(&desk), ["RegisterTaskDefinition", "CreateService", "DeleteService", "DeregisterTaskDefinition"]);
}

#[test]
fn a_failure_may_pause_and_be_rolled_back_by_hand() {
    let desk = desk(&plans::create("broken:1"));
    world(&desk, json!({"broken:1": {"behaviour": {"kind": "crash", "afterSeconds": 3, "exitCode": 1}}}));
    let paused = desk.belay(&[&APPLY[..], &["--on-failure", "pause", "--journal", "runs here"]].concat()).expect(8);
    assert_snapshot!(verdict(&paused), @r#"
                service events:
                  (service shop_web) (deployment ecs-svc/1000000000000000001) deployment failed: tasks failed to start.
                  (service shop_web) has started 2 tasks: (task 00000000000000000000000000000003) (task 00000000000000000000000000000004).
                  (service shop_web) has started 2 tasks: (task 00000000000000000000000000000001) (task 00000000000000000000000000000002).
                stopped tasks:
                  Essential container in task exited
                  Essential container in task exited
    Paused after a failure: shop in default is in between.
      failed web.service.deployed: the deployment failed
      next: `belay resume RUN --journal 'runs here'` tries again
      next: `belay rollback RUN --journal 'runs here'` takes back what was done
    "#);
    let back = desk.belay(&["rollback", "--journal", "runs here"]).expect(0);
    assert_snapshot!(verdict(&back), @r#"
    Rolled back: shop in default is as it was before (2 steps undone, 50 s).
      failed web.service.deployed: the deployment failed
    "#);
    assert_snapshot!(desk.belay(&["rollback", "--journal", "runs here"]).said(), @r#"
    rolling back RUN: plan sha256:DIGEST, shop in default (account 123456789012, us-east-1, simulated world w.json)
    journal and lock: runs here (who uses another directory is not locked out)
    error: run RUN has nothing to roll back: it was rolled back already
    exit 1
    "#);
}

/// The verdict: what follows the last line that begins with a time.
fn verdict(answer: &Answer) -> String {
    let lines: Vec<&str> = answer.err.lines().collect();
    let last = lines.iter().rposition(|line| line.as_bytes().get(2) == Some(&b':')).map_or(0, |at| at + 1);
    lines[last..].join("\n")
}

#[test]
fn a_gate_waits_for_approval() {
    let desk = desk(&plans::gated("nginx:1"));
    let paused = desk.belay(&APPLY).expect(8);
    assert_snapshot!(verdict(&paused), @r#"
    Paused for approval of web.gate.
      next: `belay resume RUN --approve web.gate` answers yes and goes on
      next: `belay rollback RUN` takes back what was done
    "#);
    assert_snapshot!(desk.belay(&["resume", "--approve", "web.gat"]).said(), @r#"
    resuming RUN: plan sha256:DIGEST, shop in default (account 123456789012, us-east-1, simulated world w.json)
    journal and lock: .belay (who uses another directory is not locked out)
    error: web.gat is not a gate of this plan
    exit 1
    "#);
    assert_snapshot!(desk.belay(&["resume", "--approve", "web.gate"]).expect(0).said(), @r#"
    resuming RUN: plan sha256:DIGEST, shop in default (account 123456789012, us-east-1, simulated world w.json)
    journal and lock: .belay (who uses another directory is not locked out)
    00:00:00  resumed
    00:00:00  web.gate                           approved
    00:00:00  the plan's one assumption holds
    00:00:00  web.gate                           asks: Are you ready?
    00:00:00  web.gate                           done in 0 s
    00:00:00  web.service.create                 done in 0 s
    00:00:00  web.service.deployed               wait until the deployment of shop_web is done
    00:00:00  web.service.deployed               failed 0, pending 0, running 0
    00:00:05  web.service.deployed               failed 0, pending 2, running 0
    00:00:20  web.service.deployed               failed 0, pending 0, running 2
    00:01:00  web.service.deployed               done in 1 min 00 s
    00:01:00  commit point reached: the new state stays, what is left is tidying
    Done: shop in default is as the plan wants it (5 steps, 1 min 00 s).
      web  created
    exit 0
    "#);
    assert_snapshot!(desk.belay(&["status", "--list"]).said(), @r#"
    RUN  Done: shop in default is as the plan wants it (5 steps, 1 min 00 s).
    exit 0
    "#);
}

#[test]
fn programs_get_one_event_a_line() {
    let desk = desk(&plans::create("nginx:1"));
    let answer = desk.belay(&[&APPLY[..], &["--format", "json"]].concat()).expect(0);
    let lines: Vec<Value> = answer.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (verdict, events) = lines.split_last().unwrap();
    let mut kinds: Vec<&str> = events.iter().map(|event| event["is"].as_str().unwrap()).collect();
    kinds.dedup();
    assert_snapshot!(kinds.join(" "), @r#"session checked entered started sending answered done started sending answered done started polled done started done entered ended"#);
    assert!(events.iter().all(|event| event["time"].as_str().unwrap().starts_with("2026-01-01T")));
    assert_eq!(verdict["verdict"]["state"], "done");
    assert_eq!(verdict["verdict"]["exitCode"], 0);
    let status = desk.belay(&["status", "--format", "json"]).expect(0);
    let status: Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(status["verdict"], verdict["verdict"]);
    assert_eq!(status["status"]["nodes"].as_array().unwrap().len(), 7);
}

#[test]
fn a_plan_without_steps_changes_nothing() {
    let desk = desk(&plans::empty());
    assert_snapshot!(desk.belay(&APPLY).said(), @r#"
    DIR/w.json does not exist yet: starting from the default account (123456789012, us-east-1)
    Nothing to do: shop in default is as the plan wants it.
    exit 0
    "#);
    assert!(!desk.path(".belay").exists());
}

#[test]
fn a_killed_run_is_resumed_without_doing_anything_twice() {
    let desk = desk(&plans::create("nginx:1"));
    let mut child = desk.start(&[&APPLY[..], &["--pace", "0.05"]].concat());
    until_journalled(&desk, r#"{"is":"start","node":"web.service.deployed"}"#);
    child.kill().unwrap();
    child.wait().unwrap();
    let status = desk.belay(&["status"]).expect(0);
    assert!(status.out.contains("In progress: a belay works on shop in default"), "{}", status.out);
    let resumed = desk.belay(&["resume"]).expect(0);
    assert_snapshot!(verdict(&resumed), @r#"
    Done: shop in default is as the plan wants it (4 steps, 1 min 00 s).
      web  created
    "#);
    assert_eq!(calls(&desk), ["RegisterTaskDefinition", "CreateService"]);
}

#[test]
fn ctrl_c_rolls_back_and_a_second_one_stops() {
    let desk = desk(&plans::create("nginx:1"));
    let child = desk.start(&[&APPLY[..], &["--pace", "0.05"]].concat());
    until_journalled(&desk, r#"{"is":"start","node":"web.service.deployed"}"#);
    interrupt(child.id());
    until_journalled(&desk, r#"{"is":"start","node":"web.service.create.undone"}"#);
    interrupt(child.id());
    let stopped = desk.finish(child).expect(8);
    assert_snapshot!(verdict(&stopped), @r#"
    Interrupted: shop in default is in between.
      next: `belay resume RUN` goes on
      next: `belay rollback RUN` takes back what was done
    "#);
    // The way back was begun, so going on means going back.
    desk.belay(&["resume"]).expect(3);
    assert_eq!(calls(&desk), ["RegisterTaskDefinition", "CreateService", "DeleteService", "DeregisterTaskDefinition"]);
}

#[test]
fn only_one_belay_works_on_a_target() {
    let desk = desk(&plans::create("nginx:1"));
    let mut child = desk.start(&[&APPLY[..], &["--pace", "0.2"]].concat());
    until_journalled(&desk, r#"{"is":"start","node":"web.service.deployed"}"#);
    let second = desk.belay(&APPLY).expect(6);
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    assert!(second.err.contains(&format!("on {}, process {}, since 20", host.trim(), child.id())), "{}", second.err);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_a_run_leaves_behind_is_its_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let desk = desk(&plans::create("nginx:1"));
    desk.belay(&APPLY).expect(0);
    let mut open = vec![desk.path(".belay")];
    while let Some(path) = open.pop() {
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
}

#[test]
fn a_run_remembers_its_world() {
    let desk = desk(&plans::gated("nginx:1"));
    desk.belay(&APPLY).expect(8);
    assert_snapshot!(desk.belay(&["resume", "--simulated", "other.json"]).said(), @r#"
    error: this run works on the simulated world DIR/w.json
    help: leave out --simulated: a run remembers its world
    exit 2
    "#);
    std::fs::remove_file(desk.path("w.json")).unwrap();
    assert_snapshot!(desk.belay(&["resume"]).said(), @r#"
    error: the simulated world of this run, DIR/w.json, is gone
    exit 6
    "#);
}

#[test]
fn another_account_is_refused() {
    let mut plan = plans::create_json("nginx:1");
    plan["target"]["account"] = json!("999999999999");
    let desk = desk(&plans::sealed(plan));
    assert_snapshot!(desk.belay(&APPLY).said(), @r#"
    DIR/w.json does not exist yet: starting from the default account (123456789012, us-east-1)
    run RUN: plan sha256:DIGEST, shop in default (account 123456789012, us-east-1, simulated world w.json)
    journal and lock: .belay (who uses another directory is not locked out)
    error: the plan is for account 999999999999, these credentials belong to account 123456789012
    help: use credentials of the plan's account, or observe and compile for this one
    exit 6
    "#);
    assert!(!desk.path(".belay/runs").exists());
}

#[test]
fn a_stale_attempt_does_not_hide_the_run_that_is_to_be_taken_up() {
    let desk = desk(&plans::create("broken:1"));
    world(&desk, json!({"broken:1": {"behaviour": {"kind": "cannot-pull"}}}));
    desk.belay(&[&APPLY[..], &["--on-failure", "pause"]].concat()).expect(8);
    // Another plan for the same service: its guard does not hold.
    desk.write("other.json", &plans::create("nginx:1"));
    desk.belay(&["apply", "other.json", "--simulated", "w.json"]).expect(5);
    let status = desk.belay(&["status"]).expect(0);
    assert!(status.out.contains("Paused after a failure"), "{}", status.out);
    desk.belay(&["rollback"]).expect(0);
}

#[test]
fn a_plan_whose_run_is_paused_is_resumed_and_not_begun_again() {
    let desk = desk(&plans::create("broken:1"));
    world(&desk, json!({"broken:1": {"behaviour": {"kind": "cannot-pull"}}}));
    desk.belay(&[&APPLY[..], &["--on-failure", "pause"]].concat()).expect(8);
    assert_snapshot!(desk.belay(&APPLY).said(), @r#"
    run RUN: plan sha256:DIGEST, shop in default (account 123456789012, us-east-1, simulated world w.json)
    journal and lock: .belay (who uses another directory is not locked out)
    error: run RUN of this very plan is not over: nothing was done; `belay resume RUN` goes on with it, `belay rollback RUN` takes it back
    exit 5
    "#);
    assert_eq!(std::fs::read_dir(desk.path(".belay/runs")).unwrap().count(), 1);
    desk.belay(&["rollback"]).expect(0);
    // It is over: the plan may be tried again, because what it relies on holds again.
    desk.belay(&APPLY).expect(3);
}

#[test]
fn a_plan_is_applied_again_only_while_its_guards_hold() {
    let desk = desk(&plans::create("nginx:1"));
    desk.belay(&APPLY).expect(0);
    desk.belay(&APPLY).expect(5);
    desk.belay(&["rollback"]).expect(0);
    desk.belay(&APPLY).expect(0);
}

#[test]
fn a_run_that_a_later_one_stands_on_is_not_gone_on_with() {
    let desk = desk(&plans::create("broken:1"));
    world(&desk, json!({"broken:1": {"behaviour": {"kind": "cannot-pull"}}}));
    desk.belay(&[&APPLY[..], &["--on-failure", "pause"]].concat()).expect(8);
    let first = only_run(&desk).file_name().unwrap().to_str().unwrap().to_owned();
    // Somebody takes the service away by hand and deploys another version of it.
    let mut world: Value = serde_json::from_str(&desk.read("w.json")).unwrap();
    world["services"] = json!({});
    world["tasks"] = json!({});
    desk.write("w.json", &world.to_string());
    desk.write("plan.json", &plans::create("nginx:1"));
    desk.belay(&APPLY).expect(0);
    assert_snapshot!(desk.belay(&["resume", &first]).said(), @r#"
    resuming RUN: plan sha256:DIGEST, shop in default (account 123456789012, us-east-1, simulated world w.json)
    journal and lock: .belay (who uses another directory is not locked out)
    error: run RUN cannot be gone on with: run RUN came after it and stands on it; observe and compile again, and apply that plan
    exit 1
    "#);
}

#[test]
fn a_run_that_a_later_one_stands_on_is_not_taken_back() {
    let desk = desk(&plans::create("nginx:1"));
    desk.belay(&APPLY).expect(0);
    let first = only_run(&desk).file_name().unwrap().to_str().unwrap().to_owned();
    // Somebody takes the service away, so that the same plan can be applied once more.
    let mut world: Value = serde_json::from_str(&desk.read("w.json")).unwrap();
    world["services"] = json!({});
    world["tasks"] = json!({});
    desk.write("w.json", &world.to_string());
    desk.belay(&APPLY).expect(0);
    let refused = desk.belay(&["rollback", &first]).expect(1);
    assert!(refused.err.contains("came after it and stands on it; take that one back first"), "{}", refused.err);
    desk.belay(&["rollback"]).expect(0);
    desk.belay(&["rollback", &first]).expect(0);
}

#[test]
fn a_simulated_world_has_one_belay_even_with_two_journals() {
    let desk = desk(&plans::create("nginx:1"));
    let mut child = desk.start(&[&APPLY[..], &["--pace", "0.2"]].concat());
    until_journalled(&desk, r#"{"is":"start","node":"web.service.deployed"}"#);
    let second = desk.belay(&[&APPLY[..], &["--journal", "other"]].concat()).expect(6);
    assert!(second.err.contains("works on this simulated world"), "{}", second.err);
    // Looking is free.
    desk.belay(&["verify", "plan.json", "--simulated", "w.json"]).expect(5);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_damaged_journal_is_named() {
    let desk = desk(&plans::create("nginx:1"));
    desk.belay(&APPLY).expect(0);
    let journal = only_run(&desk).join("journal.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, text.replacen("\"seq\":2", "\"seq\":9", 1)).unwrap();
    assert_snapshot!(desk.belay(&["resume"]).said(), @r#"
    error: .belay/runs/RUN/journal.jsonl: the journal is damaged at record 2: its checksum does not match; it is left as it is, nothing was done
    help: take the journal from a backup if there is one; else observe, compile and apply again: what runs is compared with what is wanted
    exit 1
    "#);
}

#[cfg(target_os = "linux")]
#[test]
fn a_journal_that_cannot_be_written_is_refused_before_anything_is_called() {
    use std::os::unix::fs::PermissionsExt;
    let desk = desk(&plans::create("nginx:1"));
    let mode = |name: &str, mode: u32| {
        std::fs::set_permissions(desk.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("", 0o777);
    mode("plan.json", 0o644);
    std::fs::create_dir(desk.path("read-only")).unwrap();
    mode("read-only", 0o555);
    desk.write("file", "");
    let refused = |journal: &str| {
        let said = desk.belay_as_nobody(&[&APPLY[..], &["--journal", journal]].concat()).expect(6).err;
        assert_eq!(calls(&desk), Vec::<String>::new());
        said.lines().filter(|line| line.starts_with("error")).collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(refused("read-only/journal"), @"error: read-only/journal: Permission denied (os error 13)");
    mode("read-only", 0o755);
    assert_snapshot!(refused("file"), @"error: file: not a directory");
    assert_snapshot!(refused("file/journal"), @"error: file/journal: Not a directory (os error 20)");
    // With a place that can be written the same plan runs.
    desk.belay_as_nobody(&APPLY).expect(0);
}
