//! Taking away: what left the service is terminated or handed over after the commit point, then its group and what that
//! launched from are deleted.

use belay_schemas::late::output;
use belay_schemas::plan::{Action, Each, Http, Node, Phase, Why};
use serde_json::{Value, json};

use crate::asg::Context;
use crate::asg::facts::{tag, tag_of};
use crate::asg::settings::Delegated;
use crate::asg::slots::{Slot, Spare, tag_path, tag_value};
use crate::ecs::json::{items, text};
use crate::lower::draft::{Draft, guard_after, node, probe};
use crate::lower::{COMMIT, Lowered};

use super::calls::{Count, Target, asg, describe_configuration, describe_group, describe_template, ec2};
use super::chain::Chain;
use super::drain::Cluster;
use super::group::deleted;
use super::sizes::{Detach, MOST, Resized, Step, Take};
use super::template;
use super::waits::{Limits, Watch};

/// Seconds that a service has to take an instance over.
const HAND_OVER: u64 = 5;
/// Instances that one DescribeInstances or TerminateInstances is about.
const AT_ONCE: u32 = 100;

/// Id of the node that deletes a group.
pub fn delete_id(component: &str, label: &str) -> String {
    format!("{component}.group.{label}.delete")
}

/// A slot that leaves.
pub struct Leaving<'a> {
    /// Context.
    pub context: Context<'a>,
    /// The component.
    pub component: &'a str,
    /// The slot.
    pub slot: &'a Slot<'a>,
    /// Limits of the waits.
    pub limits: Limits,
    /// The ECS cluster that its instances have joined.
    pub cluster: Option<Cluster<'a>>,
    /// Why.
    pub why: Vec<Why>,
}

