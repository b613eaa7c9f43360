//! Inputs that nobody would write, for everything that reads what comes from outside: models, plans, journals,
//! expressions. Recorded ones are replayed, and new ones are made of them by a generator with a recorded seed.
//!
//! Invariant: the same seed makes the same inputs everywhere; what a target does with one depends on it alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use belay_compiler::compile::{Options, compile};
use belay_compiler::diagnostics::{Report, SourceFile, github, human, json};
use belay_compiler::{Sources, load};
use belay_executor::journal::{Contents, Held, Journal, JournalError, Shelf, Sink, parse};
use belay_executor::lock::LockError;
use belay_executor::run::status_on;
use belay_schemas::journal::Header;
use belay_schemas::plan::{Mode, Plan};
use belay_schemas::{checker, condition};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::fixtures::{every, read};

/// Longest input.
pub const LENGTH: usize = 1 << 16;

/// What reads something from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A model with its environment.
    Model,
    /// A plan.
    Plan,
    /// A journal.
    Journal,
    /// An expression in JMESPath.
    Condition,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Model, Self::Plan, Self::Journal, Self::Condition];

    /// Its name, and that of the folder with what was recorded for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Plan => "plan",
            Self::Journal => "journal",
            Self::Condition => "condition",
        }
    }

    /// The folder with what was recorded for it.
    pub fn folder(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(self.name())
    }

    /// Inputs to begin with: out of the fixtures.
    pub fn seeds(self) -> Vec<Vec<u8>> {
        let mut seeds: Vec<Vec<u8>> = Vec::new();
        for fixture in every() {
            let plan = read(&fixture.dir().join("plan.json"));
            match self {
                Self::Model => seeds.push(read(&fixture.sources().join("model.yaml")).into_bytes()),
                // One of its steps, so that what is changed is likely to be looked at.
                Self::Plan => seeds.push(smaller(&plan).into_bytes()),
                Self::Journal => {}
                Self::Condition => {
                    let mut found = Vec::new();
                    expressions(&serde_json::from_str(&plan).unwrap_or_default(), &mut found);
                    seeds.extend(found.into_iter().map(String::into_bytes));
                }
            }
        }
        if self == Self::Journal {
            seeds.push(journal());
        }
        seeds.retain(|seed| seed.len() <= LENGTH);
        seeds.sort();
        seeds.dedup();
        seeds
    }

    /// Words that mean something to it.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Model => &[
                "components:",
                "gateways:",
                "image: ",
                "replicas: ",
                "uses: {",
                "plugin:",
                "ec2-ecs:",
                "ec2-asg:",
                "raw: {",
                "${",
                "${{ ",
                " }}",
                "}",
                "&a ",
                "*a",
                "<<: *a",
                "- ",
                "\n  ",
                "!!binary ",
                "? ",
                "|2-\n",
                ">+\n",
                "---\n",
                "...\n",
                "\t",
                "0x7fffffffffffffff",
                "1e999",
                ".nan",
                "~",
                "\u{feff}",
                "\u{2028}",
                "'",
                "\"\\x00\"",
                "{{",
                "[[",
                "${a:-${b}}",
                "${{ 1/0 }}",
                "${{ 'a' * 9999999 }}",
                "${{ range(9999999) | list }}",
            ],
            Self::Plan => &[
                "{\"$output\":\"a\",\"path\":\"b\"}",
                "{\"$run\":\"id\"}",
                "\"share\":[1,0]",
                "\"each\":{}",
                "null",
                "[]",
                "{}",
                "-1",
                "18446744073709551616",
                "1e400",
                "\"undo\":[]",
                "\"format\":2",
                "\"\\ud800\"",
                "\"@each\"",
            ],
            Self::Journal => &[
                "\"is\":\"intent\"",
                "\"is\":\"outcome\"",
                "\"is\":\"done\"",
                "\"is\":\"end\"",
                "\"is\":\"case\"",
                "\"seq\":0",
                "\"attempt\":4294967295",
                "\"chunk\":4294967295",
                "\n",
                "}",
                "{",
                "null",
                "\"node\":\"commit\"",
            ],
            Self::Condition => &[
                "[?",
                "]",
                "[*]",
                "[]",
                "[::-1]",
                "[-9223372036854775808:]",
                "[::0]",
                ".*",
                " | ",
                "&&",
                "||",
                "!",
                "@",
                "&",
                "length(",
                "sort_by(",
                "map(&",
                "to_number('1e999')",
                "`{\"a\":1}`",
                "`",
                "'",
                "\"",
                "$x",
                "{a: ",
                ")",
                "}",
                "==",
                "<",
                "[0]",
                "[-1]",
                "avg(`[]`)",
                "join(', ', ",
                "max_by(",
                "merge(",
                "not_null(",
                "reverse(",
            ],
        }
    }

    /// Reads an input, as the programs do.
    pub fn read(self, input: &[u8]) {
        match self {
            Self::Model => model(&String::from_utf8_lossy(input)),
            // Refused or not: it is looked at.
            Self::Plan => drop(checker::load(&String::from_utf8_lossy(input))),
            Self::Journal => replay(input),
            Self::Condition => evaluate(&String::from_utf8_lossy(input)),
        }
    }

    /// Makes an input out of known ones.
    pub fn make(self, known: &[Vec<u8>], state: &mut u64) -> Vec<u8> {
        let mut input = pick(known, state).clone();
        for _ in 0..=next(state) % 6 {
            change(&mut input, known, self.words(), state);
        }
        input.truncate(LENGTH);
        // A journal whose checksums are wrong is refused before anything else is looked at.
        if self == Self::Journal && !next(state).is_multiple_of(4) {
            input = sealed(&input);
        }
        input
    }
}

