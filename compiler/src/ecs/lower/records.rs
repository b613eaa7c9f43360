//! Records of Route 53: made once the component behind them is there, turned when its load balancer is another one,
//! deleted after the commit point when nobody wants them any more.
//!
//! Invariant: a record and the text that says whose it is are changed by one call, all or nothing.

use std::collections::BTreeMap;

use belay_schemas::late::output;
use belay_schemas::plan::{Action, Call, Guard, Mode, Phase, Wait};
use serde_json::{Value, json};

use crate::ecs::Context;
use crate::ecs::diff;
use crate::ecs::json::text;
use crate::ecs::records::{self, Record, Surplus, Work};
use crate::lower::draft::{Back, Draft, call, guard_after, node, probe};
use crate::lower::{COMMIT, Lowered, Part, removal_reason};

use super::change::{Change, is};
use super::timing;

/// Record sets that one name may have and that are looked at.
const MOST: &str = "100";
/// Seconds for which resolvers remember where an alias of a load balancer leads.
const ALIAS_TTL: u64 = 60;

/// Record sets from a name on, in the order of names.
fn listed(zone: &str, name: &str) -> Call {
    call("route53", "ListResourceRecordSets", json!({"HostedZoneId": zone, "StartRecordName": name, "MaxItems": MOST}))
}

fn changed<'v>(zone: &str, changes: impl IntoIterator<Item = (&'static str, &'v Value)>) -> Call {
    let entry = |(action, set): (&str, &Value)| json!({"Action": action, "ResourceRecordSet": set});
    let changes: Vec<Value> = changes.into_iter().map(entry).collect();
    call("route53", "ChangeResourceRecordSets", json!({"HostedZoneId": zone, "ChangeBatch": {"Changes": changes}}))
}

/// Puts record sets, whether they are there or not.
fn put(sets: &[Value]) -> impl Iterator<Item = (&'static str, &Value)> {
    sets.iter().map(|set| ("UPSERT", set))
}

/// Deletes record sets, which are exactly so.
fn delete<'v>(sets: impl IntoIterator<Item = &'v Value>) -> impl Iterator<Item = (&'static str, &'v Value)> {
    sets.into_iter().map(|set| ("DELETE", set))
}

/// Where a record leads and what its text says, in that answer; null while there is neither.
fn found(name: &str) -> String {
    let sets = format!("ResourceRecordSets[?Name=='{name}.' && (Type=='A' || Type=='TXT')]");
    let text = "([?Type=='TXT'] | [0]).ResourceRecords[0].Value";
    format!("{sets} | ([0] && {{leads: ([?Type=='A'] | [0]).AliasTarget, text: {text}}})")
}

/// The same of record sets.
fn told(sets: &[Value]) -> Value {
    if sets.is_empty() {
        return Value::Null;
    }
    let words = sets.iter().find(|set| text(set, "Type") == Some("TXT"));
    json!({"leads": records::alias(sets), "text": words.and_then(|set| set.pointer("/ResourceRecords/0/Value"))})
}

/// Whether there was a set of that type.
fn was_there(before: &[Value], set: &Value) -> bool {
    before.iter().any(|one| one["Type"] == set["Type"])
}

/// A record that is made or changed.
pub struct Known {
    /// The node that does it.
    pub first: String,
    /// The one after which the name can be looked up.
    pub ready: String,
    /// Its way back.
    pub back: Back,
}

impl Known {
    /// Puts it behind what else changes of its component: whoever looks that up waits until the name leads to it.
    pub fn follow(self, lowered: &mut Lowered, draft: &mut Draft) {
        draft.after(&lowered.ready, &self.first);
        lowered.ready = self.ready;
        draft.back_before(&self.back, &lowered.back);
        let lasts = std::mem::take(&mut lowered.back.lasts);
        lowered.back = Back { firsts: self.back.firsts, lasts };
    }

    /// When nothing else of its component changes.
    pub fn alone(self) -> Lowered {
        Lowered { entries: vec![self.first.clone()], starts: self.first, ready: self.ready, back: self.back }
    }
}

