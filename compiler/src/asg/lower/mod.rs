//! Lowering: from what differs to calls, guards, waits, probes and undos. The order between components is made where it
//! is made for all plugins, in [`crate::lower`].

mod calls;
mod chain;
mod drain;
mod group;
mod preflight;
mod provider;
mod remove;
mod sizes;
mod template;
mod upgrade;
mod waits;

use std::collections::BTreeMap;

use belay_schemas::environment::AsgBalancer;
use belay_schemas::plan::{Change, ComponentSummary, Why};
use serde_json::{Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::json::{flag, items, text};
use crate::lower::{Part, removal_reason};

use super::Context;
use super::desired::{Balancer, Desired};
use super::diff::{self, Difference, Sizes};
use super::facts::{Facts, tag_of};
use super::providers::Surplus;
use super::settings::place;
use super::slots::{Slot, Spare};

use calls::{Count, Target};
use chain::Chain;
use drain::Cluster;
use provider::Rosters;
use remove::Leaving;
use sizes::{Detach, Grows, Resized, Step, Take};
use upgrade::Upgrade;
use waits::{Limits, Watch};

pub use provider::{after_service, is_default};

/// What has to happen to one component.
pub enum Work<'a> {
    /// Nothing of it runs.
    Deploy {
        /// Where it goes.
        spare: Spare<'a>,
    },
    /// It runs and is replaced.
    Upgrade {
        /// What runs.
        slot: Slot<'a>,
        /// Where it goes.
        spare: Spare<'a>,
        /// What differs.
        difference: Difference,
    },
    /// Only its sizes change.
    Scale {
        /// What runs.
        slot: Slot<'a>,
        /// The other slot.
        spare: Spare<'a>,
        /// Sizes before.
        from: Sizes,
        /// Sizes after.
        to: Sizes,
        /// Its capacity provider, as it runs.
        provider: Option<&'a Value>,
    },
    /// It runs as wanted, but for what is set at its capacity provider.
    None {
        /// The other slot.
        spare: Spare<'a>,
        /// Its capacity provider, as it runs.
        provider: Option<&'a Value>,
    },
}

/// What the user data of a slot say of a cluster.
struct Joined {
    name: String,
    /// Whether its instances start tasks on themselves.
    keeps: bool,
}

impl Joined {
    fn cluster(&self, drain: u64) -> Cluster<'_> {
        Cluster { name: &self.name, drain, keeps: self.keeps }
    }
}

/// A lowering in progress.
pub struct Lowerer<'a> {
    context: Context<'a>,
    part: Part,
    used: Vec<Balancer>,
    joins: Vec<String>,
    hands_over: bool,
    raised: Vec<(String, u64)>,
    rosters: Rosters,
    /// The nodes that delete groups, by the ARNs of those.
    deletes: BTreeMap<String, String>,
}

impl<'a> Lowerer<'a> {
    /// Nothing lowered yet.
    pub fn new(context: Context<'a>) -> Self {
        Self {
            context,
            part: Part::default(),
            used: Vec::new(),
            joins: Vec::new(),
            hands_over: false,
            raised: Vec::new(),
            rosters: Rosters::default(),
            deletes: BTreeMap::new(),
        }
    }

    fn limits(&mut self, component: &str, balancers: &[Balancer]) -> Limits {
        let (limits, raised) = waits::limits(self.context, balancers);
        if let Some(seconds) = raised {
            self.raised.push((component.to_owned(), seconds));
        }
        limits
    }

