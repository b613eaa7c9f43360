//! One row of the table: a code, a minimal wrong input that gets it, and how the same input is right.

use belay_compiler::compile::Options;

use belay_schemas::observed::Observed;

use crate::support::{ENVIRONMENT, Input, World};

/// A wrong input and the right one beside it.
pub struct Case {
    pub code: &'static str,
    /// What is wrong, in a few words; the heading in the snapshot of the code.
    pub what: &'static str,
    wrong: Input,
    right: Input,
    warned: bool,
    also: Vec<&'static str>,
    stale: Option<fn(&mut Observed)>,
}

/// A row of the table.
pub fn case(code: &'static str, what: &'static str) -> Case {
    let input = Input::new("components: {web: {image: nginx:1.27, plugin: {ec2-ecs: {mem: 128}}}}\n", ENVIRONMENT);
    Case { code, what, wrong: input.clone(), right: input, warned: false, also: Vec::new(), stale: None }
}

impl Case {
    pub fn model(mut self, wrong: impl Into<String>, right: impl Into<String>) -> Self {
        self.wrong.model = wrong.into();
        self.right.model = right.into();
        self
    }

    pub fn env(mut self, wrong: impl Into<String>, right: impl Into<String>) -> Self {
        self.wrong.environments = vec![wrong.into()];
        self.right.environments = vec![right.into()];
        self
    }

    /// The model of both.
    pub fn with_model(self, both: impl Into<String>) -> Self {
        let both = both.into();
        self.model(both.clone(), both)
    }

    /// The environment of both.
    pub fn with_env(self, both: impl Into<String>) -> Self {
        let both = both.into();
        self.env(both.clone(), both)
    }

    pub fn worlds(mut self, wrong: World, right: World) -> Self {
        self.wrong.world = Some(wrong);
        self.right.world = Some(right);
        self
    }

    /// The world of both.
    pub fn world(self, both: World) -> Self {
        self.worlds(both.clone(), both)
    }

    /// The wrong one is compiled without an observation.
    pub fn unobserved(mut self) -> Self {
        self.wrong.world = None;
        self
    }

    pub fn options(mut self, wrong: impl FnOnce(&mut Options)) -> Self {
        wrong(&mut self.wrong.options);
        self
    }

    /// Options of both.
    pub fn both_options(mut self, both: impl Fn(&mut Options)) -> Self {
        both(&mut self.wrong.options);
        both(&mut self.right.options);
        self
    }

    pub fn vars(mut self, vars: &[(&str, &str)]) -> Self {
        self.wrong.vars = vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        self
    }

    /// Best practices count.
    pub fn advised(mut self) -> Self {
        self.wrong.advice = true;
        self.right.advice = true;
        self
    }

    /// It is a warning: a plan comes out all the same.
    pub fn warning(mut self) -> Self {
        self.warned = true;
        self
    }

    /// Another code that the wrong input cannot help to get.
    pub fn also(mut self, code: &'static str) -> Self {
        self.also.push(code);
        self
    }

    /// The wrong one's observation is not of these inputs.
    pub fn stale(mut self, change: fn(&mut Observed)) -> Self {
        self.stale = Some(change);
        self
    }

    /// The wrong input and the right one.
    pub fn inputs(&self) -> (&Input, &Input) {
        (&self.wrong, &self.right)
    }

    /// Compiles both; the rendering of what is wrong, or how the case itself is wrong.
    pub fn check(&self) -> Result<String, String> {
        let name = format!("{} {}", self.code, self.what);
        let wrong = self.wrong.compile_with(|mut observed| {
            if let Some(change) = self.stale {
                change(&mut observed);
            }
            observed
        });
        let good = wrong.codes.iter().any(|c| c == self.code)
            && wrong.codes.iter().all(|c| *c == self.code || self.also.contains(&c.as_str()))
            && wrong.plan.is_some() == self.warned;
        if !good {
            return Err(format!("{name}: the wrong one, plan: {}\n{}", wrong.plan.is_some(), wrong.text));
        }
        // Whoever reads a diagnostic wants to know what to write instead.
        let without = wrong
            .text
            .split("\n\n")
            .find(|d| (d.starts_with("error[") || d.starts_with("warning[")) && !d.contains("= help: "));
        if let Some(diagnostic) = without {
            return Err(format!("{name}: no help in\n{diagnostic}"));
        }
        let right = self.right.compile();
        if !right.codes.is_empty() || right.plan.is_none() {
            return Err(format!("{name}: the right one, plan: {}\n{}", right.plan.is_some(), right.text));
        }
        Ok(format!("# {}\n{}", self.what, wrong.text))
    }
}
