//! Where requests go without an endpoint of one's own: AWS's rules, as botocore applies them.

use belay_executor::aws::endpoint;
use belay_schemas::aws;
use serde_json::{Value, json};

use crate::botocore;

const REGIONS: [&str; 9] = [
    "us-east-1",
    "us-west-2",
    "eu-central-1",
    "ap-southeast-5",
    "mx-central-1",
    "cn-north-1",
    "us-gov-west-1",
    "us-iso-east-1",
    "eusc-de-east-1",
];

#[test]
fn endpoints_are_those_of_botocore() {
    let mut asked = Vec::new();
    // ECS and Auto Scaling have their own clients, and these their own rules.
    for service in aws::services().filter(|service| !matches!(*service, "ecs" | "autoscaling")) {
        for region in REGIONS {
            for (fips, dual) in [(false, false), (true, false), (false, true)] {
                asked.push((service, region, fips, dual));
            }
        }
    }
    let task = |(service, region, fips, dual): &(&str, &str, bool, bool)| json!({"endpoint": {"service": service, "region": region, "fips": fips, "dual": dual}});
    let tasks: Vec<Value> = asked.iter().map(task).collect();
    let mut wrong = Vec::new();
    let mut held = 0;
    for ((service, region, fips, dual), theirs) in asked.iter().zip(botocore(&tasks)) {
        // A partition without such endpoints; and the rules name hosts for FIPS and dual stack of IAM that no partition has.
        let Some(url) = theirs["url"].as_str() else { continue };
        if *service == "iam" && (*fips || *dual) && !matches!(*region, "us-east-1" | "us-west-2" | "us-gov-west-1") {
            continue;
        }
        held += 1;
        let ours = endpoint(service, region, *fips, *dual).expect("a known service");
        if ours != url {
            wrong.push(format!("{service} {region} fips {fips} dual-stack {dual}: {ours}, botocore: {url}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {held} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(held > 100, "only {held}");
}
