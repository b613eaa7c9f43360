//! Loading whole inputs: what comes out, and where it came from.

use belay_compiler::diagnostics::{Place, Report, SourceFile, human};
use belay_compiler::{Loaded, Sources, load};

fn sources(model: &str, environment: &str) -> Sources {
    Sources {
        model: SourceFile::new("model.yaml", model),
        environments: vec![SourceFile::new("prod.yaml", environment)],
        vars: Vec::new(),
    }
}

fn loaded(sources: Sources) -> Loaded {
    let mut report = Report::new();
    load(sources, &mut report).unwrap_or_else(|| panic!("{}", human(&report, false)))
}

const MODEL: &str = "\
version: 1
components:
  web:
    image: nginx:${tag}
    replicas: ${n}
    provides: {ports: [8080, \"53/udp\"]}
    uses: {back: {}, cache: }
    env:
      VERSION: 1.10
      DEBUG: true
      BACK_URL: http://${back_host-back}:8080
      ZONE: ${{ zone ~ \"-x\" }}
      PLAIN: $HOME {{ x }} $${literal}
    plugin:
      ec2-ecs:
        cpu:
        mem: ${{ n * 256 }}
        raw:
          task_definition: {tags: ~, v: 1.10}
  back: {image: back, replicas: \"${n:-1}\"}
  cache:
    image: redis
gateways:
  lb:
    type: load_balancer
    exposes: {port: \"\", target_port: 8080}
    target: web
";

const ENVIRONMENT: &str = "\
vars: {tag: 1.10, n: \"2\", zone: \"eu${tag}\"}
plugin_config:
  ec2-ecs:
    cluster: default
    lb: {lb: tg, aux: }
    volumes: {tmp: }
";

#[test]
fn values_are_typed_and_placed() {
    let mut sources = sources(MODEL, ENVIRONMENT);
    sources.vars.push(("n".into(), "3".into()));
    let loaded = loaded(sources);
    let web = &loaded.model.components["web"];
    assert_eq!(web.image, "nginx:1.10");
    assert_eq!(web.replicas, Some(3));
    assert_eq!(web.env["VERSION"].0, "1.10");
    assert_eq!(web.env["DEBUG"].0, "true");
    assert_eq!(web.env["BACK_URL"].0, "http://back:8080");
    assert_eq!(web.env["ZONE"].0, "eu1.10-x");
    assert_eq!(web.env["PLAIN"].0, "$HOME {{ x }} ${literal}");
    assert_eq!(web.uses.keys().collect::<Vec<_>>(), ["back", "cache"]);
    let ecs = web.plugin.as_ref().and_then(|p| p.ecs.as_ref()).unwrap();
    assert_eq!((ecs.cpu, ecs.mem), (None, Some(768)));
    let raw = ecs.raw.as_ref().and_then(|r| r.task_definition.as_ref()).unwrap();
    assert_eq!(serde_json::to_string(raw).unwrap(), r#"{"tags":null,"v":1.1}"#);
    assert_eq!(loaded.model.components["back"].replicas, Some(3));
    let config = loaded.environment.plugin_config.as_ref().and_then(|c| c.ecs.as_ref()).unwrap();
    assert_eq!(config.lb["aux"], None);
    assert_eq!(loaded.environment.vars["zone"], "eu1.10");

    let at = |place: Place| loaded.locate(&place).unwrap().to_string();
    assert_eq!(at(Place::model(["components", "web", "image"])), "model.yaml:4:12");
    assert_eq!(at(Place::model(["components", "web"])), "model.yaml:3:3");
    assert_eq!(at(Place::model(["components", "web", "image"]).key()), "model.yaml:4:5");
    assert_eq!(at(Place::model(["components", "web", "provides", "ports", "1"])), "model.yaml:6:30");
    assert_eq!(at(Place::model(["components", "web", "plugin", "ec2-ecs", "mem_reserve"])), "model.yaml:15:7");
    assert_eq!(at(Place::model(["components", "web", "plugin", "ec2-ecs", "cpu"])), "model.yaml:16:9");
    assert_eq!(at(Place::environment(["plugin_config", "ec2-ecs", "cluster"])), "prod.yaml:4:14");
    assert_eq!(at(Place::environment(["vars", "n"])), "--var n:1:3");
}

#[test]
fn digests_follow_meaning_and_not_notation() {
    let one = loaded(sources("components: {web: {image: nginx, env: {A: 1}}}", "{}"));
    let two = loaded(sources("# words\ncomponents:\n  web:\n    env: {A: '1'}\n    image: ${i}\n", "vars: {i: nginx}"));
    assert_eq!(one.model_digest(), two.model_digest());
    assert_ne!(one.environment_digest(), two.environment_digest());
}
