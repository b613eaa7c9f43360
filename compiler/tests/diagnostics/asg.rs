//! EC2 Auto Scaling: every rule of its settings, and what stands against a group as it was observed.

use belay_schemas::observed::{HomeVpc, ObjectObservation};
use serde_json::json;

use crate::case::{Case, case};
use crate::support::fleet::{asg_env, made_beforehand, vm};
use crate::support::{Input, World};

#[test]
fn asg() {
    crate::check("asg", table());
}

/// A row whose component is on Auto Scaling in a plain network.
fn row(code: &'static str, what: &'static str) -> Case {
    case(code, what).with_model(vm("")).with_env(asg_env("")).world(World::new())
}

fn setting(code: &'static str, what: &'static str, wrong: &str, right: &str) -> Case {
    row(code, what).env(asg_env(wrong), asg_env(right))
}

/// The environment of container instances: their user data are not written.
fn joining(lines: &str) -> String {
    let written = "      user_data: |\n        #!/bin/sh\n        docker run {{image_id}}\n";
    let plain = asg_env(lines);
    assert!(plain.contains(written), "{plain}");
    plain.replace(written, "      profile: app\n").replace("    image_id_subst: \"{{image_id}}\"\n", "")
}

/// Wrong settings of the ECS agent, perhaps beside user data that are written.
fn agent(what: &'static str, wrong: &str, written: bool) -> Case {
    let wrong = match written {
        true => asg_env(wrong).replace("      sg: [app]\n", "      sg: [app]\n      profile: app\n"),
        false => joining(wrong),
    };
    row("B634", what).env(wrong, joining("container_instances: {cluster: default}"))
}

/// The environment of container instances of the cluster `default` whose group is a capacity provider.
fn providing(settings: &str) -> String {
    joining(&format!("container_instances: {{cluster: default, capacity_provider: {{{settings}}}}}"))
}

/// Settings of a capacity provider that do not go together, and those that do.
fn provider(what: &'static str, wrong: &str, right: &str) -> Case {
    row("B635", what).env(providing(wrong), providing(right))
}

/// The environment with a part of it replaced.
fn instead(from: &str, to: &str) -> String {
    let environment = asg_env("");
    assert!(environment.contains(from), "{from}");
    environment.replace(from, to)
}

fn fleet(change: impl Fn(&mut crate::support::fleet::Fleet)) -> World {
    World::new().with(|w| change(&mut w.fleet))
}

const FRONT: &str =
    "gateways:\n  front: {type: load_balancer, exposes: {port: 80, target_port: 8080}, target: [web]}\n";

fn front() -> String {
    vm("") + FRONT
}

/// The world in which the plain component runs.
fn running(environment: &str) -> World {
    let plan = Input::new(&vm(""), environment).world(World::new()).plan();
    World::new().apply(&plan)
}

/// Groups that somebody else has made: A runs, B is set up for this image.
fn beforehand(image: &str) -> World {
    fleet(|f| {
        for (name, image, count) in [("shop.web_A", "shop/web:0.9", 1), ("shop.web_B", image, 0)] {
            f.groups.insert(name.to_owned(), made_beforehand(name, "web", image, count));
        }
    })
}

const BEFOREHAND: &str = "core_plugin: ec2-asg\nplugin_config: {ec2-asg: {region: us-east-1}}\n";

