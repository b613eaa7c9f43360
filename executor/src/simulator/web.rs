//! What answers HTTP requests in a simulated world, and the metadata of the host that `belay` is said to run on.

use serde_json::{Value, json};

use super::ec2;
use super::errors::missing;
use super::request::{Answer, number, required, text};
use super::world::{HttpBehaviour, HttpRequest, World};
use crate::http::{outcome, silent, unreachable};

/// Answers a request, and takes it down. A handler that hangs, or that breaks down, did its work all the same.
pub(super) fn request(world: &mut World, method: &str, input: &Value) -> Answer {
    let uri = required(input, "uri")?;
    let handler = world.http_handlers.get(uri).cloned().unwrap_or_default();
    let behaviour = if method == "GET" { &handler.get } else { &handler.post };
    if *behaviour == HttpBehaviour::Refuses {
        return Err(unreachable(uri, "connection refused"));
    }
    let body = input.get("body").cloned().unwrap_or_default();
    if method != "GET"
        && handler.terminates
        && !matches!(behaviour, HttpBehaviour::Status { status: 400..=499 })
        && let Some(id) = text(&body, "ec2_instance_id")
    {
        ec2::terminate(world, id, "Client.UserInitiatedShutdown", "User initiated shutdown");
    }
    world.http_requests.push(HttpRequest { at: world.now, method: method.to_owned(), uri: uri.to_owned(), body });
    match behaviour {
        HttpBehaviour::Status { status } => Ok(outcome(method, uri, *status)?.into()),
        _ => Err(silent(method, uri, number(input, "timeout").unwrap_or(0))),
    }
}

/// The network interface of the host, if the world says which VPC it is in.
pub(super) fn metadata(world: &World, input: &Value) -> Answer {
    const MAC: &str = "0e:00:00:00:00:01";
    let Some(vpc) = &world.host_vpc else {
        return Err(unreachable("the instance metadata", "this host is no EC2 instance"));
    };
    let path = required(input, "path")?;
    let found = match path.trim_matches('/') {
        "latest/meta-data/mac" => Some(MAC),
        other => (other == format!("latest/meta-data/network/interfaces/macs/{MAC}/vpc-id")).then_some(vpc.as_str()),
    };
    let absent = || missing("NotFound", format!("the instance metadata has no {path}"));
    Ok(json!({"text": found.ok_or_else(absent)?}).into())
}
