//! What is read from Route 53: the hosted zones that the scope names, and the records of the names that matter in them.
//!
//! Invariant: of a zone with thousands of records only those of these names are read, a page for each.

use std::collections::BTreeSet;

use belay_schemas::scope::{EcsScope, is_zone_id};
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use super::reader::Reader;
use super::{ObserveError, balancers, items, short_name};

const SERVICE: &str = "route53";
/// Zones of one name, private ones of several VPCs and a public one, that are looked at.
const ZONES: &str = "100";
/// Record sets of one name that are looked at.
const SETS: &str = "100";

/// Reads the zones of a scope, the records of its names in them, and those that tags of services name (`ZONE-ID/NAME`).
pub(super) async fn observe(
    reader: &Reader<'_>,
    scope: &EcsScope,
    tagged: BTreeSet<String>,
) -> Result<(), ObserveError> {
    let zones = try_join_all(scope.record_zones.iter().map(|zone| zones(reader, zone))).await?;
    let zones: Vec<String> = zones.into_iter().flatten().collect();
    let mut wanted: BTreeSet<(&str, &str)> = tagged.iter().filter_map(|told| told.split_once('/')).collect();
    wanted.extend(zones.iter().flat_map(|zone| scope.records.iter().map(|name| (zone.as_str(), name.as_str()))));
    try_join_all(wanted.into_iter().map(|(zone, name)| sets(reader, zone, name))).await?;
    if scope.records.is_empty() { Ok(()) } else { balancers::in_front(reader).await }
}

/// The ids of the hosted zones that a name or an id means.
async fn zones(reader: &Reader<'_>, named: &str) -> Result<Vec<String>, ObserveError> {
    if is_zone_id(named) {
        let found = reader.read_trimmed(SERVICE, "GetHostedZone", json!({"Id": named}), |answer| {
            uncounted(&mut answer["HostedZone"]);
        });
        let id = |answer: &Value| answer["HostedZone"]["Id"].as_str().map(|id| short_name(id).to_owned());
        return Ok(found.await?.iter().filter_map(id).collect());
    }
    let dotted = format!("{named}.");
    let trim = |answer: &mut Value| {
        if let Some(zones) = answer["HostedZones"].as_array_mut() {
            zones.retain(|zone| zone["Name"] == *dotted);
            zones.iter_mut().for_each(uncounted);
        }
        unpaged(answer, "HostedZones");
    };
    let input = json!({"DNSName": named, "MaxItems": ZONES});
    let found = reader.read_page(SERVICE, "ListHostedZonesByName", input, trim).await?;
    let all = found.iter().flat_map(|answer| items(answer, "HostedZones"));
    Ok(all.filter_map(|zone| zone["Id"].as_str().map(|id| short_name(id).to_owned())).collect())
}

/// The record sets of a name.
async fn sets(reader: &Reader<'_>, zone: &str, name: &str) -> Result<(), ObserveError> {
    let dotted = format!("{name}.");
    let trim = |answer: &mut Value| {
        if let Some(sets) = answer["ResourceRecordSets"].as_array_mut() {
            sets.retain(|set| set["Name"] == *dotted);
        }
        unpaged(answer, "ResourceRecordSets");
    };
    let input = json!({"HostedZoneId": zone, "StartRecordName": name, "MaxItems": SETS});
    reader.read_page(SERVICE, "ListResourceRecordSets", input, trim).await?;
    Ok(())
}

/// Leaves of an answer what it lists: what comes behind it is others'.
fn unpaged(answer: &mut Value, list: &str) {
    if let Some(members) = answer.as_object_mut() {
        members.retain(|member, _| member == list);
    }
}

/// Takes out how many records a zone has: that changes all the time.
fn uncounted(zone: &mut Value) {
    if let Some(zone) = zone.as_object_mut() {
        zone.remove("ResourceRecordSetCount");
    }
}
