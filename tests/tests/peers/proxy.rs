//! Every mutating operation of the fixtures over real HTTP, through a proxy that loses answers and requests, delays,
//! answers with pages of gateways and throttles: it takes effect once, and it is never sent again before a look at what
//! the first attempt did. The calls and their probes are those of the fixtures' plans.

mod account;
mod cases;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use account::{plan, prepare};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use belay_executor::aws::{AwsCloud, WallClock};
use belay_executor::journal::MemorySink;
use belay_executor::run::{Options, Outcome, Setup, begin};
use belay_schemas::plan::Plan;
use belay_tests::account::Account;
use belay_tests::extent::OneIn;
use belay_tests::fixtures::{every, read};
use belay_tests::pipeline::block_on;
use belay_tests::proxy::{Fault, Proxy, Seen};
use belay_tests::servers::{Emulator, REGION};
use cases::{CASES, Case};

use crate::shimmed;

const FAULTS: [Fault; 6] = [
    Fault::AnswerDropped,
    Fault::RequestDropped,
    Fault::Delayed(1_500),
    Fault::Page,
    Fault::PageAfterwards,
    Fault::Throttled,
];

/// Looks at what a doubtful call did, at least, before it may be sent again.
const PROOFS: usize = 3;
/// Runs at the same time: they wait more than they work.
const AT_ONCE: usize = 12;

#[test]
fn the_table_names_every_mutating_operation_of_the_fixtures() {
    let mut planned = BTreeSet::new();
    for fixture in every() {
        let plan: Plan = serde_json::from_str(&read(&fixture.dir().join("plan.json"))).unwrap();
        let calls = plan.nodes.iter().filter_map(|node| node.action.mutation());
        planned.extend(calls.filter(|call| call.service != "http").map(|c| (c.service.clone(), c.operation.clone())));
    }
    let listed: BTreeSet<(String, String)> =
        CASES.iter().map(|case| (case.service.to_owned(), case.operation.to_owned())).collect();
    assert_eq!(planned, listed);
    let lacking = CASES.iter().filter_map(|case| Some((case.operation, case.lacking?)));
    assert!(lacking.clone().all(|(_, covered)| !covered.is_empty()), "{:?}", lacking.collect::<Vec<_>>());
}

#[test]
fn whatever_gets_lost_a_call_takes_effect_once_and_is_never_sent_again_blindly() {
    let all = CASES.iter().flat_map(|case| FAULTS.map(|fault| (case, fault)));
    let all: Vec<(&Case, Fault)> = OneIn { quick: 5, ci: 1 }.of(all);
    let next = AtomicUsize::new(0);
    let failed: Vec<String> = thread::scope(|scope| {
        let work = || {
            let mut failed = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some((case, fault)) = all.get(at) else { return failed };
                let (server, client) = shimmed(at);
                let account = Account::new(Emulator::Shimmed, client, &format!("{:012}", 666_666_666_000 + at));
                if let Err(what) = once(case, *fault, server.endpoint(), &account) {
                    failed.push(format!("{} {}, {fault:?}: {what}", case.service, case.operation));
                }
            }
        };
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(failed.is_empty(), "{} of {} failed:\n{}", failed.len(), all.len(), failed.join("\n"));
    println!("{} operations, {} faults each", CASES.len(), FAULTS.len());
}

/// What a proxy takes an operation for: where the operation is not named in the request, its method says enough.
fn wire(operation: &str) -> &str {
    match operation {
        "CreateSchedule" => "POST",
        "UpdateSchedule" => "PUT",
        "DeleteSchedule" => "DELETE",
        "GetSchedule" | "ListResourceRecordSets" => "GET",
        "ChangeResourceRecordSets" => "POST",
        named => named,
    }
}

/// One operation and one fault.
fn once(case: &Case, fault: Fault, server: &str, account: &Account) -> Result<(), String> {
    let known = prepare(case.there, account);
    let plan = plan(case, account, &known);
    let proxy = Proxy::start(server);
    let operation = wire(case.operation);
    proxy.next(operation, fault);
    let cloud = Arc::new(cloud(&proxy, account));
    let options = Options { run_id: Some("run-1".into()), region: Some(REGION.into()), ..Options::new("unused") };
    let setup = Setup::quiet(cloud, Arc::new(WallClock));
    let sink = MemorySink::default();
    let status = block_on(begin(&plan, &options, Box::new(sink.clone()), setup)).map_err(|error| error.to_string())?;
    let seen = proxy.seen();
    let wrong = |what: String| {
        let told: Vec<String> = seen
            .iter()
            .map(|one| format!("  {} {} {:?} {}", one.operation, one.status, one.fault, one.forwarded))
            .collect();
        let failures: Vec<&str> = status.failures().map(|(_, failure)| failure.reason.as_str()).collect();
        Err(format!("{what}\n  {failures:?}\n{}\n{}", told.join("\n"), plan.to_json()))
    };
    if status.outcome != Some(Outcome::Done) {
        return wrong(format!("it ends as {:?}", status.outcome));
    }
    let at = |one: &&Seen| one.operation == operation;
    let sent: Vec<&Seen> = seen.iter().filter(at).collect();
    let worked = sent.iter().filter(|one| one.forwarded && one.status == 200).count();
    let lost = matches!(fault, Fault::AnswerDropped | Fault::PageAfterwards);
    if worked != 1 || sent.iter().filter(|one| one.forwarded).count() != 1 {
        return wrong(format!("it reached the server {worked} times"));
    }
    let (times, looked) = match fault {
        Fault::AnswerDropped | Fault::PageAfterwards | Fault::Delayed(_) => (1, 0),
        Fault::RequestDropped | Fault::Page => (2, PROOFS),
        Fault::Throttled => (2, 0),
    };
    if sent.len() != times {
        return wrong(format!("it was sent {} times, not {times}", sent.len()));
    }
    let places: Vec<usize> = (0..seen.len()).filter(|ix| seen[*ix].operation == operation).collect();
    let probe = wire(&plan.nodes.iter().find_map(|node| node.probe.as_ref()).unwrap().read.operation);
    let looks = |from: usize, to: usize| seen[from..to].iter().filter(|one| one.operation == probe).count();
    if times == 2 && looks(places[0], places[1]) < looked {
        return wrong(format!("it was sent again after {} looks", looks(places[0], places[1])));
    }
    if lost && looks(places[0], seen.len()) == 0 {
        return wrong("nobody looked what became of it".to_owned());
    }
    Ok(())
}

fn cloud(proxy: &Proxy, account: &Account) -> AwsCloud {
    let who = &account.credentials;
    let credentials = Credentials::new(who.id.clone(), who.secret.clone(), who.token.clone(), None, "the tests");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(proxy.url())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    AwsCloud::with(config).unwrap()
}
