//! The scenarios in `fixtures/`: what each starts from and how applying its plan ends.
//!
//! Every folder holds `model.yaml`, its environment files, `world.json` (the simulated AWS that it starts in),
//! `observed.json` (what observing that world prints), `plan.json`, what `belayc show` makes of it (`plan.txt`, `plan.md`,
//! `plan.mmd` for Mermaid, `plan.dot`, `plan.html`) and `rehearsal.txt` (what rehearsing it says). A folder `start` holds
//! the model and environment that were deployed before. `environments/staging` and `environments/prod` are one model in two
//! environments: all of it is written in the folder above, which also holds what `belayc diff` says of the two plans.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use belay_executor::run::Outcome;
use belay_executor::simulator::{SimulatedCloud, World};
use belay_schemas::plan::Mode;

use crate::extent::OneIn;
use crate::pipeline::{Inputs, apply};

mod worlds;

/// How applying a fixture's plan ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// In the target state.
    Target,
    /// In the initial state.
    Initial,
}

/// One scenario.
#[derive(Debug, Clone, Copy)]
pub struct Fixture {
    /// Name of the folder; `FOLDER/ENVIRONMENT` where one model has several environments.
    pub name: &'static str,
    /// Project name.
    pub project: &'static str,
    /// The environment files, in order.
    pub environments: &'static [&'static str],
    /// Deploy or tear down.
    pub mode: Mode,
    /// How applying the plan ends.
    pub end: End,
    /// What the world differs in from the default account, before anything is deployed.
    pub world: fn(&mut World),
    /// What the world differs in after the start was deployed.
    pub then: fn(&mut World),
    /// Healthy targets behind its load balancers in the end: target groups, classic ones in `classic`.
    pub behind: Named,
    /// All Cloud Map services in the end, by name, with the number of their instances.
    pub registered: Named,
    /// Tasks of services of which the model does not say how many there are in the end.
    pub tasks: Named,
}

/// A number for each of some names.
type Named = &'static [(&'static str, usize)];

const PLAIN: Fixture = Fixture {
    name: "",
    project: "shop",
    environments: &["prod.yaml"],
    mode: Mode::Deploy,
    end: End::Target,
    world: |_| {},
    then: |_| {},
    behind: &[],
    registered: &[],
    tasks: &[],
};

