//! How each diagnostic of reading, variables and structure looks to the person who gets it.

use belay_compiler::diagnostics::{Report, SourceFile, human, json};
use belay_compiler::{Sources, load};

const ENVIRONMENT: &str = "\
vars: {tag: 1.13, n: 2, host: , ports: [80, 81], db: {port: 5432}}
plugin_config:
  ec2-ecs: {cluster: default}
";

const MODEL: &str = "components: {web: {image: nginx}}\n";

fn report(model: &str, environments: &[(&str, &str)], vars: &[(&str, &str)]) -> Report {
    let mut report = Report::new();
    let sources = Sources {
        model: SourceFile::new("model.yaml", model),
        environments: environments.iter().map(|(name, text)| SourceFile::new(*name, *text)).collect(),
        vars: vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    };
    let loaded = load(sources, &mut report);
    assert_eq!(loaded.is_none(), report.has_errors());
    report
}

/// What one sees of a model that is wrong.
fn model(text: &str) -> String {
    human(&report(text, &[("prod.yaml", ENVIRONMENT)], &[]), false)
}

/// What one sees of an environment that is wrong.
fn environment(text: &str) -> String {
    human(&report(MODEL, &[("prod.yaml", text)], &[]), false)
}

macro_rules! looks {
    ($($name:ident: $shown:expr;)*) => {
        $(
            #[test]
            fn $name() {
                insta::assert_snapshot!(stringify!($name), $shown);
            }
        )*
    };
}