pub fn table() -> Vec<Case> {
    let template = |text: &str| format!("naming_template: \"{text}\"");
    let good = template("{prj}.{comp}_{slot}");
    let mut all: Vec<Case> = [
        ("placeholder twice", "{prj}.{comp}.{prj}"),
        ("foreign braces", "{prj}.{name}_{slot}"),
        ("open brace", "{prj}.{comp"),
        ("closing brace", "{prj}.{comp}_a}"),
        ("placeholders that touch", "{prj}{comp}"),
        ("no project", "app.{comp}"),
    ]
    .into_iter()
    .map(|(what, text)| setting("B601", what, &template(text), &good))
    .collect();
    all.extend([
        setting("B602", "component not called main", &template("{prj}-{side}"), &good),
        setting("B603", "space in a name", &template("{prj} {comp}"), &good),
        row("B604", "no VPC").env(instead("    vpc: main\n", ""), asg_env("")),
        setting("B605", "no EC2 instance", "home_vpc: true", ""),
        row("B605", "another VPC")
            .env(asg_env("home_vpc: true"), asg_env("home_vpc: true"))
            .worlds(
                fleet(|f| f.home = Some(HomeVpc { vpc_id: Some("vpc-2".to_owned()), error: None })),
                fleet(|f| f.home = Some(HomeVpc { vpc_id: Some("vpc-1".to_owned()), error: None })),
            ),
        row("B606", "unknown VPC").env(instead("vpc: main", "vpc: mian"), asg_env("")),
        row("B606", "two VPCs of one name").worlds(
            fleet(|f| f.vpcs.push(json!({"VpcId": "vpc-2", "Tags": [{"Key": "Name", "Value": "main"}]}))),
            World::new(),
        ),
        setting("B607", "unknown subnet", "subnets: [app-a, app-x]", "subnets: [app-a, subnet-2]"),
        setting("B607", "subnet of another VPC", "subnets: [subnet-9]", "subnets: [subnet-2]").world(fleet(|f| {
            f.subnets.push(json!({"SubnetId": "subnet-9", "VpcId": "vpc-9", "AvailabilityZone": "us-east-1c"}));
        })),
        setting("B607", "wildcard that fits nothing", "subnets: \"web-*\"", "subnets: \"app-[ab]\""),
        row("B608", "two subnets in one zone").worlds(
            fleet(|f| {
                f.subnets.push(json!({"SubnetId": "subnet-9", "VpcId": "vpc-1", "AvailabilityZone": "us-east-1a"}));
            }),
            World::new(),
        ),
        row("B609", "unknown security group").env(instead("sg: [app]", "sg: [ap]"), asg_env("")),
        row("B610", "no machine image").env(instead("      ami: ami-12345678\n", ""), asg_env("")),
        row("B610", "machine image of another region").env(instead("ami-12345678", "ami-87654321"), asg_env("")),
        row("B610", "unknown key pair").env(
            instead("      type: t3.micro\n", "      type: t3.micro\n      key: opps\n"),
            instead("      type: t3.micro\n", "      type: t3.micro\n      key: ops\n"),
        ),
        row("B611", "unknown template").env(
            instead("      type: t3.micro\n", "      type: t3.micro\n      template: base\n"),
            asg_env(""),
        ),
        row("B612", "user data that are not there")
            .with_env(instead("user_data: |\n        #!/bin/sh\n        docker run {{image_id}}", "user_data: {s3: config/run.sh}"))
            .worlds(
                World::new(),
                fleet(|f| {
                    let seen = ObjectObservation { content: Some("run {{image_id}}".to_owned()), etag: Some("\"1\"".to_owned()), error: None };
                    f.objects.insert("config/run.sh".to_owned(), seen);
                }),
            ),
        row("B612", "user data too long").env(instead("docker run", &format!("# {}\n        docker run", "x".repeat(17_000))), asg_env("")),
        setting("B613", "both", "image_id_path: a.b", ""),
        row("B614", "look-ahead").env(instead("image_id_subst: \"{{image_id}}\"", "image_id_subst: \"IMAGE(?=_ID)\""), asg_env("")),
        row("B614", "open group").env(instead("image_id_subst: \"{{image_id}}\"", "image_id_subst: \"(image\""), asg_env("")),
        row("B615", "placeholder missing").env(instead("docker run {{image_id}}", "docker run IMAGE"), asg_env("")),
        row("B616", "user data that are no YAML")
            .env(instead("image_id_subst: \"{{image_id}}\"", "image_id_path: app.image"), asg_env("")),
        row("B617", "neither pattern nor settings").env(
            instead("    image_id_subst: \"{{image_id}}\"\n", ""),
            instead("    image_id_subst: \"{{image_id}}\"\n", "    components: {web: {launch_config: {user_data: \"docker run shop/web\"}}}\n"),
        ),
        setting("B618", "reserved prefix", "tags: {\"skopos:comp_name\": web}", "tags: {team: web}"),
        row("B619", "no such load balancer")
            .with_model(front())
            .with_env(asg_env("lb: {front: shop-front}"))
            .worlds(World::new(), World::new().classic("shop-front", &[(80, 8080)])),
        row("B619", "no such target group")
            .with_model(front())
            .with_env(asg_env("lb: {front: {target_group: web, port: 80}}"))
            .worlds(World::new(), World::new().group("web", "instance")),
        row("B619", "target group for another port")
            .with_model(front())
            .env(asg_env("lb: {front: {target_group: web, port: 8080}}"), asg_env("lb: {front: {target_group: web, port: 80}}"))
            .world(World::new().group("web", "instance")),
        row("B619", "target group for addresses")
            .with_model(front())
            .with_env(asg_env("lb: {front: {target_group: web, port: 80}}"))
            .worlds(World::new().group("web", "ip"), World::new().group("web", "instance")),
        row("B619", "zone that is not covered")
            .with_model(front())
            .with_env(asg_env("lb: {front: shop-front}"))
            .worlds(
                World::new().classic("shop-front", &[(80, 8080)]).with(|w| w.classic[0]["AvailabilityZones"] = json!(["us-east-1a"])),
                World::new().classic("shop-front", &[(80, 8080)]),
            ),
        setting("B620", "no address", "delegated_destroy: {components: [web]}", "delegated_destroy: {components: [web], uri: \"http://destroy.internal/\"}"),
        setting("B620", "no address of HTTP", "delegated_destroy: {components: [web], uri: destroy.internal}", "delegated_destroy: {components: [web], uri: \"https://destroy.internal\"}"),
        setting("B621", "mix in a launch configuration", "launch_configurations: true\nmixed_instances: {types: [t3.large]}", "launch_configurations: true"),
        setting("B622", "replicas below the minimum", "scaling: {min: 2, max: 4, cpu: 60}", "scaling: {min: 1, max: 4, cpu: 60}"),
        setting("B622", "nothing to scale by", "scaling: {min: 1, max: 4}", "scaling: {min: 1, max: 4, cpu: 60}"),
        setting("B622", "type twice", "mixed_instances: {types: [t3.large, t3.large]}", "mixed_instances: {types: [t3.large, t3a.large]}"),
        setting("B622", "nobody to ask", "health_check: {type: ELB}", "health_check: {type: EC2}"),
        setting("B623", "no number", "batch: half", "batch: 50%"),
        row("B624", "groups missing").env(BEFOREHAND, BEFOREHAND).worlds(World::new(), beforehand("shop/web:1.0")),
        row("B624", "set up for another image").with_env(BEFOREHAND).worlds(beforehand("shop/web:2.0"), beforehand("shop/web:1.0")),
        row("B624", "group of another component").with_env(BEFOREHAND).worlds(
            beforehand("shop/web:1.0").with(|w| {
                w.fleet.groups.insert("shop.web_B".to_owned(), made_beforehand("shop.web_B", "api", "shop/web:1.0", 0));
            }),
            beforehand("shop/web:1.0"),
        ),
        row("B625", "environment variables").model(vm("env: {A: b}"), vm("")).warning(),
        setting("B626", "no such gateway", "lb: {front: shop-front}", "lb: {front: null}")
            .world(World::new().classic("shop-front", &[(80, 8080)]))
            .warning(),
        row("B627", "both run").worlds(
            running(&asg_env("")).with(|w| {
                let twin = w.fleet.groups["shop.web_A"].clone();
                w.fleet.groups.insert("shop.web_B".to_owned(), twin);
                w.fleet.groups.get_mut("shop.web_B").expect("a group")["AutoScalingGroupName"] = json!("shop.web_B");
            }),
            running(&asg_env("")),
        ),
        row("B628", "policy made by hand")
            .with_model(vm("").replace("1.0", "1.1"))
            .worlds(
                running(&asg_env("")).with(|w| {
                    w.fleet.policies.push(json!({"AutoScalingGroupName": "shop.web_A", "PolicyName": "by-hand", "PolicyType": "StepScaling"}));
                }),
                running(&asg_env("")),
            )
            .warning(),
        row("B629", "unknown to its registry").worlds(
            World::new().with(|w| {
                w.images.insert("shop/web:1.0".to_owned(), Err("manifest unknown".to_owned()));
            }),
            World::new(),
        ),
        row("B630", "shorter than the health check")
            .with_model(front())
            .env(asg_env("lb: {front: shop-front}\njoin_timeout: 30"), asg_env("lb: {front: shop-front}\njoin_timeout: 300"))
            .world(World::new().classic("shop-front", &[(80, 8080)]))
            .warning(),
        row("B631", "typo").env(
            asg_env("") + "components: {wbe: {core_plugin: ec2-asg}}\n",
            asg_env("") + "components: {web: {core_plugin: ec2-asg}}\n",
        ),
        setting("B632", "typo", "components: {wbe: {subnets: [app-a]}}", "components: {web: {subnets: [app-a]}}").warning(),
        row("B633", "two regions").env(
            asg_env("region: us-east-1") + "  ec2-ecs: {region: eu-west-1}\ncomponents: {web: {core_plugin: ec2-asg}}\n",
            asg_env("region: us-east-1"),
        )
        .also("B305")
        .also("B505"),
        agent("two ways to write user data", "container_instances: {cluster: default}", true),
        agent("no such cluster", "container_instances: {cluster: defualt}", false),
        agent("attribute of ECS itself", "container_instances: {cluster: default, attributes: {ecs.os-type: linux}}", false),
        agent("attribute with a quote", "container_instances: {cluster: default, attributes: {stack: 'it''s'}}", false),
        agent("no host", "container_instances: {cluster: default, proxy: {http: 'proxy:3128', except: ['a b']}}", false),
        agent("no task definition", "container_instances: {cluster: default, start_tasks: ['warm up']}", false),
        agent("clean-up of what is kept", "container_instances: {cluster: default, image_cleanup: {enabled: false, interval: 30}}", false),
        agent("no credentials", "container_instances: {cluster: default, registry_auth: {type: docker}}", false),
        agent("no name of a secret", "container_instances: {cluster: default, registry_auth: {secret: \"it's\"}}", false),
        row("B634", "no profile").env(
            joining("container_instances: {cluster: default}").replace("      profile: app\n", ""),
            joining("container_instances: {cluster: default}"),
        ),
        row("B634", "too many instances")
            .with_env(joining("container_instances: {cluster: default}"))
            .model(vm("replicas: 101"), vm("replicas: 100")),
        row("B634", "two machine images")
            .with_env(joining("container_instances: {cluster: default}"))
            .model(vm("").replace("shop/web:1.0", "ami-12345679"), vm("").replace("shop/web:1.0", "ami-12345678"))
            .also("B610"),
        provider("name of AWS's own", "name: ecs-fleet", "name: fleet"),
        provider("replicas beyond its limits", "min: 2, max: 4", "min: 1, max: 4"),
        provider("limits without managed scaling", "managed_scaling: false, max: 4", "max: 4"),
        provider("steps the wrong way round", "minimum_step: 5, maximum_step: 2", "minimum_step: 2, maximum_step: 5"),
        provider("protection from nothing", "managed_scaling: false, termination_protection: true", "termination_protection: true"),
        row("B635", "two who choose").env(
            providing("") + "    scaling: {min: 1, max: 4, cpu: 60}\n",
            providing("managed_scaling: false") + "    scaling: {min: 1, max: 4, cpu: 60}\n",
        ),
        row("B635", "instances without protection").env(
            providing("termination_protection: true") + "    instance_protection: false\n",
            providing("termination_protection: true"),
        ),
        row("B635", "cluster is full").with_env(providing("")).worlds(
            World::new().with(|w| w.cluster["capacityProviders"] = (0..20).map(|n| json!(format!("p{n}"))).collect()),
            World::new().with(|w| w.cluster["capacityProviders"] = (0..19).map(|n| json!(format!("p{n}"))).collect()),
        ),
        row("B635", "the cluster's default").with_env(joining("container_instances: {cluster: default}")).worlds(
            running(&providing("")).with(|w| {
                w.cluster["defaultCapacityProviderStrategy"] = json!([{"capacityProvider": "shop_web", "weight": 1, "base": 0}]);
            }),
            running(&providing("")),
        ),
        row("B636", "another machine image").world(running(&providing("max: 3"))).env(
            providing("max: 3").replace("t3.micro", "t3.large"),
            providing("max: 4, target_capacity: 80, managed_draining: false"),
        ),
        row("B636", "all of them anew")
            .with_env(providing(""))
            .world(running(&providing("")))
            .options(|o| o.replace_all = true),
        row("B636", "empty group left over").with_env(providing("")).worlds(
            running(&joining("container_instances: {cluster: default}")).with(|w| {
                let mut left = w.fleet.groups.get("shop.web_A").expect("a group").clone();
                for size in ["MinSize", "MaxSize", "DesiredCapacity"] {
                    left[size] = json!(0);
                }
                left["Instances"] = json!([]);
                left["AutoScalingGroupName"] = json!("shop.web_B");
                w.fleet.groups.insert("shop.web_B".to_owned(), left);
            }),
            running(&joining("container_instances: {cluster: default}")),
        ),
        row("B501", "capacity provider of another project").with_env(providing("")).worlds(
            World::new().with(|w| {
                let own = json!({"autoScalingGroupArn": "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:1:autoScalingGroupName/x"});
                let tags = json!([{"key": "belay:project", "value": "other"}]);
                w.fleet.providers.insert("shop_web".to_owned(), json!({"name": "shop_web", "status": "ACTIVE", "autoScalingGroupProvider": own, "tags": tags}));
            }),
            World::new(),
        ),
        row("B503", "capacity provider in change").with_env(providing("")).worlds(
            running(&providing("")).with(|w| {
                w.fleet.providers.get_mut("shop_web").expect("a provider")["updateStatus"] = json!("UPDATE_IN_PROGRESS");
            }),
            running(&providing("")),
        ),
        row("B530", "capacity provider renamed").world(running(&providing(""))).env(providing("name: fleet"), providing("")),
        row("B530", "capacity provider of a group that is gone").with_env(providing("")).worlds(
            running(&providing("")).with(|w| w.fleet.groups.clear()),
            World::new(),
        ),
        row("B345", "capacity provider without an observation").with_env(providing("").replace("    vpc: main\n", "    vpc: vpc-1\n").replace("sg: [app]", "sg: [sg-1]") + "    subnets: [subnet-1]\n").unobserved(),
        row("B311", "registry credentials in the environment").env(
            joining("container_instances: {cluster: default, registry_auth: {data: '{\"r\": {\"auth\": \"dTpw\"}}'}}"),
            joining("container_instances: {cluster: default, registry_auth: {secret: ops/registry}}"),
        ),
        row("B345", "subnets without an observation").unobserved(),
        row("B501", "group of another project").worlds(
            running(&asg_env("")).with(|w| {
                w.fleet.groups.get_mut("shop.web_A").expect("a group")["Tags"] = json!([{"Key": "belay:project", "Value": "other"}]);
            }),
            running(&asg_env("")),
        ),
        row("B503", "launching suspended").worlds(
            running(&asg_env("")).with(|w| {
                w.fleet.groups.get_mut("shop.web_A").expect("a group")["SuspendedProcesses"] = json!([{"ProcessName": "Launch"}]);
            }),
            running(&asg_env("")),
        ),
        row("B303", "singleton").model(vm("singleton: true"), vm("")),
        row("B311", "secret in user data").env(instead("docker run", "docker run -e TOKEN=ghp_abcdefghijklmnopqrstuvwxyz0123456789"), asg_env("")),
    ]);
    all
}