/// Makes or changes the record of a component, if there is anything to do, once `behind` is done.
pub fn lower(context: Context<'_>, record: &Record, behind: Option<&str>, draft: &mut Draft) -> Option<Known> {
    let Record { component, name, zone, .. } = record;
    let wanted = records::sets(context, record);
    let (word, before) = match records::work(context, record) {
        Work::None => return None,
        Work::Create => ("create", Vec::new()),
        Work::Change(before) => ("change", before),
    };
    let (from, to) = (told(&before), told(&wanted));
    let balancer = |told: &Value| told["leads"]["DNSName"].clone();
    let shown = balancer(&to);
    let shown = shown.as_str().unwrap_or_default().trim_end_matches('.');
    let (summary, back_summary, back) = match before.is_empty() {
        true => (
            format!("let {name} lead to {shown}"),
            format!("delete the record {name}, which this run created"),
            changed(zone, delete(&wanted)),
        ),
        false => (
            format!("let {name} lead to {shown} from now on"),
            format!("let {name} lead where it did"),
            changed(zone, put(&before).chain(delete(wanted.iter().filter(|set| !was_there(&before, set))))),
        ),
    };
    let change = Change {
        id: format!("{component}.record.{word}"),
        component: Some(component),
        summary,
        why: vec![diff::why(context, &record.place, balancer(&from), balancer(&to))],
        forward: changed(zone, put(&wanted)),
        back_summary,
        back,
        read: listed(zone, name),
        answer: None,
        find: None,
        found: found(name),
        from,
        to,
    };
    let id = change.id.clone();
    let guard = behind.map(|behind| untouched(behind, &change));
    let (mut forward, cases) = change.nodes(None);
    // The component may have taken long to come up: nobody's record is written over that was made meanwhile.
    forward.guards.extend(guard);
    // Only an answer names the change, until it is everywhere.
    forward.probe = None;
    forward.unprobed = Some("putting the same records twice is the same as putting them once".to_owned());
    let back = draft.with_undo(forward, cases);
    let ready = format!("{component}.record.known");
    let limits = timing::draining(context, timing::Pace::default());
    let moves = !before.is_empty();
    // Who looked it up before remembers that for as long.
    let hold = if moves { ALIAS_TTL } else { 0 };
    let wait = Wait {
        reads: vec![call("route53", "GetChange", json!({"Id": output(&id, "ChangeInfo.Id")}))],
        until: "[0].ChangeInfo.Status == 'INSYNC'".to_owned(),
        fail: Vec::new(),
        progress: Some("[0].ChangeInfo.Status".to_owned()),
        no_progress: limits.overall + hold,
        overall: limits.overall + hold,
        hold,
        interval: limits.interval,
        bind: BTreeMap::new(),
        evidence: Vec::new(),
    };
    draft.add(node(
        ready.clone(),
        Some(component),
        Phase::Deploy,
        match moves {
            true => format!("wait until all name servers of Route 53 know {name}, and nobody remembers where it led"),
            false => format!("wait until all name servers of Route 53 know {name}"),
        },
        Action::Wait { wait },
    ));
    draft.after(&id, &ready);
    Some(Known { first: id, ready, back })
}

/// The guard that a record is, just before it is changed, as it was; or as it is to be, where an earlier try came through.
fn untouched(behind: &str, change: &Change<'_>) -> Guard {
    let (before, mut bind) = is(&change.found, &change.from);
    let (after, then) = is(&change.found, &change.to);
    let mut guard = guard_after(behind, change.read.clone(), []);
    guard.holds.insert(format!("({before}) || ({})", after.replace('$', "$then_")), Value::Bool(true));
    bind.extend(then.into_iter().map(|(name, value)| (format!("then_{name}"), value)));
    guard.bind = bind;
    guard
}

/// Deletes what nobody wants any more, after the commit point.
pub fn remove(context: Context<'_>, all: &[Surplus<'_>], part: &mut Part) {
    for Surplus { component, zone, name, sets } in all {
        let sets: Vec<Value> = sets.iter().map(|set| (*set).clone()).collect();
        let mut id = format!("{component}.record.{}.delete", name.replace('.', "-"));
        if part.draft.nodes.iter().any(|node| node.id == id) {
            // The same name in another zone.
            id = format!("{component}.record.{zone}.{}.delete", name.replace('.', "-"));
        }
        let mut forward = node(
            id.clone(),
            Some(component),
            Phase::Finalize,
            format!("delete the record {name}"),
            Action::Call { call: changed(zone, delete(&sets)), expect: None },
        );
        forward.why = vec![match context.settings.records.as_ref().filter(|_| context.options.mode == Mode::Deploy) {
            Some(setting) => diff::why(context, &setting.place, json!(name), Value::Null),
            None => removal_reason(context.loaded, context.options.mode, component, name),
        }];
        let (as_seen, bind) = is(&found(name), &told(&sets));
        let mut guard = guard_after(COMMIT, listed(zone, name), []);
        guard.holds.insert(as_seen, Value::Bool(true));
        guard.bind = bind;
        forward.guards = vec![guard];
        forward.probe = Some(probe(listed(zone, name), &is(&found(name), &Value::Null).0, "`{}`", []));
        forward.irreversible = Some("it runs after the commit point, when the new state is in place".to_owned());
        let draft = &mut part.draft;
        draft.add(forward);
        draft.after(COMMIT, &id);
        // The tag of the service tells of the record until that is gone.
        let service = format!("{component}.service.delete");
        if draft.nodes.iter().any(|node| node.id == service) {
            draft.after(&id, &service);
        }
        part.tidies(component);
    }
}
