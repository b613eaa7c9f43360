//! The environment's ec2-asg settings, with defaults filled in, and what they come to for one component.
//!
//! Invariant: what a component says wins over what is said for all, member by member; each member knows its place.

use std::collections::BTreeMap;

use belay_schemas::environment::{
    AsgBalancer, AsgComponent, AsgConfig, ContainerInstances, Environment, HealthCheck, ImageCheck, LaunchConfig,
    MixedInstances, Scaling, Subnets,
};
use regex::Regex;
use serde_json::Value;

use crate::diagnostics::{Diagnostic, Place, Report};

use super::names::{DEFAULT_TEMPLATE, Naming, TemplateError};
use super::pattern;

/// Seconds for an instance that runs to become healthy in its load balancers.
pub const DEFAULT_JOIN_TIMEOUT: u64 = 360;
/// Seconds for a new instance to run.
pub const DEFAULT_RUNNING_TIMEOUT: u64 = 50;

/// Resolved settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The settings as they were written.
    pub config: AsgConfig,
    /// How names are made.
    pub naming: Naming,
    /// Whether the groups were made by somebody else and only their sizes may be changed.
    pub pre_created: bool,
    /// Seconds to become healthy.
    pub join_timeout: u64,
    /// Seconds to run.
    pub running_timeout: u64,
    /// Whether images are Docker images.
    pub docker: bool,
    /// How the image comes into the user data.
    pub image: ImageRule,
    /// Load balancers by gateway name.
    pub balancers: BTreeMap<String, BalancerSetting>,
    /// Where instances of some components go instead of being terminated.
    pub delegated: Option<Delegated>,
    /// Whether launch configurations are made instead of launch templates.
    pub launch_configurations: bool,
    /// Prefix of the ownership tags.
    pub tag_prefix: String,
}

/// How the image comes into the user data.
#[derive(Debug, Clone)]
pub enum ImageRule {
    /// Not at all.
    None,
    /// Each match is replaced.
    Subst(Regex),
    /// The value at this path of keys of a YAML document.
    Path(Vec<String>),
}

/// One load balancer that the environment names.
#[derive(Debug, Clone)]
pub struct BalancerSetting {
    /// What it is.
    pub balancer: AsgBalancer,
    /// Where it is named.
    pub place: Place,
}

/// Where instances go instead of being terminated.
#[derive(Debug, Clone)]
pub struct Delegated {
    /// The service.
    pub uri: String,
    /// Sent along.
    pub user_data: Value,
}

/// A value and where it was written.
#[derive(Debug, Clone)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub place: Place,
}

/// How many instances an upgrade replaces at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch {
    /// So many.
    Count(u64),
    /// So many of a hundred, rounded up.
    Percent(u64),
}

impl Batch {
    /// How many batches `count` instances take.
    pub fn steps(self, count: u64) -> u64 {
        let size = match self {
            Self::Count(size) => size,
            Self::Percent(percent) => (count * percent).div_ceil(100),
        };
        count.div_ceil(size.max(1)).max(1)
    }

    /// Instances of one batch.
    pub fn size(self, count: u64) -> u64 {
        match self {
            Self::Count(size) => size,
            Self::Percent(percent) => (count * percent).div_ceil(100).max(1),
        }
    }
}

const CONFIG: [&str; 2] = ["plugin_config", "ec2-asg"];

/// The place of a setting.
pub fn place(tokens: &[&str]) -> Place {
    Place::environment(CONFIG.iter().chain(tokens))
}

/// Fills in defaults; what is wrong goes to the report.
pub fn resolve(environment: &Environment, report: &mut Report) -> Settings {
    let config = environment.plugin_config.as_ref().and_then(|p| p.asg.clone()).unwrap_or_default();
    let pre_created = is_pre_created(&config);
    let tag_prefix = config.tag_prefix.clone().unwrap_or_else(|| "belay".to_owned());
    tags(&config, &tag_prefix, report);
    if config.launch_configurations == Some(true) && config.mixed_instances.is_some() {
        report.push(no_mixed_launch_configurations(place(&["mixed_instances"])));
    }
    Settings {
        naming: naming(&config, report),
        pre_created,
        join_timeout: config.join_timeout.map_or(DEFAULT_JOIN_TIMEOUT, u64::from),
        running_timeout: config.inst_running_timeout.map_or(DEFAULT_RUNNING_TIMEOUT, u64::from),
        docker: !pre_created && config.image_check_type.unwrap_or_default() == ImageCheck::Docker,
        image: image_rule(&config, report),
        balancers: balancers(&config),
        delegated: delegated(&config, report),
        launch_configurations: config.launch_configurations.unwrap_or_default(),
        tag_prefix,
        config,
    }
}

