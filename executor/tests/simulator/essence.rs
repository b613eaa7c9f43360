//! When two worlds are the same for whoever uses them.

use belay_executor::simulator::essence;
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn an_update_and_its_way_back_leave_the_same_essence() {
    let cloud = cloud();
    register(&cloud, "web", "nginx:1").await;
    let group = target_group(&cloud, "shop-web").await;
    create(&cloud, 2, json!({"loadBalancers": behind(&group)})).await;
    pass(&cloud, 300).await;
    let before = essence(&cloud.world());
    register(&cloud, "web", "nginx:2").await;
    call(&cloud, "UpdateService", json!({"service": "web", "taskDefinition": "web:2"})).await;
    assert_ne!(essence(&cloud.world()), before);
    pass(&cloud, 600).await;
    assert_ne!(essence(&cloud.world()), before);
    // A new revision of equal content is as good as the old one.
    register(&cloud, "web", "nginx:1").await;
    call(&cloud, "UpdateService", json!({"service": "web", "taskDefinition": "web:3"})).await;
    pass(&cloud, 600).await;
    assert_ne!(essence(&cloud.world()), before, "revision 2 is still there");
    for revision in ["web:1", "web:2"] {
        call(&cloud, "DeregisterTaskDefinition", json!({"taskDefinition": revision})).await;
    }
    assert_eq!(essence(&cloud.world()), before);
}

#[tokio::test]
async fn creation_and_deletion_leave_the_same_essence() {
    let cloud = cloud();
    let before = essence(&cloud.world());
    register(&cloud, "web", "nginx:1").await;
    create(&cloud, 1, json!({})).await;
    pass(&cloud, 100).await;
    call(&cloud, "DeleteService", json!({"service": "web", "force": true})).await;
    call(&cloud, "DeregisterTaskDefinition", json!({"taskDefinition": "web:1"})).await;
    assert_ne!(essence(&cloud.world()), before, "it still drains");
    pass(&cloud, 100).await;
    assert_eq!(essence(&cloud.world()), before);
}

#[tokio::test]
async fn what_matters_is_told_apart() {
    let cloud = cloud();
    register(&cloud, "web", "nginx:1").await;
    create(&cloud, 1, json!({})).await;
    pass(&cloud, 300).await;
    let before = essence(&cloud.world());
    let arn = describe(&cloud, "web").await["serviceArn"].take();
    let tags = json!({"resourceArn": arn, "tags": [{"key": "a", "value": "b"}]});
    call(&cloud, "TagResource", tags).await;
    assert_ne!(essence(&cloud.world()), before);
    call(&cloud, "UntagResource", json!({"resourceArn": arn, "tagKeys": ["a"]})).await;
    assert_eq!(essence(&cloud.world()), before);
    // The same reference, but another image behind it.
    cloud.with_world(|world| {
        world.images.entry("nginx:1".to_owned()).or_default().digest = Some("sha256:other".to_owned());
    });
    call(&cloud, "UpdateService", json!({"service": "web", "forceNewDeployment": true})).await;
    pass(&cloud, 600).await;
    assert_ne!(essence(&cloud.world()), before);
    let group = target_group(&cloud, "shop-api").await;
    let now = essence(&cloud.world());
    let target = json!({"TargetGroupArn": group, "Targets": [{"Id": "i-0a000000000000001", "Port": 81}]});
    elbv2(&cloud, "RegisterTargets", target).await;
    assert_ne!(essence(&cloud.world()), now);
}
