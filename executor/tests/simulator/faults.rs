//! Scripted faults: each fires once, at its call, and says so.

use belay_executor::cloud::{Cloud, ErrorKind};
use belay_executor::simulator::faults::{At, Fault, Faulty, KILLED, Kind, access_denied};
use belay_executor::simulator::{SimulatedCloud, World};
use serde_json::json;

use crate::support::definition;

fn faulty(kind: Kind, at: At) -> Faulty<SimulatedCloud> {
    Faulty::new(SimulatedCloud::new(World::default_account()), vec![Fault { kind, at }])
}

fn registered(cloud: &Faulty<SimulatedCloud>) -> usize {
    cloud.inner().world().task_definitions.values().map(|family| family.revisions.len()).sum()
}

#[tokio::test]
async fn each_fault_does_what_it_says() {
    for (kind, expected, effects) in [
        (Kind::Fail(access_denied()), ErrorKind::Rejected, 2),
        (Kind::Throttle, ErrorKind::Transient, 2),
        (Kind::LoseRequest, ErrorKind::Unknown, 2),
        (Kind::LoseAnswer, ErrorKind::Unknown, 3),
        (Kind::KillBefore, ErrorKind::Unknown, 1),
        (Kind::KillAfter, ErrorKind::Unknown, 2),
    ] {
        let cloud = faulty(kind.clone(), At::Mutation(2));
        let input = definition("web", "nginx:1");
        for number in 1..=3 {
            cloud.call("ecs", "ListServices", &json!({})).await.ok();
            let answer = cloud.call("ecs", "RegisterTaskDefinition", &input).await;
            match number {
                1 => assert!(answer.is_ok()),
                2 => assert_eq!(answer.unwrap_err().kind, expected, "{kind:?}"),
                _ => assert_eq!(answer.is_err(), cloud.is_killed(), "{kind:?}"),
            }
        }
        assert_eq!(registered(&cloud), effects, "{kind:?}");
        assert_eq!(cloud.fired().len(), 1);
        assert_eq!(cloud.fired()[0].operation, "RegisterTaskDefinition");
        assert!(cloud.all_fired());
    }
}

#[tokio::test]
async fn faults_find_their_call_by_operation_and_by_words() {
    let cloud = faulty(Kind::Throttle, At::Operation("DescribeServices".to_owned(), 2));
    let input = json!({"services": ["web"]});
    assert!(cloud.call("ecs", "DescribeServices", &input).await.is_ok());
    assert!(cloud.call("ecs", "ListServices", &json!({})).await.is_ok());
    assert!(cloud.call("ecs", "DescribeServices", &input).await.is_err());
    assert!(cloud.call("ecs", "DescribeServices", &input).await.is_ok());

    let words = At::Matching("RegisterTaskDefinition".to_owned(), "api".to_owned(), 1);
    let cloud = faulty(Kind::LoseRequest, words);
    assert!(cloud.call("ecs", "RegisterTaskDefinition", &definition("web", "nginx:1")).await.is_ok());
    assert!(!cloud.all_fired());
    assert!(cloud.call("ecs", "RegisterTaskDefinition", &definition("api", "nginx:1")).await.is_err());
    assert!(cloud.all_fired());
}

#[tokio::test]
async fn a_killed_caller_gets_no_answer_any_more_and_its_driver_is_told() {
    let cloud = faulty(Kind::KillAfter, At::Mutation(1));
    let caller = async {
        let _ = cloud.call("ecs", "RegisterTaskDefinition", &definition("web", "nginx:1")).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = caller => panic!("the caller outlived its death"),
        () = cloud.death() => {}
    }
    assert_eq!(registered(&cloud), 1);
    let error = cloud.call("ecs", "ListServices", &json!({})).await.unwrap_err();
    assert_eq!(error.code, KILLED);
    cloud.death().await;
}