/// All scenarios of Amazon ECS.
pub const ALL: [Fixture; 44] = [
    Fixture {
        name: "blue-green",
        world: worlds::pairs,
        behind: &[("shop-blue", 0), ("shop-green", 2), ("docs-blue", 1), ("docs-green", 0)],
        ..PLAIN
    },
    Fixture {
        name: "blue-green-failing",
        end: End::Initial,
        world: worlds::pairs_failing,
        behind: &[("shop-blue", 2), ("shop-green", 0), ("docs-blue", 1), ("docs-green", 0)],
        ..PLAIN
    },
    Fixture { name: "canary", world: worlds::pairs, behind: &[("shop-api", 0), ("api-green", 2)], ..PLAIN },
    Fixture {
        name: "canary-failing",
        end: End::Initial,
        world: worlds::alarming,
        behind: &[("shop-api", 2), ("api-green", 0)],
        ..PLAIN
    },
    Fixture { name: "classic", project: "legacy", behind: &[("shop-classic", 2), ("internal-api", 2)], ..PLAIN },
    Fixture {
        name: "cloud-map",
        world: worlds::connected,
        registered: &[("api", 2), ("cache", 1), ("search", 1)],
        ..PLAIN
    },
    Fixture {
        name: "cloud-map-failing",
        end: End::Initial,
        world: worlds::connected,
        registered: &[("api", 2), ("legacy", 1), ("redis", 1)],
        ..PLAIN
    },
    Fixture {
        name: "dns-records",
        world: worlds::zoned,
        behind: &[("shop-web", 2), ("shop-api", 2), ("shop-admin", 2), ("internal-api", 0), ("shop-classic", 0)],
        ..PLAIN
    },
    Fixture {
        name: "dns-records-failing",
        end: End::Initial,
        world: worlds::zoned,
        behind: &[("shop-web", 0), ("shop-api", 2), ("shop-admin", 0), ("internal-api", 2), ("shop-classic", 1)],
        ..PLAIN
    },
    Fixture {
        name: "environments/prod",
        environments: &["base.yaml", "prod.yaml"],
        world: worlds::stages,
        behind: &[("shop-api", 3), ("staging-api", 0)],
        tasks: &[("shop_api", 3), ("shop_worker", 2)],
        ..PLAIN
    },
    Fixture {
        name: "environments/staging",
        environments: &["base.yaml", "staging.yaml"],
        world: worlds::stages,
        behind: &[("shop-api", 0), ("staging-api", 1)],
        ..PLAIN
    },
    Fixture { name: "event-rules", ..PLAIN },
    Fixture { name: "event-rules-failing", end: End::Initial, world: worlds::failing, ..PLAIN },
    Fixture {
        name: "failing",
        end: End::Initial,
        world: worlds::failing,
        behind: &[("shop-web", 2), ("shop-api", 2), ("shop-admin", 1)],
        ..PLAIN
    },
    Fixture {
        name: "fargate",
        environments: &["base.yaml", "prod.yaml"],
        world: worlds::fargate,
        behind: &[("shop-web", 2), ("shop-api", 2)],
        tasks: &[("shop_web", 2)],
        ..PLAIN
    },
    Fixture {
        name: "fargate-failing",
        environments: &["base.yaml", "prod.yaml"],
        end: End::Initial,
        world: worlds::fargate_failing,
        behind: &[("shop-web", 2), ("shop-api", 2)],
        tasks: &[("shop_web", 2)],
        ..PLAIN
    },
    Fixture { name: "gateway-change", behind: &[("shop-web", 2), ("shop-api", 2), ("shop-admin", 2)], ..PLAIN },
    Fixture {
        name: "linear-failing",
        end: End::Initial,
        world: worlds::alarming,
        behind: &[("shop-api", 2), ("api-green", 0)],
        ..PLAIN
    },
    Fixture { name: "log-drivers", behind: &[("shop-web", 2)], tasks: &[("shop_collector", 3)], ..PLAIN },
    Fixture {
        name: "network-load-balancer",
        project: "iot",
        world: worlds::edge,
        behind: &[("edge-broker", 2), ("iot-ingest", 2)],
        ..PLAIN
    },
    Fixture {
        name: "network-load-balancer-failing",
        project: "iot",
        end: End::Initial,
        world: worlds::silent_edge,
        behind: &[("edge-broker", 2)],
        ..PLAIN
    },
    Fixture { name: "orphan", behind: &[("shop-web", 2), ("shop-api", 2), ("shop-admin", 1)], ..PLAIN },
    Fixture { name: "pinned", behind: &[("shop-api", 2)], ..PLAIN },
    Fixture { name: "placement", project: "ops", tasks: &[("ops_datadog", 3), ("ops_logspout", 3)], ..PLAIN },
    Fixture {
        name: "placement-failing",
        project: "ops",
        end: End::Initial,
        world: worlds::failing,
        tasks: &[("ops_datadog", 3), ("ops_logspout", 3)],
        ..PLAIN
    },
    Fixture { name: "rules", behind: &[("shop-web", 2), ("unattached", 1)], ..PLAIN },
    Fixture { name: "scale", behind: &[("shop-web", 1), ("shop-api", 2), ("shop-admin", 1)], ..PLAIN },
    Fixture {
        name: "service-connect",
        world: worlds::connected,
        registered: &[("api", 2), ("api-admin", 2), ("billing", 1)],
        ..PLAIN
    },
    Fixture {
        name: "service-connect-failing",
        end: End::Initial,
        world: worlds::connected,
        registered: &[("api", 2)],
        ..PLAIN
    },
    Fixture { name: "shop", behind: &[("shop-web", 2), ("shop-api", 2), ("shop-admin", 1)], ..PLAIN },
    Fixture { name: "sidecars", environments: &["base.yaml", "prod.yaml"], behind: &[("shop-api", 2)], ..PLAIN },
    Fixture {
        name: "sidecars-failing",
        environments: &["base.yaml", "prod.yaml"],
        end: End::Initial,
        world: worlds::uninitialised,
        behind: &[("shop-api", 2)],
        ..PLAIN
    },
    Fixture { name: "step-scaling", behind: &[("shop-web", 2)], ..PLAIN },
    Fixture {
        name: "step-scaling-failing",
        end: End::Initial,
        world: worlds::failing,
        behind: &[("shop-web", 2)],
        ..PLAIN
    },
    Fixture {
        name: "target-groups",
        project: "store",
        behind: &[("store-web", 2), ("store-api-8080", 2), ("store-docs", 1)],
        ..PLAIN
    },
    Fixture {
        name: "target-groups-failing",
        project: "store",
        end: End::Initial,
        world: worlds::failing,
        behind: &[("store-web", 2)],
        ..PLAIN
    },
    Fixture { name: "linear-begins", behind: &[("shop-blue", 0), ("shop-green", 2)], ..PLAIN },
    Fixture { name: "log-groups", world: worlds::tasks, ..PLAIN },
    Fixture { name: "log-groups-failing", end: End::Initial, world: worlds::ending, ..PLAIN },
    Fixture { name: "tasks", world: worlds::tasks, ..PLAIN },
    Fixture { name: "tasks-failing", end: End::Initial, world: worlds::tasks, ..PLAIN },
    Fixture {
        name: "teardown",
        mode: Mode::Teardown,
        behind: &[("shop-web", 0), ("shop-api", 0), ("shop-admin", 0)],
        ..PLAIN
    },
    Fixture { name: "upgrade", behind: &[("shop-web", 2), ("shop-api", 2), ("shop-admin", 1)], ..PLAIN },
    Fixture { name: "volumes", project: "media", world: worlds::fargate, behind: &[("shop-web", 2)], ..PLAIN },
];