    /// Lowers the work on a component of the model.
    pub fn component(&mut self, desired: &Desired, work: &Work<'_>) {
        let context = self.context;
        let name = desired.component.as_str();
        let limits = self.limits(name, &desired.balancers);
        let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let before = self.part.draft.nodes.len();
        let draft = &mut self.part.draft;
        let (change, floor, lowered) = match work {
            Work::Deploy { spare } => {
                let why = diff::why(context, &Place::model(["components", name]), Value::Null, json!(desired.image));
                (
                    Change::Create,
                    0,
                    upgrade::deploy(context, desired, spare, vec![why], limits, &mut self.rosters, draft),
                )
            }
            Work::Upgrade { slot, spare, difference } => {
                let mut why: Vec<Why> = difference.changes.iter().map(|c| c.why(context)).collect();
                if let Some(scale) = scale_why(context, desired, slot) {
                    why.push(scale);
                }
                if why.is_empty() {
                    why.push(Why { path: "--replace-all".to_owned(), at: None, from: Value::Null, to: json!(true) });
                }
                let detach = self.part_detaches(desired.component.as_str(), slot) || protects(desired);
                self.hands_over |= detach && context.settings.hands_over(name).is_some();
                let new = if upgrade::moves(desired, slot) { slot.desired() } else { desired.replicas };
                let joined = self.joins(slot);
                let cluster = joined.as_ref().map(|j| j.cluster(desired.drain_timeout));
                let task = Upgrade { desired, slot, spare, why, limits, detach, cluster };
                let floor = small(slot.desired().min(new));
                (Change::Update, floor, upgrade::upgrade(context, &task, &mut self.rosters, &mut self.part.draft))
            }
            Work::Scale { slot, spare, from, to, provider } => {
                let floor = small(from.desired.unwrap_or(from.min).min(to.desired.unwrap_or(to.min)));
                let lowered = self.scale(desired, slot, *from, *to, *provider, limits);
                remove::tidy(context, name, spare, limits, &mut self.part.draft);
                (Change::Scale, floor, lowered)
            }
            Work::None { spare, provider } => {
                let mut chain = Chain::new(draft);
                let wanted = desired.provider.as_ref().zip(*provider);
                let updated = wanted.is_some_and(|(own, running)| provider::update(context, own, running, &mut chain));
                let lowered = chain.done();
                let tidied = remove::tidy(context, name, spare, limits, draft);
                let change = match (updated, tidied) {
                    (true, _) => Change::Update,
                    (false, true) => Change::Tidy,
                    (false, false) => Change::None,
                };
                (change, small(desired.replicas), lowered)
            }
        };
        if self.part.draft.nodes.len() > before {
            self.used.extend(desired.balancers.iter().cloned());
            self.joins.extend(desired.cluster.clone());
        }
        self.part.components.insert(name.to_owned(), ComponentSummary { change, floor });
        if let Some(lowered) = lowered {
            self.part.lowered.insert(name.to_owned(), lowered);
        }
    }

    /// The cluster that the instances of a slot have joined.
    fn joins(&self, slot: &Slot<'_>) -> Option<Joined> {
        let data = slot.data(self.context.facts?)?;
        let text = super::user_data::decode(data.get("UserData")?.as_str()?)?;
        let name = super::agent::cluster_of(&text)?.to_owned();
        Some(Joined { name, keeps: super::agent::starts_tasks(&text) })
    }

    /// Whether instances that leave stay until after the commit point: because they could not be made again exactly,
    /// because they are handed over, or because they are protected and would not leave by themselves.
    fn part_detaches(&self, component: &str, slot: &Slot<'_>) -> bool {
        let context = self.context;
        if context.settings.hands_over(component).is_some() || self.joins(slot).is_some() {
            return true;
        }
        if context.settings.pre_created {
            return false;
        }
        let protected = items(slot.group, "Instances").iter().any(|i| flag(i, "ProtectedFromScaleIn") == Some(true));
        protected || context.facts.is_some_and(|facts| !slot.is_exact(context, facts))
    }