looks! {
    b002_not_text: match SourceFile::from_bytes("model.yaml", b"a: b\nc: \xff\n".to_vec()) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    b003_control_character: model("components: {web: {image: a\u{1b}b}}\n");
    b005_empty: model("# nothing yet\n");
    b006_tab: model("components:\n\tweb: {image: nginx}\n");
    b006_unquoted_variable: model("components:\n  web: {image: nginx, replicas: ${n}}\n");
    b006_unclosed_quote: model("components:\n  web:\n    image: \"nginx\n    replicas: 2\n");
    b006_unclosed_list: model("components:\n  web:\n    args: [a, b\n    image: nginx\n");
    b006_colon_in_text: model("components:\n  web:\n    image: nginx: latest\n");
    b006_missing_colon: model("components:\n  web:\n    image nginx\n    replicas: 2\n");
    b006_indentation: model("components:\n  web:\n    image: nginx\n   replicas: 2\n");
    b006_reserved_character: model("components:\n  web:\n    image: @nginx\n");
    b006_escape: model("components: {web: {image: \"c:\\program\"}}\n");
    b007_two_documents: model("components: {}\n---\ncomponents: {}\n");
    b008_duplicate_key: model("components:\n  web:\n    image: nginx\n    replicas: 1\n    env: {A: 1, A: 2}\n    replicas: 2\n");
    b009_unknown_anchor: model("components: {web: {image: *nginx}}\n");
    b009_alias_in_itself: model("components: &all {web: *all}\n");
    b010_alias_bomb: {
        let levels = (1..9).map(|n| format!("    V{n}: &v{n} [{}]\n", vec![format!("*v{}", n - 1); 9].join(", ")));
        environment(&format!("vars:\n    V0: &v0 [x]\n{}", levels.collect::<String>()))
    };
    b011_too_deep: environment(&format!("vars:\n  v: {}{}\n", "[".repeat(120), "]".repeat(120)));
    b012_key: model("components:\n  {a: b}: c\n");
    b013_number: model("components: {web: {image: nginx, replicas: 99999999999999999999}}\n");
    b014_merge: model("components:\n  web:\n    <<: nginx\n    image: nginx\n");
    b015_tag: model("components:\n  web:\n    image: !docker nginx\n    args: !!bool maybe\n");
    b016_infinity: model("components: {web: {image: nginx, plugin: {ec2-ecs: {raw: {service: {desiredCount: .inf}}}}}}\n");
    b101_undefined: model("components:\n  web:\n    image: nginx:${tagg}\n    env:\n      A: ${tagg}\n      B: ${other} ${{ tagg ~ 1 }}\n      C: ${tagg}\n      D: ${tagg}\n");
    b101_without_value: model("components: {web: {image: \"${host}/nginx\"}}\n");
    b102_malformed: model("components:\n  web:\n    image: ${tag\n    args:\n      - |\n        echo ${PATH%%:*}\n        echo ${db.port}\n      - ${tag-${n}}\n");
    b103_circle: environment("vars:\n  a: x${b}\n  b: ${{ c }}\n  c: ${a}\n");
    b104_expression: model("components:\n  web:\n    image: ${{ tag ~ }}\n    env: {A: '${{ db.host }}', B: '${{ n / \"x\" }}', C: '${{ ports[5] }}'}\n");
    b105_list_in_text: model("components: {web: {image: \"nginx:${ports}\"}}\n");
    b106_unused_var: human(&report(MODEL, &[("prod.yaml", ENVIRONMENT)], &[("tga", "1.14"), ("tag", "1.14")]), false);
    b107_key: model("components: {\"${name}\": {image: nginx}}\n");
    b201_unknown_keys: model("components:\n  web:\n    imagee: nginx\n    foo: bar\n    provides: {port: 80}\n  api: {image: api, plugin: {ec2_ecs: {}}}\ngateway: {}\n");
    b201_known_elsewhere: model("components:\n  web:\n    image: nginx\n    once: {before: [api]}\n    scaling: {min: 1}\ngateways:\n  web: {type: load_balancer, port: 80, target: [web], exposes: {port: 80}}\n");
    b201_known_elsewhere_in_an_environment: environment("region: us-east-1\nlogs: {group: /shop}\nplugin_config:\n  ec2-ecs: {deployment: {min: 50}, once: {}}\n");
    b202_wrong_types: model("components:\n  web:\n    image: [nginx]\n    replicas: two\n    singleton: yes\n    env: [A]\n    args: {}\n    provides: 80\n    version: {a: 1}\n  api:\n  back: back:1\n  four: {image: 1.10, replicas: '2'}\n");
    b202_not_a_mapping: model("- components\n");
    b203_missing: model("components:\n  web: {replicas: 2}\n  api:\n    image:\ngateways:\n  lb: {type: load_balancer, exposes: [{name: http}]}\n");
    b204_range: model("components:\n  web: {image: nginx, replicas: -1, plugin: {ec2-ecs: {cpu: 99999999999}}}\ngateways:\n  lb: {type: host_port, exposes: {port: 70000}, target: []}\n");
    b205_form: model("components: {web: {image: nginx, provides: {ports: [\"80/sctp\", 8080]}}}\n");
    b206_possible_values: environment("core_plugin: ecs\nplugin_config:\n  ec2-ecs: {discovery_mode: elb_manual}\n");
    several_environments: human(&report(MODEL, &[
        ("base.yaml", "vars: {n: 1}\nplugin_config:\n  ec2-ecs: {timeout: soon}\n"),
        ("prod.yaml", "plugin_config:\n  ec2-ecs: {overall_timeout: later}\n"),
        ("broken.yaml", "vars: [\n"),
    ], &[]), false);
    wrong_through_a_variable: human(&report("components: {web: {image: nginx, replicas: \"${n}\"}}\n", &[("prod.yaml", ENVIRONMENT)], &[("n", "two")]), false);
    wrong_in_one_of_several_environments: human(&report("components: {web: {image: nginx, replicas: \"${n}\"}}\n", &[
        ("base.yaml", "vars: {n: 1}\n"),
        ("prod.yaml", "# wins\nvars: {n: two}\n"),
    ], &[]), false);
    long_lines: model(&format!("components: {{web: {{image: nginx, args: [{}], replicas: two}}}}\n", "'an argument', ".repeat(200)));
    characters_of_many_bytes: model("components:\n  wéb: {image: \"ünïcode 😀\", replicas: zwei}\n");
    windows_lines: model("\u{feff}components:\r\n  web:\r\n    image: nginx\r\n    replicas: two\r\n");
}

#[test]
fn json_has_every_place() {
    insta::assert_snapshot!(json(&report(
        "components: {web: {image: nginx, replicas: 1, replicas: two}}\n",
        &[("prod.yaml", ENVIRONMENT)],
        &[("tga", "1")]
    )));
}
