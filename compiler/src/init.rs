//! The first day: a model and an environment out of services that run already.
//!
//! Invariants: what is written means what runs, so that compiling it plans nothing but taking the services over; what
//! cannot be written is said, and no value that looks like a secret is written.

use std::collections::BTreeMap;

use belay_schemas::FORMAT;
use belay_schemas::observed::Observed;
use belay_schemas::scope::{EcsScope, Scope};
use serde_json::{Map, Value, json};
use serde_yaml::{Mapping, Value as Yaml};

use crate::ecs::desired::behind_classic;
use crate::ecs::facts::{Facts, owner};
use crate::ecs::json::{items, number, text};
use crate::ecs::{diff, names, normal};
use crate::meaning::is_project_name;
use crate::meaning::secrets::looks_secret;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The model, as YAML.
    pub model: String,
    /// The environment, as YAML.
    pub environment: String,
    /// Components that are to be taken over.
    pub adopt: Vec<String>,
    /// What a reader has to know, a line each.
    pub notes: Vec<String>,
}

/// What has to be observed: the services of these components.
///
/// # Errors
/// A name that no service of ECS can have.
pub fn scope(
    project: &str,
    cluster: &str,
    tag_prefix: &str,
    region: Option<String>,
    components: &[String],
) -> Result<Scope, String> {
    let named = [("project", project), ("cluster", cluster)].into_iter();
    for (what, name) in named.chain(components.iter().map(|name| ("component", name.as_str()))) {
        if !is_project_name(name) {
            return Err(format!(
                "`{name}` cannot be the name of a {what}: names on ECS have up to 100 letters, digits, hyphens and underscores, and begin with a letter or digit"
            ));
        }
    }
    let services = || components.iter().map(|name| names::service(project, name)).collect();
    Ok(Scope {
        format: FORMAT,
        project: project.to_owned(),
        region,
        ecs: Some(EcsScope {
            cluster: cluster.to_owned(),
            services: services(),
            service_prefix: names::service(project, ""),
            family_prefix: names::family(cluster, project, ""),
            tag_prefix: tag_prefix.to_owned(),
            container_instances: false,
            adopt: services(),
            teardown: false,
            network: Default::default(),
            log_groups: Default::default(),
            scaled: Default::default(),
            stepped: Default::default(),
            made_groups: Default::default(),
            schedules: Default::default(),
            event_rules: Default::default(),
            quotas: Default::default(),
            listeners: Default::default(),
            namespaces: Default::default(),
            default_namespace: false,
            registries: Default::default(),
            record_zones: Default::default(),
            records: Default::default(),
        }),
        asg: None,
        load_balancers: Default::default(),
        target_groups: Default::default(),
        balancers: Default::default(),
        images: Default::default(),
    })
}

/// Writes model and environment.
///
/// # Errors
/// When there is nothing to write them from.
pub fn write(observed: &Observed) -> Result<Written, String> {
    let Some(ecs) = &observed.scope.ecs else {
        return Err(
            "the observed state does not look at ECS: `belayc init` without --observed prints a scope".to_owned()
        );
    };
    let facts = Facts::new(observed);
    let mut out =
        Writer { components: Mapping::new(), gateways: Mapping::new(), balancers: Mapping::new(), notes: vec![] };
    let mut adopt = Vec::new();
    for name in &ecs.services {
        let component = name.strip_prefix(&ecs.service_prefix).unwrap_or(name);
        let Some(service) = facts.service(name).filter(|s| text(s, "status") == Some("ACTIVE")) else {
            out.notes.push(format!("there is no service {name}: {component} is left out"));
            continue;
        };
        match owner(items(service, "tags"), &ecs.tag_prefix) {
            Some(project) if project != observed.scope.project => {
                out.notes.push(format!("service {name} belongs to project {project}: {component} is left out"));
                continue;
            }
            Some(_) => {}
            None => adopt.push(component.to_owned()),
        }
        let arn = text(service, "taskDefinition");
        let Some(definition) = arn.and_then(|arn| facts.definition(arn)) else {
            out.notes.push(format!("the task definition of service {name} was not observed: {component} is left out"));
            continue;
        };
        out.component(&facts, component, service, definition.task);
    }
    if out.components.is_empty() {
        return Err(format!("no service to write a model from: {}", out.notes.join("; ")));
    }
    let mut model = Mapping::new();
    model.insert("components".into(), Yaml::Mapping(out.components));
    if !out.gateways.is_empty() {
        model.insert("gateways".into(), Yaml::Mapping(out.gateways));
    }
    let mut settings = Mapping::new();
    settings.insert("region".into(), observed.region.clone().into());
    settings.insert("cluster".into(), ecs.cluster.clone().into());
    if ecs.tag_prefix != "belay" {
        settings.insert("tag_prefix".into(), ecs.tag_prefix.clone().into());
    }
    if !out.balancers.is_empty() {
        settings.insert("lb".into(), Yaml::Mapping(out.balancers));
    }
    let environment = mapping([
        ("core_plugin", "ec2-ecs".into()),
        ("plugin_config", Yaml::Mapping(mapping([("ec2-ecs", Yaml::Mapping(settings))]))),
    ]);
    let yaml = |value: Mapping| serde_yaml::to_string(&value).map_err(|error| error.to_string());
    Ok(Written { model: yaml(model)?, environment: yaml(environment)?, adopt, notes: out.notes })
}

