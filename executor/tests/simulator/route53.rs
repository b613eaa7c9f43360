//! Route 53: batches that are applied whole or not at all, changes that take their time, pages in the order of names.

use belay_executor::cloud::ErrorKind;
use belay_executor::simulator::world::HostedZone;
use belay_executor::simulator::{SimulatedCloud, World};
use serde_json::{Value, json};

use crate::support::{any, cloud, pass, try_any};

const ZONE: &str = "Z0A00000000000000000A";

fn zoned() -> SimulatedCloud {
    let cloud = cloud();
    cloud.with_world(|world: &mut World| {
        let zone = HostedZone { name: "shop.internal.".to_owned(), private: true, records: Vec::new() };
        world.hosted_zones.insert(ZONE.to_owned(), zone);
    });
    cloud
}

fn address(name: &str, address: &str) -> Value {
    json!({"Name": name, "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": address}]})
}

fn batch(changes: &[(&str, Value)]) -> Value {
    let changes: Vec<Value> =
        changes.iter().map(|(action, set)| json!({"Action": action, "ResourceRecordSet": set})).collect();
    json!({"HostedZoneId": ZONE, "ChangeBatch": {"Changes": changes}})
}

async fn listed(cloud: &SimulatedCloud, input: Value) -> Vec<String> {
    let found = any(cloud, "route53", "ListResourceRecordSets", input).await;
    let sets = found["ResourceRecordSets"].as_array().unwrap();
    sets.iter().map(|set| format!("{} {}", set["Name"].as_str().unwrap(), set["Type"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn a_batch_is_applied_whole_or_not_at_all() {
    let cloud = zoned();
    let (web, api) = (address("Web.shop.internal", "10.0.0.1"), address("api.shop.internal.", "10.0.0.2"));
    any(&cloud, "route53", "ChangeResourceRecordSets", batch(&[("CREATE", web.clone())])).await;
    let wrong = [
        // There is one already; the other one of the batch is not made either.
        batch(&[("CREATE", api.clone()), ("CREATE", web.clone())]),
        batch(&[("UPSERT", api.clone()), ("DELETE", address("web.shop.internal", "10.0.0.9"))]),
        batch(&[("UPSERT", api.clone()), ("DELETE", address("no.shop.internal", "10.0.0.1"))]),
        batch(&[("UPSERT", api.clone()), ("CREATE", address("web.desk.internal", "10.0.0.1"))]),
        batch(&[
            ("UPSERT", api.clone()),
            (
                "CREATE",
                json!({"Name": "web.shop.internal", "Type": "CNAME", "TTL": 60,
            "ResourceRecords": [{"Value": "a"}]}),
            ),
        ]),
    ];
    for input in wrong {
        let refused = try_any(&cloud, "route53", "ChangeResourceRecordSets", input.clone()).await.unwrap_err();
        assert_eq!((refused.code.as_str(), refused.kind), ("InvalidChangeBatch", ErrorKind::Rejected), "{input}");
    }
    let all = json!({"HostedZoneId": ZONE});
    assert_eq!(listed(&cloud, all.clone()).await, ["web.shop.internal. A"]);
    any(&cloud, "route53", "ChangeResourceRecordSets", batch(&[("UPSERT", api), ("DELETE", web)])).await;
    assert_eq!(listed(&cloud, all).await, ["api.shop.internal. A"]);
    let other = json!({"HostedZoneId": "Z0000000000000000000"});
    let absent = try_any(&cloud, "route53", "ListResourceRecordSets", other).await.unwrap_err();
    assert_eq!((absent.code.as_str(), absent.kind), ("NoSuchHostedZone", ErrorKind::NotFound));
}

#[tokio::test]
async fn a_change_takes_its_time_until_every_name_server_knows_it() {
    let cloud = zoned();
    let input = batch(&[("UPSERT", address("web.shop.internal", "10.0.0.1"))]);
    let made = any(&cloud, "route53", "ChangeResourceRecordSets", input).await;
    let id = json!({"Id": made["ChangeInfo"]["Id"]});
    assert_eq!(made["ChangeInfo"]["Status"], "PENDING");
    pass(&cloud, 29).await;
    assert_eq!(any(&cloud, "route53", "GetChange", id.clone()).await["ChangeInfo"]["Status"], "PENDING");
    pass(&cloud, 1).await;
    assert_eq!(any(&cloud, "route53", "GetChange", id).await["ChangeInfo"]["Status"], "INSYNC");
}

#[tokio::test]
async fn records_are_listed_from_a_name_on_by_their_labels_from_the_right() {
    let cloud = zoned();
    let names = ["b.shop.internal", "a.web.shop.internal", "web.shop.internal", "zoo.shop.internal"];
    let changes: Vec<(&str, Value)> = names.iter().map(|name| ("CREATE", address(name, "10.0.0.1"))).collect();
    any(&cloud, "route53", "ChangeResourceRecordSets", batch(&changes)).await;
    let from = |name: &str, most: &str| json!({"HostedZoneId": ZONE, "StartRecordName": name, "MaxItems": most});
    let found = listed(&cloud, from("web.shop.internal", "2")).await;
    assert_eq!(found, ["web.shop.internal. A", "a.web.shop.internal. A"]);
    // A name that is not there begins with the next one.
    assert_eq!(listed(&cloud, from("c.shop.internal", "1")).await, ["web.shop.internal. A"]);
    let page = any(&cloud, "route53", "ListResourceRecordSets", from("web.shop.internal", "2")).await;
    assert_eq!((&page["IsTruncated"], &page["NextRecordName"]), (&json!(true), &json!("zoo.shop.internal.")));
}
