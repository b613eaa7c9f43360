//! Load balancers: which ones a component is behind, and on which of its ports.

use std::collections::BTreeMap;

use belay_schemas::model::{Component, GatewayType, Port};
use serde_json::{Map, Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::Context;
use crate::ecs::json::{items, number, text};
use crate::ecs::settings::{BalancerSetting, Reference};
use crate::ecs::{groups, made, routing};

use super::ports::{exposed_place, target_port, targets};
use super::task::role_arn;

/// A resolved load balancer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Balancer {
    /// A target group of an application or network load balancer.
    TargetGroup {
        /// Its ARN.
        arn: String,
    },
    /// A classic load balancer.
    Classic {
        /// Its name.
        name: String,
    },
}

/// One entry of a service's `loadBalancers`.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// The load balancer.
    pub balancer: Balancer,
    /// Name of the gateway, or of the component whose implied load balancer this is.
    pub gateway: String,
    /// Container port that receives the traffic.
    pub container_port: u16,
    /// Port of the container instance that a classic load balancer's listener sends to.
    pub instance_port: Option<u16>,
    /// IAM role for ECS.
    pub role: Option<String>,
    /// How traffic is shifted to another target group.
    pub switch: Option<Switch>,
    /// Where the model asks for it.
    pub place: Place,
    /// Where the environment names the load balancer.
    pub named_at: Place,
    raw: Map<String, Value>,
    raw_place: Place,
}

impl Attachment {
    /// Whether nobody but the environment asks for it: the component's own one, by which it is found.
    pub fn is_implied(&self) -> bool {
        setting_is_implied(&self.place)
    }
}

/// Whether a service is behind a classic load balancer, for which AWS shows no rollout state and moves no tasks between
/// zones.
pub fn behind_classic(service: &Value) -> bool {
    items(service, "loadBalancers").iter().any(|balancer| balancer.get("loadBalancerName").is_some())
}

/// The load balancer that a component has for itself, so that it is found by it: `discovery_mode: elb-manual`, and it is
/// listed in `lb` under its own name.
pub fn own_balancer<'a>(context: Context<'a>, name: &str) -> Option<&'a BalancerSetting> {
    let implied = context.settings.elb_manual && !context.loaded.model.gateways.contains_key(name);
    context.settings.balancers.get(name).filter(|_| implied)
}

/// How traffic is shifted: everything by its ARN, or by what stands for it.
#[derive(Debug, Clone)]
pub struct Switch {
    /// The other target group.
    pub alternate: String,
    /// The rule for users' traffic.
    pub production: String,
    /// The rule for test traffic.
    pub test: Option<String>,
    /// IAM role for ECS.
    pub role: String,
}

impl Switch {
    /// `advancedConfiguration` as the API takes it.
    pub fn configuration(&self) -> Value {
        let mut all = json!({
            "alternateTargetGroupArn": self.alternate,
            "productionListenerRule": self.production,
            "roleArn": self.role,
        });
        if let Some(test) = &self.test {
            all["testListenerRule"] = json!(test);
        }
        all
    }
}

impl Attachment {
    /// The entry as the API takes it, the gateway's raw block merged in, and the place of that block.
    pub fn entry(&self, container: &str) -> (Map<String, Value>, &Map<String, Value>, &Place) {
        let mut entry = Map::new();
        match &self.balancer {
            Balancer::TargetGroup { arn } => entry.insert("targetGroupArn".to_owned(), json!(arn)),
            Balancer::Classic { name } => entry.insert("loadBalancerName".to_owned(), json!(name)),
        };
        entry.insert("containerName".to_owned(), json!(container));
        entry.insert("containerPort".to_owned(), json!(self.container_port));
        (entry, &self.raw, &self.raw_place)
    }
}

