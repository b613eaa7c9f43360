//! Belay against boto3, at moto, in the same run: `cargo bench -p belay-tests --bench boto`; with `-- --assert` it fails
//! where Belay is slower, or makes a call too many.
//!
//! Observing a cluster of 500 services with a task definition each: the same reads by a script that makes them one after
//! another. Applying the first deployment of 100 services: exactly the calls that Belay made, made once more by boto3 in
//! another account. Belay's times are those of the whole process, with its start and its journal; boto3's are told without
//! and with the start of Python, and the comparison is with the former.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use belay_executor::simulator::World;
use belay_schemas::plan::Mode;
use belay_tests::account::Account;
use belay_tests::replay::{Timed, boto};
use belay_tests::servers::{Emulator, Server};
use belay_tests::site::Site;
use serde_json::{Value, json};

/// Services that are observed.
const OBSERVED: usize = 500;
/// Services that are deployed.
const DEPLOYED: usize = 100;
/// How often; the best time counts, for both alike.
const TIMES: usize = 5;

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let assert = std::env::args().any(|argument| argument == "--assert");
    let bench = Bench::start();
    // So that neither measurement holds a build.
    belay_tests::binaries::folder();
    let faults: Vec<String> = bench.observe().into_iter().chain(bench.apply()).collect();
    for fault in &faults {
        println!("not met: {fault}");
    }
    if assert && !faults.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

struct Bench {
    server: Server,
    client: Arc<Mutex<belay_tests::servers::Client>>,
    accounts: Cell<u64>,
}

impl Bench {
    fn start() -> Self {
        let server = Server::start(Emulator::Shimmed).unwrap_or_else(|error| panic!("{error}"));
        let client = server.client().unwrap_or_else(|error| panic!("{error}"));
        Self { server, client: Arc::new(Mutex::new(client)), accounts: Cell::new(0) }
    }

    /// The number of an account that nobody has used.
    fn fresh(&self) -> String {
        let number = self.accounts.get() + 1;
        self.accounts.set(number);
        format!("{:012}", 444_444_444_400_u64 + number)
    }

    fn site(&self, id: &str, project: &'static str, count: usize) -> (Account, Site) {
        let account = Account::new(Emulator::Shimmed, &self.client, id);
        let site = Site::bare(self.server.endpoint(), &account, project, Mode::Deploy);
        site.write("model.yaml", &model(count));
        site.write("prod.yaml", "plugin_config: {ec2-ecs: {region: us-east-1, cluster: default}}\n");
        (account, site)
    }

    fn boto(&self, site: &Site, account: &Account, arguments: &[&str], input: &str) -> Timed {
        boto(site.dir(), self.server.endpoint(), &account.credentials, arguments, input)
    }

    /// Takes the list of calls that the shim has seen.
    fn calls(&self, account: &Account) -> Vec<Value> {
        account.server("/shim/calls", None)["calls"].as_array().unwrap().clone()
    }

    fn observe(&self) -> Vec<String> {
        let (account, site) = self.site(&self.fresh(), "many", OBSERVED);
        self.boto(&site, &account, &["seed", &OBSERVED.to_string()], "");
        site.scope(Mode::Deploy);
        self.calls(&account);
        let observe = || {
            let began = Instant::now();
            site.must("belay", &["observe", "scope.json", "-o", "observed.json"]);
            let ours = began.elapsed();
            (ours, self.calls(&account), self.boto(&site, &account, &["observe"], ""))
        };
        let (mut ours, calls, mut theirs) = observe();
        for _ in 1..TIMES {
            self.calls(&account);
            let (our, _, their) = observe();
            ours = ours.min(our);
            if their.calling < theirs.calling {
                theirs = their;
            }
        }
        let mut by_operation: BTreeMap<&str, usize> = BTreeMap::new();
        for call in &calls {
            *by_operation.entry(call["operation"].as_str().unwrap()).or_default() += 1;
        }
        println!("observing {OBSERVED} services: {}", compared(ours, calls.len(), theirs));
        let fewest = fewest();
        let listed: Vec<String> = by_operation.iter().map(|(name, count)| format!("{count} {name}")).collect();
        println!("  {}", listed.join(", "));
        let mut faults = Vec::new();
        if by_operation != fewest {
            faults.push(format!("the calls that the batch limits force are {fewest:?}"));
        }
        if ours >= theirs.calling {
            faults.push("observing is to take less time than boto3's calls".to_owned());
        }
        faults
    }