    fn scale(
        &mut self,
        desired: &Desired,
        slot: &Slot<'_>,
        from: Sizes,
        to: Sizes,
        provider: Option<&Value>,
        limits: Limits,
    ) -> Option<crate::lower::Lowered> {
        let context = self.context;
        let component = desired.component.as_str();
        let old = from.desired.unwrap_or_default();
        let shrinks = to.desired.is_some_and(|new| new < old);
        let detach = shrinks && self.part_detaches(component, slot);
        self.hands_over |= detach && context.settings.hands_over(component).is_some();
        let why: Vec<Why> = match scale_why(context, desired, slot) {
            Some(why) => vec![why],
            None => vec![diff::why(
                context,
                &desired.place("scaling"),
                json!([from.min, from.max]),
                json!([to.min, to.max]),
            )],
        };
        let joined = self.joins(slot);
        let cluster = joined.as_ref().map(|j| j.cluster(desired.drain_timeout));
        let mut chain = Chain::new(&mut self.part.draft);
        if let Some((own, running)) = desired.provider.as_ref().zip(provider) {
            provider::update(context, own, running, &mut chain);
        }
        let watch = Watch { group: slot.name, balancers: &desired.balancers, cluster, limits };
        let resized = Resized { context, component, slot, watch };
        let (from_sizes, to_sizes) = (Target::fixed(from), Target::fixed(to));
        let summary = match (from.desired, to.desired) {
            (Some(old), Some(new)) if old != new => {
                format!("scale Auto Scaling group {} from {old} to {}", slot.name, super::slots::instances(new))
            }
            _ => format!("let Auto Scaling group {} have {} to {}", slot.name, to.min, super::slots::instances(to.max)),
        };
        let mut detached = Vec::new();
        if let (true, Some(new)) = (detach, to.desired) {
            resized.loosen(false, why.clone(), &mut chain);
            let (before, after) = (Count::Fixed(old), Count::Fixed(new));
            let last = chain.last().unwrap_or_default().to_owned();
            let batch =
                Detach { suffix: "", take: Take::First(old - new), from: &before, after: &last, why: why.clone() };
            detached.push(resized.detach(&batch, &mut chain));
            resized.drained("", &after, &mut chain);
            let loose = Target { min: Count::Fixed(0), max: from_sizes.max.clone(), desired: Some(after) };
            let last = chain.last().unwrap_or_default().to_owned();
            resized.resize(
                Step {
                    what: "scale",
                    summary,
                    from: &loose,
                    to: &to_sizes,
                    why,
                    after: Some(&last),
                    grows: Some(Grows::Stays),
                },
                &mut chain,
            );
        } else {
            resized.resize(
                Step {
                    what: "scale",
                    summary,
                    from: &from_sizes,
                    to: &to_sizes,
                    why,
                    after: None,
                    grows: (!shrinks).then_some(Grows::Stays),
                },
                &mut chain,
            );
            match to.desired {
                Some(new) if shrinks => resized.drained("", &Count::Fixed(new), &mut chain),
                Some(new) => resized.joined("", &Count::Fixed(new), &mut chain),
                None => {}
            }
        }
        let lowered = chain.done();
        let leaving = Leaving { context, component, slot, limits, cluster: None, why: Vec::new() };
        leaving.dispose_all(&detached, &mut self.part.draft);
        lowered
    }

    /// Lowers the removal of a slot whose component is not wanted here.
    pub fn orphan(&mut self, component: &str, slot: &Slot<'_>) {
        let context = self.context;
        let balancers = attached(context, slot);
        let limits = self.limits(component, &balancers);
        let why = removal_reason(context.loaded, context.options.mode, component, slot.name);
        let detach = self.part_detaches(component, slot) && !slot.is_empty();
        self.hands_over |= detach && context.settings.hands_over(component).is_some();
        let joined = self.joins(slot);
        let cluster = joined.as_ref().map(|j| j.cluster(super::agent::DRAIN_TIMEOUT));
        let leaving = Leaving { context, component, slot, limits, cluster, why: vec![why] };
        let lowered = leaving.out_of_service(&balancers, detach, &mut self.part.draft);
        self.part.components.insert(component.to_owned(), ComponentSummary { change: Change::Remove, floor: 0 });
        if let Some(lowered) = lowered {
            self.part.gone.insert(component.to_owned(), lowered);
        }
        if let Some(arn) = text(slot.group, "AutoScalingGroupARN") {
            self.deletes.insert(arn.to_owned(), remove::delete_id(component, &slot.label));
        }
    }