/// Nothing says what instances are made of, or where: the groups are there already.
fn is_pre_created(config: &AsgConfig) -> bool {
    let AsgConfig { naming_template, vpc, home_vpc, subnets, launch_config, image_id_subst, image_id_path, .. } =
        config;
    let AsgConfig { image_check_type, tags, components, launch_configurations, mixed_instances, .. } = config;
    let AsgConfig { health_check, instance_protection, scaling, container_instances, .. } = config;
    naming_template.is_none()
        && vpc.is_none()
        && home_vpc.is_none()
        && subnets.is_none()
        && launch_config.is_none()
        && image_id_subst.is_none()
        && image_id_path.is_none()
        && image_check_type.is_none()
        && tags.is_empty()
        && components.is_empty()
        && launch_configurations.is_none()
        && mixed_instances.is_none()
        && health_check.is_none()
        && instance_protection.is_none()
        && scaling.is_none()
        && container_instances.is_none()
}

fn naming(config: &AsgConfig, report: &mut Report) -> Naming {
    let default = || Naming::parse(DEFAULT_TEMPLATE).unwrap_or_else(|_| unreachable!("the default is a template"));
    let Some(text) = &config.naming_template else { return default() };
    Naming::parse(text).unwrap_or_else(|error| {
        let help = match &error {
            TemplateError::Repeated(name) => format!("write `{{{name}}}` once"),
            TemplateError::Unknown(name) => match crate::nearest(name, ["prj", "comp", "slot", "side"]) {
                Some(near) => format!("did you mean `{{{near}}}`? The placeholders are `{{prj}}`, `{{comp}}` and `{{slot}}` (or `{{side}}`)"),
                None => "the placeholders are `{prj}`, `{comp}` and `{slot}` (or `{side}`); other braces are not allowed".to_owned(),
            },
            TemplateError::Brace(_) => "braces stand around placeholders only: `{prj}`, `{comp}` and `{slot}`".to_owned(),
            TemplateError::Adjacent => "put at least one character between them, as in `{prj}.{comp}_{slot}`: else two components could get one name".to_owned(),
            TemplateError::NoProject => "add `{prj}`: without it, two projects could get one name".to_owned(),
        };
        report.push(Diagnostic::error("B601", error.to_string()).at(place(&["naming_template"])).help(help));
        default()
    })
}

fn image_rule(config: &AsgConfig, report: &mut Report) -> ImageRule {
    match (&config.image_id_subst, &config.image_id_path) {
        (Some(_), Some(_)) => {
            report.push(
                Diagnostic::error("B613", "`image_id_subst` and `image_id_path` exclude each other")
                    .at(place(&["image_id_path"]).key())
                    .related(place(&["image_id_subst"]).key(), "the other one is here")
                    .help("keep `image_id_path` for user data that is YAML, `image_id_subst` for any other text"),
            );
            ImageRule::None
        }
        (Some(text), None) => match pattern::parse(text) {
            Ok(regex) => ImageRule::Subst(regex),
            Err(error) => {
                let diagnostic = Diagnostic::error("B614", format!("`image_id_subst` cannot be used: {error}"));
                report.push(diagnostic.at(place(&["image_id_subst"])).help(
                    "write a pattern that says plainly what to replace, such as `{{image_id}}`; it is read as Python reads it, but for what needs backtracking",
                ));
                ImageRule::None
            }
        },
        (None, Some(path)) => {
            let keys: Vec<String> = path.split('.').map(str::to_owned).collect();
            if keys.iter().any(String::is_empty) {
                report.push(
                    Diagnostic::error("B616", format!("`{path}` is no path of keys"))
                        .at(place(&["image_id_path"]))
                        .help("write the keys that lead to the image, joined by dots: `app.web.image`"),
                );
                return ImageRule::None;
            }
            ImageRule::Path(keys)
        }
        (None, None) => ImageRule::None,
    }
}

