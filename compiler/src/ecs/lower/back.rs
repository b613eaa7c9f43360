//! The ways back of an update: which one is right depends on how far AWS has come with the deployment.

use belay_schemas::late::output;
use belay_schemas::plan::{Action, Call, Guard, Node, Phase, When};
use serde_json::{Map, Value, json};

use crate::ecs::Context;
use crate::ecs::desired::Desired;
use crate::ecs::json::{items, number, text};
use crate::ecs::leads;
use crate::ecs::shift;

use super::calls::{describe_service, ecs};
use super::component::tasks;
use super::timing::{self, Limits};
use super::update::Update;
use super::waits;
use crate::lower::draft::{call, guard_after, node, probe, when};

/// A service that can be changed.
const ACTIVE: &str = "services[0].status == 'ACTIVE'";

/// The ways back of an update that starts a deployment.
pub struct Ways<'a> {
    pub context: Context<'a>,
    pub desired: &'a Desired,
    pub update: &'a Update<'a>,
    pub service: &'a Value,
    pub id: &'a str,
    pub old: &'a Value,
    pub new: &'a Value,
    pub restore_to: &'a Value,
}

/// Statuses of a deployment of which AWS is going back already.
const GOING_BACK: [&str; 3] = ["STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"];
/// Statuses of a deployment on its way forward.
const FLYING: [&str; 2] = ["PENDING", "IN_PROGRESS"];

