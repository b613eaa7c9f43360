//! Deployments that shift traffic: blue/green, linear, canary.
//!
//! Sources: ECS developer guide, "Amazon ECS blue/green deployments" with its pages on linear and canary deployments:
//! the new revision starts in full beside the old one, in the other one of two target groups; then users' traffic moves
//! by the weights of a listener's rule; after the bake time the old revision's tasks stop. Which of the two groups has
//! the traffic, the revision tells.
//!
//! Invariants: until the bake time is over the old revision keeps all of its tasks, so that going back takes no more
//! than the weights; the weights of a rule follow from the revision that leads and from how far the shift has come.

use serde_json::{Map, Value, json};

use super::super::request::{items, text};
use super::super::time::Time;
use super::super::world::{
    Revision, Service, ServiceDeploymentStatus as Status, Shift, ShiftStage, ShiftStep, Task, World,
};
use super::scheduler::{self, say, wanted_count};

/// Thousandths of all traffic.
const ALL: u64 = 1000;
/// A network load balancer takes so many seconds more for each shift (documented: ten minutes).
const NETWORK_PAUSE: u64 = 600;

/// Load balancers of settings between whose two target groups traffic can be shifted.
fn pairs(settings: &Map<String, Value>) -> impl Iterator<Item = (&Value, &Value)> {
    let all = settings.get("loadBalancers").and_then(Value::as_array).into_iter().flatten();
    all.filter_map(|balancer| Some((balancer, balancer.get("advancedConfiguration")?)))
}

/// Whether a strategy shifts traffic.
pub(super) fn shifts(strategy: &str) -> bool {
    matches!(strategy, "BLUE_GREEN" | "LINEAR" | "CANARY")
}

fn strategy(service: &Service) -> &str {
    service.wanted.get("deploymentConfiguration").and_then(|c| text(c, "strategy")).unwrap_or("ROLLING")
}

/// The revision that has the traffic until a deployment is complete.
fn good(service: &Service) -> Option<&Revision> {
    service.revision(service.last_good_revision.as_deref()?)
}

/// For a deployment of what is wanted now: whether its tasks get into the alternate target groups, and how traffic is
/// shifted to them. A first deployment has nothing to shift from.
pub(super) fn plan(service: &Service) -> (bool, Option<Shift>) {
    let paired = pairs(&service.wanted).next().is_some();
    let before = good(service);
    let here = before.is_some_and(|revision| revision.alternate) && paired;
    if before.is_none() || !shifts(strategy(service)) {
        return (here, None);
    }
    let shift = Shift { stage: ShiftStage::ScaleUp, share: 0, ahead: steps(service), until: None, since: None };
    (paired && !here, Some(shift))
}

/// The steps in which traffic moves, with the pauses after them.
fn steps(service: &Service) -> Vec<ShiftStep> {
    let configuration = service.wanted.get("deploymentConfiguration").cloned().unwrap_or_default();
    let number = |at: &str, default: f64| configuration.pointer(at).and_then(Value::as_f64).unwrap_or(default);
    let network = pairs(&service.wanted)
        .any(|(_, a)| text(a, "productionListenerRule").is_some_and(|arn| arn.contains(":listener/net/")));
    let more = if network { NETWORK_PAUSE } else { 0 };
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "percentages and minutes of a day at most"
    )]
    let (thousandths, seconds) =
        (|percent: f64| (percent * 10.0).round() as u64, |minutes: f64| (minutes * 60.0) as u64);
    let bake = seconds(number("/bakeTimeInMinutes", 0.0)) + more;
    let (share, pause, once) = match strategy(service) {
        "LINEAR" => (
            thousandths(number("/linearConfiguration/stepPercent", 10.0)),
            seconds(number("/linearConfiguration/stepBakeTimeInMinutes", 6.0)),
            false,
        ),
        "CANARY" => (
            thousandths(number("/canaryConfiguration/canaryPercent", 5.0)),
            seconds(number("/canaryConfiguration/canaryBakeTimeInMinutes", 10.0)),
            true,
        ),
        _ => (ALL, 0, true),
    };
    let mut all = Vec::new();
    let mut reached = share.clamp(1, ALL);
    while reached < ALL {
        all.push(ShiftStep { share: reached, seconds: pause + more });
        reached = if once { ALL } else { reached + share };
    }
    all.push(ShiftStep { share: ALL, seconds: bake });
    all
}

/// Whether the deployment in flight shifts traffic and has not come to stopping the old tasks.
pub(super) fn is_going_on(service: &Service) -> bool {
    service.deployments.first().is_some_and(|primary| {
        service.service_deployments.iter().any(|d| {
            d.id == primary.service_deployment && d.shift.as_ref().is_some_and(|s| s.stage != ShiftStage::CleanUp)
        })
    })
}

