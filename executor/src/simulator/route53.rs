//! Route 53: hosted zones, their record sets, and how long a change takes until every name server knows it. Nothing is
//! resolved here.

use serde_json::{Value, json};

use super::errors::{missing, rejected, unknown_operation, unmodelled};
use super::request::{Answer, items, required, short, text};
use super::time::Time;
use super::world::{HostedZone, World};
use crate::cloud::CloudError;

/// Record sets a page at most.
const PAGE: usize = 300;

pub(super) fn call(world: &mut World, operation: &str, input: &Value) -> Answer {
    match operation {
        "ChangeResourceRecordSets" => change(world, input),
        "GetChange" => get_change(world, input),
        "GetHostedZone" => {
            let (id, zone) = find(world, required(input, "Id")?)?;
            Ok(json!({"HostedZone": show(id, zone)}).into())
        }
        "ListHostedZonesByName" => Ok(zones(world, input).into()),
        "ListResourceRecordSets" => sets(world, input),
        _ => Err(unknown_operation(format!("The simulated AWS does not model {operation} of route53."))),
    }
}

fn find<'w>(world: &'w World, id: &str) -> Result<(&'w String, &'w HostedZone), CloudError> {
    let id = short(id);
    let absent = || missing("NoSuchHostedZone", format!("No hosted zone found with ID: {id}"));
    world.hosted_zones.get_key_value(id).ok_or_else(absent)
}

fn show(id: &str, zone: &HostedZone) -> Value {
    json!({
        "Id": format!("/hostedzone/{id}"), "Name": zone.name, "CallerReference": id,
        "Config": {"PrivateZone": zone.private}, "ResourceRecordSetCount": zone.records.len(),
    })
}

/// A name as Route 53 writes it: in small letters, with a dot at the end.
fn dotted(name: &str) -> String {
    format!("{}.", name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase())
}

/// Names are sorted by their labels from the right.
fn order(name: &str) -> Vec<&str> {
    name.trim_end_matches('.').rsplit('.').collect()
}

fn zones(world: &World, input: &Value) -> Value {
    let from = text(input, "DNSName").map(dotted);
    let size = page(input, 100);
    let mut all: Vec<(&String, &HostedZone)> = world.hosted_zones.iter().collect();
    all.sort_by_key(|(id, zone)| (order(&zone.name), *id));
    all.retain(|(_, zone)| from.as_ref().is_none_or(|from| order(&zone.name) >= order(from)));
    let mut answer = json!({
        "HostedZones": all.iter().take(size).map(|(id, zone)| show(id, zone)).collect::<Value>(),
        "IsTruncated": all.len() > size, "MaxItems": size.to_string(),
    });
    if let Some((id, zone)) = all.get(size) {
        answer["NextDNSName"] = json!(zone.name);
        answer["NextHostedZoneId"] = json!(id);
    }
    answer
}

fn page(input: &Value, most: usize) -> usize {
    text(input, "MaxItems").and_then(|size| size.parse().ok()).map_or(most, |size: usize| size.clamp(1, most))
}

/// Name and type of a record set.
fn key(set: &Value) -> (Vec<&str>, &str) {
    (order(text(set, "Name").unwrap_or_default()), text(set, "Type").unwrap_or_default())
}

fn sets(world: &World, input: &Value) -> Answer {
    let (_, zone) = find(world, required(input, "HostedZoneId")?)?;
    let name = text(input, "StartRecordName").map(dotted);
    let from = name.as_deref().map(|name| (order(name), text(input, "StartRecordType").unwrap_or_default()));
    let size = page(input, PAGE);
    let mut all: Vec<&Value> = zone.records.iter().collect();
    all.sort_by_key(|set| key(set));
    all.retain(|set| from.as_ref().is_none_or(|from| key(set) >= *from));
    let mut answer = json!({
        "ResourceRecordSets": all.iter().take(size).collect::<Vec<_>>(),
        "IsTruncated": all.len() > size, "MaxItems": size.to_string(),
    });
    if let Some(next) = all.get(size) {
        answer["NextRecordName"] = next["Name"].clone();
        answer["NextRecordType"] = next["Type"].clone();
    }
    Ok(answer.into())
}

/// All of a batch, or nothing of it.
fn change(world: &mut World, input: &Value) -> Answer {
    let id = required(input, "HostedZoneId")?;
    let (id, zone) = find(world, id)?;
    let (id, mut made) = (id.clone(), zone.clone());
    for change in items(&input["ChangeBatch"], "Changes") {
        apply(&mut made, required(change, "Action")?, &change["ResourceRecordSet"])?;
    }
    world.hosted_zones.insert(id, made);
    let change = format!("C{:020}", world.count("change"));
    let known = world.now.plus(world.timings.dns_seconds);
    world.dns_changes.insert(change.clone(), known);
    Ok(json!({"ChangeInfo": show_change(world, &change, known)}).into())
}

fn refused(words: String) -> CloudError {
    rejected("InvalidChangeBatch", format!("[{words}]"))
}

fn apply(zone: &mut HostedZone, action: &str, set: &Value) -> Result<(), CloudError> {
    let (name, kind) = (dotted(required(set, "Name")?), required(set, "Type")?);
    if ["SetIdentifier", "Weight", "Region", "Failover", "GeoLocation", "MultiValueAnswer", "HealthCheckId"]
        .iter()
        .any(|member| set.get(*member).is_some())
    {
        return Err(unmodelled("routing policies of records"));
    }
    if name != zone.name && !name.ends_with(&format!(".{}", zone.name)) {
        return Err(refused(format!("RRSet with DNS name {name} is not permitted in zone {}", zone.name)));
    }
    let mut set = set.clone();
    set["Name"] = json!(name);
    if let Some(target) = text(&set["AliasTarget"], "DNSName").map(dotted) {
        set["AliasTarget"]["DNSName"] = json!(target);
    }
    let at = zone.records.iter().position(|one| one["Name"] == set["Name"] && one["Type"] == set["Type"]);
    let told = format!("[name='{name}', type='{kind}']");
    match (action, at) {
        ("DELETE", Some(at)) if zone.records[at] == set => _ = zone.records.remove(at),
        ("DELETE", Some(_)) => {
            return Err(refused(format!(
                "Tried to delete resource record set {told} but the values provided do not match the current values"
            )));
        }
        ("DELETE", None) => {
            return Err(refused(format!("Tried to delete resource record set {told} but it was not found")));
        }
        ("CREATE", Some(_)) => {
            return Err(refused(format!("Tried to create resource record set {told} but it already exists")));
        }
        (_, Some(at)) => zone.records[at] = set,
        (_, None) => {
            // A CNAME stands alone.
            let others = zone.records.iter().filter(|one| one["Name"] == *name);
            if others.into_iter().any(|one| one["Type"] == "CNAME" || kind == "CNAME") {
                return Err(refused(format!(
                    "RRSet of type {kind} with DNS name {name} is not permitted as it conflicts with other records with the same DNS name"
                )));
            }
            zone.records.push(set);
        }
    }
    Ok(())
}

fn show_change(world: &World, id: &str, known: Time) -> Value {
    let status = if known <= world.now { "INSYNC" } else { "PENDING" };
    json!({"Id": format!("/change/{id}"), "Status": status, "SubmittedAt": world.now.to_string()})
}

fn get_change(world: &World, input: &Value) -> Answer {
    let id = short(required(input, "Id")?);
    let absent = || missing("NoSuchChange", format!("Could not find resource with ID: {id}"));
    let known = *world.dns_changes.get(id).ok_or_else(absent)?;
    Ok(json!({"ChangeInfo": show_change(world, id, known)}).into())
}