impl Ways<'_> {
    /// All of them, in the order in which they are tried. AWS may roll back by itself at any moment, and an earlier try
    /// may have come half-way: so each way begins where the service is, and ends with the service at rest on its old
    /// revision (or the twin of it) and with its old settings.
    pub fn all(&self) -> Vec<(Option<When>, Vec<Node>)> {
        let (cluster, service) = (self.update.cluster, self.update.service);
        let read = describe_service(cluster, service);
        let mut old = "(services[0].taskDefinition == $old || services[0].taskDefinition == $twin)".to_owned();
        let mut bound = vec![("old", self.old.clone()), ("twin", self.restore_to.clone())];
        if self.begins_to_shift() {
            old.push_str(" && services[0].loadBalancers == $balancers");
            bound.push(("balancers", self.service["loadBalancers"].clone()));
        }
        let known = || bound.clone();
        // AWS has rolled back by itself, or never left: only what no rollback restores is left to do.
        let back_already = when(
            "the service is on its old revision and at rest",
            read.clone(),
            &format!("{old} && {}", waits::resting("services[0]")),
            known(),
        );
        let mut rest: Vec<Node> = self.rest("undo.rest", self.id).into_iter().collect();
        if let Some(last) = rest.last() {
            let id = format!("{}.done", last.id);
            rest.push(self.wait_at_rest(id, format!("wait until {service} is as it was")));
        }
        let mut cases = vec![(Some(back_already), rest)];
        let returning =
            when("the service is on its way to its old revision", read.clone(), &format!("{old} && {ACTIVE}"), known());
        cases.push((Some(returning), self.to_rest("undo.returned", self.id)));
        if self.begins_to_shift() {
            let half = when(
                "the service is on its old revision, and its traffic is still shifted",
                read.clone(),
                &format!("(services[0].taskDefinition == $old || services[0].taskDefinition == $twin) && {ACTIVE}"),
                [("old", self.old.clone()), ("twin", self.restore_to.clone())],
            );
            let summary = format!("wait until {service} runs its old revision");
            let mut nodes = vec![self.wait_at_rest(format!("{}.undo.half", self.id), summary)];
            nodes.extend(self.settle("undo.half", &format!("{}.undo.half", self.id)));
            cases.push((Some(half), nodes));
        }
        if !self.desired.behind_classic() {
            let list = |statuses: &[&str]| {
                ecs("ListServiceDeployments", json!({"cluster": cluster, "service": service, "status": statuses}))
            };
            let any = "length(serviceDeployments) > `0`";
            let rolling = when("AWS is about to roll the deployment back", list(&GOING_BACK), any, []);
            cases.push((Some(rolling), self.turned_to_rest("undo.rolled-back", self.id)));
            let flying = when("the deployment is in flight", list(&FLYING), any, []);
            cases.push((Some(flying), self.stop(list(&FLYING))));
        }
        let mut complete = "services[0].taskDefinition == $new".to_owned();
        if self.begins_to_shift() {
            // While the traffic is on its way, nobody knows in which target group the old revision would come to be.
            complete.push_str(" && length(services[0].deployments[?rolloutState=='IN_PROGRESS']) == `0`");
        }
        let ours = when("the deployment is complete", read, &complete, [("new", self.new.clone())]);
        cases.push((Some(ours), self.restore()));
        cases
    }

    /// Guards of what stops shifting traffic: the target group that is given up gets none.
    fn traffic_is_back(&self, after: &str) -> Vec<Guard> {
        let pairs = items(&self.desired.service, "loadBalancers").iter().filter_map(|b| b.get("advancedConfiguration"));
        // Which target groups listeners of network load balancers lead to, no rule tells.
        let led = pairs.filter_map(|advanced| {
            let rule = text(advanced, "productionListenerRule").filter(|rule| !leads::is_network(rule))?;
            Some((rule, text(advanced, "alternateTargetGroupArn")?))
        });
        let guard = |(rule, group): (&str, &str)| {
            let field =
                "length(Rules[0].Actions[0].ForwardConfig.TargetGroups[?TargetGroupArn==$group && Weight > `0`])";
            let mut guard = guard_after(after, call("elbv2", "DescribeRules", json!({"RuleArns": [rule]})), []);
            guard.holds.insert(field.to_owned(), json!(0));
            guard.bind.insert("group".to_owned(), json!(group));
            guard
        };
        led.map(guard).collect()
    }

    fn node(&self, suffix: &str, summary: String, action: Action) -> Node {
        node(format!("{}.{suffix}", self.id), Some(&self.desired.component), Phase::Undo, summary, action)
    }

    fn subject(&self) -> waits::Subject<'_> {
        waits::subject(self.update.cluster, self.update.service, items(self.service, "loadBalancers"))
    }

    /// Whether this update's deployment is the first one of its service that shifts traffic. Its tasks get into the other
    /// target group: what brings the old revision back has to shift as well before the old way of deploying comes back.
    fn begins_to_shift(&self) -> bool {
        shift::shifts(&self.desired.service) && !shift::shifts(self.service)
    }

    /// Gives a service that runs its old revision its old load balancers and its old way of deploying.
    fn settle(&self, suffix: &str, after: &str) -> Vec<Node> {
        const TOGETHER: [&str; 2] = ["loadBalancers", "deploymentConfiguration"];
        let (cluster, service) = (self.update.cluster, self.update.service);
        let members = self.update.members(&self.update.before, &TOGETHER);
        let mut settle = self.node(
            &format!("{suffix}.settle"),
            format!("let {service} be deployed as before"),
            Action::Call { call: ecs("UpdateService", self.update.call(members.clone())), expect: None },
        );
        let read = describe_service(cluster, service);
        let mut guard = guard_after(after, read.clone(), [("services[0].status", json!("ACTIVE"))]);
        let on_old = "services[0].taskDefinition == $old || services[0].taskDefinition == $twin";
        guard.holds.insert(on_old.to_owned(), json!(true));
        guard.bind.insert("old".to_owned(), self.old.clone());
        guard.bind.insert("twin".to_owned(), self.restore_to.clone());
        settle.guards = vec![guard];
        settle.guards.extend(self.traffic_is_back(after));
        let (applied, bind) = Update::all_hold(&members);
        let mut told = probe(read, &applied, "{service: services[0]}", []);
        told.bind = bind.into_iter().collect();
        settle.probe = Some(told);
        let count = number(self.service, "desiredCount").unwrap_or(1);
        let action =
            waits::deployed(&self.subject(), &settle.id, count, restoring(self.context, self.service, self.service));
        let wait = self.node(&format!("{suffix}.settled"), format!("wait until {service} is as it was"), action);
        vec![settle, wait]
    }

    /// The end of a way on which AWS goes back to the old revision. What no rollback restores goes first: with the new
    /// number of tasks, or bound to the new places, the old revision may never come to rest.
    fn to_rest(&self, suffix: &str, after: &str) -> Vec<Node> {
        let mut nodes: Vec<Node> = self.rest(&format!("{suffix}.rest"), after).into_iter().collect();
        let summary = format!("wait until AWS has brought {} back to its old revision", self.update.service);
        nodes.push(self.wait_at_rest(format!("{}.{suffix}", self.id), summary));
        nodes
    }

    fn wait_at_rest(&self, id: String, summary: String) -> Node {
        let limits = restoring(self.context, self.service, &self.desired.service);
        let revisions = waits::Revisions { old: self.old, twin: self.restore_to, new: self.new };
        let listed = !self.desired.behind_classic();
        let action = waits::rolled_back(&self.subject(), &revisions, listed, limits);
        node(id, Some(&self.desired.component), Phase::Undo, summary, action)
    }

    /// The same where AWS was only asked to go back: until it does, the service still names the new revision.
    fn turned_to_rest(&self, suffix: &str, after: &str) -> Vec<Node> {
        if self.update.rest.is_empty() {
            return self.to_rest(suffix, after);
        }
        let revisions = waits::Revisions { old: self.old, twin: self.restore_to, new: self.new };
        let action = waits::turned(&self.subject(), &revisions, restoring(self.context, self.service, self.service));
        let summary = format!("wait until AWS has turned {} back", self.update.service);
        let turned = self.node(&format!("{suffix}.turned"), summary, action);
        let tail = self.to_rest(suffix, &turned.id);
        std::iter::once(turned).chain(tail).collect()
    }

    /// Stops the deployment that is in flight: AWS goes back to the revision before it, with its exact images.
    fn stop(&self, list: Call) -> Vec<Node> {
        let find = self.node(
            "undo.find",
            format!("find the deployment of {} that is in flight", self.update.service),
            Action::Read { read: list, expect: Some("length(serviceDeployments) == `1`".to_owned()) },
        );
        let deployment = output(&find.id, "serviceDeployments[0].serviceDeploymentArn");
        let revision = output(&find.id, "serviceDeployments[0].targetServiceRevisionArn");
        let mut stop = self.node(
            "undo.stop",
            format!("stop the deployment of {}: AWS rolls it back", self.update.service),
            Action::Call {
                call: ecs("StopServiceDeployment", json!({"serviceDeploymentArn": deployment, "stopType": "ROLLBACK"})),
                expect: None,
            },
        );
        // A way back that found no room for the old tasks beside themselves is stopped like the way forward.
        let to = |name: &str| format!("serviceRevisions[0].taskDefinition == ${name}");
        let mut guard = guard_after(
            &find.id,
            ecs("DescribeServiceRevisions", json!({"serviceRevisionArns": [revision]})),
            [(format!("{} || {} || {}", to("new"), to("old"), to("twin")).as_str(), json!(true))],
        );
        let revisions = [("new", self.new), ("old", self.old), ("twin", self.restore_to)];
        guard.bind = revisions.map(|(name, revision)| (name.to_owned(), revision.clone())).into();
        stop.guards = vec![guard];
        stop.probe = Some(probe(
            ecs("DescribeServiceDeployments", json!({"serviceDeploymentArns": [deployment]})),
            r#"contains(`["STOP_REQUESTED", "STOPPED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"]`, serviceDeployments[0].status)"#,
            "{serviceDeploymentArn: serviceDeployments[0].serviceDeploymentArn}",
            [],
        ));
        let tail = self.turned_to_rest("undo.stopped", &stop.id);
        [find, stop].into_iter().chain(tail).collect()
    }

    /// The deployment was complete: deploy the old state again.
    fn restore(&self) -> Vec<Node> {
        let (cluster, service) = (self.update.cluster, self.update.service);
        let mut members = self.update.before.clone();
        let shifted = self.begins_to_shift();
        if shifted {
            members.retain(|name, _| !["loadBalancers", "deploymentConfiguration"].contains(&name.as_str()));
        }
        members.insert("taskDefinition".to_owned(), self.restore_to.clone());
        let mut undo = self.node(
            "undo",
            format!("update service {service} back to the revision that ran before"),
            Action::Call { call: ecs("UpdateService", self.update.call(members)), expect: None },
        );
        let mut guard = guard_after(
            self.id,
            describe_service(cluster, service),
            [("services[0].taskDefinition", self.new.clone())],
        );
        number_is_ours(self.update, &mut guard);
        undo.guards = vec![guard];
        undo.probe = Some(probe(
            describe_service(cluster, service),
            "services[0].taskDefinition == $back",
            "{service: services[0]}",
            [("back", self.restore_to.clone())],
        ));
        let balancers = match shifted {
            true => &self.desired.service["loadBalancers"],
            false => self.update.before.get("loadBalancers").unwrap_or(&self.service["loadBalancers"]),
        };
        let subject = waits::subject(cluster, service, balancers.as_array().map_or(&[], Vec::as_slice));
        let count = number(self.service, "desiredCount").unwrap_or(1);
        let paced = if shifted { &self.desired.service } else { self.service };
        let action = waits::deployed(&subject, &undo.id, count, restoring(self.context, self.service, paced));
        let wait = self.node("undone", format!("wait until {service} runs its old revision again"), action);
        let mut nodes = vec![undo, wait];
        if shifted {
            let after = nodes[1].id.clone();
            nodes.extend(self.settle("undone", &after));
        }
        nodes
    }

    /// Sends what no rollback by AWS restores, if this update changed any of it.
    fn rest(&self, suffix: &str, after: &str) -> Option<Node> {
        if self.update.rest.is_empty() {
            return None;
        }
        let before = self.update.members(&self.update.before, &self.update.rest);
        Some(send_back(self.desired, self.update, &format!("{}.{suffix}", self.id), after, &before))
    }
}