/// The load balancers that a component is behind, in the order of their gateways' names.
pub fn attachments(context: Context<'_>, name: &str, component: &Component, report: &mut Report) -> Vec<Attachment> {
    let mut all: BTreeMap<(Balancer, u16), Attachment> = BTreeMap::new();
    let mut add = |attachment: Attachment, report: &mut Report| {
        let id = (attachment.balancer.clone(), attachment.container_port);
        if let Some(first) = all.get(&id) {
            report.push(
                Diagnostic::error(
                    "B347",
                    format!("`{name}` is put behind the same load balancer twice, on port {}", id.1),
                )
                .at(attachment.place)
                .related(first.place.clone(), "first put behind it here")
                .help("remove one of the two, or give them different load balancers or target ports"),
            );
        } else {
            all.insert(id, attachment);
        }
    };
    for (gateway_name, gateway) in &context.loaded.model.gateways {
        if gateway.kind != GatewayType::LoadBalancer || !targets(gateway, name) {
            continue;
        }
        let Some(setting) = context.settings.balancers.get(gateway_name) else { continue };
        let raw = gateway.plugin.as_ref().and_then(|p| p.ecs.as_ref()).and_then(|e| e.raw.clone()).unwrap_or_default();
        let raw_place = Place::model(["gateways", gateway_name, "plugin", "ec2-ecs", "raw"]);
        let mut taken = BTreeMap::new();
        for (index, exposed) in gateway.exposes.0.iter().enumerate() {
            let place = exposed_place(gateway_name, index);
            let Some(container_port) = target_port(exposed).number else {
                report.push(
                    Diagnostic::error(
                        "B344",
                        format!("gateway `{gateway_name}` does not say which container port gets the traffic"),
                    )
                    .at(place)
                    .help("write `target_port:`; `port: \"\"` alone says nothing about the container"),
                );
                continue;
            };
            let Some((balancer, instance_port)) = resolve(context, setting, exposed.port, &place, report) else {
                continue;
            };
            // Several listeners may lead to one container port: that is one entry for ECS, if they agree on the host
            // port.
            match taken.insert(container_port, (exposed.port, instance_port, place.clone())) {
                Some((port, _, _)) if port == exposed.port => {}
                Some((_, instance, _)) if instance == instance_port => continue,
                Some((_, instance, first)) => {
                    let shown = |p: Option<u16>| p.unwrap_or_default();
                    report.push(
                        Diagnostic::error(
                            "B410",
                            format!(
                                "container port {container_port} of `{name}` would need two host ports: {} and {}",
                                shown(instance),
                                shown(instance_port)
                            ),
                        )
                        .at(place)
                        .related(first, format!("host port {} is asked for here", shown(instance)))
                        .help("let both listeners of the load balancer send to one instance port, or lead to two container ports"),
                    );
                    continue;
                }
                None => {}
            }
            let attachment = Attachment {
                balancer,
                gateway: gateway_name.clone(),
                container_port,
                instance_port,
                role: setting.role.clone(),
                switch: switch(context, setting, report),
                place,
                named_at: setting.place.clone(),
                raw: raw.clone(),
                raw_place: raw_place.clone(),
            };
            add(attachment, report);
        }
    }
    if let Some(attachment) = implied(context, name, component, report) {
        add(attachment, report);
    }
    all.into_values().collect()
}

/// The component's own load balancer, behind its first port.
fn implied(context: Context<'_>, name: &str, component: &Component, report: &mut Report) -> Option<Attachment> {
    let setting = own_balancer(context, name)?;
    let place = Place::model(["components", name, "provides", "ports"]);
    let ports = component.provides.as_ref().map(|p| p.ports.as_slice()).unwrap_or_default();
    let Some(port) = ports.iter().find(|p| p.number.is_some()) else {
        report.push(
            Diagnostic::error("B348", format!("`{name}` has a load balancer for discovery but provides no port"))
                .at(Place::model(["components", name]).key())
                .related(setting.place.clone(), "its load balancer is named here")
                .help("add `provides: {ports: [...]}` to the component; the first port is the one behind the load balancer"),
        );
        return None;
    };
    let container_port = port.number?;
    let (balancer, instance_port) = resolve(context, setting, *port, &place, report)?;
    Some(Attachment {
        balancer,
        gateway: name.to_owned(),
        container_port,
        instance_port,
        role: setting.role.clone(),
        switch: switch(context, setting, report),
        place: place.clone(),
        named_at: setting.place.clone(),
        raw: Map::new(),
        raw_place: place,
    })
}

