//! Service Connect: names in a namespace, and what a client reaches.

use belay_executor::simulator::world::{Namespace, NamespaceKind};
use belay_executor::simulator::{SimulatedCloud, World};
use serde_json::{Value, json};

use crate::support::{any, call, cloud, definition, pass, try_any, try_call};

const NAMESPACE: &str = "ns-0a0000000000000a";

fn connected() -> SimulatedCloud {
    let cloud = cloud();
    cloud.with_world(|world: &mut World| {
        let namespace =
            Namespace { name: "shop.internal".to_owned(), kind: NamespaceKind::Http, created_at: world.now };
        world.namespaces.insert(NAMESPACE.to_owned(), namespace);
    });
    cloud
}

fn named(family: &str, port: &str) -> Value {
    let mut definition = definition(family, "shop/web:1");
    definition["containerDefinitions"][0]["portMappings"][0]["name"] = json!(port);
    definition
}

fn service(name: &str, offers: Value) -> Value {
    json!({"cluster": "default", "serviceName": name, "taskDefinition": name, "desiredCount": 1, "launchType": "EC2",
        "serviceConnectConfiguration": {"enabled": true, "namespace": "shop.internal", "services": offers}})
}

fn offer(port: &str, alias: &str) -> Value {
    json!([{"portName": port, "clientAliases": [{"port": 80, "dnsName": alias}]}])
}

async fn run(cloud: &SimulatedCloud, name: &str, offers: Value) {
    call(cloud, "RegisterTaskDefinition", named(name, name)).await;
    call(cloud, "CreateService", service(name, offers)).await;
    pass(cloud, 300).await;
}

fn reachable(cloud: &SimulatedCloud, name: &str) -> Vec<String> {
    cloud.look(|world| world.reachable(&format!("default/{name}")).into_iter().collect())
}

#[tokio::test]
async fn a_client_reaches_what_was_offered_when_its_deployment_began() {
    let cloud = connected();
    run(&cloud, "early", json!([])).await;
    run(&cloud, "api", offer("api", "api")).await;
    run(&cloud, "late", json!([])).await;
    assert_eq!(reachable(&cloud, "early"), Vec::<String>::new());
    assert_eq!(reachable(&cloud, "late"), ["api:80"]);
    // A new deployment sees it; and what is gone, nobody reaches.
    let again = json!({"cluster": "default", "service": "early", "forceNewDeployment": true});
    call(&cloud, "UpdateService", again).await;
    pass(&cloud, 300).await;
    assert_eq!(reachable(&cloud, "early"), ["api:80"]);
    let away = json!({"cluster": "default", "service": "api", "serviceConnectConfiguration": {"enabled": false}});
    call(&cloud, "UpdateService", away).await;
    assert_eq!(reachable(&cloud, "early"), Vec::<String>::new());
}

#[tokio::test]
async fn a_name_is_one_services() {
    let cloud = connected();
    run(&cloud, "api", offer("api", "api")).await;
    call(&cloud, "RegisterTaskDefinition", named("other", "api")).await;
    let refused = try_call(&cloud, "CreateService", service("other", offer("api", "other"))).await.unwrap_err();
    assert!(refused.message.contains("discoveryName api is in use"), "{refused}");
    call(&cloud, "RegisterTaskDefinition", named("third", "third")).await;
    let refused = try_call(&cloud, "CreateService", service("third", offer("third", "api"))).await.unwrap_err();
    assert!(refused.message.contains("client alias api:80 is in use"), "{refused}");
    let refused = try_call(&cloud, "CreateService", service("third", offer("fourth", "x"))).await.unwrap_err();
    assert!(refused.message.contains("portName fourth"), "{refused}");
    // Its own name a service may keep.
    let same = json!({"cluster": "default", "service": "api", "taskDefinition": "api",
        "serviceConnectConfiguration": {"enabled": true, "namespace": NAMESPACE, "services": offer("api", "api")}});
    call(&cloud, "UpdateService", same).await;
}

#[tokio::test]
async fn the_names_are_services_of_cloud_map() {
    let cloud = connected();
    run(&cloud, "api", offer("api", "api")).await;
    let filter = |name: &str, value: &str| json!({"Filters": [{"Name": name, "Values": [value], "Condition": "EQ"}]});
    let found = any(&cloud, "servicediscovery", "ListNamespaces", filter("NAME", "shop.internal")).await;
    assert_eq!(found["Namespaces"][0]["Id"], NAMESPACE);
    let none = any(&cloud, "servicediscovery", "ListNamespaces", filter("NAME", "elsewhere")).await;
    assert_eq!(none["Namespaces"], json!([]));
    let listed = any(&cloud, "servicediscovery", "ListServices", filter("NAMESPACE_ID", NAMESPACE)).await;
    assert_eq!(listed["Services"][0]["Name"], "api");
    let described = call(&cloud, "DescribeServices", json!({"cluster": "default", "services": ["api"]})).await;
    let resources = &described["services"][0]["deployments"][0]["serviceConnectResources"];
    assert_eq!(resources[0]["discoveryArn"], listed["Services"][0]["Arn"]);
    let absent = try_any(&cloud, "servicediscovery", "GetNamespace", json!({"Id": "ns-none"})).await.unwrap_err();
    assert_eq!(absent.code, "NamespaceNotFound");
}
