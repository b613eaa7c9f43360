//! Task definitions as a whole, and what raw blocks may say.

use crate::case::{Case, case};
use crate::support::{World, env, raw_service, raw_task, web, web_with};

#[test]
fn task() {
    crate::check("task", table());
}

/// A main container and one further container with these lines.
fn sidecar(lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    web(&format!("containers:\n  side:\n    image: side:1\n    mem: 64\n{lines}"))
}

const HEALTH: &str = "\n    raw:\n      healthCheck: {command: [CMD, \"true\"]}";

pub fn table() -> Vec<Case> {
    let many = |n: usize| {
        let containers: String = (0..n).map(|n| format!("  side{n}: {{image: side:1, mem: 64}}\n")).collect();
        web(&format!("containers:\n{containers}"))
    };
    vec![
        case("B360", "group").model(web_with("mem: 128, group: blue", ""), web("")).warning(),
        case("B360", "grace period without a health check")
            .model(
                raw_service("healthCheckGracePeriodSeconds: 60"),
                raw_service("healthCheckGracePeriodSeconds: 0"),
            )
            .warning(),
        case("B361", "list of containers").model(
            raw_task("containerDefinitions:\n  - {name: web, memory: 256}"),
            raw_task("containerDefinitions: {memory: 256}"),
        ),
        case("B361", "raw of a sidecar").model(sidecar("raw: [stopTimeout]"), sidecar("raw: {stopTimeout: 10}")),
        case("B362", "family").model(raw_task("family: mine"), raw_task("cpu: \"256\"")),
        case("B362", "container name")
            .model(raw_task("containerDefinitions: {name: mine}"), raw_task("containerDefinitions: {user: mine}")),
        case("B362", "image").model(
            raw_task("containerDefinitions: {image: \"other:1\"}"),
            raw_task("containerDefinitions: {user: \"other:1\"}"),
        ),
        case("B362", "image of the main container").model(
            web_with("mem: 128, raw: {container: {image: \"other:1\"}}", ""),
            web_with("mem: 128, raw: {container: {user: nobody}}", ""),
        ),
        case("B362", "service name").model(raw_service("serviceName: mine"), raw_service("desiredCount: 1")),
        case("B362", "ownership tag").model(
            raw_task("tags:\n  - {key: team, value: a}\n  - {key: \"belay:project\", value: other}"),
            raw_task("tags:\n  - {key: team, value: a}\n  - {key: project, value: other}"),
        ),
        case("B362", "reserved tag")
            .model(raw_service("tags: [{key: \"aws:x\", value: y}]"), raw_service("tags: [{key: x, value: y}]")),
        case("B362", "load balancers of a service").model(
            raw_service("loadBalancers: [{loadBalancerName: mine, containerName: web, containerPort: 80}]"),
            raw_service("healthCheckGracePeriodSeconds: 0"),
        ),
        case("B363", "force a deployment").model(raw_service("forceNewDeployment: true"), raw_service("desiredCount: 1")),
        case("B364", "key of a late value").model(
            raw_task("containerDefinitions:\n  dockerLabels: {\"$output\": x}"),
            raw_task("containerDefinitions:\n  dockerLabels: {output: x}"),
        ),
        case("B401", "component").model(web("").replace("web:", "web.site:"), web("").replace("web:", "web-site:")),
        case("B401", "component that begins with a hyphen")
            .model(web("").replace("web:", "-web:"), web("").replace("web:", "web-:")),
        case("B401", "too long").model(web("").replace("web:", &format!("{}:", "w".repeat(255))), web("")),
        case("B401", "sidecar").model(
            web("containers: {side.car: {image: side:1, mem: 64}}"),
            web("containers: {side-car: {image: side:1, mem: 64}}"),
        ),
        case("B401", "cluster").env(env("cluster: my cluster"), env("cluster: my-cluster")),
        case("B401", "volume").env(env("volumes: {my.logs: {}}"), env("volumes: {my-logs: {}}")),
        case("B402", "unknown member of a task definition")
            .model(raw_task("executionRoleARN: arn"), raw_task("executionRoleArn: arn")),
        case("B402", "unknown member of a container").model(
            raw_task("containerDefinitions: {readonlyRootFileSystem: true}"),
            raw_task("containerDefinitions: {readonlyRootFilesystem: true}"),
        ),
        case("B402", "type in a container").model(
            raw_task("containerDefinitions: {privileged: \"yes please\"}"),
            raw_task("containerDefinitions: {privileged: true}"),
        ),
        case("B402", "null").model(raw_task("pidMode: null"), raw_task("pidMode: task")),
        case("B402", "value of an enumeration")
            .model(raw_service("launchType: EC3"), raw_service("launchType: EC2")),
        case("B402", "item of a list").model(
            raw_service("placementStrategy:\n  - {type: spread, field: instanceId}\n  - {type: binpck, field: cpu}"),
            raw_service("placementStrategy:\n  - {type: spread, field: instanceId}\n  - {type: binpack, field: cpu}"),
        ),
        case("B402", "unknown member of a load balancer")
            .model(
                web("provides: {ports: [80]}") + crate::support::FRONT + "    plugin: {ec2-ecs: {raw: {port: 80}}}\n",
                web("provides: {ports: [80]}") + crate::support::FRONT + "    plugin: {ec2-ecs: {raw: {containerPort: 80}}}\n",
            )
            .with_env(env(&format!("lb: {{front: {}}}", crate::support::group_arn("front")))),
        case("B404", "no memory").model(web_with("cpu: 10", ""), web_with("mem_reserve: 64", "")),
        case("B404", "sidecar without memory").model(
            web("containers: {side: {image: side:1}}"),
            web("containers: {side: {image: side:1, mem_reserve: 32}}"),
        ),
        case("B405", "soft limit above the hard one")
            .model(web_with("mem: 128, mem_reserve: 256", ""), web_with("mem: 256, mem_reserve: 128", "")),
        case("B405", "too little").model(web_with("mem: 4", ""), web_with("mem: 6", "")),
        case("B406", "memory of all containers").model(
            raw_task("memory: \"512\"\ncontainerDefinitions: {memory: 1024, memoryReservation: 768}"),
            raw_task("memory: \"1024\"\ncontainerDefinitions: {memory: 1024, memoryReservation: 768}"),
        ),
        case("B406", "hard limit of one container").model(
            raw_task("memory: \"512\"\ncontainerDefinitions: {memory: 1024, memoryReservation: 256}"),
            raw_task("memory: \"1024\"\ncontainerDefinitions: {memory: 1024, memoryReservation: 256}"),
        ),
        case("B406", "cpu of all containers").model(
            raw_task("cpu: \"256\"\ncontainerDefinitions: {cpu: 512}"),
            raw_task("cpu: \"512\"\ncontainerDefinitions: {cpu: 512}"),
        ),
        case("B407", "too many containers").model(many(10), many(9)),
        case("B407", "nothing essential").model(
            raw_task("containerDefinitions: {essential: false}"),
            raw_task("containerDefinitions: {essential: true}"),
        ),
        case("B407", "too long").model(web(&format!("env: {{LONG: {}}}", "x".repeat(65536))), web("env: {LONG: x}")),
        case("B408", "unknown container")
            .model(sidecar("depends_on: {wbe: START}"), sidecar("depends_on: {web: START}")),
        case("B408", "healthy without a health check").model(
            sidecar("depends_on: {web: HEALTHY}"),
            sidecar("depends_on: {init: HEALTHY}") + &format!("      init:\n        image: init:1\n        mem: 32{}\n", HEALTH.replace("\n", "\n    ")),
        ),
        case("B408", "complete of an essential one").model(
            sidecar("depends_on: {web: SUCCESS}"),
            sidecar("depends_on: {init: SUCCESS}") + "      init: {image: init:1, mem: 32}\n",
        ),
        case("B408", "circle").model(
            sidecar("depends_on: {init: START}") + "      init:\n        image: init:1\n        mem: 32\n        depends_on: {side: START}\n",
            sidecar("depends_on: {init: START}") + "      init:\n        image: init:1\n        mem: 32\n",
        ),
        case("B413", "unknown volume")
            .with_model(web("volumes: {logs: {path: /var/log}}"))
            .env(env("volumes: {log: {}}"), env("volumes: {logs: {}}")),
        case("B413", "relative mount")
            .model(web("volumes: {logs: {path: var/log}}"), web("volumes: {logs: {path: /var/log}}"))
            .with_env(env("volumes: {logs: {}}")),
        case("B413", "two volumes at one path")
            .model(
                web("volumes:\n  logs: {path: /var/log}\n  more: {path: /var/log}"),
                web("volumes:\n  logs: {path: /var/log}\n  more: {path: /var/more}"),
            )
            .with_env(env("volumes: {logs: {}, more: {}}")),
        case("B413", "two kinds at once").model(
            raw_task("volumes:\n  - {name: data, host: {sourcePath: /data}, dockerVolumeConfiguration: {scope: task}}"),
            raw_task("volumes:\n  - {name: data, dockerVolumeConfiguration: {scope: task}}"),
        ),
        case("B413", "mount of a missing volume").model(
            raw_task("containerDefinitions:\n  mountPoints:\n    - {sourceVolume: dta, containerPath: /data}\nvolumes: [{name: data}]"),
            raw_task("containerDefinitions:\n  mountPoints:\n    - {sourceVolume: data, containerPath: /data}\nvolumes: [{name: data}]"),
        ),
        case("B419", "digest").model(
            web("").replace("nginx:1.27", "nginx@sha256:abc"),
            web("").replace("nginx:1.27", &format!("nginx@{}", crate::support::digest("nginx:1.27"))),
        ),
        case("B419", "capitals").model(web("").replace("nginx:1.27", "Team/nginx:1.27"), web("")),
        case("B419", "scheme").model(web("").replace("nginx:1.27", "https://registry.example.com/nginx:1.27"), web("")),
        case("B419", "tag").model(web("").replace("nginx:1.27", "\"nginx:1.27 \""), web("")),
        case("B419", "empty tag").model(web("").replace("nginx:1.27", "\"nginx:\""), web("")),
        case("B419", "latest").model(web("").replace("nginx:1.27", "nginx:latest"), web("")).warning(),
        case("B419", "no tag").model(web("").replace("nginx:1.27", "nginx"), web("")).warning(),
        case("B419", "latest of a sidecar")
            .model(sidecar("").replace("side:1", "side"), sidecar(""))
            .world(World::new())
            .warning(),
    ]
}