/// All scenarios of EC2 Auto Scaling, and of both together.
pub const ASG: [Fixture; 11] = [
    Fixture { name: "asg-classic", ..PLAIN },
    Fixture { name: "asg-delegated", world: worlds::destroyer, ..PLAIN },
    Fixture { name: "asg-failing", end: End::Initial, world: worlds::broken, ..PLAIN },
    Fixture { name: "asg-pre-created", world: worlds::made_beforehand, ..PLAIN },
    Fixture { name: "asg-retag", then: worlds::retagged, ..PLAIN },
    Fixture { name: "asg-scale", ..PLAIN },
    Fixture { name: "asg-settings", ..PLAIN },
    Fixture { name: "asg-spot", ..PLAIN },
    Fixture { name: "asg-teardown", mode: Mode::Teardown, ..PLAIN },
    Fixture { name: "asg-upgrade", ..PLAIN },
    Fixture { name: "both-plugins", ..PLAIN },
];

/// Scenarios of container instances. No emulator shows how they are drained; that they join is shown by `peers/hosts.rs`.
pub const HOSTS: [Fixture; 8] = [
    Fixture { name: "ami-update", world: worlds::with_agent, ..PLAIN },
    Fixture { name: "ami-update-failing", end: End::Initial, world: worlds::strangers, ..PLAIN },
    Fixture { name: "capacity-providers", world: worlds::with_fargate, ..PLAIN },
    Fixture { name: "capacity-providers-failing", end: End::Initial, world: worlds::with_fargate, ..PLAIN },
    Fixture { name: "capacity-providers-upgrade", world: worlds::with_fargate, ..PLAIN },
    Fixture { name: "container-instances", world: worlds::own_cluster, ..PLAIN },
    Fixture { name: "spot-instances", world: worlds::own_cluster, ..PLAIN },
    Fixture { name: "spot-instances-failing", end: End::Initial, world: worlds::no_spot, ..PLAIN },
];

/// Scenarios of machines that no emulator has services for: those outside AWS, and those that ECS starts itself
/// (`peers/gaps.rs` holds that moto takes none).
pub const MACHINES: [Fixture; 4] = [
    Fixture {
        name: "external",
        project: "plant",
        world: worlds::hall,
        behind: &[("shop-web", 2)],
        tasks: &[("plant_node-exporter", 2), ("plant_agent", 3)],
        ..PLAIN
    },
    Fixture {
        name: "external-failing",
        project: "plant",
        end: End::Initial,
        world: worlds::old_hall,
        behind: &[("shop-web", 2)],
        ..PLAIN
    },
    Fixture {
        name: "managed-instances",
        project: "films",
        world: worlds::media,
        behind: &[("shop-api", 2), ("shop-web", 2)],
        ..PLAIN
    },
    Fixture {
        name: "managed-instances-failing",
        project: "films",
        end: End::Initial,
        world: worlds::old_media,
        behind: &[("shop-api", 2), ("shop-web", 2)],
        ..PLAIN
    },
];