struct Writer {
    components: Mapping,
    gateways: Mapping,
    /// What the gateways are in this environment.
    balancers: Mapping,
    notes: Vec<String>,
}

impl Writer {
    fn component(&mut self, facts: &Facts<'_>, name: &str, service: &Value, task: &Value) {
        let containers = items(task, "containerDefinitions");
        let is_main = |container: &&Value| text(container, "name") == Some(name);
        let main = containers.iter().find(is_main).or(containers.first());
        let Some(called) = main.and_then(|main| text(main, "name")) else { return };
        let (mut task, mut service) = (task.clone(), service.clone());
        if called != name {
            self.notes.push(format!(
                "{name}: its container is called {called}; Belay names it {name}, so that the first plan replaces its tasks"
            ));
            renamed(&mut task, called, name);
            renamed(&mut service, called, name);
        }
        let (task, service) = (&task, &service);
        let normal = normal::task(task);
        let containers = items(task, "containerDefinitions");
        let Some(main) = containers.iter().find(is_main) else { return };
        let mut plugin = Mapping::new();
        let mut out = Mapping::new();
        let raw_container = self.container(name, main, &normal, &mut out, &mut plugin);
        let daemon = text(service, "schedulingStrategy") == Some("DAEMON");
        if !daemon {
            out.insert("replicas".into(), number(service, "desiredCount").unwrap_or(1).into());
        }
        let mut sidecars = Mapping::new();
        for sidecar in containers.iter().filter(|c| !is_main(c)) {
            let mut own = Mapping::new();
            let mut settings = Mapping::new();
            let raw = self.container(name, sidecar, &normal, &mut own, &mut settings);
            // A container is essential unless its definition says otherwise; a model's further ones are not.
            own.insert("essential".into(), sidecar.get("essential").and_then(Value::as_bool).unwrap_or(true).into());
            own.extend(settings);
            if !raw.is_empty() {
                own.insert("raw".into(), yaml(&Value::Object(raw)));
            }
            sidecars.insert(text(sidecar, "name").unwrap_or_default().into(), Yaml::Mapping(own));
        }
        if !sidecars.is_empty() {
            out.insert("containers".into(), Yaml::Mapping(sidecars));
        }
        let mut raw_task = Map::new();
        // What the normal form leaves out is a default.
        let given = |member: &&String| normal.get(member.as_str()).is_some();
        for member in task.as_object().into_iter().flat_map(Map::keys).filter(given) {
            let value = task.get(member).cloned().unwrap_or_default();
            match member.as_str() {
                "containerDefinitions" | "family" => {}
                "taskRoleArn" => {
                    plugin.insert("role".into(), yaml(&value));
                }
                "networkMode" => {
                    plugin.insert("network_mode".into(), yaml(&value));
                }
                _ => {
                    raw_task.insert(member.clone(), value);
                }
            }
        }
        let raw_service = self.service(facts, name, service);
        let mut raw = Map::new();
        for (key, block) in [("container", raw_container), ("task_definition", raw_task), ("service", raw_service)] {
            if !block.is_empty() {
                raw.insert(key.to_owned(), Value::Object(block));
            }
        }
        if !raw.is_empty() {
            plugin.insert("raw".into(), yaml(&Value::Object(raw)));
        }
        if !plugin.is_empty() {
            out.insert("plugin".into(), Yaml::Mapping(mapping([("ec2-ecs", Yaml::Mapping(plugin))])));
        }
        self.components.insert(name.into(), Yaml::Mapping(out));
    }

