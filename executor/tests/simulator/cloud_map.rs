//! Cloud Map: services in a namespace, and the tasks that are registered with them.

use belay_executor::cloud::ErrorKind;
use belay_executor::simulator::world::{Namespace, NamespaceKind};
use belay_executor::simulator::{SimulatedCloud, World};
use serde_json::{Value, json};

use crate::support::{any, call, cloud, definition, pass, try_any, try_call};

const NAMESPACE: &str = "ns-0a0000000000000a";

async fn mapped(kind: &str) -> (SimulatedCloud, Value) {
    let cloud = cloud();
    cloud.with_world(|world: &mut World| {
        let namespace =
            Namespace { name: "shop.internal".to_owned(), kind: NamespaceKind::DnsPrivate, created_at: world.now };
        world.namespaces.insert(NAMESPACE.to_owned(), namespace);
    });
    let input = json!({"Name": "web", "NamespaceId": NAMESPACE, "CreatorRequestId": "one",
        "DnsConfig": {"DnsRecords": [{"Type": kind, "TTL": 60}]}, "HealthCheckCustomConfig": {"FailureThreshold": 1}});
    let made = any(&cloud, "servicediscovery", "CreateService", input.clone()).await;
    // The same request again is the same service; another one of its name is refused.
    let again = any(&cloud, "servicediscovery", "CreateService", input.clone()).await;
    assert_eq!(again["Service"]["Id"], made["Service"]["Id"]);
    let mut other = input;
    other["CreatorRequestId"] = json!("two");
    let refused = try_any(&cloud, "servicediscovery", "CreateService", other).await.unwrap_err();
    assert_eq!(refused.code, "ServiceAlreadyExists");
    call(&cloud, "RegisterTaskDefinition", definition("web", "shop/web:1")).await;
    (cloud, made["Service"].clone())
}

fn service(registry: Value) -> Value {
    json!({"cluster": "default", "serviceName": "web", "taskDefinition": "web", "desiredCount": 2, "launchType": "EC2",
        "serviceRegistries": [registry]})
}

#[tokio::test]
async fn tasks_are_registered_while_they_run() {
    let (cloud, made) = mapped("SRV").await;
    let container = definition("web", "shop/web:1")["containerDefinitions"][0]["name"].clone();
    let registry = json!({"registryArn": made["Arn"], "containerName": container, "containerPort": 80});
    let list = json!({"ServiceId": made["Id"]});
    call(&cloud, "CreateService", service(registry)).await;
    let none = any(&cloud, "servicediscovery", "ListInstances", list.clone()).await;
    assert_eq!(none["Instances"], json!([]));
    pass(&cloud, 120).await;
    let found = any(&cloud, "servicediscovery", "ListInstances", list.clone()).await;
    assert_eq!(found["Instances"].as_array().unwrap().len(), 2);
    // Its port is that of the container instance.
    let port: u64 = found["Instances"][0]["Attributes"]["AWS_INSTANCE_PORT"].as_str().unwrap().parse().unwrap();
    assert!(port > 1024, "{found}");
    let delete = json!({"Id": made["Id"]});
    let refused = try_any(&cloud, "servicediscovery", "DeleteService", delete.clone()).await.unwrap_err();
    assert_eq!((refused.code.as_str(), refused.kind), ("ResourceInUse", ErrorKind::Transient));
    call(&cloud, "UpdateService", json!({"cluster": "default", "service": "web", "desiredCount": 0})).await;
    pass(&cloud, 120).await;
    let none = any(&cloud, "servicediscovery", "ListInstances", list).await;
    assert_eq!(none["Instances"], json!([]));
    any(&cloud, "servicediscovery", "DeleteService", delete.clone()).await;
    let concerns = cloud.look(|world| world.log.last().map(|entry| entry.concerns.clone()));
    assert_eq!(concerns.as_deref(), made["Id"].as_str());
    let absent = try_any(&cloud, "servicediscovery", "GetService", delete).await.unwrap_err();
    assert_eq!(absent.kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let (cloud, made) = mapped("A").await;
    let plain = json!({"registryArn": made["Arn"]});
    let refused = try_call(&cloud, "CreateService", service(plain)).await.unwrap_err();
    assert!(refused.message.contains("SRV records"), "{refused}");
    let unknown = json!({"registryArn": "arn:aws:servicediscovery:us-east-1:123456789012:service/srv-none"});
    let refused = try_call(&cloud, "CreateService", service(unknown)).await.unwrap_err();
    assert!(refused.message.contains("does not exist"), "{refused}");
    let update =
        |kind: &str| json!({"Id": made["Id"], "Service": {"DnsConfig": {"DnsRecords": [{"Type": kind, "TTL": 5}]}}});
    let refused = try_any(&cloud, "servicediscovery", "UpdateService", update("SRV")).await.unwrap_err();
    assert_eq!(refused.code, "InvalidInput");
    any(&cloud, "servicediscovery", "UpdateService", update("A")).await;
    let now = any(&cloud, "servicediscovery", "GetService", json!({"Id": made["Id"]})).await;
    assert_eq!(now["Service"]["DnsConfig"]["DnsRecords"][0]["TTL"], 5);
}