/// All fixtures, or those that `BELAY_ONLY` names.
pub fn chosen() -> impl Iterator<Item = Fixture> {
    let only = only();
    every().filter(move |f| only.as_ref().is_none_or(|only| only.iter().any(|o| o == f.name)))
}

/// The fixtures that `BELAY_ONLY` names, with commas between them.
fn only() -> Option<Vec<String>> {
    let only = std::env::var("BELAY_ONLY").ok()?;
    let known = |name: &str| every().any(|fixture| fixture.name == name);
    // Otherwise a slip of the pen would pass for a test.
    only.split(',').for_each(|name| assert!(known(name), "BELAY_ONLY names `{name}`, which is no fixture"));
    Some(only.split(',').map(str::to_owned).collect())
}

/// Some of the fixtures, for what takes long; or those that `BELAY_ONLY` names, because whoever names one means it.
pub fn drawn(one: OneIn) -> Vec<Fixture> {
    if only().is_some() { chosen().collect() } else { one.of(every()) }
}

/// Every scenario.
pub fn every() -> impl Iterator<Item = Fixture> {
    ASG.into_iter().chain(ALL).chain(HOSTS).chain(MACHINES)
}

/// The folder of all fixtures.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// A file of a fixture.
///
/// # Panics
/// When it cannot be read.
pub fn read(path: &Path) -> String {
    match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

impl Fixture {
    /// The scenario of that name.
    ///
    /// # Panics
    /// When there is none.
    pub fn named(name: &str) -> Self {
        match every().find(|f| f.name == name) {
            Some(fixture) => fixture,
            None => panic!("no fixture is called {name}"),
        }
    }

    /// Its folder.
    pub fn dir(&self) -> PathBuf {
        root().join(self.name)
    }

    /// The folder of its model and environments.
    pub fn sources(&self) -> PathBuf {
        root().join(self.name.split('/').next().unwrap_or(self.name))
    }

    /// What is compiled.
    pub fn inputs(&self) -> Inputs {
        self.inputs_in(&self.sources(), self.mode)
    }

    fn inputs_in(&self, dir: &Path, mode: Mode) -> Inputs {
        let file = |name: &str| (name.to_owned(), read(&dir.join(name)));
        Inputs {
            project: self.project.to_owned(),
            model: file("model.yaml"),
            environments: self.environments.iter().map(|name| file(name)).collect(),
            mode,
            replace_all: false,
            only: Vec::new(),
            adopt: Vec::new(),
        }
    }

    /// The world that it starts in: the default account, with what `start` says already deployed.
    ///
    /// # Panics
    /// When the start cannot be deployed.
    pub fn start(&self, journal: &Path) -> World {
        let mut world = World::default_account();
        (self.world)(&mut world);
        let start = self.sources().join("start");
        if start.is_dir() {
            let inputs = self.inputs_in(&start, Mode::Deploy);
            let cloud = Arc::new(SimulatedCloud::new(world));
            // The scenario "pinned" starts with a service that was made before its image's digest was known.
            let plan = if self.name == "pinned" { unpinned(&inputs, &cloud) } else { inputs.plan(&cloud) };
            let plan = plan.unwrap_or_else(|e| panic!("{}: the start does not compile:\n{e}", self.name));
            let status = apply(&cloud, &plan, journal, "start").unwrap_or_else(|e| panic!("{}: {e}", self.name));
            assert_eq!(status.outcome, Some(Outcome::Done), "{}: the start is not deployed: {status:#?}", self.name);
            world = cloud.world();
            world.log.clear();
        }
        (self.then)(&mut world);
        world
    }
}

/// A plan whose images name their tags only, as when the registry could not be reached.
fn unpinned(inputs: &Inputs, cloud: &Arc<SimulatedCloud>) -> Result<belay_schemas::plan::Plan, String> {
    let mut observed = inputs.observe(cloud)?;
    for image in observed.images.values_mut() {
        image.digest = None;
        image.error = Some("the registry could not be reached".to_owned());
    }
    inputs.compile(Some(&observed)).map(|(plan, _)| plan)
}
