//! Instances of a group as container instances of an ECS cluster: the user data that set the ECS agent up.
//!
//! Invariants: every line of the agent's file is `NAME=VALUE` as the agent reads it, raw and without quotes; no value can
//! end its line or the here-document that writes it, and no shell sees any of them; a secret is fetched by the instance
//! when it starts, unless the model allows it in plain text.
//!
//! Sources: Amazon ECS developer guide, "Container agent configuration" (names and values), "HTTP proxy configuration for
//! Linux container instances", "Starting tasks when an instance starts"; Attribute of the API reference (what attributes
//! may hold).

use std::collections::BTreeSet;

use belay_schemas::environment::{AuthType, ContainerInstances, LogLevel};
use belay_schemas::model::Component;
use serde_json::{Map, Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::meaning::secrets;
use crate::source::Loaded;

use super::settings::Placed;

/// Seconds that tasks have to leave an instance when nobody says otherwise.
pub const DRAIN_TIMEOUT: u64 = 900;
/// Instances of a group at most: as many as one DescribeContainerInstances tells about.
pub const MOST: u64 = 100;
/// What an instance must reach directly: its metadata, the credentials of tasks, Docker.
const DIRECT: [&str; 3] = ["169.254.169.254", "169.254.170.2", "/var/run/docker.sock"];
/// Ends the here-documents.
const END: &str = "BELAY-END";

/// Judges settings; what is wrong goes to the report.
pub fn check(name: &str, component: &Component, wanted: &Placed<ContainerInstances>, report: &mut Report) {
    let ContainerInstances { attributes, proxy, registry_auth, start_tasks, script, image_cleanup, .. } = &wanted.value;
    let at = |path: &[&str]| path.iter().fold(wanted.place.clone(), |place, token| place.child(*token));
    let mut refuse = |message: String, at: Place, help: &str| {
        report.push(Diagnostic::error("B634", message).at(at).help(help));
    };
    for (key, value) in attributes {
        let place = at(&["attributes", key]);
        if let Some(fault) = attribute_fault(key, &value.0) {
            let help =
                "names have letters, digits and `-_./\\`, values `@:` and spaces inside as well; 128 characters each";
            refuse(format!("the attribute `{key}` of `{name}` cannot be set: {fault}"), place, help);
        }
    }
    let listed =
        |host: &&String| !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".:/*-".contains(c));
    if let Some(proxy) = proxy
        && let Some((index, host)) = proxy.except.iter().enumerate().find(|(_, host)| !listed(host))
    {
        let place = at(&["proxy", "except"]).child(index.to_string());
        refuse(format!("`{host}` is no host"), place, "write a host name, an address or a domain such as `.internal`");
    }
    let definition = |task: &str| {
        let (family, revision) =
            task.split_once(':').map_or((task, None), |(family, revision)| (family, Some(revision)));
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        !family.is_empty() && family.chars().all(plain) && revision.is_none_or(|r| r.parse::<u32>().is_ok())
    };
    if let Some((index, task)) = start_tasks.iter().enumerate().find(|(_, task)| !definition(task)) {
        let place = at(&["start_tasks"]).child(index.to_string());
        refuse(format!("`{task}` names no task definition"), place, "write `FAMILY` or `FAMILY:REVISION`");
    }
    if script.as_ref().is_some_and(|script| script.contains('\0')) {
        refuse("the script holds a NUL character".to_owned(), at(&["script"]), "remove it");
    }
    if let Some(cleanup) = image_cleanup
        && cleanup.enabled == Some(false)
        && (cleanup.interval, cleanup.minimum_age, cleanup.per_cycle) != (None, None, None)
    {
        let message = format!("images of `{name}` are not removed, so nothing can be said about when");
        refuse(message, at(&["image_cleanup", "enabled"]), "remove `enabled: false`, or the other keys");
    }
    if let Some(auth) = registry_auth {
        let place = at(&["registry_auth"]);
        match (&auth.secret, &auth.data) {
            (Some(_), Some(_)) | (None, None) => refuse(
                format!("`registry_auth` of `{name}` needs one of `secret` and `data`"),
                place.key(),
                "write `secret:` with the name of a secret in Secrets Manager that holds the credentials",
            ),
            (Some(secret), None) if !is_secret_name(secret) => refuse(
                format!("`{secret}` is no name of a secret"),
                place.child("secret"),
                "names of secrets have letters, digits and `/_+=.@-`; an ARN is a name as well",
            ),
            (None, Some(data)) if serde_json::from_str::<Map<String, Value>>(data).is_err() => refuse(
                "`data` is no JSON object of registries".to_owned(),
                place.child("data"),
                "write it as the agent takes it: `{\"registry.example.com\": {\"auth\": \"…\"}}`",
            ),
            _ => {}
        }
        if auth.data.is_some() && !component.allow_plaintext.contains("registry_auth") {
            report.push(
                Diagnostic::error("B311", format!("the registry credentials of `{name}` stand in the environment"))
                    .at(at(&["registry_auth", "data"]).key())
                    .help("plans are read in pull requests, and user data by whoever is on the instance: write `secret:` with the name of a secret in Secrets Manager, which the instance fetches with its profile")
                    .help("if they are no secret, add `allow_plaintext: [registry_auth]` to the component"),
            );
        }
    }
    if let Some(script) = script
        && matches!(secrets::hidden(script), std::borrow::Cow::Owned(_))
        && !component.allow_plaintext.contains("user_data")
    {
        report.push(
            Diagnostic::error("B311", format!("the script of `{name}` holds what looks like a secret"))
                .at(at(&["script"]))
                .help("let the instance fetch it from SSM or Secrets Manager with its instance profile")
                .help("if it is no secret, add `allow_plaintext: [user_data]` to the component"),
        );
    }
}