/// How a setting says that traffic is shifted, looked up.
fn switch(context: Context<'_>, setting: &BalancerSetting, report: &mut Report) -> Option<Switch> {
    let written = setting.switch.as_ref()?;
    let place = setting.place.child("switch");
    let alternate = match (&written.to, context.facts) {
        (Reference::TargetGroup(arn), None) => Some(arn.clone()),
        (Reference::Made(key), _) => Some(groups::arn(context, key)),
        (Reference::TargetGroup(name) | Reference::Name(name), Some(facts)) => {
            let arn = facts.target_group(name).and_then(|group| text(group, "TargetGroupArn")).map(str::to_owned);
            if arn.is_none() {
                let diagnostic = match facts.looked_for(name) {
                    true => Diagnostic::error(
                        "B346",
                        format!("there is no target group `{name}` in this account and region"),
                    )
                    .help("create it first, or correct the name; then observe again"),
                    false => Diagnostic::error("B505", format!("the observed state does not look at `{name}`"))
                        .help("run `belayc scope` and `belay observe` again with these inputs"),
                };
                report.push(diagnostic.at(place.child("to")));
            }
            arn
        }
        (Reference::Name(name), None) => {
            report.push(
                Diagnostic::error("B345", format!("the ARN of target group `{name}` has to be looked up"))
                    .at(place.child("to"))
                    .help("compile with `--observed FILE` (see `belayc scope` and `belay observe`), or write the ARN"),
            );
            None
        }
        (Reference::Classic(name), _) => {
            report.push(
                Diagnostic::error(
                    "B430",
                    format!("`{name}` is a classic load balancer, to which no traffic can be shifted"),
                )
                .at(place.child("to"))
                .help("name a target group"),
            );
            None
        }
    };
    // What could not be found has been told; that it is missing here is no news.
    let mut rule = |written: &str, key: &str| {
        routing::reference(context, written, &place.child(key), report).unwrap_or_else(|| made::rule(written))
    };
    Some(Switch {
        production: rule(&written.rule, "rule"),
        test: written.test_rule.as_deref().map(|test| rule(test, "test_rule")),
        alternate: alternate.unwrap_or_else(|| made::rule(&written.rule)),
        role: role_arn(context, &written.role),
    })
}