/// Keeps both revisions in full, and shifts traffic when the new one is healthy; gives back when to look again.
pub(super) fn advance(world: &mut World, service: &mut Service) -> Option<Time> {
    let primary = service.deployments.first()?.clone();
    let at = service.service_deployments.iter().position(|d| d.id == primary.service_deployment)?;
    if service.service_deployments[at].status != Status::InProgress {
        return None;
    }
    let wanted = wanted_count(world, service);
    let tasks = scheduler::views(world, service);
    let patience = primary.start_after.filter(|start| *start > world.now);
    let mut healthy = 0;
    for deployment in service.deployments.clone() {
        let (away, own): (Vec<_>, Vec<_>) =
            tasks.iter().filter(|view| view.deployment == deployment.id).partition(|view| view.away);
        let leads = deployment.id == primary.id;
        // What an earlier deployment left when it was superseded goes; only what has the traffic stays.
        let count = if leads || Some(&deployment.revision) == service.last_good_revision.as_ref() { wanted } else { 0 };
        let surplus = (own.len() as u64).saturating_sub(count);
        let owned: Vec<_> = own.into_iter().cloned().collect();
        let mut leaving: Vec<String> =
            scheduler::crowded(&owned, surplus).into_iter().map(|view| view.id.clone()).collect();
        let sound = owned.iter().filter(|view| view.healthy && !leaving.contains(&view.id)).count() as u64;
        if sound >= count {
            leaving.extend(away.into_iter().map(|view| view.id.clone()));
        }
        scheduler::stop_all(world, service, leaving);
        let missing = count.saturating_sub(owned.len() as u64);
        if !(leads && patience.is_some()) {
            scheduler::start_tasks(world, service, &deployment.id, &deployment.revision, missing);
        }
        if leads {
            healthy = sound;
        }
    }
    if healthy < wanted {
        return patience;
    }
    let now = world.now;
    loop {
        let shift = service.service_deployments[at].shift.as_mut()?;
        if let Some(until) = shift.until.filter(|until| *until > now) {
            return Some(until);
        }
        if shift.ahead.is_empty() {
            shift.stage = ShiftStage::CleanUp;
            shift.until = None;
            // The old tasks are looked at again at once.
            return Some(now.plus(1));
        }
        let step = shift.ahead.remove(0);
        shift.share = step.share;
        shift.since.get_or_insert(now);
        shift.until = Some(now.plus(step.seconds));
        shift.stage = if step.share == ALL { ShiftStage::BakeTime } else { ShiftStage::ProductionTrafficShift };
        lead(world, service);
        let words = format!(
            "(deployment {}) has shifted {} % of production traffic to its tasks.",
            primary.id,
            percent(step.share)
        );
        say(world, service, &words);
    }
}

/// Thousandths as percent, for people.
fn percent(share: u64) -> String {
    if share.is_multiple_of(10) { (share / 10).to_string() } else { format!("{}.{}", share / 10, share % 10) }
}

/// Lets the rules of a service lead to its two target groups by their weights: production traffic as far as the shift has
/// come, test traffic to the new revision as soon as that is complete.
pub(super) fn lead(world: &mut World, service: &Service) {
    let Some(primary) = service.deployments.first() else { return };
    let Some(target) = service.revision(&primary.revision) else { return };
    let shift =
        service.service_deployments.iter().find(|d| d.id == primary.service_deployment).and_then(|d| d.shift.as_ref());
    let share = shift.map_or(ALL, |shift| shift.share);
    let test = shift.map_or(ALL, |shift| if shift.stage == ShiftStage::ScaleUp { 0 } else { ALL });
    let rules: Vec<(String, Value)> = pairs(&target.settings)
        .flat_map(|(balancer, advanced)| {
            let groups = (balancer["targetGroupArn"].clone(), advanced["alternateTargetGroupArn"].clone());
            [("productionListenerRule", share), ("testListenerRule", test)].into_iter().filter_map(
                move |(member, new)| {
                    let rule = text(advanced, member)?.to_owned();
                    Some((rule, weighted(&groups.0, &groups.1, if target.alternate { ALL - new } else { new })))
                },
            )
        })
        .collect();
    for (rule, action) in rules {
        if let Some(actions) = actions(world, &rule) {
            *actions = vec![action];
        }
    }
}