fn attribute_fault(key: &str, value: &str) -> Option<&'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./\\".contains(c);
    if key.is_empty() || key.len() > 128 || !key.chars().all(plain) {
        return Some("its name has other characters, or too many");
    }
    if ["ecs.", "com.amazonaws."].iter().any(|reserved| key.starts_with(reserved)) {
        return Some("names that begin with `ecs.` or `com.amazonaws.` are ECS's own");
    }
    if value.is_empty() || value.len() > 128 || !value.chars().all(|c| plain(c) || "@: ".contains(c)) {
        return Some("its value has other characters, too many, or none");
    }
    (value.trim() != value).then_some("its value begins or ends with a space")
}

fn is_secret_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "/_+=.@-:".contains(c))
}

/// How many instances of this project join a cluster.
pub fn joining(loaded: &Loaded, placed: &BTreeSet<&str>, cluster: &str) -> u64 {
    let config = loaded.environment.plugin_config.as_ref().and_then(|p| p.asg.as_ref());
    let joins = |name: &str| {
        let own = config.and_then(|c| c.components.get(name)?.container_instances.as_ref());
        own.or(config.and_then(|c| c.container_instances.as_ref())).is_some_and(|joined| joined.cluster == cluster)
    };
    let all = loaded.model.components.iter().filter(|(name, _)| placed.contains(name.as_str()) && joins(name));
    all.map(|(_, component)| component.replicas.map_or(1, u64::from)).sum()
}