/// A small generator of numbers (SplitMix64, by its published constants).
pub fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn below(most: usize, state: &mut u64) -> usize {
    (next(state) % most.max(1) as u64) as usize
}

fn pick<'a, T>(from: &'a [T], state: &mut u64) -> &'a T {
    &from[below(from.len(), state)]
}

/// One change: bytes that differ, are missing, come twice, come from elsewhere; words that mean something; depth.
fn change(input: &mut Vec<u8>, known: &[Vec<u8>], words: &[&str], state: &mut u64) {
    let at = below(input.len() + 1, state);
    let length = 1 + below(1 << below(9, state), state);
    let end = (at + length).min(input.len());
    match next(state) % 9 {
        0 => input[at..end].iter_mut().for_each(|byte| *byte ^= 1 << (next(state) % 8)),
        1 => drop(input.drain(at..end)),
        2 => {
            let part = input[at..end].to_vec();
            for _ in 0..=next(state) % 40 {
                input.splice(at..at, part.iter().copied());
                if input.len() > LENGTH {
                    break;
                }
            }
        }
        3 => {
            let other = pick(known, state);
            let from = below(other.len() + 1, state);
            let to = (from + length * 8).min(other.len());
            input.splice(at..end, other[from..to].iter().copied());
        }
        4 | 5 => drop(input.splice(at..at, pick(words, state).bytes())),
        6 => drop(input.splice(at..end, pick(words, state).bytes())),
        7 => {
            let open = pick(&["(", "[", "{", "[[", "{a: ", "\"", "!", "- ", "{\"a\":", "a.", "[@,@]|"], state);
            input.splice(at..at, open.repeat(1 << below(13, state)).bytes());
        }
        _ => drop(input.splice(at..end, (next(state) as i64).to_string().bytes())),
    }
}

fn model(text: &str) {
    let environment = "core_plugin: ec2-ecs\nplugin_config: {ec2-ecs: {region: us-east-1, cluster: default}}\n";
    let sources = Sources {
        model: SourceFile::new("model.yaml", text),
        environments: vec![SourceFile::new("prod.yaml", environment)],
        vars: Vec::new(),
    };
    let options = Options {
        project: "fuzz".to_owned(),
        mode: Mode::Deploy,
        replace_all: false,
        only: Vec::new(),
        adopt: Vec::new(),
    };
    let mut report = Report::new();
    if let Some(loaded) = load(sources, &mut report)
        && let Some(plan) = compile(&loaded, None, &options, &mut report)
    {
        assert_eq!(checker::check(&plan), vec![], "a plan that breaks rules");
    }
    // What is told about it is put into words, with its lines and columns.
    drop((human(&report, false), json(&report), github(&report)));
}

fn evaluate(expression: &str) {
    let document = serde_json::json!({"services": [{"status": "ACTIVE", "n": 1, "tags": [{"key": "a", "value": "b"}]},
        {"status": "INACTIVE", "n": -2.5, "tags": []}], "a": {"a": [1, 2, 3]}, "x": null});
    let bind = BTreeMap::from([("x".to_owned(), Value::from("`]'")), ("new".to_owned(), Value::from(1))]);
    // An error is as good as a value; both are looked at.
    drop(condition::evaluate(expression, &bind, &document));
    drop(condition::check(expression, ["x"]));
    drop(condition::names(expression));
}

/// The plan that the journals are of.
fn journalled() -> Plan {
    let fixture = crate::fixtures::Fixture::named("upgrade");
    serde_json::from_str(&read(&fixture.dir().join("plan.json"))).unwrap_or_else(|e| panic!("{e}"))
}

