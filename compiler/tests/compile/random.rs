//! Random models that follow upon random models: no plan breaks a rule, and each leaves nothing to do.

use std::fmt::Write as _;

use proptest::prelude::*;

use crate::listing::listing;
use crate::support::{Input, World, env};

/// What a component may say.
#[derive(Debug, Clone)]
struct Part {
    present: bool,
    version: u8,
    replicas: u8,
    lines: Vec<bool>,
    service: Vec<bool>,
    gateway: u8,
}

/// Lines of a component, each on its own.
const LINES: [&str; 6] = [
    "env: {A: 1, B: \"\"}",
    "labels: {team: shop}",
    "volumes: {logs: {path: /logs}}",
    "args: [--verbose]",
    "minimum_healthy: 0",
    "containers: {side: {image: \"side:1\", mem: 16, depends_on: {NAME: START}, provides: {ports: [9901]}}}",
];

/// Members of a raw service block, each on its own.
const SERVICE: [&str; 7] = [
    "enableExecuteCommand: true",
    "propagateTags: SERVICE",
    "placementConstraints: [{type: distinctInstance}]",
    "placementStrategy: [{type: spread, field: \"attribute:ecs.availability-zone\"}]",
    "deploymentConfiguration: {minimumHealthyPercent: 0}",
    "serviceConnectConfiguration: {enabled: true, namespace: shop}",
    "capacityProviderStrategy: [{capacityProvider: fast, weight: 1}]",
];

fn part() -> impl Strategy<Value = Part> {
    let flags = |n: usize| proptest::collection::vec(any::<bool>(), n);
    (proptest::bool::weighted(0.8), 0..3u8, 0..4u8, flags(LINES.len()), flags(SERVICE.len()), 0..4u8).prop_map(
        |(present, version, replicas, lines, service, gateway)| Part {
            present,
            version,
            replicas,
            lines,
            service,
            gateway,
        },
    )
}

/// The model and the environment of three components, each of which may use those before it.
fn texts(parts: &[Part], uses: bool, orphans: &str) -> (String, String) {
    let names = ["a", "b", "c"];
    let mut model = "components: {}\n".to_owned();
    let mut gateways = "gateways:\n".to_owned();
    let mut balancers = "volumes: {logs: {}}\nlb:\n  none:\n".to_owned();
    let present: Vec<(&str, &Part)> = names.into_iter().zip(parts).filter(|(_, p)| p.present).collect();
    if !present.is_empty() {
        model = "components:\n".to_owned();
    }
    for (index, (name, part)) in present.iter().enumerate() {
        let _ = writeln!(model, "  {name}:\n    image: app:{}\n    replicas: {}", part.version, part.replicas);
        let _ = writeln!(model, "    provides: {{ports: [80]}}");
        if let (true, Some((used, _))) = (uses, index.checked_sub(1).map(|i| present[i])) {
            let _ = writeln!(model, "    uses: {{{used}: {{}}}}");
        }
        for (line, _) in LINES.iter().zip(&part.lines).filter(|(_, on)| **on) {
            let _ = writeln!(model, "    {}", line.replace("NAME", name));
        }
        let _ = writeln!(model, "    plugin:\n      ec2-ecs:\n        mem: 64\n        raw:\n          service:");
        let _ = writeln!(model, "            enableECSManagedTags: true");
        for (line, _) in SERVICE.iter().zip(&part.service).filter(|(_, on)| **on) {
            let _ = writeln!(model, "            {line}");
        }
        let balancer = ["", "front", "other", "old"][usize::from(part.gateway)];
        if !balancer.is_empty() {
            let _ = writeln!(gateways, "  gate-{name}: {{type: load_balancer, exposes: {{port: 80}}, target: {name}}}");
            let _ = writeln!(balancers, "  gate-{name}: {balancer}");
        }
    }
    if gateways.lines().count() > 1 {
        model.push_str(&gateways);
    }
    let _ = writeln!(model, "lifecycle: {{teardown_orphans: {orphans}}}");
    (model, env(&balancers))
}

fn world() -> World {
    World::new().group("front", "instance").group("other", "instance").classic("old", &[(80, 8080)]).with(|w| {
        w.cluster["capacityProviders"] = serde_json::json!(["fast"]);
        w.instances = (0..20).map(|n| crate::support::world::instance(n, 4096, 8192, &[])).collect();
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_way_leads_where_it_should(
        steps in proptest::collection::vec((proptest::collection::vec(part(), 3), any::<bool>(), any::<bool>()), 1..4)
    ) {
        let mut world = world();
        for (parts, uses, before) in &steps {
            let (model, environment) = texts(parts, *uses, if *before { "before" } else { "after" });
            let mut input = Input::new(&model, &environment).world(world.clone());
            let outcome = input.compile();
            let refused: Vec<&String> =
                outcome.codes.iter().filter(|c| !matches!(c.as_str(), "B301" | "B343" | "B530")).collect();
            prop_assert!(refused.is_empty(), "{model}\n{environment}\n{}", outcome.text);
            // What AWS cannot change in place is refused as a whole.
            let Some(plan) = outcome.plan else { continue };
            world = world.apply(&plan);
            input.world = Some(world.clone());
            let rest = input.compile();
            let Some(rest) = rest.plan else {
                prop_assert!(false, "{model}\n{}", rest.text);
                continue;
            };
            prop_assert!(rest.nodes.is_empty(), "{model}\n{}\n--- rest\n{}", listing(&plan), listing(&rest));
        }
    }
}