/// The lines of the agent's file, in order.
fn lines(wanted: &ContainerInstances) -> Vec<String> {
    let mut all = vec![format!("ECS_CLUSTER={}", wanted.cluster)];
    let mut add = |name: &str, value: Option<String>| all.extend(value.map(|value| format!("{name}={value}")));
    if !wanted.attributes.is_empty() {
        let attributes: Map<String, Value> = wanted.attributes.iter().map(|(k, v)| (k.clone(), json!(v.0))).collect();
        add("ECS_INSTANCE_ATTRIBUTES", Some(Value::Object(attributes).to_string()));
    }
    let seconds = |count: Option<u32>| count.map(|seconds| format!("{seconds}s"));
    if let Some(cleanup) = &wanted.image_cleanup {
        let minutes = |count: Option<u32>| count.map(|minutes| format!("{minutes}m"));
        add("ECS_DISABLE_IMAGE_CLEANUP", (cleanup.enabled == Some(false)).then(|| "true".to_owned()));
        add("ECS_IMAGE_CLEANUP_INTERVAL", minutes(cleanup.interval));
        add("ECS_IMAGE_MINIMUM_CLEANUP_AGE", minutes(cleanup.minimum_age));
        add("ECS_NUM_IMAGES_DELETE_PER_CYCLE", cleanup.per_cycle.map(|count| count.to_string()));
    }
    add("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", seconds(wanted.task_cleanup));
    add("ECS_CONTAINER_STOP_TIMEOUT", seconds(wanted.stop_timeout));
    add("ECS_RESERVED_MEMORY", wanted.reserved_memory.map(|mib| mib.to_string()));
    add("ECS_ENABLE_CONTAINER_METADATA", wanted.metadata.map(|on| on.to_string()));
    add("ECS_ENABLE_SPOT_INSTANCE_DRAINING", wanted.spot_draining.map(|on| on.to_string()));
    let level = wanted.log_level.map(|level| match level {
        LogLevel::Crit => "crit",
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
    });
    add("ECS_LOGLEVEL", level.map(str::to_owned));
    if let Some(proxy) = &wanted.proxy {
        add("HTTP_PROXY", Some(proxy.http.clone()));
        add("NO_PROXY", Some(direct(&proxy.except)));
    }
    if let Some(auth) = &wanted.registry_auth {
        add("ECS_ENGINE_AUTH_TYPE", Some(auth_type(auth.kind.unwrap_or_default()).to_owned()));
        // One line, whatever the text in the environment looks like.
        let data = auth.data.as_ref().and_then(|data| serde_json::from_str::<Value>(data).ok());
        add("ECS_ENGINE_AUTH_DATA", data.map(|data| data.to_string()));
    }
    all
}

fn auth_type(kind: AuthType) -> &'static str {
    match kind {
        AuthType::Dockercfg => "dockercfg",
        AuthType::Docker => "docker",
    }
}

fn direct(except: &[String]) -> String {
    let own = DIRECT.into_iter().map(str::to_owned);
    own.chain(except.iter().cloned()).collect::<Vec<_>>().join(",")
}

/// What commands of a shell need to use a proxy; the agent itself answers on this host.
fn through(http: &str, except: &[String]) -> String {
    let direct = direct(except);
    format!("export http_proxy=http://{http} https_proxy=http://{http} no_proxy=localhost,{direct}\n")
}

/// A here-document: nothing in it is expanded.
fn file(path: &str, append: bool, content: &str) -> String {
    let arrow = if append { ">>" } else { ">" };
    format!("cat {arrow} {path} <<'{END}'\n{content}\n{END}\n")
}