    /// Puts what models have words for where they have it, and gives the rest.
    fn container(
        &mut self,
        component: &str,
        container: &Value,
        normal: &Value,
        out: &mut Mapping,
        settings: &mut Mapping,
    ) -> Map<String, Value> {
        let name = text(container, "name").unwrap_or_default();
        let kept = &normal["containerDefinitions"][name];
        let mode = text(normal, "networkMode").unwrap_or("bridge");
        let mut rest = Map::new();
        out.insert("image".into(), yaml(&container["image"]));
        for (member, value) in
            container.as_object().into_iter().flatten().filter(|(member, _)| kept.get(*member).is_some())
        {
            match member.as_str() {
                "name" | "image" | "essential" => {}
                "cpu" => {
                    settings.insert("cpu".into(), yaml(value));
                }
                "memory" => {
                    settings.insert("mem".into(), yaml(value));
                }
                "memoryReservation" => {
                    settings.insert("mem_reserve".into(), yaml(value));
                }
                "command" => {
                    out.insert("args".into(), yaml(value));
                }
                "entryPoint" => {
                    settings.insert("command".into(), yaml(value));
                }
                "dockerLabels" => {
                    out.insert("labels".into(), yaml(value));
                }
                "stopTimeout" => {
                    settings.insert("stop_timeout".into(), yaml(value));
                }
                "startTimeout" => {
                    settings.insert("start_timeout".into(), yaml(value));
                }
                "environment" => {
                    let env = self.environment(component, value);
                    if !env.is_empty() {
                        out.insert("env".into(), Yaml::Mapping(env));
                    }
                }
                "portMappings" => match plain_ports(value, mode) {
                    Some(ports) => {
                        let ports = Yaml::Sequence(ports.into_iter().map(Yaml::from).collect());
                        out.insert("provides".into(), Yaml::Mapping(mapping([("ports", ports)])));
                    }
                    None => {
                        rest.insert(member.clone(), value.clone());
                    }
                },
                _ => {
                    rest.insert(member.clone(), value.clone());
                }
            }
        }
        if container.get("essential").and_then(Value::as_bool) == Some(false) && name == component {
            rest.insert("essential".to_owned(), json!(false));
        }
        rest
    }

    fn environment(&mut self, component: &str, list: &Value) -> Mapping {
        let mut env = Mapping::new();
        for entry in list.as_array().into_iter().flatten() {
            let (Some(name), Some(value)) = (text(entry, "name"), text(entry, "value")) else { continue };
            if looks_secret(name, value) {
                self.notes.push(format!(
                    "{component}: the value of {name} looks like a secret and is not written: keep it in SSM or Secrets Manager and name it under `secrets`; as it stands, the first plan takes it away"
                ));
                continue;
            }
            env.insert(name.into(), yaml(&json!(value)));
        }
        env
    }

    /// What the service is given beyond the model's words.
    fn service(&mut self, facts: &Facts<'_>, name: &str, service: &Value) -> Map<String, Value> {
        const MEMBERS: [&str; 13] = [
            "networkConfiguration",
            "capacityProviderStrategy",
            "platformVersion",
            "serviceRegistries",
            "serviceConnectConfiguration",
            "volumeConfigurations",
            "placementConstraints",
            "placementStrategy",
            "healthCheckGracePeriodSeconds",
            "enableExecuteCommand",
            "enableECSManagedTags",
            "propagateTags",
            "schedulingStrategy",
        ];
        let revision = facts.current_revision(service);
        let mut raw = Map::new();
        for member in MEMBERS {
            let Some(value) = diff::running(service, revision, member) else { continue };
            if !normal::service_member(member, value).is_null() {
                raw.insert(member.to_owned(), value.clone());
            }
        }
        if !raw.contains_key("capacityProviderStrategy")
            && let Some(launch) = text(service, "launchType").filter(|launch| *launch != "EC2")
        {
            raw.insert("launchType".to_owned(), json!(launch));
        }
        for (at, balancer) in items(service, "loadBalancers").iter().enumerate() {
            self.balancer(name, at, balancer);
        }
        // Where Belay's own defaults are others than what runs.
        let watched = !behind_classic(service);
        let daemon = text(service, "schedulingStrategy") == Some("DAEMON");
        let percent = if daemon { (100, 0) } else { (200, 100) };
        if let Some(Value::Object(running)) = service.get("deploymentConfiguration") {
            let mut kept = normal::service_member("deploymentConfiguration", &Value::Object(running.clone()));
            let of = |name: &str, default: u64| running.get(name).and_then(Value::as_u64).unwrap_or(default);
            let breaker =
                |name: &str| running["deploymentCircuitBreaker"].get(name).and_then(Value::as_bool) == Some(true);
            let (most, least) = (of("maximumPercent", 200), of("minimumHealthyPercent", 100));
            let same = (most, least) == percent && breaker("enable") == watched && breaker("rollback") == watched;
            let others = kept.as_object_mut().map(|kept| {
                kept.retain(|member, _| {
                    !["maximumPercent", "minimumHealthyPercent", "deploymentCircuitBreaker"].contains(&member.as_str())
                });
                kept.keys().cloned().collect::<Vec<_>>()
            });
            let mut block = Map::new();
            if !same {
                block.insert("maximumPercent".to_owned(), json!(most));
                block.insert("minimumHealthyPercent".to_owned(), json!(least));
                let breakers = json!({"enable": breaker("enable"), "rollback": breaker("rollback")});
                block.insert("deploymentCircuitBreaker".to_owned(), breakers);
            }
            for member in others.unwrap_or_default() {
                block.insert(member.clone(), running.get(&member).cloned().unwrap_or_default());
            }
            if !block.is_empty() {
                raw.insert("deploymentConfiguration".to_owned(), Value::Object(block));
            }
        }
        if !daemon && text(service, "availabilityZoneRebalancing") != Some("ENABLED") {
            raw.insert("availabilityZoneRebalancing".to_owned(), json!("DISABLED"));
        }
        raw
    }

