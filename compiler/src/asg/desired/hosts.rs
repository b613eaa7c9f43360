//! A component whose instances are container instances: its machine image, its user data, and what joining a cluster asks
//! for.

use belay_schemas::environment::ContainerInstances;
use belay_schemas::model::Component;
use serde_json::{Map, Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::json::text;

use super::super::settings::Placed;
use super::super::user_data::{self as encoding, MOST};
use super::super::{Context, agent, providers};
use super::Desired;

/// The machine image: that of the launch settings, or of container instances the component's own image.
pub fn machine_image(
    context: Context<'_>,
    component: &Component,
    name: &str,
    report: &mut Report,
) -> Option<Placed<String>> {
    let written = context.settings.launch(name, "ami", |l| l.ami.clone());
    let own = component.image.starts_with("ami-") && context.settings.container_instances(name).is_some();
    if !own {
        return written;
    }
    let place = Place::model(["components", name, "image"]);
    if let Some(written) = written.filter(|written| written.value != component.image) {
        report.push(
            Diagnostic::error("B634", format!("the model makes `{name}` of `{}`, the environment of `{}`", component.image, written.value))
                .at(place.clone())
                .related(written.place, "the environment says so here")
                .help("remove `ami` from `launch_config`; or write a name that is no id as the image, such as `ecs-optimized`, and keep `ami`"),
        );
    }
    Some(Placed { value: component.image.clone(), place })
}

/// User data that set the ECS agent up.
pub fn user_data(
    desired: &mut Desired,
    component: &Component,
    wanted: &Placed<ContainerInstances>,
    written: Option<&Place>,
    data: &mut Map<String, Value>,
    report: &mut Report,
) {
    let name = desired.component.clone();
    desired.places.insert("UserData", wanted.place.clone().key());
    agent::check(&name, component, wanted, report);
    // What is said for all gives way to what is said for this component.
    let own = |place: &Place| place.pointer.contains("/components/");
    if let Some(written) = written.filter(|written| own(written) || !own(&wanted.place)) {
        report.push(
            Diagnostic::error(
                "B634",
                format!("the user data of `{name}` are written twice: as they are, and as settings of the ECS agent"),
            )
            .at(written.clone().key())
            .related(wanted.place.clone().key(), "the settings of the agent are here")
            .help("remove `user_data`, and put shell commands of your own under `container_instances: {script: …}`")
            .help("or remove `container_instances`, and let `user_data` write `/etc/ecs/ecs.config`"),
        );
    }
    if !data.contains_key("IamInstanceProfile") {
        report.push(
            Diagnostic::error("B634", format!("the instances of `{name}` have no profile, so their agents may not join cluster `{}`", wanted.value.cluster))
                .at(wanted.place.clone().key())
                .help("add `profile:` to `launch_config`: an instance profile whose role has the policy AmazonEC2ContainerServiceforEC2Role"),
        );
    }
    let script = agent::user_data(&wanted.value);
    if script.len() > MOST {
        report.push(
            Diagnostic::error(
                "B612",
                format!("the user data of `{name}` have {} bytes; EC2 takes at most {MOST}", script.len()),
            )
            .at(wanted.place.child("script").key())
            .help("let a short script fetch the rest, from S3 for example"),
        );
    }
    data.insert("UserData".to_owned(), json!(encoding::encode(&script)));
}

/// What joining a cluster asks for beyond the user data.
pub fn join(context: Context<'_>, desired: &mut Desired, report: &mut Report) {
    let Some(joined) = context.settings.container_instances(&desired.component) else { return };
    providers::wanted(context, desired, &joined, report);
    let Placed { value, place } = joined;
    let name = &desired.component;
    let most = desired.scaling.as_ref().map_or(desired.replicas, |scaling| u64::from(scaling.max));
    if most > agent::MOST {
        report.push(
            Diagnostic::error(
                "B634",
                format!(
                    "`{name}` may have {most} instances; a group of container instances has {} at most",
                    agent::MOST
                ),
            )
            .at(desired.place("replicas"))
            .help("split it into several components: a cluster takes instances of any number of groups"),
        );
    }
    let known = context.facts.map(|f| f.shared);
    if known.is_some_and(|f| f.cluster(&value.cluster).is_none_or(|c| text(c, "status") != Some("ACTIVE"))) {
        report.push(
            Diagnostic::error(
                "B634",
                format!("there is no cluster `{}` for the instances of `{name}` to join", value.cluster),
            )
            .at(place.child("cluster"))
            .help("correct the name, or create the cluster first"),
        );
    }
    desired.drain_timeout = value.drain_timeout.map_or(agent::DRAIN_TIMEOUT, u64::from);
    desired.cluster = Some(value.cluster);
}