/// The user data.
pub fn user_data(wanted: &ContainerInstances) -> String {
    let mut text = "#!/bin/bash\nmkdir -p /etc/ecs\n".to_owned();
    text.push_str(&file("/etc/ecs/ecs.config", false, &lines(wanted).join("\n")));
    // The file may hold credentials.
    text.push_str("chmod 600 /etc/ecs/ecs.config\n");
    if let Some(proxy) = &wanted.proxy {
        let unit = |name: &str, prefix: &str| {
            let environment = format!(
                "[Service]\nEnvironment=\"HTTP_PROXY={prefix}{}\" \"HTTPS_PROXY={prefix}{}\" \"NO_PROXY={}\"",
                proxy.http,
                proxy.http,
                direct(&proxy.except)
            );
            format!("mkdir -p /etc/systemd/system/{name}.service.d\n")
                + &file(&format!("/etc/systemd/system/{name}.service.d/http-proxy.conf"), false, &environment)
        };
        text.push_str(&through(&proxy.http, &proxy.except));
        // The agent's own service takes the host without a scheme, Docker with one.
        text.push_str(&unit("ecs", ""));
        text.push_str(&unit("docker", "http://"));
        text.push_str("systemctl daemon-reload\nsystemctl restart docker\n");
    }
    if let Some(secret) = wanted.registry_auth.as_ref().and_then(|auth| auth.secret.as_deref()) {
        text.push_str("command -v aws >/dev/null || yum install -y awscli-2 || yum install -y awscli\n");
        text.push_str(&region());
        text.push_str(&format!(
            "printf 'ECS_ENGINE_AUTH_DATA=%s\\n' \"$(aws secretsmanager get-secret-value --secret-id '{secret}' --query SecretString --output text | tr -d '\\n')\" >> /etc/ecs/ecs.config\n"
        ));
    }
    if !wanted.start_tasks.is_empty() {
        let proxy = wanted.proxy.as_ref().map(|proxy| through(&proxy.http, &proxy.except));
        text.push_str(&start_tasks(&wanted.start_tasks, proxy.as_deref().unwrap_or_default()));
    }
    if let Some(script) = &wanted.script {
        text.push_str(script.trim_end_matches('\n'));
        text.push('\n');
    }
    text
}

/// The region as the instance's own metadata tell it.
fn region() -> String {
    "token=$(curl -sX PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' http://169.254.169.254/latest/api/token)\n\
     export AWS_DEFAULT_REGION=$(curl -sH \"X-aws-ec2-metadata-token: $token\" http://169.254.169.254/latest/meta-data/placement/region)\n"
        .to_owned()
}

/// A service of systemd that starts the tasks as soon as the agent says that the instance has joined. It cannot run here:
/// the agent starts when the user data are through.
fn start_tasks(tasks: &[String], proxy: &str) -> String {
    let mut script = format!("#!/bin/bash\n{proxy}");
    script.push_str("command -v aws >/dev/null || yum install -y awscli-2 || yum install -y awscli\n");
    script.push_str(&region());
    script.push_str(
        "until instance=$(curl -sf http://localhost:51678/v1/metadata | sed -n 's/.*\"ContainerInstanceArn\":\"\\([^\"]*\\)\".*/\\1/p') && [ -n \"$instance\" ]; do sleep 2; done\n",
    );
    script.push_str("cluster=$(sed -n 's/^ECS_CLUSTER=//p' /etc/ecs/ecs.config)\n");
    for task in tasks {
        script.push_str(&format!(
            "aws ecs start-task --cluster \"$cluster\" --container-instances \"$instance\" --started-by {STARTED_BY} --task-definition '{task}'\n"
        ));
    }
    let unit = "[Unit]\nDescription=Tasks that start with this container instance\nAfter=ecs.service\n\n[Service]\nType=oneshot\nExecStart=/usr/local/bin/belay-start-tasks\n\n[Install]\nWantedBy=multi-user.target";
    file("/usr/local/bin/belay-start-tasks", false, script.trim_end_matches('\n'))
        + "chmod 755 /usr/local/bin/belay-start-tasks\n"
        + &file("/etc/systemd/system/belay-start-tasks.service", false, unit)
        + "systemctl enable --now --no-block belay-start-tasks.service\n"
}

/// Who started a task that an instance starts on itself, as ECS knows it.
pub const STARTED_BY: &str = "belay";

/// Whether instances with these user data start tasks on themselves.
pub fn starts_tasks(user_data: &str) -> bool {
    user_data.lines().any(|line| line.starts_with("aws ecs start-task ") && line.contains(STARTED_BY))
}

