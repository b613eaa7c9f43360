//! Derived policies, enforced over real HTTP: plans are applied by a user who has nothing but them, and moto's IAM checks
//! each call's signature and action. Without an action the run is denied, and names it.
//!
//! moto asks for every action on `*` and takes a condition that it cannot check for a denial, so it is given the policies
//! without resources and conditions; those are enforced on the simulated AWS (`tests/policy.rs`). It never asks for what a
//! call takes besides its own action (iam:PassRole, ec2:RunInstances, tagging).

use belay_executor::simulator::World;
use belay_tests::account::Account;
use belay_tests::fixtures::Fixture;
use belay_tests::loopback::Loopback;
use belay_tests::servers::{Credentials, Emulator};
use belay_tests::site::Site;
use serde_json::{Value, json};

use crate::{emulator, groups};

#[test]
fn services_are_updated_under_the_derived_policy_alone() {
    let (server, client) = emulator(Emulator::Shimmed);
    let account = Account::new(Emulator::Shimmed, client, "666666666601");
    let fixture = Fixture::named("upgrade");
    account.seed(&World::default_account());
    let site = Site::new(&fixture, server.endpoint(), &account);
    // What is read before anything changes, what changes first, what only a wait looks at.
    let missed = [("ecs:DescribeServices", 6), ("ecs:RegisterTaskDefinition", 3), ("ecs:UpdateService", 3)];
    applied_by_a_user(&fixture, site, &account, &missed);
}

#[test]
fn groups_are_upgraded_under_the_derived_policy_alone() {
    let (server, client) = emulator(Emulator::Shimmed);
    let account = Account::new(Emulator::Shimmed, client, "666666666602");
    let fixture = Fixture::named("asg-upgrade");
    let handler = Loopback::start(|_| None);
    let site = groups::site(&fixture, server.endpoint(), &account, &handler);
    let missed = [("autoscaling:DescribeAutoScalingGroups", 6), ("ec2:CreateLaunchTemplate", 3)];
    applied_by_a_user(&fixture, site, &account, &missed);
}

/// Deploys what a fixture starts from, and lets a user apply its plan: first without one action, then with all of them.
fn applied_by_a_user(fixture: &Fixture, mut site: Site, account: &Account, missed: &[(&str, i32)]) {
    groups::start(&site, fixture, &|image| drop(account.push(image)));
    site.take(&fixture.dir()).iter().for_each(|image| drop(account.push(image)));
    site.plan();
    let policies = match serde_json::from_str(&site.must("belayc", &["policy", "plan.json"]).stdout).unwrap() {
        Value::Array(several) => several,
        one => vec![one],
    };
    let user = user(account);
    account.server("/shim/enforce", Some(&json!([user.id])));
    let admin = account.credentials.clone();

    site.act_as(&user);
    for (action, code) in missed {
        give(account, &actions(&policies, Some(action)));
        let done = site.apply();
        assert_eq!(done.code, *code, "without {action}: {}", done.stderr);
        let denied = format!("is not authorized to perform: {action}");
        assert!(done.stderr.contains(&denied), "without {action}: {}", done.stderr);
    }
    give(account, &actions(&policies, None));
    let done = site.apply();
    assert_eq!(done.code, 0, "{}", done.stderr);
    site.act_as(&admin);
    assert!(site.plan().nodes.is_empty(), "still to do");

    // Whoever signs with another secret is nobody.
    site.act_as(&Credentials { secret: "guessed".to_owned(), ..user });
    let refused = site.run("belay", &["verify", "plan.json"]);
    assert_eq!(refused.code, 6, "{}{}", refused.stdout, refused.stderr);
}

/// All actions of policies but one, which has to be among them.
fn actions(policies: &[Value], without: Option<&str>) -> Vec<String> {
    let statements = policies.iter().flat_map(|policy| policy["Statement"].as_array().unwrap());
    let all = statements.flat_map(|statement| statement["Action"].as_array().unwrap());
    let all: Vec<String> = all.map(|action| action.as_str().unwrap().to_owned()).collect();
    assert!(without.is_none_or(|action| all.iter().any(|one| one == action)), "{without:?} is not in {all:?}");
    all.into_iter().filter(|action| Some(action.as_str()) != without).collect()
}

fn user(account: &Account) -> Credentials {
    account.must("iam", "CreateUser", &json!({"UserName": "deployer"}));
    let made = account.must("iam", "CreateAccessKey", &json!({"UserName": "deployer"}));
    let text = |name: &str| made["AccessKey"][name].as_str().unwrap().to_owned();
    Credentials { id: text("AccessKeyId"), secret: text("SecretAccessKey"), token: None }
}

/// Gives the user these actions and no other ones.
fn give(account: &Account, actions: &[String]) {
    let statement = json!([{"Effect": "Allow", "Action": actions, "Resource": "*"}]);
    let document = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
    let input = json!({"UserName": "deployer", "PolicyName": "belay", "PolicyDocument": document});
    account.must("iam", "PutUserPolicy", &input);
}
