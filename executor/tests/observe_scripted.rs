//! Observing, against answers that a simulated account does not give at will: many pages, throttling, endless pages,
//! foreign objects.

#![allow(clippy::unwrap_used, reason = "helpers of tests; a failure here is a failed test")]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;
use belay_executor::cloud::{Clock, Cloud, CloudError, ErrorKind};
use belay_executor::observe::{Counted, ObserveError, observe, redacted};
use belay_schemas::scope::Scope;
use serde_json::{Value, json};

/// Answers by a function; counts what is in flight.
struct Scripted<F> {
    answer: F,
    calls: Mutex<Vec<(String, Value)>>,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

impl<F: Fn(&str, &Value, usize) -> Result<Value, CloudError> + Send + Sync> Scripted<F> {
    fn new(answer: F) -> Self {
        Self { answer, calls: Mutex::default(), in_flight: AtomicUsize::new(0), most_in_flight: AtomicUsize::new(0) }
    }

    fn calls_of(&self, operation: &str) -> Vec<Value> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|(name, _)| name == operation).map(|(_, input)| input.clone()).collect()
    }
}

#[async_trait]
impl<F: Fn(&str, &Value, usize) -> Result<Value, CloudError> + Send + Sync> Cloud for Scripted<F> {
    async fn call(&self, _: &str, operation: &str, input: &Value) -> Result<Value, CloudError> {
        let before = self.calls_of(operation).iter().filter(|i| *i == input).count();
        self.calls.lock().unwrap().push((operation.to_owned(), input.clone()));
        let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_in_flight.fetch_max(now, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        if operation == "GetCallerIdentity" {
            return Ok(json!({"Account": "123456789012", "Arn": "arn:aws-cn:sts::123456789012:assumed-role/x/y"}));
        }
        (self.answer)(operation, input, before)
    }

    async fn image_digest(&self, image: &str) -> Result<String, CloudError> {
        Err(CloudError::new(ErrorKind::NotFound, "ImageNotFound", format!("no {image}")))
    }
}

struct TestClock {
    now: AtomicU64,
    is_virtual: bool,
}

impl TestClock {
    fn new(is_virtual: bool) -> Self {
        Self { now: AtomicU64::new(1_763_640_000_000), is_virtual }
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    async fn wait_until(&self, at: u64) {
        self.now.fetch_max(at, Ordering::SeqCst);
    }

    fn is_virtual(&self) -> bool {
        self.is_virtual
    }
}

fn scope() -> Scope {
    serde_json::from_value(json!({
        "format": 1, "project": "shop",
        "ecs": {"cluster": "default", "services": ["shop_web"], "servicePrefix": "shop_",
                "familyPrefix": "default_shop_", "tagPrefix": "belay", "containerInstances": true},
    }))
    .unwrap()
}

fn arn(kind: &str, name: &str) -> String {
    format!("arn:aws:ecs:us-east-1:123456789012:{kind}/{name}")
}

/// 25 services of the project and one of another, three a page.
fn many(operation: &str, input: &Value, _: usize) -> Result<Value, CloudError> {
    let all: Vec<String> = (0..25)
        .map(|n| arn("service", &format!("default/shop_s{n:02}")))
        .chain([arn("service", "default/other")])
        .collect();
    Ok(match operation {
        "ListServices" => {
            let from: usize = input["nextToken"].as_str().map_or(0, |t| t.parse().unwrap());
            let mut page = json!({"serviceArns": all[from..(from + 3).min(all.len())]});
            if from + 3 < all.len() {
                page["nextToken"] = (from + 3).to_string().into();
            }
            page
        }
        "DescribeServices" => {
            let names = input["services"].as_array().unwrap();
            assert!(names.len() <= 10);
            let services: Vec<Value> = names
                .iter()
                .map(|name| {
                    let name = name.as_str().unwrap();
                    json!({"serviceName": name, "events": [{"message": "noise"}],
                           "taskDefinition": arn("task-definition", &format!("default_{name}:1")),
                           "tags": if name.ends_with('1') { json!([{"key": "belay:project", "value": "shop"}]) } else { json!([]) },
                           "currentServiceRevisions": [{"arn": arn("service-revision", name)}]})
                })
                .collect();
            json!({"services": services, "failures": []})
        }
        "DescribeServiceRevisions" => {
            assert!(input["serviceRevisionArns"].as_array().unwrap().len() <= 20);
            json!({"serviceRevisions": []})
        }
        "DescribeTaskDefinition" => {
            let ours = input["taskDefinition"].as_str().unwrap().ends_with("s02:1");
            json!({"taskDefinition": {"taskDefinitionArn": input["taskDefinition"],
                       "containerDefinitions": [{"name": "a", "environment": [{"name": "KEY", "value": "secret"}]}]},
                   "tags": if ours { json!([{"key": "skopos:project", "value": "shop"}]) } else { json!([]) }})
        }
        "ListTaskDefinitionFamilies" => json!({"families": ["default_shop_web"]}),
        "ListTaskDefinitions" => json!({"taskDefinitionArns":
            [arn("task-definition", "default_shop_web2:7"), arn("task-definition", "default_shop_web:7")]}),
        "ListContainerInstances" => {
            let arns: Vec<String> = (0..130).map(|n| arn("container-instance", &format!("default/{n:03}"))).collect();
            json!({"containerInstanceArns": arns})
        }
        "DescribeContainerInstances" => {
            assert!(input["containerInstances"].as_array().unwrap().len() <= 100);
            json!({"containerInstances": []})
        }
        _ => json!({}),
    })
}

#[tokio::test]
async fn pages_are_joined_and_batch_limits_kept() {
    let cloud = Scripted::new(many);
    let counted = Counted::new(&cloud);
    let observed = observe(&scope(), &counted, &TestClock::new(false), "us-east-1").await.unwrap();
    assert_eq!(observed.partition, "aws-cn");
    assert_eq!(observed.observed_at, "2025-11-20T12:00:00Z");
    let of = |operation| observed.reads.iter().filter(move |r| r.operation == operation);
    let mut counts = BTreeMap::new();
    for read in &observed.reads {
        *counts.entry(read.operation.as_str()).or_insert(0) += 1;
    }
    insta::assert_json_snapshot!(counts, @r#"
    {
      "DescribeClusters": 1,
      "DescribeContainerInstances": 2,
      "DescribeServiceRevisions": 2,
      "DescribeServices": 3,
      "DescribeTaskDefinition": 26,
      "ListContainerInstances": 1,
      "ListServices": 1,
      "ListTaskDefinitionFamilies": 1,
      "ListTaskDefinitions": 1
    }
    "#);
    assert_eq!(counted.counts().total(), cloud.calls.lock().unwrap().len() as u64);
    let listed = of("ListServices").next().unwrap();
    assert_eq!(listed.input, json!({"cluster": "default"}));
    assert_eq!(listed.output.as_ref().unwrap()["serviceArns"].as_array().unwrap().len(), 26);
    assert!(listed.output.as_ref().unwrap().get("nextToken").is_none());
    assert!(of("DescribeServices").all(|r| r.output.as_ref().unwrap()["services"][0].get("events").is_none()));
    let family = of("ListTaskDefinitions").next().unwrap();
    assert_eq!(
        family.output.as_ref().unwrap()["taskDefinitionArns"],
        json!([arn("task-definition", "default_shop_web:7")])
    );
    assert!(observed.reads.is_sorted_by_key(|r| (r.service.clone(), r.operation.clone(), r.input.to_string())));
    assert!((2..=8).contains(&cloud.most_in_flight.load(Ordering::SeqCst)));
}

#[tokio::test]
async fn environment_values_of_others_are_hashed() {
    let cloud = Scripted::new(many);
    let observed = observe(&scope(), &cloud, &TestClock::new(true), "us-east-1").await.unwrap();
    let mut clear = Vec::new();
    for (input, output) in observed.outputs("ecs", "DescribeTaskDefinition") {
        let value = output["taskDefinition"]["containerDefinitions"][0]["environment"][0]["value"].as_str().unwrap();
        if value == "secret" {
            clear.push(input["taskDefinition"].as_str().unwrap().rsplit('_').next().unwrap().to_owned());
        } else {
            assert_eq!(value, redacted("secret"));
        }
    }
    // s01, s11, s21: the service is tagged; s02: the task definition is.
    assert_eq!(clear, ["s01:1", "s02:1", "s11:1", "s21:1"]);
    // A virtual clock allows one call at a time.
    assert_eq!(cloud.most_in_flight.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn missing_balancers_are_found_by_halving_and_either_kind_is_tried() {
    let arn = |name: &str| format!("arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/{name}/1");
    let known = ["tg00", "tg03", "tg07"];
    let cloud = Scripted::new(move |operation, input, _| match operation {
        "DescribeTargetGroups" => {
            let names = input["Names"].as_array().unwrap();
            if names.iter().any(|n| !known.contains(&n.as_str().unwrap())) {
                return Err(CloudError::new(ErrorKind::NotFound, "TargetGroupNotFound", "not found"));
            }
            let groups: Vec<Value> =
                names.iter().map(|n| json!({"TargetGroupArn": arn(n.as_str().unwrap())})).collect();
            Ok(json!({"TargetGroups": groups}))
        }
        "DescribeLoadBalancers" => match &input["LoadBalancerNames"] {
            names if *names == json!(["tg01"]) => {
                Ok(json!({"LoadBalancerDescriptions": [{"LoadBalancerName": "tg01"}]}))
            }
            _ => Err(CloudError::new(ErrorKind::NotFound, "LoadBalancerNotFound", "not found")),
        },
        _ => Ok(json!({})),
    });
    let scope: Scope = serde_json::from_value(json!({
        "format": 1, "project": "shop", "targetGroups": ["tg00", "tg03", "tg05", "tg07"], "balancers": ["tg01", "tg02"],
        "images": ["nginx:1", "nginx@sha256:00"],
    }))
    .unwrap();
    let observed = observe(&scope, &cloud, &TestClock::new(false), "us-east-1").await.unwrap();
    let said: Vec<String> = observed
        .reads
        .iter()
        .map(|r| format!("{} {} {}", r.operation, r.input, r.error.as_ref().map_or("ok", |e| e.code.as_str())))
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    DescribeLoadBalancerAttributes {"LoadBalancerName":"tg01"} ok
    DescribeLoadBalancers {"LoadBalancerNames":["tg01"]} ok
    DescribeLoadBalancers {"LoadBalancerNames":["tg02"]} LoadBalancerNotFound
    DescribeTargetGroupAttributes {"TargetGroupArn":"arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/tg00/1"} ok
    DescribeTargetGroupAttributes {"TargetGroupArn":"arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/tg03/1"} ok
    DescribeTargetGroupAttributes {"TargetGroupArn":"arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/tg07/1"} ok
    DescribeTargetGroups {"Names":["tg00"]} ok
    DescribeTargetGroups {"Names":["tg02"]} TargetGroupNotFound
    DescribeTargetGroups {"Names":["tg03"]} ok
    DescribeTargetGroups {"Names":["tg05"]} TargetGroupNotFound
    DescribeTargetGroups {"Names":["tg07"]} ok
    "#);
    insta::assert_json_snapshot!(observed.images, @r#"
    {
      "nginx:1": {
        "error": "ImageNotFound: no nginx:1"
      },
      "nginx@sha256:00": {
        "digest": "sha256:00"
      }
    }
    "#);
}

#[tokio::test]
async fn throttled_reads_are_sent_again_and_others_are_not() {
    let cloud = Scripted::new(|operation, input, before| match operation {
        "ListServices" if before < 3 => {
            Err(CloudError::new(ErrorKind::Transient, "ThrottlingException", "Rate exceeded"))
        }
        _ => many(operation, input, before),
    });
    let clock = TestClock::new(true);
    observe(&scope(), &cloud, &clock, "us-east-1").await.unwrap();
    assert_eq!(cloud.calls_of("ListServices").iter().filter(|i| i.get("nextToken").is_none()).count(), 4);
    assert!(clock.now() > 1_763_640_000_500);

    let denied = Scripted::new(|operation, input, before| match operation {
        "DescribeServices" => Err(CloudError::new(ErrorKind::Rejected, "AccessDeniedException", "not allowed")),
        _ => many(operation, input, before),
    });
    let error = observe(&scope(), &denied, &clock, "us-east-1").await.unwrap_err();
    assert!(matches!(&error, ObserveError::Call { operation, source, .. }
        if operation == "DescribeServices" && source.code == "AccessDeniedException"));
}

#[tokio::test]
async fn endless_pages_end_and_a_wrong_region_is_refused() {
    let cloud = Scripted::new(|operation, input, before| match operation {
        "ListServices" => Ok(json!({"serviceArns": [], "nextToken": "again"})),
        _ => many(operation, input, before),
    });
    let error = observe(&scope(), &cloud, &TestClock::new(true), "us-east-1").await.unwrap_err();
    assert_eq!(error.to_string(), "ecs ListServices gave an answer without an end to its pages");

    let mut scope = scope();
    scope.region = Some("eu-west-1".to_owned());
    let error = observe(&scope, &cloud, &TestClock::new(true), "us-east-1").await.unwrap_err();
    assert_eq!(error.to_string(), "the scope names region eu-west-1, but calls would go to us-east-1");
}