/// What a setting names, with the instance port of a classic listener.
fn resolve(
    context: Context<'_>,
    setting: &BalancerSetting,
    port: Port,
    at: &Place,
    report: &mut Report,
) -> Option<(Balancer, Option<u16>)> {
    let missing = |what: &str, name: &str| {
        if context.facts.is_some_and(|f| !f.looked_for(name)) {
            return Diagnostic::error("B505", format!("the observed state does not look at `{name}`"))
                .at(setting.place.clone())
                .help("run `belayc scope` and `belay observe` again with these inputs");
        }
        Diagnostic::error("B346", format!("there is no {what} `{name}` in this account and region"))
            .at(setting.place.clone())
            .help("create it first, or correct the name; then observe again")
    };
    let classic = |name: &str, description: Option<&Value>, report: &mut Report| {
        let instance_port = classic_instance_port(name, description, port, at, setting, report)?;
        Some((Balancer::Classic { name: name.to_owned() }, Some(instance_port)))
    };
    match (&setting.reference, context.facts) {
        (Reference::TargetGroup(arn), None) => Some((Balancer::TargetGroup { arn: arn.clone() }, None)),
        (Reference::TargetGroup(arn), Some(facts)) => {
            if facts.target_group(arn).is_none() {
                report.push(missing("target group", arn));
                return None;
            }
            Some((Balancer::TargetGroup { arn: arn.clone() }, None))
        }
        (Reference::Made(key), _) => Some((Balancer::TargetGroup { arn: groups::arn(context, key) }, None)),
        (Reference::Classic(name), None) => classic(name, None, report),
        (Reference::Classic(name), Some(facts)) => match facts.classic(name) {
            Some(description) => classic(name, Some(description), report),
            None => {
                report.push(missing("classic load balancer", name));
                None
            }
        },
        (Reference::Name(name), None) => {
            report.push(
                Diagnostic::error(
                    "B345",
                    format!("whether `{name}` is a classic load balancer or a target group has to be looked up"),
                )
                .at(setting.place.clone())
                .help("compile with `--observed FILE` (see `belayc scope` and `belay observe`), or write the ARN"),
            );
            None
        }
        (Reference::Name(name), Some(facts)) => match (facts.target_group(name), facts.classic(name)) {
            (Some(group), None) => {
                let arn = text(group, "TargetGroupArn")?.to_owned();
                Some((Balancer::TargetGroup { arn }, None))
            }
            (None, Some(description)) => classic(name, Some(description), report),
            (Some(_), Some(_)) => {
                report.push(
                    Diagnostic::error("B349", format!("`{name}` is both a target group and a classic load balancer"))
                        .at(setting.place.clone())
                        .help("write the ARN of the one that you mean"),
                );
                None
            }
            (None, None) => {
                report.push(missing("target group or classic load balancer", name));
                None
            }
        },
    }
}

/// The instance port of the listener for `port`; classic load balancers cannot follow dynamic host ports.
fn classic_instance_port(
    name: &str,
    description: Option<&Value>,
    port: Port,
    at: &Place,
    setting: &BalancerSetting,
    report: &mut Report,
) -> Option<u16> {
    let Some(wanted) = port.number else {
        report.push(
            Diagnostic::error("B344", format!("`{name}` is a classic load balancer, so the gateway needs its port"))
                .at(at.clone())
                .related(setting.place.clone(), "the load balancer is named here")
                .help("write `port:` with the port of the load balancer's listener; `port: \"\"` is for target groups"),
        );
        return None;
    };
    let Some(description) = description else {
        report.push(
            Diagnostic::error("B345", format!("the listeners of classic load balancer `{name}` have to be looked up"))
                .at(setting.place.clone())
                .help("compile with `--observed FILE`: the listener for the gateway's port says which host port the tasks need"),
        );
        return None;
    };
    let listeners: Vec<(u64, u64)> = items(description, "ListenerDescriptions")
        .iter()
        .filter_map(|l| l.get("Listener"))
        .filter_map(|l| Some((number(l, "LoadBalancerPort")?, number(l, "InstancePort")?)))
        .collect();
    let found = listeners.iter().find(|(listen, _)| *listen == u64::from(wanted)).or(match listeners.as_slice() {
        [only] if setting_is_implied(at) => Some(only),
        _ => None,
    });
    match found.and_then(|(_, instance)| u16::try_from(*instance).ok()) {
        Some(instance) => Some(instance),
        None => {
            let have: Vec<String> =
                listeners.iter().map(|(listen, instance)| format!("{listen} → {instance}")).collect();
            report.push(
                Diagnostic::error("B350", format!("classic load balancer `{name}` has no listener on port {wanted}"))
                    .at(at.clone())
                    .related(setting.place.clone(), "the load balancer is named here")
                    .help(if have.is_empty() {
                        "it has no listeners at all: add one".to_owned()
                    } else {
                        format!("its listeners are {}: use one of these ports, or add a listener", have.join(", "))
                    }),
            );
            None
        }
    }
}

/// Whether a place belongs to a component rather than a gateway: an implied load balancer may listen on any port.
fn setting_is_implied(at: &Place) -> bool {
    at.pointer.starts_with("/components/")
}
