//! The ways back of an update: which one is right depends on how far AWS has come with the deployment.

use belay_schemas::late::output;
use belay_schemas::plan::{Action, Call, Node, Phase, When};
use serde_json::{Map, Value, json};

use crate::ecs::Context;
use crate::ecs::desired::Desired;
use crate::ecs::json::{items, number};

use super::component::tasks;
use super::draft::{describe_service, ecs, guard_after, node, probe, when};
use super::timing::{self, Limits};
use super::update::Update;
use super::waits;

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

impl Ways<'_> {
    /// All of them, in the order in which they are tried.
    pub fn all(&self) -> Vec<(Option<When>, Vec<Node>)> {
        let (cluster, service) = (self.update.cluster, self.update.service);
        let read = describe_service(cluster, service);
        let resting = "length(services[0].deployments) == `1` && length(services[0].deployments[?rolloutState=='IN_PROGRESS']) == `0`";
        // AWS has rolled back by itself, or never left: only what no rollback restores is left to do.
        let back_already = when(
            "the service is on its old revision and at rest",
            read.clone(),
            &format!("services[0].taskDefinition == $old && {resting}"),
            [("old", self.old.clone())],
        );
        let mut cases = vec![(Some(back_already), self.rest("undo.rest", self.id))];
        if !self.desired.behind_classic() {
            let list = |statuses: Value| {
                ecs("ListServiceDeployments", json!({"cluster": cluster, "service": service, "status": statuses}))
            };
            let rolling = when(
                "AWS is rolling the deployment back",
                list(json!(["STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"])),
                "length(serviceDeployments) > `0`",
                [],
            );
            let id = format!("{}.undo.rolled-back", self.id);
            let wait = self.wait_rolled_back(&id, "wait until AWS has finished rolling the deployment back");
            let mut nodes = vec![wait];
            nodes.extend(self.rest("undo.rolled-back.rest", &id));
            cases.push((Some(rolling), nodes));
            let flying = when(
                "the deployment is in flight",
                list(json!(["PENDING", "IN_PROGRESS"])),
                "length(serviceDeployments) > `0`",
                [],
            );
            cases.push((Some(flying), self.stop(list(json!(["PENDING", "IN_PROGRESS"])))));
        }
        let ours =
            when("the deployment is complete", read, "services[0].taskDefinition == $new", [("new", self.new.clone())]);
        cases.push((Some(ours), self.restore()));
        cases
    }

    fn node(&self, suffix: &str, summary: String, action: Action) -> Node {
        node(format!("{}.{suffix}", self.id), Some(&self.desired.component), Phase::Undo, summary, action)
    }

    fn wait_rolled_back(&self, id: &str, summary: &str) -> Node {
        let subject = waits::subject(self.update.cluster, self.update.service, items(self.service, "loadBalancers"));
        let limits = restoring(self.context, self.service);
        node(
            id.to_owned(),
            Some(&self.desired.component),
            Phase::Undo,
            summary.to_owned(),
            waits::rolled_back(&subject, limits),
        )
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
        stop.guards = vec![guard_after(
            &find.id,
            ecs("DescribeServiceRevisions", json!({"serviceRevisionArns": [revision]})),
            [("serviceRevisions[0].taskDefinition", self.new.clone())],
        )];
        stop.probe = Some(probe(
            ecs("DescribeServiceDeployments", json!({"serviceDeploymentArns": [deployment]})),
            r#"contains(`["STOP_REQUESTED", "STOPPED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"]`, serviceDeployments[0].status)"#,
            "{serviceDeploymentArn: serviceDeployments[0].serviceDeploymentArn}",
            [],
        ));
        let stopped = format!("{}.undo.stopped", self.id);
        let wait = self.wait_rolled_back(&stopped, "wait until AWS has rolled the deployment back");
        let mut nodes = vec![find, stop, wait];
        nodes.extend(self.rest("undo.stopped.rest", &stopped));
        nodes
    }

    /// The deployment was complete: deploy the old state again.
    fn restore(&self) -> Vec<Node> {
        let (cluster, service) = (self.update.cluster, self.update.service);
        let mut members = self.update.before.clone();
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
        if let Some(count) = self.update.sent.get("desiredCount") {
            guard.holds.insert("services[0].desiredCount".to_owned(), count.clone());
        }
        undo.guards = vec![guard];
        undo.probe = Some(probe(
            describe_service(cluster, service),
            "services[0].taskDefinition == $back",
            "{service: services[0]}",
            [("back", self.restore_to.clone())],
        ));
        let balancers = self.update.before.get("loadBalancers").unwrap_or(&self.service["loadBalancers"]);
        let subject = waits::subject(cluster, service, balancers.as_array().map_or(&[], Vec::as_slice));
        let count = number(self.service, "desiredCount").unwrap_or(1);
        let action = waits::deployed(&subject, &undo.id, count, restoring(self.context, self.service));
        let wait = self.node("undone", format!("wait until {service} runs its old revision again"), action);
        vec![undo, wait]
    }

    /// What no rollback by AWS restores, if this update changed any of it.
    fn rest(&self, suffix: &str, after: &str) -> Vec<Node> {
        if self.update.rest.is_empty() {
            return Vec::new();
        }
        let before = self.update.members(&self.update.before, &self.update.rest);
        let sent = self.update.members(&self.update.sent, &self.update.rest);
        let (context, desired) = (self.context, self.desired);
        let restoring = Restoring { context, desired, update: self.update, service: self.service };
        restoring.nodes(&format!("{}.{suffix}", self.id), after, &before, &sent)
    }
}