fn tags(config: &AsgConfig, prefix: &str, report: &mut Report) {
    let all = config.tags.keys().map(|key| (key, place(&["tags", key])));
    let single = config.components.iter().flat_map(|(name, component)| {
        component.tags.keys().map(move |key| (key, place(&["components", name, "tags", key])))
    });
    for (key, at) in all.chain(single) {
        let reserved = ["skopos:", "aws:"].into_iter().find(|p| key.starts_with(p)).map(str::to_owned);
        let reserved = reserved.or_else(|| key.starts_with(&format!("{prefix}:")).then(|| format!("{prefix}:")));
        if let Some(reserved) = reserved {
            let diagnostic = Diagnostic::error("B618", format!("the tag `{key}` is reserved"));
            report.push(diagnostic.at(at.key()).help(format!(
                "give it a name that does not begin with `{reserved}`: those tags say whose a group is"
            )));
        } else if key.is_empty() || key.len() > 128 {
            report.push(
                Diagnostic::error("B618", format!("`{key}` cannot be the key of a tag"))
                    .at(at.key())
                    .help("keys of tags have 1 to 128 characters"),
            );
        }
    }
}

fn balancers(config: &AsgConfig) -> BTreeMap<String, BalancerSetting> {
    let given = config.lb.iter().filter_map(|(name, balancer)| Some((name, balancer.as_ref()?)));
    given
        .map(|(name, balancer)| {
            (name.clone(), BalancerSetting { balancer: balancer.clone(), place: place(&["lb", name]) })
        })
        .collect()
}

fn delegated(config: &AsgConfig, report: &mut Report) -> Option<Delegated> {
    let delegated = config.delegated_destroy.as_ref().filter(|d| !d.components.is_empty())?;
    let Some(uri) = &delegated.uri else {
        report.push(
            Diagnostic::error("B620", "`delegated_destroy` names components but no `uri`")
                .at(place(&["delegated_destroy", "components"]).key())
                .help(
                    "add `uri:` with the address of the service that takes the instances over, or remove `components`",
                ),
        );
        return None;
    };
    let scheme = ["http://", "https://"].into_iter().find_map(|s| uri.strip_prefix(s));
    if scheme.is_none_or(|rest| rest.is_empty() || rest.starts_with('/') || rest.contains(char::is_whitespace)) {
        report.push(
            Diagnostic::error("B620", format!("`{uri}` is no address of an HTTP service"))
                .at(place(&["delegated_destroy", "uri"]))
                .help("write `http://HOST:PORT/PATH` or `https://…`"),
        );
        return None;
    }
    let mut reserved = false;
    visit_keys(&delegated.user_data.clone().unwrap_or_default(), &mut |key| {
        reserved |= key == "$output" || key == "$run"
    });
    if reserved {
        report.push(
            Diagnostic::error(
                "B364",
                "keys `$output` and `$run` are reserved for values that are known only when a plan runs",
            )
            .at(place(&["delegated_destroy", "user_data"]))
            .help("use another key"),
        );
    }
    Some(Delegated { uri: uri.clone(), user_data: delegated.user_data.clone().unwrap_or_default() })
}

fn visit_keys(value: &Value, visit: &mut dyn FnMut(&str)) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            visit(key);
            visit_keys(value, visit);
        }),
        Value::Array(items) => items.iter().for_each(|item| visit_keys(item, visit)),
        _ => {}
    }
}

/// The refusal of several instance types in a launch configuration.
pub fn no_mixed_launch_configurations(at: Place) -> Diagnostic {
    Diagnostic::error("B621", "launch configurations have one instance type and no Spot mix")
        .at(at.key())
        .related(place(&["launch_configurations"]).key(), "launch configurations are asked for here")
        .help("remove `launch_configurations` (launch templates are the default) or `mixed_instances`")
}

impl Settings {
    fn component(&self, name: &str) -> Option<&AsgComponent> {
        self.config.components.get(name)
    }

    /// One member for a component: its own, or that for all.
    fn pick<T: Clone>(
        &self,
        name: &str,
        path: &[&str],
        own: impl FnOnce(&AsgComponent) -> Option<T>,
        all: impl FnOnce(&AsgConfig) -> Option<T>,
    ) -> Option<Placed<T>> {
        let here: Vec<&str> = ["components", name].into_iter().chain(path.iter().copied()).collect();
        match self.component(name).and_then(own) {
            Some(value) => Some(Placed { value, place: place(&here) }),
            None => all(&self.config).map(|value| Placed { value, place: place(path) }),
        }
    }

    /// One member of the launch configuration.
    pub fn launch<T: Clone>(
        &self,
        name: &str,
        member: &str,
        get: impl Fn(&LaunchConfig) -> Option<T>,
    ) -> Option<Placed<T>> {
        let path = ["launch_config", member];
        self.pick(name, &path, |c| c.launch_config.as_ref().and_then(&get), |c| c.launch_config.as_ref().and_then(&get))
    }