impl Leaving<'_> {
    /// Takes everything out of service, undoably; nothing if nothing runs. `detach`: the instances stay until after the
    /// commit point.
    pub fn out_of_service(
        &self,
        balancers: &[crate::asg::desired::Balancer],
        detach: bool,
        draft: &mut Draft,
    ) -> Option<Lowered> {
        let count = self.slot.desired();
        if self.slot.is_empty() {
            self.finalize(&[], draft);
            return None;
        }
        let mut chain = Chain::new(draft);
        let watch = Watch { group: self.slot.name, balancers, cluster: self.cluster, limits: self.limits };
        let resized = Resized { context: self.context, component: self.component, slot: self.slot, watch };
        let mut detached = Vec::new();
        if detach {
            // Where Auto Scaling or ECS has chosen, the number of instances is seen when the plan runs.
            let live = self.slot.size("MinSize") != self.slot.size("MaxSize");
            resized.suspend(&delete_id(self.component, &self.slot.label), live, &mut chain);
            let from = match live.then(|| resized.count_live(&mut chain)) {
                Some(node) => Count::Share { node, k: 1, n: 1 },
                None => Count::Fixed(count),
            };
            resized.loosen(live, self.why.clone(), &mut chain);
            let after = chain.last().unwrap_or_default().to_owned();
            let batch =
                Detach { suffix: "", take: Take::Share(1, 1), from: &from, after: &after, why: self.why.clone() };
            detached.push(resized.detach(&batch, &mut chain));
        } else {
            let from = Target {
                min: Count::Fixed(self.slot.size("MinSize")),
                max: Count::Fixed(self.slot.size("MaxSize")),
                desired: Some(Count::Fixed(count)),
            };
            let summary = format!("empty Auto Scaling group {}", self.slot.name);
            let to = Target::exactly(Count::Fixed(0));
            resized.resize(
                Step { what: "down", summary, from: &from, to: &to, why: self.why.clone(), after: None, grows: None },
                &mut chain,
            );
        }
        resized.drained("", &Count::Fixed(0), &mut chain);
        self.finalize(&detached, chain.draft);
        chain.done()
    }

    /// What happens after the commit point; `detached` are the nodes that detached instances.
    pub fn finalize(&self, detached: &[String], draft: &mut Draft) {
        self.dispose_all(detached, draft);
        if self.context.settings.pre_created {
            return;
        }
        let (name, component) = (self.slot.name, Some(self.component));
        let id = delete_id(self.component, &self.slot.label);
        let call = asg("DeleteAutoScalingGroup", json!({"AutoScalingGroupName": name}));
        let summary = format!("delete Auto Scaling group {name}");
        let mut delete = node(id.clone(), component, Phase::Finalize, summary, Action::Call { call, expect: None });
        delete.why.clone_from(&self.why);
        let key = self.context.tag("project");
        delete.guards = vec![guard_after(
            COMMIT,
            describe_group(name),
            [
                ("length(AutoScalingGroups[0].Instances)", json!(0)),
                ("AutoScalingGroups[0].DesiredCapacity", json!(0)),
                (tag_path(&key).as_str(), tag_value(self.slot.group, &key)),
            ],
        )];
        delete.probe = Some(deleted(name));
        finally(&mut delete);
        draft.add(delete);
        draft.after(COMMIT, &id);
        let gone = format!("{}.group.{}.gone", self.component, self.slot.label);
        let watch = Watch { group: name, balancers: &[], cluster: None, limits: self.limits };
        let summary = format!("wait until {name} is gone");
        draft.add(node(gone.clone(), component, Phase::Finalize, summary, watch.gone()));
        draft.after(&id, &gone);
        self.launch_settings(&gone, draft);
    }

    /// Deletes what the group launched from, if it is ours alone.
    fn launch_settings(&self, after: &str, draft: &mut Draft) {
        let Some(facts) = self.context.facts else { return };
        if let Some(name) = text(self.slot.group, "LaunchConfigurationName") {
            // It has no tags: ours are called like their group.
            if name == self.slot.name || name == format!("{}-2", self.slot.name) {
                delete_configuration(self.component, &self.slot.label, name, after, draft);
            }
        }
        let named = |spec: &Value| {
            let id = text(spec, "LaunchTemplateId");
            text(spec, "LaunchTemplateName").map(str::to_owned).or_else(|| {
                facts
                    .template(self.slot.name)
                    .filter(|t| text(t, "LaunchTemplateId") == id)
                    .map(|_| self.slot.name.to_owned())
            })
        };
        if let Some(name) = self.slot.specification().and_then(named)
            && let Some(template) = facts.template(&name)
            && tag_of(template, &self.context.tag("project")) == Some(&self.context.options.project)
            && name == self.slot.name
        {
            delete_template(self.context, self.component, &self.slot.label, &name, after, draft);
        }
    }

    /// Terminates what these nodes detached, or hands it over.
    pub fn dispose_all(&self, detached: &[String], draft: &mut Draft) {
        for node in detached {
            self.dispose(node, draft);
        }
    }

    /// Terminates detached instances, or hands them over.
    fn dispose(&self, detach: &str, draft: &mut Draft) {
        let suffix = detach.rsplit_once(".detach").map_or("", |(_, s)| s);
        let id = |what: &str| format!("{}.instances.{}.{what}{suffix}", self.component, self.slot.label);
        let list = output(detach, "[].items[]");
        if let Some(delegated) = self.context.settings.hands_over(self.component) {
            self.hand_over(&id("addresses"), &id("hand-over"), list, delegated, draft);
            return;
        }
        let (name, terminate) = (self.slot.name, id("terminate"));
        let instances = json!({"$output": "@each", "path": "@"});
        let call = ec2("TerminateInstances", json!({"InstanceIds": instances}));
        let summary = format!("terminate the instances that were detached from {name}");
        let mut forward = node(
            terminate.clone(),
            Some(self.component),
            Phase::Finalize,
            summary,
            Action::Call { call, expect: None },
        );
        forward.each = Some(Each { over: list, chunk: AT_ONCE, max: MOST });
        forward.guards = vec![guard_after(
            COMMIT,
            asg("DescribeAutoScalingInstances", json!({"InstanceIds": instances})),
            [("length(AutoScalingInstances)", json!(0))],
        )];
        forward.probe = Some(probe(
            ec2("DescribeInstances", json!({"InstanceIds": instances})),
            "length(Reservations[].Instances[] | [?State.Name!='terminated' && State.Name!='shutting-down']) == `0`",
            "{TerminatingInstances: Reservations[].Instances[].{InstanceId: InstanceId}}",
            [],
        ));
        finally(&mut forward);
        draft.add(forward);
        draft.after(COMMIT, &terminate);
    }

    fn hand_over(&self, addresses: &str, hand_over: &str, list: Value, delegated: &Delegated, draft: &mut Draft) {
        let (name, component) = (self.slot.name, Some(self.component));
        let read = Action::Read {
            read: ec2("DescribeInstances", json!({"InstanceIds": {"$output": "@each", "path": "@"}})),
            expect: None,
        };
        let summary = format!("look up the addresses of the instances that were detached from {name}");
        let mut look = node(addresses.to_owned(), component, Phase::Finalize, summary, read);
        look.each = Some(Each { over: list, chunk: AT_ONCE, max: MOST });
        draft.add(look);
        draft.after(COMMIT, addresses);
        let each = |member: &str| json!({"$output": "@each", "path": format!("[0].{member}")});
        let region = self.context.facts.map(|f| f.shared.region);
        let action = Action::Http {
            http: Http {
                method: "POST".to_owned(),
                uri: delegated.uri.clone(),
                timeout: HAND_OVER,
                body: json!({
                    "ec2_region": region,
                    "ec2_instance_id": each("id"),
                    "ip_address": each("ip"),
                    "project": self.context.options.project,
                    "component": self.component,
                    "user_data": delegated.user_data,
                }),
            },
        };
        let summary = format!("hand each of them over to {}, which terminates them", delegated.uri);
        let mut post = node(hand_over.to_owned(), component, Phase::Finalize, summary, action);
        let path = "[].answer.Reservations[].Instances[].{id: InstanceId, ip: PrivateIpAddress}";
        post.each = Some(Each { over: output(addresses, path), chunk: 1, max: MOST });
        post.unprobed = Some("to be told of an instance twice is the same as to be told of it once".to_owned());
        post.irreversible = Some("it runs after the commit point; the instance is no longer Belay's then".to_owned());
        draft.add(post);
        draft.after(addresses, hand_over);
    }
}