fn restoring(context: Context<'_>, service: &Value) -> Limits {
    timing::restoring(context, timing::pace_of_service(context, service), number(service, "desiredCount").unwrap_or(1))
}

/// What goes back without a deployment.
struct Restoring<'a> {
    context: Context<'a>,
    desired: &'a Desired,
    update: &'a Update<'a>,
    service: &'a Value,
}

impl Restoring<'_> {
    /// Sends old values of members that change without a deployment, and waits for the old number of tasks.
    fn nodes(&self, id: &str, after: &str, before: &Map<String, Value>, sent: &Map<String, Value>) -> Vec<Node> {
        let Self { context, desired, update, service } = *self;
        let read = describe_service(update.cluster, update.service);
        let names: Vec<&str> = before.keys().map(String::as_str).collect();
        let mut undo = node(
            id.to_owned(),
            Some(&desired.component),
            Phase::Undo,
            format!("set {} of service {} back", names.join(", "), update.service),
            Action::Call { call: ecs("UpdateService", update.call(before.clone())), expect: None },
        );
        let mut guard = guard_after(after, read.clone(), []);
        let (applied, bind) = Update::all_hold(before);
        for (member, value) in sent {
            if member == "desiredCount" {
                guard.holds.insert(format!("services[0].{member}"), value.clone());
            }
        }
        if guard.holds.is_empty() {
            guard.holds.insert("services[0].status".to_owned(), json!("ACTIVE"));
        }
        undo.guards = vec![guard];
        let mut told = probe(read, &applied, "{service: services[0]}", []);
        told.bind = bind.into_iter().collect();
        undo.probe = Some(told);
        let subject = waits::subject(update.cluster, update.service, items(service, "loadBalancers"));
        let count = number(service, "desiredCount").unwrap_or(1);
        let wait = node(
            format!("{id}.done"),
            Some(&desired.component),
            Phase::Undo,
            format!("wait until {} of {} run again", tasks(count), update.service),
            waits::at_count(&subject, count, restoring(context, service)),
        );
        vec![undo, wait]
    }
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
    let restoring = Restoring { context, desired, update, service };
    let nodes = restoring.nodes(&format!("{id}.undo"), id, &update.before, &update.sent);
    vec![
        (Some(held("it still has its old values", &update.before)), Vec::new()),
        (Some(held("it has the new values", &update.sent)), nodes),
    ]
}
