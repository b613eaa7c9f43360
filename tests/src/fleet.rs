//! An application of services and machines in equal parts, and its next version: what rehearsals and rates are measured
//! with.

use std::fmt::Write as _;
use std::sync::Arc;

use belay_executor::run::Outcome;
use belay_executor::simulator::{SimulatedCloud, World};
use belay_schemas::observed::Observed;
use belay_schemas::plan::Plan;

use crate::pipeline::{Inputs, apply};

/// How it is made up.
#[derive(Debug, Clone, Copy)]
pub struct Fleet {
    /// Components on ECS.
    pub services: usize,
    /// Components with machines of their own.
    pub machines: usize,
}

const ENVIRONMENT: &str = r#"plugin_config:
  ec2-ecs:
    region: us-east-1
    cluster: default
  ec2-asg:
    region: us-east-1
    vpc: default
    subnets: default-us-east-1*
    launch_config:
      ami: ami-0a000001
      sg: [app]
      type: t3.micro
      profile: app
      user_data: |
        #!/bin/sh
        docker run --restart=unless-stopped -p 8080:8080 {{image_id}}
    image_id_subst: "{{image_id}}"
"#;

impl Fleet {
    /// The model and the environment in a version; each component but every fifth uses the one before it.
    pub fn inputs(self, version: &str) -> Inputs {
        let mut model = String::from("components:\n");
        let mut environment = String::from("core_plugin: ec2-ecs\n");
        let parts =
            [("service", self.services, "    plugin: {ec2-ecs: {cpu: 16, mem: 32}}\n"), ("machine", self.machines, "")];
        for (kind, count, plugin) in parts {
            for i in 0..count {
                // Writing to a string cannot fail.
                let _ = writeln!(
                    model,
                    "  {kind}-{i:03}:\n    image: shop/{kind}-{i:03}:{version}\n    replicas: 2\n{plugin}"
                );
                if !i.is_multiple_of(5) {
                    let _ = writeln!(model, "    uses: {{{kind}-{:03}: {{}}}}", i - 1);
                }
            }
        }
        if self.machines > 0 {
            environment.push_str("components:\n");
            for i in 0..self.machines {
                let _ = writeln!(environment, "  machine-{i:03}: {{core_plugin: ec2-asg}}");
            }
        }
        Inputs::new("shop", model, environment + ENVIRONMENT)
    }

    /// A world in which the first version runs; then what is observed there and the plan of the second one.
    ///
    /// # Panics
    /// When it cannot be deployed.
    pub fn update(self, world: World) -> (World, Observed, Plan) {
        let cloud = Arc::new(SimulatedCloud::new(world));
        let journal = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
        let first = self.inputs("1.0").plan(&cloud).unwrap_or_else(|e| panic!("{e}"));
        let status = apply(&cloud, &first, journal.path(), "first").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(status.outcome, Some(Outcome::Done), "{status:#?}");
        let inputs = self.inputs("1.1");
        let observed = inputs.observe(&cloud).unwrap_or_else(|e| panic!("{e}"));
        let (plan, _) = inputs.compile(Some(&observed)).unwrap_or_else(|e| panic!("{e}"));
        let mut world = cloud.world();
        world.log.clear();
        (world, observed, plan)
    }
}