/// The journal of a run that went back: of a plan that fails.
fn journal() -> Vec<u8> {
    use belay_executor::journal::MemorySink;
    use belay_executor::run::{self, Setup};
    use belay_executor::simulator::world::{Behaviour, Image};
    use belay_executor::simulator::{SimulatedCloud, World};
    use std::sync::Arc;
    let plan = journalled();
    let fixture = crate::fixtures::Fixture::named("upgrade");
    let mut world: World =
        serde_json::from_str(&read(&fixture.dir().join("world.json"))).unwrap_or_else(|e| panic!("{e}"));
    for image in plan.nodes.iter().filter_map(|node| node.action.mutation()) {
        for container in image.input["containerDefinitions"].as_array().into_iter().flatten() {
            let name = container["image"].as_str().unwrap_or_default().to_owned();
            world.images.insert(name, Image { behaviour: Behaviour::NeverHealthy, ..Image::default() });
        }
    }
    let cloud = Arc::new(SimulatedCloud::new(world));
    let sink = MemorySink::default();
    let options = run::Options { run_id: Some("fuzz".to_owned()), ..run::Options::new("unused") };
    let setup = Setup::quiet(cloud.clone(), cloud);
    let status = crate::pipeline::block_on(run::begin(&plan, &options, Box::new(sink.clone()), setup));
    status.unwrap_or_else(|e| panic!("{e}"));
    sink.text().into_bytes()
}

/// Puts true checksums on lines, so that what they say is looked at.
fn sealed(input: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(input);
    let mut out = String::new();
    let mut sum = String::new();
    for line in text.split_inclusive('\n') {
        let Some((body, _)) = line.trim_end().rsplit_once(",\"sum\":\"") else {
            out.push_str(line);
            continue;
        };
        let hash = Sha256::digest(format!("{sum}\n{body}"));
        sum = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        out.push_str(&format!("{body},\"sum\":\"{sum}\"}}\n"));
    }
    out.into_bytes()
}

/// Reads a journal, and goes through what it tells as a resumed run would.
fn replay(input: &[u8]) {
    let Ok(contents) = parse(input) else { return };
    let mut plan = journalled();
    plan.digest.clone_from(&contents.header.plan);
    // A story that cannot be is refused.
    drop(status_on(&One { contents, plan }, "fuzz"));
}

/// A place with one run.
struct One {
    contents: Contents,
    plan: Plan,
}

impl Shelf for One {
    fn name(&self) -> String {
        "memory".to_owned()
    }

    fn lock(&self, _: &Header) -> Result<Box<dyn Held>, LockError> {
        Err(LockError::Io(JournalError::Empty))
    }

    fn create(&self, _: &Header, _: &Plan) -> Result<Journal, JournalError> {
        Err(JournalError::Empty)
    }

    fn open(&self, _: &str) -> Result<(Contents, Plan), JournalError> {
        Ok((self.contents.clone(), self.plan.clone()))
    }

    fn append(&self, _: &str, _: &Contents) -> Result<Box<dyn Sink>, JournalError> {
        Err(JournalError::Empty)
    }

    fn ids(&self) -> Result<Vec<String>, JournalError> {
        Ok(vec!["fuzz".to_owned()])
    }

    fn find(&self, _: Option<&str>) -> Result<String, JournalError> {
        Ok("fuzz".to_owned())
    }

    fn pointer(&self) -> Result<Option<String>, JournalError> {
        Ok(None)
    }

    fn point_to(&self, _: &str) -> Result<(), JournalError> {
        Ok(())
    }
}

/// A plan of a few of its nodes, sealed again: its digest is true, whatever else is not.
fn smaller(text: &str) -> String {
    let Ok(mut plan) = serde_json::from_str::<Plan>(text) else { return text.to_owned() };
    plan.nodes.truncate(6);
    let ids: Vec<String> = plan.nodes.iter().map(|node| node.id.clone()).collect();
    plan.edges.retain(|edge| ids.contains(&edge.from) && ids.contains(&edge.to));
    plan.seal().to_json()
}

/// All texts of a plan that are expressions.
fn expressions(value: &Value, found: &mut Vec<String>) {
    const NAMES: [&str; 10] =
        ["until", "when", "applied", "answer", "lines", "progress", "is", "path", "expect", "fields"];
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if NAMES.contains(&name.as_str()) => found.push(text.clone()),
                    Value::Object(fields) if name == "holds" => found.extend(fields.keys().cloned()),
                    other => expressions(other, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}