/// Limits of the wait for a service that goes back, by deployments as those of `paced`.
fn restoring(context: Context<'_>, service: &Value, paced: &Value) -> Limits {
    let count = number(service, "desiredCount").unwrap_or(1);
    timing::restoring(context, timing::pace_of_service(context, service), count, shift::pauses(paced).unwrap_or(0))
}

/// Guards that nobody else has changed the number of tasks, if this update does. An earlier try may have set it back
/// already.
fn number_is_ours(update: &Update<'_>, guard: &mut Guard) {
    if let (Some(old), Some(new)) = (update.before.get("desiredCount"), update.sent.get("desiredCount")) {
        let field = format!("services[0].desiredCount == `{new}` || services[0].desiredCount == `{old}`");
        guard.holds.insert(field, json!(true));
    }
}

/// Sends old values of members that change without a deployment.
fn send_back(desired: &Desired, update: &Update<'_>, id: &str, after: &str, before: &Map<String, Value>) -> Node {
    let read = describe_service(update.cluster, update.service);
    let names: Vec<&str> = before.keys().map(String::as_str).collect();
    let mut undo = node(
        id.to_owned(),
        Some(&desired.component),
        Phase::Undo,
        format!("set {} of service {} back", names.join(", "), update.service),
        Action::Call { call: ecs("UpdateService", update.call(before.clone())), expect: None },
    );
    let mut guard = guard_after(after, read.clone(), [("services[0].status", json!("ACTIVE"))]);
    if before.contains_key("desiredCount") {
        number_is_ours(update, &mut guard);
    }
    undo.guards = vec![guard];
    let (applied, bind) = Update::all_hold(before);
    let mut told = probe(read, &applied, "{service: services[0]}", []);
    told.bind = bind.into_iter().collect();
    undo.probe = Some(told);
    undo
}