/// The cluster that instances with these user data join; nothing where the agent is not told, or by other means.
pub fn cluster_of(user_data: &str) -> Option<&str> {
    let plain = |name: &str| {
        let all = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        (all && !name.is_empty()).then_some(())
    };
    let named = |line: &str| line.trim().strip_prefix("ECS_CLUSTER=").map(str::len);
    let line = user_data.lines().rfind(|line| named(line).is_some())?;
    let name = line.trim().strip_prefix("ECS_CLUSTER=")?;
    plain(name).map(|()| name)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests hand to a shell what is written for one; the library does not")]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    fn settings(text: &str) -> ContainerInstances {
        serde_yaml::from_str(text).unwrap()
    }

    #[test]
    fn the_agent_reads_what_was_meant() {
        let wanted = settings(
            "{cluster: ops, attributes: {stack: 'web: $HOME `id`', rack: a}, task_cleanup: 600, metadata: true, spot_draining: true, \
             image_cleanup: {interval: 10, per_cycle: 3}, log_level: warn, \
             registry_auth: {type: docker, data: '{\"r\": {\"username\": \"u\", \"password\": \"it''s $1\"}}'}}",
        );
        let text = user_data(&wanted);
        // A shell writes the file; nothing in it may have been expanded.
        let there = std::env::temp_dir().join(format!("belay-agent-{}", std::process::id()));
        std::fs::create_dir_all(&there).unwrap();
        let text = text.replace("/etc/ecs", &there.display().to_string());
        let mut shell = Command::new("bash").arg("-eu").stdin(Stdio::piped()).spawn().unwrap();
        shell.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(shell.wait().unwrap().success());
        let written = std::fs::read_to_string(there.join("ecs.config")).unwrap();
        std::fs::remove_dir_all(&there).unwrap();
        assert_eq!(
            written,
            "ECS_CLUSTER=ops\n\
             ECS_INSTANCE_ATTRIBUTES={\"rack\":\"a\",\"stack\":\"web: $HOME `id`\"}\n\
             ECS_IMAGE_CLEANUP_INTERVAL=10m\n\
             ECS_NUM_IMAGES_DELETE_PER_CYCLE=3\n\
             ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION=600s\n\
             ECS_ENABLE_CONTAINER_METADATA=true\n\
             ECS_ENABLE_SPOT_INSTANCE_DRAINING=true\n\
             ECS_LOGLEVEL=warn\n\
             ECS_ENGINE_AUTH_TYPE=docker\n\
             ECS_ENGINE_AUTH_DATA={\"r\":{\"password\":\"it's $1\",\"username\":\"u\"}}\n"
        );
    }

    #[test]
    fn every_part_is_a_script_that_a_shell_can_read() {
        let wanted = settings(
            "{cluster: ops, proxy: {http: 'proxy.internal:3128', except: [.internal]}, start_tasks: ['warm-up:3', other], \
             registry_auth: {secret: ops/registry}, script: \"echo done\\n\"}",
        );
        let text = user_data(&wanted);
        let mut shell = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
        shell.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(shell.wait().unwrap().success(), "{text}");
        assert!(text.contains(
            "\nHTTP_PROXY=proxy.internal:3128\nNO_PROXY=169.254.169.254,169.254.170.2,/var/run/docker.sock,.internal\n"
        ));
        assert!(text.contains("--started-by belay --task-definition 'warm-up:3'"), "{text}");
        assert!(starts_tasks(&text) && !starts_tasks(&user_data(&settings("{cluster: ops}"))));
        assert!(!text.contains("ECS_ENGINE_AUTH_DATA={"), "{text}");
        assert!(text.ends_with("echo done\n"));
    }

    #[test]
    fn the_cluster_is_read_back() {
        assert_eq!(cluster_of(&user_data(&settings("{cluster: ops}"))), Some("ops"));
        assert_eq!(cluster_of("#!/bin/sh\nECS_CLUSTER=$(name)\n"), None);
        assert_eq!(cluster_of("#!/bin/sh\n"), None);
    }

    #[test]
    fn attributes_that_ecs_refuses_are_told() {
        for (key, value) in [("a b", "x"), ("ecs.os-type", "linux"), ("a", ""), ("a", " x"), ("a", "x\ny"), ("a", "\"")]
        {
            assert!(attribute_fault(key, value).is_some(), "{key}={value:?}");
        }
        assert_eq!(attribute_fault("stack/blue.1", "a@b: c"), None);
    }
}
