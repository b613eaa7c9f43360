//! Service Connect: names in a namespace, and what a client reaches.

use belay_executor::cloud::Cloud;
use belay_executor::observe::observe;
use belay_executor::simulator::world::{Namespace, NamespaceKind};
use belay_executor::simulator::{SimulatedCloud, World};
use belay_schemas::scope::Scope;
use serde_json::{Value, json};

use crate::support::{any, call, cloud, definition, pass, try_any, try_call};

const NAMESPACE: &str = "ns-0a0000000000000a";
const OTHER: &str = "ns-0b0000000000000b";

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

/// Observes as for a model that does without Service Connect, or with it in other namespaces, and makes a world of that.
async fn made_from(cloud: &SimulatedCloud, namespaces: &[&str]) -> SimulatedCloud {
    let scope: Scope = serde_json::from_value(json!({
        "format": 1, "project": "shop",
        "ecs": {"cluster": "default", "services": ["api", "late"], "servicePrefix": "shop_",
                "familyPrefix": "default_shop_", "tagPrefix": "belay", "containerInstances": true,
                "namespaces": namespaces},
    }))
    .unwrap();
    let observed = observe(&scope, cloud, cloud, "us-east-1").await.unwrap();
    SimulatedCloud::new(World::from_observed(&observed).unwrap_or_else(|error| panic!("{namespaces:?}: {error}")))
}

#[tokio::test]
async fn what_takes_part_in_a_namespace_that_nobody_looked_at_can_be_made_again() {
    let cloud = connected();
    // What is there is named in every way that AWS gives it back.
    run(&cloud, "api", offer("api", "api")).await;
    let default = format!("arn:aws:servicediscovery:us-east-1:123456789012:namespace/{NAMESPACE}");
    cloud.with_world(|world| {
        let cluster = world.clusters.get_mut("default").unwrap();
        cluster.service_connect_namespace = Some(default);
    });
    call(&cloud, "RegisterTaskDefinition", named("late", "late")).await;
    let mut late = service("late", json!([]));
    late["serviceConnectConfiguration"].as_object_mut().unwrap().remove("namespace");
    call(&cloud, "CreateService", late).await;
    pass(&cloud, 300).await;
    for namespaces in [&[][..], &["elsewhere"], &["shop.internal"]] {
        let made = made_from(&cloud, namespaces).await;
        for name in ["api", "late"] {
            let described = call(&made, "DescribeServices", json!({"cluster": "default", "services": [name]})).await;
            assert_eq!(described["services"][0]["runningCount"], 1, "{name} of {namespaces:?}");
        }
        // A new one finds the cluster's default namespace.
        let mut next = service("next", json!([]));
        next["taskDefinition"] = json!("late");
        next["serviceConnectConfiguration"].as_object_mut().unwrap().remove("namespace");
        made.call("ecs", "CreateService", &next).await.unwrap_or_else(|error| panic!("{namespaces:?}: {error}"));
    }
}

#[tokio::test]
async fn only_the_services_of_cloud_map_that_ecs_made_follow_from_its_services() {
    let cloud = connected();
    cloud.with_world(|world: &mut World| {
        let other = Namespace { name: "other.internal".to_owned(), kind: NamespaceKind::Http, created_at: world.now };
        world.namespaces.insert(OTHER.to_owned(), other);
    });
    // The same name in another namespace is another service.
    let input = json!({"Name": "api", "NamespaceId": OTHER});
    let own = any(&cloud, "servicediscovery", "CreateService", input).await;
    run(&cloud, "api", offer("api", "api")).await;
    let made = made_from(&cloud, &["shop.internal", "other.internal"]).await;
    let kept: Vec<String> = made.look(|world| world.registries.keys().cloned().collect());
    assert_eq!(kept, [own["Service"]["Id"].as_str().unwrap()]);
    let listed = any(&made, "servicediscovery", "ListServices", json!({})).await;
    let names: Vec<&Value> = listed["Services"].as_array().unwrap().iter().map(|service| &service["Name"]).collect();
    assert_eq!(names, ["api", "api"]);
}
