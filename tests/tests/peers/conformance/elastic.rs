//! Load balancers, target groups, networks.

use belay_tests::servers::{Client, Emulator};
use serde_json::{Value, json};

use super::transcript::{Difference, Transcript, differs};
use super::{conforms, must};

fn text(value: &Value) -> Value {
    assert!(value.is_string(), "no text: {value}");
    value.clone()
}

/// The default subnets of the account, by zone.
fn subnets(client: &mut Client) -> (Value, Vec<Value>) {
    let answer = must(client, "ec2", "DescribeSubnets", json!({}));
    let mut subnets = answer["Subnets"].as_array().unwrap().clone();
    subnets.sort_by_key(|subnet| subnet["AvailabilityZone"].to_string());
    (text(&subnets[0]["VpcId"]), subnets.iter().take(3).map(|subnet| text(&subnet["SubnetId"])).collect())
}

/// The load balancer `shop` of the default account, with its target groups, listener and rules.
fn application(client: &mut Client) {
    let (vpc, subnets) = subnets(client);
    let mut groups = Vec::new();
    for name in ["shop-web", "shop-api", "shop-admin", "unattached"] {
        let input = json!({
            "Name": name, "Protocol": "HTTP", "Port": 80, "VpcId": vpc, "TargetType": "instance",
            "HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 4, "HealthyThresholdCount": 2,
            "UnhealthyThresholdCount": 2, "HealthCheckPath": "/", "Matcher": {"HttpCode": "200"},
        });
        let answer = must(client, "elbv2", "CreateTargetGroup", input);
        let arn = text(&answer["TargetGroups"][0]["TargetGroupArn"]);
        let delay = json!([{"Key": "deregistration_delay.timeout_seconds", "Value": "30"}]);
        must(client, "elbv2", "ModifyTargetGroupAttributes", json!({"TargetGroupArn": arn, "Attributes": delay}));
        groups.push(arn);
    }
    let balancer = must(client, "elbv2", "CreateLoadBalancer", json!({"Name": "shop", "Subnets": subnets}));
    let arn = text(&balancer["LoadBalancers"][0]["LoadBalancerArn"]);
    let forward = |group: &Value| json!([{"Type": "forward", "TargetGroupArn": group}]);
    let listener =
        json!({"LoadBalancerArn": arn, "Protocol": "HTTP", "Port": 80, "DefaultActions": forward(&groups[0])});
    let answer = must(client, "elbv2", "CreateListener", listener);
    let listener = text(&answer["Listeners"][0]["ListenerArn"]);
    for (priority, path, group) in [(10, "/api/*", &groups[1]), (20, "/admin/*", &groups[2])] {
        let conditions = json!([{"Field": "path-pattern", "Values": [path]}]);
        let input =
            json!({"ListenerArn": listener, "Priority": priority, "Conditions": conditions, "Actions": forward(group)});
        must(client, "elbv2", "CreateRule", input);
    }
}

fn look_ups(t: &mut Transcript) {
    let balancer = t.step("load balancer", "elbv2", "DescribeLoadBalancers", json!({"Names": ["shop"]}));
    let balancer = text(&balancer["LoadBalancers"][0]["LoadBalancerArn"]);
    let listeners = t.step("listeners", "elbv2", "DescribeListeners", json!({"LoadBalancerArn": balancer}));
    let listener = text(&listeners["Listeners"][0]["ListenerArn"]);
    t.step("rules", "elbv2", "DescribeRules", json!({"ListenerArn": listener}));
    let group = t.step("target group", "elbv2", "DescribeTargetGroups", json!({"Names": ["shop-web"]}));
    let group = text(&group["TargetGroups"][0]["TargetGroupArn"]);
    let groups = json!({"LoadBalancerArn": balancer});
    t.step("target groups of a load balancer", "elbv2", "DescribeTargetGroups", groups);
    t.step("free target group", "elbv2", "DescribeTargetGroups", json!({"Names": ["unattached"]}));
    t.step("attributes", "elbv2", "DescribeTargetGroupAttributes", json!({"TargetGroupArn": group}));
    t.step("health", "elbv2", "DescribeTargetHealth", json!({"TargetGroupArn": group}));
    t.step("tags", "elbv2", "DescribeTags", json!({"ResourceArns": [group]}));
}