/// Takes all traffic away from a revision whose deployment shifted it there.
pub(super) fn withdraw(world: &mut World, service: &Service, revision: &str) {
    let Some(revision) = service.revision(revision) else { return };
    let mut rules = Vec::new();
    for (balancer, advanced) in pairs(&revision.settings) {
        let (first, second) = (&balancer["targetGroupArn"], &advanced["alternateTargetGroupArn"]);
        let action = weighted(first, second, if revision.alternate { ALL } else { 0 });
        let named =
            ["productionListenerRule", "testListenerRule"].into_iter().filter_map(|member| text(advanced, member));
        rules.extend(named.map(|rule| (rule.to_owned(), action.clone())));
    }
    for (rule, action) in rules {
        if let Some(actions) = actions(world, &rule) {
            *actions = vec![action];
        }
    }
}

/// A forward action with so many thousandths for the first group.
fn weighted(first: &Value, second: &Value, share: u64) -> Value {
    let (one, other) = if share.is_multiple_of(10) { (share / 10, 100 - share / 10) } else { (share, ALL - share) };
    json!({
        "Type": "forward", "Order": 1,
        "ForwardConfig": {
            "TargetGroups": [
                {"TargetGroupArn": first, "Weight": one}, {"TargetGroupArn": second, "Weight": other},
            ],
            "TargetGroupStickinessConfig": {"Enabled": false},
        },
    })
}

/// The actions of a rule, or the default ones of a listener.
pub(super) fn actions<'w>(world: &'w mut World, arn: &str) -> Option<&'w mut Vec<Value>> {
    let balancer = world.load_balancers.find_mut(|balancer| balancer.listeners.iter().any(|l| l.has_rule(arn)))?;
    balancer.listeners.iter_mut().find_map(|listener| listener.actions_mut(arn))
}

/// The other target group of a load balancer between whose groups traffic is shifted.
fn alternate(balancer: &Value) -> Option<&Value> {
    balancer.get("advancedConfiguration")?.get("alternateTargetGroupArn")
}

impl Revision {
    /// Its load balancers with the target groups that its tasks are in.
    pub(super) fn balancers(&self) -> Vec<Value> {
        let mut all = self.settings.get("loadBalancers").and_then(Value::as_array).cloned().unwrap_or_default();
        for balancer in all.iter_mut().filter(|_| self.alternate) {
            if let Some(other) = alternate(balancer).cloned() {
                balancer["targetGroupArn"] = other;
            }
        }
        all
    }

    /// Which of its load balancers' target groups it uses, where that is not what its settings say already.
    pub(super) fn resolved(&self) -> Option<Value> {
        pairs(&self.settings).next()?;
        let shown = self.balancers().into_iter().filter(|b| b.get("targetGroupArn").is_some()).map(|balancer| {
            let mut shown = json!({"targetGroupArn": balancer["targetGroupArn"]});
            if let Some(rule) = balancer.pointer("/advancedConfiguration/productionListenerRule") {
                shown["productionListenerRule"] = rule.clone();
            }
            shown
        });
        Some(json!({"loadBalancers": shown.collect::<Vec<_>>()}))
    }
}

/// Puts a service that was created a moment ago into its alternate target groups, as one that has been deployed since.
pub(in super::super) fn put_in_alternate(world: &mut World, key: &str) {
    super::with_service(world, key, |world, service| {
        for revision in &mut service.revisions {
            revision.alternate = true;
        }
        lead(world, service);
    });
}

impl World {
    /// Whether a task of a service gets users' traffic, as far as traffic of its service is shifted at all.
    #[must_use]
    pub fn is_led_to(&self, task: &Task) -> bool {
        let service = task.service.as_ref().and_then(|key| self.services.get(key));
        let Some(revision) = service.zip(task.revision.as_deref()).and_then(|(service, id)| service.revision(id))
        else {
            return true;
        };
        let led = |balancer: &Value| {
            let rule = balancer.get("advancedConfiguration").and_then(|c| c.get("productionListenerRule")?.as_str());
            let Some(rule) = rule else { return true };
            let own = alternate(balancer).filter(|_| revision.alternate).unwrap_or(&balancer["targetGroupArn"]);
            let weight = |action: &Value| {
                items(&action["ForwardConfig"], "TargetGroups")
                    .iter()
                    .any(|g| g["TargetGroupArn"] == *own && g["Weight"].as_u64() != Some(0))
                    || action["TargetGroupArn"] == *own
            };
            let mut listeners = self.load_balancers.values().flat_map(|b| &b.listeners);
            listeners.any(|l| {
                let own = l.rules.iter().filter(|r| r.arn == rule).flat_map(|r| &r.actions);
                let default = (l.arn == rule || l.default_rule_arn() == rule).then_some(&l.default_actions);
                own.chain(default.into_iter().flatten()).any(weight)
            })
        };
        revision.settings.get("loadBalancers").and_then(Value::as_array).into_iter().flatten().all(led)
    }
}