    fn balancer(&mut self, component: &str, at: usize, balancer: &Value) {
        let gateway = if at == 0 { component.to_owned() } else { format!("{component}-{}", at + 1) };
        let arn = text(balancer, "targetGroupArn");
        let name = arn.and_then(|arn| arn.split('/').nth(1)).or_else(|| text(balancer, "loadBalancerName"));
        let (Some(name), Some(port)) = (name, number(balancer, "containerPort")) else {
            self.notes.push(format!("{component}: a load balancer of it could not be read, and is left out"));
            return;
        };
        if text(balancer, "containerName").is_some_and(|container| container != component) {
            self.notes.push(format!(
                "{component}: load balancer {name} leads to another container than {component}: look at gateway {gateway}"
            ));
        }
        let exposes = mapping([("port", "".into()), ("target_port", port.into())]);
        let gateway_of = mapping([
            ("type", "load_balancer".into()),
            ("exposes", Yaml::Mapping(exposes)),
            ("target", Yaml::Sequence(vec![component.into()])),
        ]);
        self.gateways.insert(gateway.clone().into(), Yaml::Mapping(gateway_of));
        self.balancers.insert(gateway.into(), name.into());
    }
}

/// Gives the main container its component's name, and whatever names it that name too.
fn renamed(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| renamed(item, from, to)),
        Value::Object(map) => {
            for (key, value) in map {
                match (key.as_str(), &*value) {
                    ("containerName" | "sourceContainer", Value::String(name)) if name == from => *value = json!(to),
                    ("links", Value::Array(_)) => links(value, from, to),
                    ("containerDefinitions", Value::Array(_)) => {
                        let containers = value.as_array_mut().into_iter().flatten();
                        let main = containers.filter(|container| text(container, "name") == Some(from));
                        main.for_each(|container| container["name"] = json!(to));
                        renamed(value, from, to);
                    }
                    _ => renamed(value, from, to),
                }
            }
        }
        _ => {}
    }
}

/// Links are `NAME` or `NAME:ALIAS`: who is linked keeps being found by the name that it had.
fn links(list: &mut Value, from: &str, to: &str) {
    for link in list.as_array_mut().into_iter().flatten() {
        let alias = link.as_str().map(|text| text.split_once(':').unwrap_or((text, text)));
        if let Some((_, alias)) = alias.filter(|(name, _)| *name == from) {
            *link = json!(format!("{to}:{alias}"));
        }
    }
}

/// The ports, where nothing but a port is said of each.
fn plain_ports(mappings: &Value, mode: &str) -> Option<Vec<String>> {
    let mut ports = BTreeMap::new();
    for mapping in mappings.as_array()? {
        let port = number(mapping, "containerPort")?;
        let host = number(mapping, "hostPort").unwrap_or(0);
        let others = ["name", "appProtocol", "containerPortRange"].iter().any(|member| mapping.get(*member).is_some());
        if others || (host != 0 && (mode == "bridge" || host != port)) {
            return None;
        }
        let protocol = text(mapping, "protocol").unwrap_or("tcp");
        let written = if protocol == "tcp" { port.to_string() } else { format!("{port}/{protocol}") };
        ports.insert((port, protocol.to_owned()), written);
    }
    Some(ports.into_values().collect())
}

/// A value as YAML that means it: `${` would be a variable.
fn yaml(value: &Value) -> Yaml {
    match value {
        Value::Null => Yaml::Null,
        Value::Bool(value) => Yaml::from(*value),
        Value::Number(number) => number.as_u64().map_or_else(
            || number.as_i64().map_or_else(|| Yaml::from(number.as_f64().unwrap_or_default()), Yaml::from),
            Yaml::from,
        ),
        Value::String(text) => Yaml::from(text.replace("${", "$${")),
        Value::Array(items) => Yaml::Sequence(items.iter().map(yaml).collect()),
        Value::Object(map) => {
            Yaml::Mapping(map.iter().map(|(key, value)| (Yaml::from(key.as_str()), yaml(value))).collect())
        }
    }
}

fn mapping<const N: usize>(members: [(&str, Yaml); N]) -> Mapping {
    members.into_iter().map(|(key, value)| (Yaml::from(key), value)).collect()
}