    /// Lowers the end of capacity providers that nobody wants any more: before their groups are deleted.
    pub fn surplus(&mut self, all: &[Surplus<'_>]) {
        let gone = provider::remove(self.context, all, &mut self.rosters, &mut self.part);
        for one in all {
            let arn = text(&one.provider["autoScalingGroupProvider"], "autoScalingGroupArn");
            let delete = arn.and_then(|arn| self.deletes.get(arn));
            if let (Some(gone), Some(delete)) = (gone.get(one.name), delete) {
                self.part.draft.after(gone, delete);
            }
            let summary = self.part.components.entry(one.component.to_owned());
            let tidied = ComponentSummary { change: Change::Tidy, floor: 0 };
            let summary = summary.or_insert(tidied);
            if summary.change == Change::None {
                summary.change = Change::Tidy;
            }
        }
    }

    /// Lowers what is read before anything changes.
    pub fn finish(mut self, subnets: &[String], vpc: Option<&str>, report: &mut Report) -> Part {
        self.warn(report);
        if !self.part.draft.nodes.is_empty() {
            self.used.sort();
            self.used.dedup();
            self.joins.sort();
            self.joins.dedup();
            let needed =
                preflight::Needed { balancers: &self.used, clusters: &self.joins, hands_over: self.hands_over };
            preflight::add(self.context, &needed, subnets, vpc, &mut self.part);
        }
        self.part
    }

    /// One warning for a limit that cannot be kept.
    fn warn(&self, report: &mut Report) {
        let Some((component, seconds)) = self.raised.iter().max_by_key(|(_, s)| *s) else { return };
        // Raising a limit that nobody wrote is no news.
        let Some(written) = self.context.settings.config.join_timeout else { return };
        report.push(
            Diagnostic::warning(
                "B630",
                format!("`join_timeout` ({written} s) is too short for `{component}`: {seconds} s are allowed instead"),
            )
            .at(place(&["join_timeout"]))
            .label("a load balancer needs longer to find an instance healthy")
            .help(format!("write `join_timeout: {seconds}`, or shorten the load balancer's health check")),
        );
    }
}

/// Whether new instances are protected from scale-in: then a new slot cannot shrink step by step on the way back.
fn protects(desired: &Desired) -> bool {
    desired.group.get("NewInstancesProtectedFromScaleIn") == Some(&json!(true))
}

fn scale_why(context: Context<'_>, desired: &Desired, slot: &Slot<'_>) -> Option<Why> {
    let changes = desired.scaling.is_none() && slot.desired() != desired.replicas;
    changes.then(|| diff::why(context, &desired.place("replicas"), json!(slot.desired()), json!(desired.replicas)))
}

/// The load balancers that a group is attached to.
fn attached(context: Context<'_>, slot: &Slot<'_>) -> Vec<Balancer> {
    let names = |member: &str| {
        items(slot.group, member).iter().filter_map(|v| v.as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let mut all: Vec<Balancer> =
        names("LoadBalancerNames").into_iter().map(|name| Balancer::Classic { name }).collect();
    for arn in names("TargetGroupARNs") {
        let group = context.facts.and_then(|f| f.shared.target_group(&arn));
        let port = group.and_then(|g| crate::ecs::json::number(g, "Port")).and_then(|p| u16::try_from(p).ok());
        let listed = context.settings.balancers.values().find_map(|s| match &s.balancer {
            AsgBalancer::TargetGroup { target_group, port } if *target_group == arn => Some(*port),
            _ => None,
        });
        if let Some(port) = port.or(listed) {
            all.push(Balancer::TargetGroup { arn, port });
        }
    }
    all.sort();
    all
}

/// The component that a group of ours says it belongs to.
pub fn component_of(context: Context<'_>, name: &str, group: &Value) -> String {
    let tagged = tag_of(group, &context.tag("component")).or_else(|| tag_of(group, "skopos:comp_name"));
    let parsed = || context.settings.naming.parse_name(&context.options.project, name).map(|(component, _)| component);
    tagged.map(str::to_owned).or_else(parsed).unwrap_or_else(|| name.to_owned())
}

/// Scaling policies and the like that somebody else put on a group do not move to the other slot.
pub fn foreign<'a>(facts: &Facts<'a>, slot: &Slot<'_>) -> Vec<&'a str> {
    facts.policies(slot.name).iter().filter(|p| !diff::is_ours(p)).filter_map(|p| text(p, "PolicyName")).collect()
}