/// `arn` of something that is not there.
fn nowhere(resource: &str) -> String {
    format!("arn:aws:elasticloadbalancing:us-east-1:123456789012:{resource}")
}

fn not_found(t: &mut Transcript) {
    let group = nowhere("targetgroup/nothing/0123456789abcdef");
    let balancer = nowhere("loadbalancer/app/nothing/0123456789abcdef");
    t.step("missing load balancer", "elbv2", "DescribeLoadBalancers", json!({"Names": ["nothing"]}));
    t.step("missing load balancer by arn", "elbv2", "DescribeLoadBalancers", json!({"LoadBalancerArns": [balancer]}));
    t.step("missing target group", "elbv2", "DescribeTargetGroups", json!({"Names": ["nothing"]}));
    t.step("missing target group by arn", "elbv2", "DescribeTargetGroups", json!({"TargetGroupArns": [group]}));
    t.step("attributes of missing", "elbv2", "DescribeTargetGroupAttributes", json!({"TargetGroupArn": group}));
    t.step("health of missing", "elbv2", "DescribeTargetHealth", json!({"TargetGroupArn": group}));
    t.step("listeners of missing", "elbv2", "DescribeListeners", json!({"LoadBalancerArn": balancer}));
    let listener = nowhere("listener/app/nothing/0123456789abcdef/0123456789abcdef");
    t.step("rules of missing", "elbv2", "DescribeRules", json!({"ListenerArn": listener}));
    let rule = nowhere("listener-rule/app/nothing/0123456789abcdef/0123456789abcdef/0123456789abcdef");
    t.step("delete missing rule", "elbv2", "DeleteRule", json!({"RuleArn": rule}));
}

fn rules(t: &mut Transcript) {
    let balancer = t.aside("elbv2", "DescribeLoadBalancers", json!({"Names": ["shop"]}));
    let balancer = text(&balancer["LoadBalancers"][0]["LoadBalancerArn"]);
    let listener = t.aside("elbv2", "DescribeListeners", json!({"LoadBalancerArn": balancer}));
    let listener = text(&listener["Listeners"][0]["ListenerArn"]);
    let groups = t.aside("elbv2", "DescribeTargetGroups", json!({"Names": ["unattached"]}));
    let group = text(&groups["TargetGroups"][0]["TargetGroupArn"]);
    let rule = |priority: u32| {
        json!({
            "ListenerArn": listener, "Priority": priority,
            "Conditions": [{"Field": "host-header", "Values": ["shop.example.com"]}],
            "Actions": [{"Type": "forward", "TargetGroupArn": group}],
        })
    };
    let made = t.step("create rule", "elbv2", "CreateRule", rule(30));
    let arn = text(&made["Rules"][0]["RuleArn"]);
    t.step("priority in use", "elbv2", "CreateRule", rule(30));
    t.step("delete used target group", "elbv2", "DeleteTargetGroup", json!({"TargetGroupArn": group}));
    let order = json!({"RulePriorities": [{"RuleArn": arn, "Priority": 5}]});
    t.step("set priorities", "elbv2", "SetRulePriorities", order);
    t.step("rules", "elbv2", "DescribeRules", json!({"RuleArns": [arn]}));
    t.step("delete rule", "elbv2", "DeleteRule", json!({"RuleArn": arn}));
    t.step("rules after", "elbv2", "DescribeRules", json!({"ListenerArn": listener}));
    t.step("delete free target group", "elbv2", "DeleteTargetGroup", json!({"TargetGroupArn": group}));
    t.step("it is gone", "elbv2", "DescribeTargetGroups", json!({"Names": ["unattached"]}));
}

/// What moto leaves out of actions and conditions, below these paths.
fn short_form(step: &'static str, rules: &str) -> [Difference; 5] {
    let reason = "moto does not complete the short form of an action or condition";
    [
        differs(step, format!("{rules}/Actions/0/ForwardConfig"), reason),
        differs(step, format!("{rules}/Actions/0/Order"), reason),
        differs(step, format!("{rules}/Conditions/0/PathPatternConfig"), reason),
        differs(step, format!("{rules}/Conditions/0/HostHeaderConfig"), reason),
        differs(step, format!("{rules}/RuleArn"), "moto's default rules have an id of another length"),
    ]
}

