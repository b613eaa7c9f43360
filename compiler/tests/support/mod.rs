//! What the tests of rules and plans share: inputs as texts, an observed target in AWS's shapes, and a compilation.
#![allow(dead_code, reason = "each test binary uses a part")]

pub mod fleet;
pub mod world;

pub use world::{World, digest, group_arn};

use belay_compiler::compile::{Options, compile, scope};
use belay_compiler::diagnostics::{Report, SourceFile, human};
use belay_compiler::{Loaded, Sources, load};
use belay_schemas::observed::Observed;
use belay_schemas::plan::{Mode, Plan};

/// The environment where a test does not care.
pub const ENVIRONMENT: &str = "plugin_config: {ec2-ecs: {region: us-east-1}}\n";

/// Everything that a compilation needs.
#[derive(Clone)]
pub struct Input {
    pub model: String,
    pub environments: Vec<String>,
    pub vars: Vec<(String, String)>,
    /// The target as it is; what the inputs name is looked at, but for an observation of its own.
    pub world: Option<World>,
    pub options: Options,
    /// Whether best practices count: inputs of other tests are as small as they can be.
    pub advice: bool,
}

/// Codes of best practices.
const ADVICE: std::ops::RangeInclusive<&str> = "B450"..="B458";

/// What came out.
pub struct Outcome {
    pub text: String,
    pub codes: Vec<String>,
    pub plan: Option<Plan>,
}

impl Input {
    pub fn new(model: &str, environment: &str) -> Self {
        Self {
            model: model.to_owned(),
            environments: vec![environment.to_owned()],
            vars: Vec::new(),
            world: None,
            advice: false,
            options: Options {
                project: "shop".to_owned(),
                mode: Mode::Deploy,
                replace_all: false,
                only: Vec::new(),
                adopt: Vec::new(),
            },
        }
    }

    #[must_use]
    pub fn world(mut self, world: World) -> Self {
        self.world = Some(world);
        self
    }

    #[must_use]
    pub fn options(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    fn sources(&self) -> Sources {
        let environments = self.environments.iter().enumerate().map(|(index, text)| {
            let name = if index == 0 { "env.yaml".to_owned() } else { format!("env{}.yaml", index + 1) };
            SourceFile::new(name, text.as_str())
        });
        Sources {
            model: SourceFile::new("model.yaml", self.model.as_str()),
            environments: environments.collect(),
            vars: self.vars.clone(),
        }
    }

    /// What `belay observe` would find for these inputs.
    pub fn observe(&self, loaded: &Loaded) -> Option<Observed> {
        let world = self.world.as_ref()?;
        let wanted = scope(loaded, &self.options, &mut Report::new());
        Some(world.observed(wanted.as_ref()))
    }

    pub fn compile(&self) -> Outcome {
        self.compile_with(|observed| observed)
    }

    /// Compiles with what was observed changed.
    pub fn compile_with(&self, change: impl FnOnce(Observed) -> Observed) -> Outcome {
        let mut report = Report::new();
        let plan = load(self.sources(), &mut report).and_then(|loaded| {
            let observed = self.observe(&loaded).map(change);
            compile(&loaded, observed.as_ref(), &self.options, &mut report)
        });
        if !self.advice {
            report.accept(0, |code| ADVICE.contains(&code));
        }
        let codes = report.resolved().iter().map(|r| r.diagnostic.code.to_owned()).collect();
        Outcome { text: human(&report, false), codes, plan }
    }

    /// A plan without a word of complaint.
    #[track_caller]
    pub fn plan(&self) -> Plan {
        let outcome = self.compile();
        assert!(outcome.text.is_empty(), "{}", outcome.text);
        outcome.plan.expect("a plan")
    }
}

/// A component with an image, 128 MiB and these further lines.
pub fn web(lines: &str) -> String {
    format!("components:\n  web:\n    image: nginx:1.27\n{}", settings("mem: 128", lines))
}

/// The same with all ec2-ecs settings given.
pub fn web_with(plugin: &str, lines: &str) -> String {
    format!("components:\n  web:\n    image: nginx:1.27\n{}", settings(plugin, lines))
}

fn settings(plugin: &str, lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    format!("    plugin:\n      ec2-ecs: {{{plugin}}}\n{lines}")
}

/// A component with a raw block for its task definition.
pub fn raw_task(block: &str) -> String {
    raw("task_definition", block)
}

/// A component with a raw block for its service.
pub fn raw_service(block: &str) -> String {
    raw("service", block)
}

fn raw(which: &str, block: &str) -> String {
    let block: String = block.lines().map(|line| format!("            {line}\n")).collect();
    format!(
        "components:\n  web:\n    image: nginx:1.27\n    provides: {{ports: [80]}}\n    plugin:\n      ec2-ecs:\n        mem: 128\n        raw:\n          {which}:\n{block}"
    )
}

/// A gateway `front` to port 80 of `web`, to be put behind a component.
pub const FRONT: &str =
    "gateways:\n  front:\n    type: load_balancer\n    exposes: {port: \"\", target_port: 80}\n    target: [web]\n";

/// An environment with these ec2-ecs settings.
pub fn env(lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    format!("plugin_config:\n  ec2-ecs:\n    region: us-east-1\n{lines}")
}
