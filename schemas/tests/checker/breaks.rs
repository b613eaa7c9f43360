//! One plan a rule that breaks just that rule.

use std::collections::BTreeSet;

use belay_schemas::checker::{RULES, Violation, check};
use belay_schemas::plan::{Accepted, Action, Edge, EdgeKind, Moment, Phase, Plan, UndoCase};
use serde_json::json;

use crate::plans::{add, cut, good, input, join, node, output, wait};

/// Changes the good plan, seals it again, and checks that this breaks exactly the rules named.
fn breaks(rules: &[&str], change: fn(&mut Plan)) -> Vec<Violation> {
    let mut plan = good();
    change(&mut plan);
    let found = check(&plan.seal());
    let broken: BTreeSet<&str> = found.iter().map(|violation| violation.rule).collect();
    assert_eq!(broken, rules.iter().copied().collect(), "{found:#?}");
    found
}

macro_rules! breaks {
    ($($name:ident: $($rule:literal),+ => $change:expr;)*) => {
        $(#[test] fn $name() { breaks(&[$($rule),+], $change); })*
        /// The rules that a test above breaks alone.
        const BROKEN: &[&[&str]] = &[$(&[$($rule),+]),*];
    };
}

breaks! {
    a_format_of_the_future: "P101" => |p| p.format = 2;
    an_id_with_a_space: "P102" => |p| {
        add(p, json!({"id": "a gate", "phase": "deploy", "summary": "s", "action": {"gate": {"text": "now?"}}}));
        join(p, "a gate", "commit", EdgeKind::After);
    };
    an_edge_to_nowhere: "P201" => |p| join(p, "commit", "nowhere", EdgeKind::After);
    a_component_that_is_not_listed: "P106" => |p| p.components.retain(|name, _| name != "pool");
    a_component_beyond_the_limit: "P107" => |p| p.only = p.components.keys().filter(|name| *name != "pool").cloned().collect();
    a_cycle: "P202" => |p| join(p, "web.service.deployed", "web.service.update", EdgeKind::After);
    a_compensation_that_waits_forward: "P203" => |p| join(p, "web.service.update", "web.service.update.undone", EdgeKind::After);
    a_way_from_a_later_phase: "P203" => |p| {
        add(p, json!({"id": "preflight.late", "phase": "preflight", "summary": "s",
                      "action": {"read": {"service": "ecs", "operation": "ListClusters", "input": {}}}}));
        join(p, "pool.instances.list", "preflight.late", EdgeKind::After);
    };
    an_undo_edge_to_a_stranger: "P204" => |p| join(p, "web.service.update", "api.service.create.undo", EdgeKind::Undo);
    an_undo_after_edge_from_a_forward_node: "P205" => |p| join(p, "web.service.update", "api.service.create.undo", EdgeKind::UndoAfter);
    no_commit_point: "P206" => |p| {
        p.nodes.retain(|n| n.id != "commit");
        p.edges.retain(|e| e.from != "commit" && e.to != "commit");
    };
    two_commit_points: "P206" => |p| {
        add(p, json!({"id": "commit.again", "phase": "deploy", "summary": "s", "action": {"commit": "c"}}));
        join(p, "commit", "commit.again", EdgeKind::After);
    };
    a_commit_point_in_finalize: "P206" => |p| {
        node(p, "commit").phase = Phase::Finalize;
    };
    a_deploy_node_beside_the_commit_point: "P207" => |p| cut(p, "web.service.deployed", "commit");
    a_finalize_node_beside_the_commit_point: "P208" => |p| cut(p, "commit", "web.task-definition.deregister.38");
    a_gate_in_preflight: "P209" => |p| {
        add(p, json!({"id": "preflight.ask", "phase": "preflight", "summary": "s", "action": {"gate": {"text": "now?"}}}));
    };
    an_early_deletion: "P210" => |p| {
        node(p, "web.task-definition.deregister.38").phase = Phase::Deploy;
        node(p, "web.task-definition.deregister.38").undo = vec![UndoCase { when: None, nodes: vec![] }];
        cut(p, "commit", "web.task-definition.deregister.38");
        join(p, "web.task-definition.deregister.38", "commit", EdgeKind::After);
    };
    compensations_out_of_order: "P301" => |p| cut(p, "web.service.update.undone", "web.task-definition.register.undo");
    compensations_out_of_order_across_a_wait: "P301" => |p| {
        join(p, "web.service.deployed", "api.service.create", EdgeKind::After);
    };
    a_late_value_with_too_much: "P401" => |p| {
        input(p, "web.service.update")["taskDefinition"] = json!({"$output": "web.task-definition.register", "path": "@", "else": 1});
    };
    the_answer_of_an_unordered_node: "P402" => |p| {
        input(p, "web.service.update")["taskDefinition"] = output("api.task-definition.register", "taskDefinition.taskDefinitionArn");
    };
    the_answer_of_a_later_node: "P402" => |p| {
        input(p, "web.task-definition.register")["family"] = output("web.service.update", "service.serviceName");
    };
    the_answer_of_nobody: "P402" => |p| input(p, "web.service.update")["taskDefinition"] = output("nobody", "a");
    the_answer_of_the_commit_point: "P402" => |p| input(p, "web.task-definition.deregister.38")["taskDefinition"] = output("commit", "a");
    a_probe_that_needs_the_lost_answer: "P402" => |p| {
        node(p, "web.service.update").probe.as_mut().unwrap().bind.insert("td".into(), output("web.service.update", "a"));
    };
    the_answer_of_another_case: "P402" => |p| {
        input(p, "web.service.update.undo.restore")["taskDefinition"] = output("web.service.update.undo.stop", "a");
    };
    the_answer_of_a_node_that_only_one_case_holds: "P402" => |p| {
        wait(p, "web.service.update.undone").reads[0].input["cluster"] = output("web.service.update.undo.stop", "a");
    };
    the_answer_of_a_strangers_compensation: "P402" => |p| {
        input(p, "web.task-definition.register.undo")["taskDefinition"] = output("web.service.update.undo.restore", "a");
    };
    a_poll_that_uses_a_later_read: "P403" => |p| {
        wait(p, "web.service.deployed").reads[0].input["cluster"] = output("@1", "a");
    };
    an_answer_of_a_poll_outside_one: "P403" => |p| input(p, "web.service.update")["service"] = output("@0", "a");
    a_chunk_of_nothing: "P404" => |p| input(p, "web.service.update")["service"] = output("@each", "[0]");
    a_list_that_comes_out_of_its_own_chunk: "P404" => |p| {
        node(p, "pool.instances.drain").each.as_mut().unwrap().over = output("@each", "@");
    };
    a_path_that_is_not_jmespath: "P405" => |p| {
        input(p, "web.service.update")["taskDefinition"] = output("web.task-definition.register", "a[");
    };
    a_condition_that_is_not_jmespath: "P406" => |p| wait(p, "web.service.deployed").fail[0].when.push_str(" ==");
    evidence_that_is_not_jmespath: "P406" => |p| wait(p, "web.service.deployed").evidence[0].lines = "[1".into();
    an_expectation_with_a_name: "P407" => |p| {
        let Action::Call { expect, .. } = &mut node(p, "web.service.update").action else { panic!("a call") };
        *expect = Some("service.taskDefinition == $td".into());
    };
    a_name_that_nothing_uses: "P408" => |p| drop(wait(p, "web.service.deployed").bind.insert("more".into(), json!(1)));
    chunks_of_nothing: "P409" => |p| node(p, "pool.instances.drain").each.as_mut().unwrap().chunk = 0;
    chunks_of_a_fixed_list: "P409" => |p| node(p, "pool.instances.drain").each.as_mut().unwrap().over = json!(["a"]);
    an_operation_that_aws_does_not_have: "P501" => |p| {
        node(p, "preflight.cluster").action =
            serde_json::from_value(json!({"read": {"service": "ecs", "operation": "DescribeCluster", "input": {}}})).unwrap();
    };
    a_call_that_reads: "P502" => |p| {
        let Action::Call { call, .. } = &mut node(p, "web.task-definition.deregister.38").action else { panic!("a call") };
        call.operation = "DescribeTaskDefinition".into();
    };
    a_read_that_changes: "P503" => |p| {
        let probe = node(p, "web.service.update").probe.as_mut().unwrap();
        probe.read = serde_json::from_value(json!({"service": "ecs", "operation": "DeregisterTaskDefinition", "input": {"taskDefinition": "a:1"}})).unwrap();
    };
    an_input_with_a_wrong_type: "P504" => |p| input(p, "api.service.create")["desiredCount"] = json!("two");
    an_input_in_evidence_with_an_unknown_member: "P504" => |p| {
        wait(p, "web.service.deployed").evidence[0].reads[0].input["colour"] = json!("red");
    };
    a_call_inside_a_call: "P504", "P505" => |p| {
        input(p, "web.service.update")["then"] = json!({"service": "ecs", "operation": "UpdateService", "input": {}});
    };
    neither_guarded_nor_unguarded: "P601" => |p| node(p, "api.service.create").guards.clear();
    a_compensation_neither_guarded_nor_unguarded: "P601" => |p| node(p, "web.service.update.undo.stop").unguarded = None;
    unguarded_without_a_reason: "P601" => |p| node(p, "web.task-definition.register").unguarded = Some(" ".into());
    guarded_and_unguarded: "P601" => |p| node(p, "api.service.create").unguarded = Some("why not".into());
    a_guard_at_no_time: "P602" => |p| node(p, "api.service.create").guards[0].at = None;
    a_guard_at_two_times: "P602" => |p| {
        let guard = &mut node(p, "api.service.create").guards[0];
        guard.after = Some("api.task-definition.register".into());
    };
    a_start_guard_that_needs_an_answer: "P603" => |p| {
        let guard = &mut node(p, "web.service.update").guards[0];
        guard.holds.insert("services[0].serviceArn".into(), output("web.task-definition.register", "a"));
    };
    a_start_guard_that_needs_the_run: "P603" => |p| {
        node(p, "web.service.update").guards[0].holds.insert("services[0].serviceArn".into(), json!({"$run": "id"}));
    };
    a_start_guard_on_the_way_back: "P603" => |p| {
        let guard = &mut node(p, "web.service.update.undo.restore").guards[0];
        (guard.at, guard.after) = (Some(Moment::Start), None);
        guard.holds.values_mut().for_each(|v| *v = json!("x"));
    };
    a_guard_after_something_later: "P604" => |p| {
        node(p, "web.service.update").guards[1].after = Some("web.service.deployed".into());
    };
    a_guard_after_nobody: "P604" => |p| node(p, "web.service.update").guards[1].after = Some("nobody".into());
    a_guard_on_what_an_unordered_node_writes: "P605" => |p| {
        node(p, "api.service.create").guards[0].read.input["services"] = json!(["shop_web"]);
    };
    a_guard_on_what_an_unordered_compensation_writes: "P605" => |p| {
        node(p, "web.service.update.undo.restore").guards[0].read.input["services"] = json!(["shop_api"]);
    };
    a_guard_on_the_chunks_of_an_unordered_node: "P605" => |p| {
        join(p, "farm.instances.list", "pool.instances.drain", EdgeKind::After);
        node(p, "pool.instances.drain").guards[0].read.input["containerInstances"] =
            output("farm.instances.list", "containerInstanceArns");
    };
    a_guard_that_holds_nothing: "P606" => |p| node(p, "api.service.create").guards[0].holds.clear();
    neither_probed_nor_unprobed: "P651" => |p| node(p, "web.service.update.undo.stop").unprobed = None;
    probed_and_unprobed: "P651" => |p| node(p, "web.service.update").unprobed = Some("why not".into());
    no_way_back: "P701" => |p| {
        let undo = &mut node(p, "web.task-definition.register").undo;
        undo.clear();
        p.edges.retain(|e| e.to != "web.task-definition.register.undo");
        p.nodes.retain(|n| n.id != "web.task-definition.register.undo");
    };
    a_command_without_a_way_back: "P701" => |p| {
        add(p, json!({"id": "hook", "phase": "deploy", "summary": "s", "action": {"exec": {"argv": ["migrate"], "timeout": 60}}}));
        join(p, "hook", "commit", EdgeKind::After);
    };
    a_way_back_from_the_irreversible: "P701" => |p| node(p, "api.service.create").irreversible = Some("really".into());
    an_irreversible_step_that_nobody_accepted: "P702" => |p| {
        add(p, json!({"id": "hook", "phase": "deploy", "summary": "s", "irreversible": "a migration",
                      "action": {"exec": {"argv": ["migrate"], "timeout": 60}}}));
        join(p, "hook", "commit", EdgeKind::After);
    };
    a_case_of_nobody: "P703" => |p| {
        node(p, "pool.instances.activate").undo[0].nodes.push("nobody".into());
    };
    a_case_of_a_forward_node: "P703" => |p| {
        add(p, json!({"id": "hook", "phase": "deploy", "summary": "s", "undo": [{"nodes": ["commit"]}],
                      "action": {"exec": {"argv": ["a"], "timeout": 60}}}));
        join(p, "hook", "commit", EdgeKind::After);
        join(p, "hook", "commit", EdgeKind::Undo);
    };
    a_case_without_its_undo_edge: "P704" => |p| cut(p, "web.service.update", "web.service.update.undo.stop");
    a_case_without_its_inner_edge: "P704" => |p| {
        cut(p, "web.service.update.undo.stop", "web.service.update.undone");
    };
    a_case_that_hides_another: "P705" => |p| node(p, "web.service.update").undo[0].when = None;
    a_failure_that_nothing_has_to_be_done_about: "P709" => |p| {
        let undo = &mut node(p, "web.service.update").undo;
        undo[1].when = undo[0].when.clone();
        undo.push(UndoCase { nodes: Vec::new(), when: None });
    };
    a_compensation_of_nobody: "P706" => |p| {
        add(p, json!({"id": "lonely", "phase": "undo", "summary": "s", "action": {"delay": 1}}));
    };
    a_compensation_of_two_nodes: "P706" => |p| {
        add(p, json!({"id": "hook", "phase": "deploy", "summary": "s", "undo": [{"nodes": ["api.service.create.undo"]}],
                      "action": {"exec": {"argv": ["a"], "timeout": 60}}}));
        join(p, "hook", "commit", EdgeKind::After);
        join(p, "hook", "api.service.create.undo", EdgeKind::Undo);
    };
    a_compensation_that_needs_what_is_gone: "P707" => |p| {
        // Revision 41, which the update's way back returns to, goes before the commit point.
        let old = "arn:aws:ecs:us-east-1:123456789012:task-definition/default_shop_web:41";
        let accepted = Some(Accepted { reason: "we never go back".into(), at: "model.yaml:3:5".into() });
        let destroyer = node(p, "web.task-definition.deregister.38");
        destroyer.phase = Phase::Deploy;
        destroyer.irreversible = Some("a revision does not come back".into());
        destroyer.accepted = accepted;
        input(p, "web.task-definition.deregister.38")["taskDefinition"] = json!(old);
        cut(p, "commit", "web.task-definition.deregister.38");
        join(p, "web.service.deployed", "web.task-definition.deregister.38", EdgeKind::After);
        join(p, "web.task-definition.deregister.38", "commit", EdgeKind::After);
    };
    a_way_back_after_the_commit_point: "P708" => |p| {
        node(p, "web.task-definition.deregister.38").undo = vec![UndoCase { when: None, nodes: vec![] }];
    };
    a_way_back_from_the_way_back: "P708" => |p| {
        node(p, "web.service.update.undo.stop").undo = vec![UndoCase { when: None, nodes: vec![] }];
    };
    a_way_back_from_a_wait: "P708" => |p| node(p, "web.service.deployed").undo = vec![UndoCase { when: None, nodes: vec![] }];
    an_obligation_that_ends_before_it_begins: "P801" => |p| {
        node(p, "pool.instances.drain").obligation.as_mut().unwrap().forward = "pool.instances.list".into();
    };
    an_obligation_that_a_rollback_forgets: "P802" => |p| {
        node(p, "pool.instances.drain").obligation.as_mut().unwrap().back = "pool.instances.activate.undo".into();
    };
    a_wait_without_reads: "P901" => |p| wait(p, "web.service.update.undone").reads.clear();
    a_wait_without_an_interval: "P902" => |p| wait(p, "web.service.deployed").interval = 0;
    a_wait_that_gives_up_before_its_second_poll: "P902" => |p| wait(p, "web.service.deployed").no_progress = 9;
    a_wait_shorter_than_its_patience: "P902" => |p| wait(p, "web.service.deployed").overall = 599;
    a_wait_shorter_than_its_hold: "P902" => |p| wait(p, "web.service.deployed").hold = 1801;
    a_step_without_time: "P902" => |p| node(p, "web.service.update").timeout = 0;
}

#[test]
fn an_id_twice() {
    let mut plan = good();
    let again = plan.nodes.iter().find(|n| n.id == "preflight.cluster").cloned().unwrap();
    plan.nodes.push(again);
    assert_eq!(rules(&plan.seal()), ["P103"]);
}

#[test]
fn lists_out_of_order() {
    let mut plan = good();
    plan.nodes.swap(0, 1);
    plan.digest = plan.computed_digest();
    assert_eq!(rules(&plan), ["P104"]);
    let mut plan = good();
    plan.edges.swap(0, 1);
    plan.digest = plan.computed_digest();
    assert_eq!(rules(&plan), ["P104"]);
    let mut plan = good();
    let first: Edge = plan.edges[0].clone();
    plan.edges.insert(0, first);
    plan.digest = plan.computed_digest();
    assert_eq!(rules(&plan), ["P104"]);
}

#[test]
fn a_digest_of_something_else() {
    let mut plan = good();
    plan.project = "other".into();
    assert_eq!(rules(&plan), ["P105"]);
}

#[test]
fn every_rule_is_broken_by_a_test() {
    let mut broken: BTreeSet<&str> = BROKEN.iter().flat_map(|rules| rules.iter().copied()).collect();
    broken.extend(["P103", "P104", "P105"]);
    let documented: BTreeSet<&str> = RULES.iter().map(|(code, _)| *code).collect();
    assert_eq!(broken, documented);
    assert_eq!(RULES.len(), documented.len(), "a code stands for one rule");
}

#[test]
fn every_rule_is_in_the_module_documentation() {
    let source = include_str!("../../src/checker/mod.rs");
    for (code, meaning) in RULES {
        assert!(source.contains(&format!("//! | `{code}` | {meaning} |")), "{code} is documented as it is listed");
    }
}

#[test]
fn a_finding_names_what_is_to_blame() {
    let found = breaks(&["P402"], |p| input(p, "web.service.update")["taskDefinition"] = output("commit.not", "a"));
    assert_eq!(found[0].to_string(), "P402 web.service.update: action.call: there is no node `commit.not`");
    let found =
        breaks(&["P605"], |p| node(p, "api.service.create").guards[0].read.input["services"] = json!(["shop_web"]));
    assert_eq!(found[0].nodes, ["api.service.create", "web.service.update"]);
}

fn rules(plan: &Plan) -> Vec<&'static str> {
    let mut rules: Vec<_> = check(plan).into_iter().map(|violation| violation.rule).collect();
    rules.dedup();
    rules
}