fn finally(node: &mut Node) {
    node.irreversible = Some("it runs after the commit point, when the new state is in place".to_owned());
}

fn delete_configuration(component: &str, label: &str, name: &str, after: &str, draft: &mut Draft) {
    let id = format!("{component}.configuration.{label}.delete");
    let call = asg("DeleteLaunchConfiguration", json!({"LaunchConfigurationName": name}));
    let summary = format!("delete launch configuration {name}");
    let mut delete = node(id.clone(), Some(component), Phase::Finalize, summary, Action::Call { call, expect: None });
    let there = ("length(LaunchConfigurations)", json!(1));
    delete.guards = vec![guard_after(after, describe_configuration(name), [there])];
    delete.probe = Some(template::configuration_deleted(name));
    finally(&mut delete);
    draft.add(delete);
    draft.after(after, &id);
}

fn delete_template(context: Context<'_>, component: &str, label: &str, name: &str, after: &str, draft: &mut Draft) {
    let id = format!("{component}.template.{label}.delete");
    let call = ec2("DeleteLaunchTemplate", json!({"LaunchTemplateName": name}));
    let summary = format!("delete launch template {name}");
    let mut delete = node(id.clone(), Some(component), Phase::Finalize, summary, Action::Call { call, expect: None });
    let path = format!("LaunchTemplates[0].Tags[?Key=='{}'].Value | [0]", context.tag("project"));
    let owned = (path.as_str(), json!(context.options.project));
    delete.guards = vec![guard_after(after, describe_template(name), [owned])];
    delete.probe = Some(template::deleted(name));
    finally(&mut delete);
    draft.add(delete);
    draft.after(after, &id);
}

/// Deletes an empty slot that was left over; whether there was anything.
pub fn tidy(context: Context<'_>, component: &str, spare: &Spare<'_>, limits: Limits, draft: &mut Draft) -> bool {
    if context.settings.pre_created {
        return false;
    }
    let label = spare.side.to_string();
    if let Some(group) = spare.group {
        let slot = Slot { label, name: &spare.name, group };
        Leaving { context, component, slot: &slot, limits, cluster: None, why: Vec::new() }.finalize(&[], draft);
        return true;
    }
    if spare.template.is_some_and(|t| tag(items(t, "Tags"), &context.tag("component")) == Some(component)) {
        delete_template(context, component, &label, &spare.name, COMMIT, draft);
        return true;
    }
    false
}
