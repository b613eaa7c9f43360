//! Many services: time passes from event to event, and what is big stays quick.

use belay_executor::simulator::world::ContainerInstance;
use belay_executor::simulator::{SimulatedCloud, World};
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn five_hundred_services_deploy() {
    let mut world = World::default_account();
    let template = world.container_instances.values().next().unwrap().clone();
    for number in 0..20 {
        let instance = ContainerInstance {
            ec2_instance_id: format!("i-{number:017}"),
            cpu: 65_536,
            memory: 131_072,
            ..template.clone()
        };
        world.container_instances.insert(format!("{number:032}"), instance);
    }
    let cloud = SimulatedCloud::new(world);
    register(&cloud, "web", "nginx:1").await;
    for number in 0..500 {
        let input = json!({"serviceName": format!("s{number}"), "taskDefinition": "web", "desiredCount": 2});
        call(&cloud, "CreateService", input).await;
    }
    pass(&cloud, 600).await;
    let steady = cloud.with_world(|world| world.services.values().filter(|service| service.steady).count());
    assert_eq!(steady, 500);
    register(&cloud, "web", "nginx:2").await;
    for number in 0..500 {
        let input = json!({"service": format!("s{number}"), "taskDefinition": "web"});
        call(&cloud, "UpdateService", input).await;
    }
    pass(&cloud, 1200).await;
    cloud.with_world(|world| {
        assert!(world.services.values().all(|service| service.steady));
        assert_eq!(world.tasks.iter().filter(|(_, task)| !task.stopping).count(), 1000);
        assert!(world.next_event().is_none(), "a steady world has no events");
    });
}