    /// The subnets.
    pub fn subnets(&self, name: &str) -> Placed<Subnets> {
        self.pick(name, &["subnets"], |c| c.subnets.clone(), |c| c.subnets.clone())
            .unwrap_or_else(|| Placed { value: Subnets::Wildcard("*".to_owned()), place: place(&["subnets"]) })
    }

    /// Several instance types.
    pub fn mixed(&self, name: &str) -> Option<Placed<MixedInstances>> {
        self.pick(name, &["mixed_instances"], |c| c.mixed_instances.clone(), |c| c.mixed_instances.clone())
    }

    /// Health checks.
    pub fn health_check(&self, name: &str) -> Placed<HealthCheck> {
        self.pick(name, &["health_check"], |c| c.health_check.clone(), |c| c.health_check.clone())
            .unwrap_or_else(|| Placed { value: HealthCheck::default(), place: place(&["health_check"]) })
    }

    /// Protection from scale-in.
    pub fn protection(&self, name: &str) -> Placed<bool> {
        self.instance_protection(name)
            .unwrap_or_else(|| Placed { value: false, place: place(&["instance_protection"]) })
    }

    /// Protection from scale-in, where anything says so or the contrary.
    pub fn instance_protection(&self, name: &str) -> Option<Placed<bool>> {
        self.pick(name, &["instance_protection"], |c| c.instance_protection, |c| c.instance_protection)
    }

    /// Scaling by Auto Scaling itself.
    pub fn scaling(&self, name: &str) -> Option<Placed<Scaling>> {
        self.pick(name, &["scaling"], |c| c.scaling.clone(), |c| c.scaling.clone())
    }

    /// What makes the instances container instances.
    pub fn container_instances(&self, name: &str) -> Option<Placed<ContainerInstances>> {
        let path = ["container_instances"];
        self.pick(name, &path, |c| c.container_instances.clone(), |c| c.container_instances.clone())
    }

    /// Whether a component's image is a Docker image: that of container instances is what machines are made of.
    pub fn docker(&self, name: &str) -> bool {
        self.docker && self.container_instances(name).is_none()
    }

    /// The batch as it was written.
    pub fn batch_text(&self, name: &str) -> Option<Placed<String>> {
        let text = |t: &belay_schemas::model::Text| t.0.clone();
        self.pick(name, &["batch"], |c| c.batch.as_ref().map(text), |c| c.batch.as_ref().map(text))
    }

    /// The batch; what is wrong goes to the report.
    pub fn batch(&self, name: &str, report: &mut Report) -> Batch {
        let Some(written) = self.batch_text(name) else { return Batch::Count(1) };
        let parsed = match written.value.strip_suffix('%') {
            Some(percent) => percent.parse().ok().filter(|p| (1..=100).contains(p)).map(Batch::Percent),
            None => written.value.parse().ok().filter(|n| *n >= 1).map(Batch::Count),
        };
        parsed.unwrap_or_else(|| {
            report.push(
                Diagnostic::error("B623", format!("`{}` is no size of a batch", written.value))
                    .at(written.place)
                    .help("write a number of instances from 1 on, or a percentage from `1%` to `100%`"),
            );
            Batch::Count(1)
        })
    }

    /// The tags that the environment adds, with their places.
    pub fn tags(&self, name: &str) -> BTreeMap<String, Placed<String>> {
        let mut all: BTreeMap<String, Placed<String>> = BTreeMap::new();
        for (key, value) in &self.config.tags {
            all.insert(key.clone(), Placed { value: value.0.clone(), place: place(&["tags", key]) });
        }
        for (key, value) in self.component(name).into_iter().flat_map(|c| &c.tags) {
            let at = place(&["components", name, "tags", key]);
            all.insert(key.clone(), Placed { value: value.0.clone(), place: at });
        }
        all
    }

    /// Where a component's instances go instead of being terminated.
    pub fn hands_over(&self, name: &str) -> Option<&Delegated> {
        let listed = self.config.delegated_destroy.as_ref().is_some_and(|d| d.components.iter().any(|c| c == name));
        self.delegated.as_ref().filter(|_| listed)
    }
}

#[cfg(test)]
mod tests {
    use super::Batch;

    #[test]
    fn batches_cover_all_instances() {
        assert_eq!(Batch::Count(1).steps(20), 20);
        assert_eq!(Batch::Percent(25).steps(20), 4);
        assert_eq!(Batch::Percent(30).steps(4), 2);
        assert_eq!(Batch::Count(7).steps(3), 1);
        assert_eq!(Batch::Percent(1).steps(0), 1);
    }
}