#[test]
fn look_ups_of_load_balancers_as_in_moto() {
    let listener = "moto does not complete the short form of an action or condition";
    let mut differences = vec![
        differs("load balancer", "/LoadBalancers/0/CanonicalHostedZoneId", "each has a zone of its own making"),
        differs("load balancer", "/LoadBalancers/0/DNSName", "each makes names of its own"),
        differs("load balancer", "/LoadBalancers/0/Scheme", "moto does not fill in the default"),
        differs("load balancer", "/LoadBalancers/0/SecurityGroups", "moto does not fill in the default"),
        differs("listeners", "/Listeners/0/DefaultActions/0/ForwardConfig", listener),
        differs("listeners", "/Listeners/0/DefaultActions/0/Order", listener),
        differs("listeners", "/Listeners/0/SslPolicy", "moto gives a listener without TLS a policy for TLS"),
        differs(
            "attributes",
            "/Attributes/waf.fail_open.enabled",
            "an attribute of load balancers, not of target groups",
        ),
    ];
    for attribute in [
        "load_balancing.algorithm.anomaly_mitigation",
        "stickiness.app_cookie.cookie_name",
        "stickiness.app_cookie.duration_seconds",
        "stickiness.lb_cookie.duration_seconds",
    ] {
        differences.push(differs("attributes", format!("/Attributes/{attribute}"), "moto does not know it"));
    }
    differences.extend(short_form("rules", "/Rules/*").into_iter().filter(|d| !d.path.contains("HostHeader")));
    conforms(Emulator::Moto, application, look_ups, &differences);
}

#[test]
fn missing_load_balancers_as_in_moto() {
    let worded = "moto has one wording; AWS names what it looked for";
    conforms(
        Emulator::Moto,
        application,
        not_found,
        &[
            differs("missing load balancer", "/error/message", worded),
            differs("missing load balancer by arn", "/error/message", worded),
            differs("listeners of missing", "/error/message", worded),
            differs("rules of missing", "/error/message", worded),
            differs("delete missing rule", "/error", "moto takes a rule that is not there as deleted"),
        ],
    );
}

#[test]
fn rules_of_listeners_as_in_moto() {
    let worded = "moto has a wording of its own";
    let mut differences = vec![
        differs("priority in use", "/error/message", worded),
        differs("delete used target group", "/error/message", worded),
    ];
    differences.extend(short_form("*", "/Rules/*"));
    conforms(Emulator::Moto, application, rules, &differences);
}

/// The classic load balancer `shop-classic` of the default account.
fn classic(client: &mut Client) {
    let (_, subnets) = subnets(client);
    let input = json!({
        "LoadBalancerName": "shop-classic", "Subnets": subnets,
        "Listeners": [{"Protocol": "HTTP", "LoadBalancerPort": 80, "InstanceProtocol": "HTTP", "InstancePort": 8080}],
    });
    must(client, "elb", "CreateLoadBalancer", input);
    let check =
        json!({"Target": "HTTP:8080/", "Interval": 10, "Timeout": 5, "HealthyThreshold": 2, "UnhealthyThreshold": 2});
    must(client, "elb", "ConfigureHealthCheck", json!({"LoadBalancerName": "shop-classic", "HealthCheck": check}));
    let attributes = json!({
        "ConnectionDraining": {"Enabled": true, "Timeout": 30}, "CrossZoneLoadBalancing": {"Enabled": true},
    });
    let input = json!({"LoadBalancerName": "shop-classic", "LoadBalancerAttributes": attributes});
    must(client, "elb", "ModifyLoadBalancerAttributes", input);
}

fn classic_look_ups(t: &mut Transcript) {
    let named = |name: &str| json!({"LoadBalancerName": name});
    t.step("load balancer", "elb", "DescribeLoadBalancers", json!({"LoadBalancerNames": ["shop-classic"]}));
    t.step("attributes", "elb", "DescribeLoadBalancerAttributes", named("shop-classic"));
    t.step("health", "elb", "DescribeInstanceHealth", named("shop-classic"));
    t.step("missing", "elb", "DescribeLoadBalancers", json!({"LoadBalancerNames": ["nothing"]}));
    t.step("attributes of missing", "elb", "DescribeLoadBalancerAttributes", named("nothing"));
    t.step("health of missing", "elb", "DescribeInstanceHealth", named("nothing"));
}

