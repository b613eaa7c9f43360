//! Large inputs for benches and limits.

use std::fmt::Write as _;

/// A model of `count` components of about 40 lines each, in chains of ten that use each other.
pub fn model(count: usize) -> String {
    sized_model(count, 0)
}

/// The same with as many more environment variables as it takes to make at least `bytes` bytes of it.
pub fn sized_model(count: usize, bytes: usize) -> String {
    let mut out = String::with_capacity(bytes.max(count * 1350));
    out.push_str("components:\n");
    for i in 0..count {
        component(i, bytes / count, &mut out);
    }
    out
}

fn component(i: usize, bytes: usize, out: &mut String) {
    let end = out.len() + bytes;
    let _ = write!(
        out,
        "  component-{i:05}:
    image: registry.example.com/team-{team}/component-{i:05}:1.{minor}.0
    replicas: {replicas}
    provides:
      ports: [\"8080\", \"9090\"]
    env:
      LOG_LEVEL: ${{log_level-info}}
      REGION: ${{region}}
      INSTANCE_NUMBER: {i}
      DATABASE_URL: postgres://db-{team}.internal:5432/component_{i:05}
      CACHE_HOST: cache-{team}.internal
      FEATURE_A: true
      FEATURE_B: false
      TIMEOUT_SECONDS: 30
      QUEUE_NAME: queue-{i:05}
      METRICS_PREFIX: team_{team}.component_{i:05}
",
        team = i % 17,
        minor = i % 9,
        replicas = 1 + i % 3,
    );
    for variable in 0.. {
        if out.len() + 500 >= end {
            break;
        }
        let _ = writeln!(out, "      VARIABLE_{variable:06}: value {variable} of component {i} in words");
    }
    let _ = write!(
        out,
        "    args: [--port, \"8080\", --workers, \"4\"]
    labels:
      team: team-{team}
      tier: backend
      cost-center: \"{cost}\"
    volumes:
      logs: {{path: /var/log/app}}
    plugin:
      ec2-ecs:
        cpu: 128
        mem: 512
        mem_reserve: 256
        role: component-role-{team}
        raw:
          task_definition:
            containerDefinitions:
              logConfiguration:
                logDriver: awslogs
                options:
                  awslogs-group: /ecs/team-{team}
                  awslogs-region: us-east-1
              ulimits:
                - {{name: nofile, softLimit: 4096, hardLimit: 8192}}
          service:
            deploymentConfiguration: {{minimumHealthyPercent: 50, maximumPercent: 200}}
",
        team = i % 17,
        cost = 1000 + i % 40,
    );
    if !i.is_multiple_of(10) {
        let _ = write!(out, "    uses:\n      component-{:05}: {{}}\n", i - 1);
    }
}

/// The environment of that model.
pub const ENVIRONMENT: &str = "core_plugin: ec2-ecs
vars: {region: us-east-1}
plugin_config:
  ec2-ecs:
    region: us-east-1
    volumes:
      logs: {from: /var/log/containers}
";