/// The ways back of an update that starts no deployment.
pub fn settings_back(
    context: Context<'_>,
    desired: &Desired,
    update: &Update<'_>,
    service: &Value,
    id: &str,
) -> Vec<(Option<When>, Vec<Node>)> {
    let read = describe_service(update.cluster, update.service);
    let held = |summary: &str, members: &Map<String, Value>| {
        let (is, bind) = Update::all_hold(members);
        let mut condition = when(summary, read.clone(), &is, []);
        condition.bind = bind.into_iter().collect();
        condition
    };
    let undo = send_back(desired, update, &format!("{id}.undo"), id, &update.before);
    let subject = waits::subject(update.cluster, update.service, items(service, "loadBalancers"));
    let count = number(service, "desiredCount").unwrap_or(1);
    let done = node(
        format!("{id}.undo.done"),
        Some(&desired.component),
        Phase::Undo,
        format!("wait until {} of {} run again", tasks(count), update.service),
        waits::at_count(&subject, count, restoring(context, service, &Value::Null)),
    );
    // An earlier try may have set it back and not seen its tasks come: having the old values is not being back.
    let returned = Node { id: format!("{id}.undo.returned"), ..done.clone() };
    let mut resting = held("it still has its old values and is at rest", &update.before);
    resting.is = format!("{} && {}", resting.is, waits::resting("services[0]"));
    vec![
        (Some(resting), Vec::new()),
        (Some(held("it has its old values, and AWS is at it", &update.before)), vec![returned]),
        (Some(held("it has the new values", &update.sent)), vec![undo, done]),
    ]
}