#[test]
fn classic_load_balancers_as_in_moto() {
    let description = "/LoadBalancerDescriptions/0";
    conforms(
        Emulator::Moto,
        classic,
        classic_look_ups,
        &[
            differs(
                "load balancer",
                format!("{description}/AvailabilityZones"),
                "moto does not derive zones from subnets",
            ),
            differs("load balancer", format!("{description}/CanonicalHostedZoneName"), "each makes names of its own"),
            differs("load balancer", format!("{description}/CanonicalHostedZoneNameID"), "moto has none"),
            differs("load balancer", format!("{description}/DNSName"), "each makes names of its own"),
            differs("missing", "/error/message", "moto has a wording of its own"),
            differs("attributes of missing", "/error", "moto breaks: HTTP 500 with a page of HTML"),
        ],
    );
}

/// Names as the default account has them.
fn named_networks(client: &mut Client) {
    let (vpc, subnets) = subnets(client);
    let default = json!({"Filters": [{"Name": "group-name", "Values": ["default"]}]});
    let group = must(client, "ec2", "DescribeSecurityGroups", default);
    let group = text(&group["SecurityGroups"][0]["GroupId"]);
    for (id, name) in [(&vpc, "default"), (&subnets[0], "default-us-east-1a"), (&group, "default")] {
        let input = json!({"Resources": [id], "Tags": [{"Key": "Name", "Value": name}]});
        must(client, "ec2", "CreateTags", input);
    }
}

fn networks(t: &mut Transcript) {
    let default = json!({"Filters": [{"Name": "is-default", "Values": ["true"]}]});
    let vpc = t.step("default vpc", "ec2", "DescribeVpcs", default);
    let vpc = text(&vpc["Vpcs"][0]["VpcId"]);
    let in_zone = json!({"Filters": [
        {"Name": "vpc-id", "Values": [vpc]}, {"Name": "availability-zone", "Values": ["us-east-1a"]},
    ]});
    t.step("subnet", "ec2", "DescribeSubnets", in_zone);
    let group =
        json!({"Filters": [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": ["default"]}]});
    t.step("security group", "ec2", "DescribeSecurityGroups", group);
    t.step("missing vpc", "ec2", "DescribeVpcs", json!({"VpcIds": ["vpc-0123456789abcdef0"]}));
    t.step("missing subnet", "ec2", "DescribeSubnets", json!({"SubnetIds": ["subnet-0123456789abcdef0"]}));
    t.step("missing group", "ec2", "DescribeSecurityGroups", json!({"GroupIds": ["sg-0123456789abcdef0"]}));
    t.step("missing instance", "ec2", "DescribeInstances", json!({"InstanceIds": ["i-0123456789abcdef0"]}));
    let none = json!({"Filters": [{"Name": "tag:Name", "Values": ["nothing"]}]});
    t.step("no vpc of that name", "ec2", "DescribeVpcs", none.clone());
    t.step("no subnet of that name", "ec2", "DescribeSubnets", none);
    t.step("who", "sts", "GetCallerIdentity", json!({}));
}

#[test]
fn networks_as_in_moto() {
    let untold = "the simulator leaves out what no plan depends on";
    let another = "each has a default network of its own";
    conforms(
        Emulator::Moto,
        named_networks,
        networks,
        &[
            differs("default vpc", "/Vpcs/0/CidrBlock", another),
            differs("default vpc", "/Vpcs/0/CidrBlockAssociationSet", untold),
            differs("default vpc", "/Vpcs/0/DhcpOptionsId", untold),
            differs("subnet", "/Subnets/0/AssignIpv6AddressOnCreation", untold),
            differs("subnet", "/Subnets/0/AvailabilityZoneId", untold),
            differs("subnet", "/Subnets/0/AvailableIpAddressCount", another),
            differs("subnet", "/Subnets/0/CidrBlock", another),
            differs("subnet", "/Subnets/0/Ipv6Native", untold),
            differs("subnet", "/Subnets/0/PrivateDnsNameOptionsOnLaunch", untold),
            differs("subnet", "/Subnets/0/SubnetArn", untold),
            differs("security group", "/SecurityGroups/0/IpPermissionsEgress", untold),
            differs("security group", "/SecurityGroups/0/SecurityGroupArn", untold),
            differs("missing vpc", "/error/message", "moto writes a Python set into its message"),
            differs("missing group", "/error/message", "moto writes a Python set into its message"),
            differs("who", "/Arn", "each has a caller of its own"),
            differs("who", "/UserId", "each has a caller of its own"),
        ],
    );
}
