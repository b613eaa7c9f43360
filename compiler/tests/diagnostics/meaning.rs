//! What the inputs mean, apart from ECS: names, uses, credentials, secrets, what this version does not do.

use belay_schemas::plan::Mode;

use crate::case::{Case, case};
use crate::support::{World, env, raw_task, web};

#[test]
fn meaning() {
    crate::check("meaning", table());
}

pub fn table() -> Vec<Case> {
    let none = "plugin_config: {ec2-ecs: {region: us-east-1}}\n";
    vec![
        case("B301", "no components").model("components: {}\n", web("")).warning(),
        case("B302", "typo in uses").model(
            "components:\n  web: {image: nginx:1.27, uses: {bakc: {}}, plugin: {ec2-ecs: {mem: 128}}}\n  back: {image: back:1, plugin: {ec2-ecs: {mem: 128}}}\n",
            "components:\n  web: {image: nginx:1.27, uses: {back: {}}, plugin: {ec2-ecs: {mem: 128}}}\n  back: {image: back:1, plugin: {ec2-ecs: {mem: 128}}}\n",
        ),
        case("B303", "lifecycle steps").model(
            web("") + "lifecycle:\n  pre_flight:\n    steps:\n      - exec: [echo, hello]\n",
            web("") + "lifecycle:\n  pre_flight: {}\n",
        ),
        case("B303", "component hooks")
            .model(web("lifecycle: {post_component: {steps: [{delay: 5}]}}"), web("lifecycle: {}")),
        case("B303", "quality gates").env(
            format!("{none}quality_gates:\n  smoke:\n    images: [\"nginx:*\"]\n    steps: [{{gate: ready?}}]\n"),
            format!("{none}quality_gates: {{}}\n"),
        ),
        case("B304", "environment as model")
            .model(format!("doctype: com.example/environment\n{}", web("")), format!("doctype: com.example/model\n{}", web(""))),
        case("B304", "version of the model").model(format!("version: 2\n{}", web("")), format!("version: 1\n{}", web(""))),
        case("B304", "version of the environment").env(format!("version: 3\n{none}"), format!("version: \"1.0\"\n{none}")),
        case("B305", "settings for another plugin")
            .env(format!("{none}  ec2-asg: {{region: us-east-1}}\n").replace("{ec2-ecs: {region: us-east-1}}\n", "\n  ec2-ecs: {region: us-east-1}\n"), none)
            .warning(),
        case("B305", "component settings for another plugin")
            .model(
                "components:\n  web:\n    image: nginx:1.27\n    plugin:\n      ec2-ecs: {mem: 128}\n      ec2-asg: {launch_config: {type: t3.large}}\n",
                web(""),
            )
            .warning(),
        case("B306", "dot in the project").options(|o| o.project = "my.shop".to_owned()),
        case("B306", "empty project").options(|o| o.project = String::new()),
        case("B307", "teardown of the unknown")
            .world(World::new())
            .unobserved()
            .both_options(|o| o.mode = Mode::Teardown),
        case("B308", "typo in --only").options(|o| o.only = vec!["wbe".to_owned()]),
        case("B308", "typo in --adopt").options(|o| o.adopt = vec!["wbe".to_owned()]),
        case("B328", "what is used does not run")
            .model(
                "components:\n  web: {image: nginx:1.27, uses: {api: {}}, plugin: {ec2-ecs: {mem: 128}}}\n  api: {image: nginx:1.27, plugin: {ec2-ecs: {mem: 128}}}\n",
                "components:\n  web: {image: nginx:1.27, uses: {api: {}}, plugin: {ec2-ecs: {mem: 128}}}\n  api: {image: nginx:1.27, plugin: {ec2-ecs: {mem: 128}}}\n",
            )
            .options(|o| o.only = vec!["web".to_owned()])
            .warning(),
        case("B309", "more than a cluster takes")
            .model(
                (0..5001).fold("components:\n".to_owned(), |all, i| {
                    all + &format!("  c{i}: {{image: nginx:1.27, plugin: {{ec2-ecs: {{mem: 6}}}}}}\n")
                }),
                web(""),
            )
            .options(|o| o.only = vec!["c1".to_owned()])
            .warning(),
        case("B310", "access key").env(env("access_key_id: AKIAIOSFODNN7EXAMPLE"), env("")),
        case("B310", "secret key in both spellings")
            .env(env("secret_access_key: abc\nsecret_acces_key: abc"), env("")),
        case("B310", "access key in a variable that nothing uses").env(
            format!("vars: {{keys: [{{id: AKIAIOSFODNN7EXAMPLE}}]}}\n{}", env("")),
            format!("vars: {{keys: [{{id: AKIA}}]}}\n{}", env("")),
        ),
        case("B310", "secret key in a variable").env(
            format!("vars: {{aws_secret_access_key: wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY}}\n{}", env("")),
            format!("vars: {{revision: da39a3ee5e6b4b0d3255bfef95601890afd80709}}\n{}", env("")),
        ),
        case("B311", "password by name").model(
            web("env: {DB_PASSWORD: hunter2, DB_HOST: db}"),
            web("env: {DB_PASSWORD: hunter2, DB_HOST: db}\nallow_plaintext: [DB_PASSWORD]"),
        ),
        case("B311", "password in a url")
            .model(web("env:\n  DB: postgres://app:hunter2@db/app"), web("env:\n  DB: postgres://db/app")),
        case("B311", "access key by value").model(web("env: {ID: AKIAIOSFODNN7EXAMPLE}"), web("env: {ID: \"7\"}")),
        case("B311", "secret in a sidecar").model(
            web("containers:\n  side:\n    image: side:1\n    mem: 64\n    env: {API_TOKEN: abc}"),
            web("containers:\n  side:\n    image: side:1\n    mem: 64\n    env: {API_TOKEN: abc}\n    allow_plaintext: [API_TOKEN]"),
        ),
        case("B311", "secret in a raw block").model(
            raw_task("containerDefinitions:\n  environment:\n    - {name: SESSION_SECRET, value: abc}"),
            raw_task("containerDefinitions:\n  environment:\n    - {name: SESSION_SECONDS, value: abc}"),
        ),
        case("B311", "exception for nothing")
            .model(web("allow_plaintext: [TOKEN]"), web("env: {TOKEN: abc}\nallow_plaintext: [TOKEN]"))
            .warning(),
        case("B320", "components that differ in capitals").model(
            "components:\n  web: {image: nginx:1.27, plugin: {ec2-ecs: {mem: 128}}}\n  Web: {image: nginx:1.27, plugin: {ec2-ecs: {mem: 128}}}\n",
            "components:\n  web: {image: nginx:1.27, plugin: {ec2-ecs: {mem: 128}}}\n  web2: {image: nginx:1.27, plugin: {ec2-ecs: {mem: 128}}}\n",
        ),
        case("B320", "sidecar named like the component").model(
            web("containers: {web: {image: side:1, mem: 64}}"),
            web("containers: {side: {image: side:1, mem: 64}}"),
        ),
        case("B320", "volumes of one name")
            .with_model(web("volumes:\n  data: {path: /data}\n  shared: {path: /shared}"))
            .env(env("volumes:\n  data: {}\n  shared: {from: data}"), env("volumes:\n  data: {}\n  shared: {from: other}")),
        case("B321", "two use each other").model(
            "components:\n  web:\n    image: nginx:1.27\n    uses: {back: {}}\n    plugin: {ec2-ecs: {mem: 128}}\n  back:\n    image: back:1\n    uses: {web: {}}\n    plugin: {ec2-ecs: {mem: 128}}\n",
            "components:\n  web:\n    image: nginx:1.27\n    uses: {back: {}}\n    plugin: {ec2-ecs: {mem: 128}}\n  back:\n    image: back:1\n    plugin: {ec2-ecs: {mem: 128}}\n",
        ),
        case("B321", "uses itself").model(web("uses: {web: {}}"), web("uses: {}")),
        case("B325", "singleton with replicas").model(web("singleton: true\nreplicas: 2"), web("singleton: true\nreplicas: 1")),
        case("B325", "replicas of an environment's variable")
            .with_model(web("singleton: true\nreplicas: ${n}"))
            .env(format!("vars: {{n: 2}}\n{none}"), format!("vars: {{n: 1}}\n{none}")),
        case("B325", "replicas of a --var")
            .with_model(web("singleton: true\nreplicas: ${{ n + 0 }}"))
            .with_env(format!("vars: {{n: 1}}\n{none}"))
            .vars(&[("n", "2")]),
        case("B325", "replicas of a default")
            .model(web("singleton: true\nreplicas: ${n-2}"), web("singleton: true\nreplicas: ${n-1}")),
        case("B325", "singleton that overlaps").model(
            "components:\n  web:\n    image: nginx:1.27\n    singleton: true\n    plugin:\n      ec2-ecs:\n        mem: 128\n        raw: {service: {deploymentConfiguration: {maximumPercent: 200}}}\n",
            "components:\n  web:\n    image: nginx:1.27\n    singleton: true\n    plugin:\n      ec2-ecs:\n        mem: 128\n        raw: {service: {deploymentConfiguration: {maximumPercent: 100}}}\n",
        ),
        case("B325", "singleton as a daemon").model(
            "components:\n  web:\n    image: nginx:1.27\n    singleton: true\n    plugin:\n      ec2-ecs:\n        mem: 128\n        raw: {service: {schedulingStrategy: DAEMON}}\n",
            "components:\n  web:\n    image: nginx:1.27\n    singleton: true\n    plugin:\n      ec2-ecs:\n        mem: 128\n        raw: {service: {schedulingStrategy: REPLICA}}\n",
        ),
    ]
}