    fn apply(&self) -> Vec<String> {
        // The emulator reads its own models when it first needs them; that is nobody's time.
        self.deploy(2);
        let (mut ours, mut calls, mut theirs) = self.deploy(DEPLOYED);
        for _ in 1..TIMES {
            let (our, made, their) = self.deploy(DEPLOYED);
            if our < ours {
                (ours, calls) = (our, made);
            }
            if their.calling < theirs.calling {
                theirs = their;
            }
        }
        println!("a first deployment of {DEPLOYED} services: {}", compared(ours, calls, theirs));
        match ours > theirs.calling {
            true => vec!["applying is to take no longer than boto3's calls".to_owned()],
            false => Vec::new(),
        }
    }

    /// Deploys services to one account by Belay, and by boto3 with the same calls to another.
    fn deploy(&self, count: usize) -> (Duration, usize, Timed) {
        let (account, site) = self.site(&self.fresh(), "many", count);
        account.seed(&World::default_account());
        // What AWS itself takes is no matter here: a deployment is complete when it is looked at.
        account.server("/shim/steps", Some(&json!(1)));
        site.plan();
        self.calls(&account);
        let began = Instant::now();
        let done = site.apply();
        let ours = began.elapsed();
        assert_eq!(done.code, 0, "{}", done.stderr);
        let calls = self.calls(&account);
        let left = site.plan();
        assert!(left.nodes.is_empty(), "the target is reached");

        // The same calls once more: JSON as it was sent, forms without what the protocol adds.
        let other = Account::new(Emulator::Shimmed, &self.client, &self.fresh());
        other.seed(&World::default_account());
        let same: Vec<Value> = calls.iter().map(plain).collect();
        let text = json!(same).to_string().replace(&account.id, &other.id);
        let theirs = self.boto(&site, &other, &["replay"], &text);
        let made = other.must("ecs", "DescribeServices", &json!({"cluster": "default", "services": ["many_c000"]}));
        assert_eq!(made["services"][0]["runningCount"], 1, "boto3 deployed them as well");
        (ours, calls.len(), theirs)
    }
}

/// A call as botocore takes it.
fn plain(call: &Value) -> Value {
    let mut input = call["input"].clone();
    if let Some(members) = input.as_object_mut() {
        members.retain(|name, _| name != "Action" && name != "Version");
    }
    json!({"service": call["service"], "operation": call["operation"], "input": input})
}

fn compared(ours: Duration, calls: usize, theirs: Timed) -> String {
    format!(
        "belay {:.2} s with {calls} calls, boto3 {:.2} s with {} calls ({:.2} s with the start of Python); ratio {:.2}",
        ours.as_secs_f64(),
        theirs.calling.as_secs_f64(),
        theirs.calls,
        theirs.whole.as_secs_f64(),
        ours.as_secs_f64() / theirs.calling.as_secs_f64()
    )
}

/// The calls that the API's limits force: lists of 100 a page, 10 services, 20 revisions, 1 task definition at a time.
fn fewest() -> BTreeMap<&'static str, usize> {
    BTreeMap::from([
        ("GetCallerIdentity", 1),
        ("DescribeClusters", 1),
        ("ListServices", OBSERVED.div_ceil(100)),
        ("DescribeServices", OBSERVED.div_ceil(10)),
        ("DescribeServiceRevisions", OBSERVED.div_ceil(20)),
        ("ListTaskDefinitions", OBSERVED.div_ceil(100)),
        ("DescribeTaskDefinition", OBSERVED),
        ("ListContainerInstances", 1),
    ])
}

fn model(count: usize) -> String {
    let mut text = String::from("components:\n");
    for number in 0..count {
        let _ = write!(
            text,
            "  c{number:03}:\n    image: registry.example.com/c@sha256:{number:064x}\n    env: {{LEVEL: info}}\n    plugin: {{ec2-ecs: {{cpu: 16, mem: 64}}}}\n"
        );
    }
    text
}
