//! The mutating operations of the fixtures: where a call of each stands, and what has to be there for it.

/// A mutating operation: where a call of it stands, and what has to be there for it.
pub(super) struct Case {
    pub service: &'static str,
    pub operation: &'static str,
    /// A fixture and a node of its plan.
    pub at: (&'static str, &'static str),
    pub there: There,
    /// Moto lacks it; where it is covered instead.
    pub lacking: Option<&'static str>,
}

/// What has to be there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum There {
    Nothing,
    Revision,
    /// Runs that revision, as the service of this name.
    Service(&'static str),
    /// The same, and a deployment of another revision is under way.
    Deployment(&'static str),
    Template(&'static str),
    /// A group of so many instances.
    Group(&'static str, u64),
    Suspended(&'static str),
    Policy(&'static str),
    /// A group of which both instances were detached.
    Detached(&'static str),
    /// That service, to be scaled.
    Scaled(&'static str),
    /// With that policy.
    ScaledBy(&'static str, &'static str),
    /// An alarm of this name.
    Alarm(&'static str),
    /// With that schedule.
    Scheduled(&'static str, &'static str),
    LogGroup(&'static str),
    /// A revision, and an instance to run it.
    Host,
    /// An instance that takes tasks.
    Joined,
    /// A task of it.
    Task,
    /// A schedule of this name.
    Schedule(&'static str),
    /// A rule of EventBridge of this name, and the id of its target if it has one.
    EventRule(&'static str, Option<&'static str>),
    /// A listener with three rules, and two target groups.
    Rules,
    /// A listener of a network load balancer, and two target groups.
    Edge,
    /// A record of the portal in a hosted zone.
    Record,
    /// A VPC.
    Network,
    /// A target group of this name and number.
    TargetGroup(&'static str, u8),
    /// A capacity provider of this name, of nobody's group, and a cluster for it.
    Provider(&'static str),
    /// A namespace of Cloud Map.
    Namespace,
    /// The same with a service of this name in it.
    Registry(&'static str),
}

const fn case(service: &'static str, operation: &'static str, at: (&'static str, &'static str), there: There) -> Case {
    Case { service, operation, at, there, lacking: None }
}

const AS: &str = "autoscaling";
pub(super) const AAS: &str = "application-autoscaling";
pub(super) const CLOUD_MAP: &str = "servicediscovery";

/// All of them.
pub(super) const CASES: [Case; 59] = [
    case(CLOUD_MAP, "CreateService", ("cloud-map", "search.registry.create"), There::Namespace),
    case(CLOUD_MAP, "UpdateService", ("cloud-map", "api.registry.change"), There::Registry("api")),
    case(CLOUD_MAP, "DeleteService", ("cloud-map", "cache.registry.redis.delete"), There::Registry("redis")),
    case("ecs", "RegisterTaskDefinition", ("upgrade", "api.task-definition.register"), There::Nothing),
    case("ecs", "DeregisterTaskDefinition", ("upgrade", "api.task-definition.register.undo"), There::Revision),
    case("ecs", "CreateService", ("classic", "ftp.service.create"), There::Revision),
    case("ecs", "UpdateService", ("upgrade", "api.service.update"), There::Service("shop_api")),
    case("ecs", "DeleteService", ("classic", "ftp.service.create.undo"), There::Service("legacy_ftp")),
    Case {
        lacking: Some("here, at the shim in front of moto; the simulated AWS: tests/way_back.rs"),
        ..case(
            "ecs",
            "StopServiceDeployment",
            ("upgrade", "api.service.update.undo.stop"),
            There::Deployment("shop_api"),
        )
    },
    case("ec2", "CreateLaunchTemplate", ("asg-upgrade", "api.template.B.create"), There::Nothing),
    case("ec2", "DeleteLaunchTemplate", ("asg-upgrade", "api.template.A.delete"), There::Template("shop.api_A")),
    case(AS, "CreateAutoScalingGroup", ("asg-upgrade", "api.group.B.create"), There::Template("shop.api_B")),
    case(AS, "UpdateAutoScalingGroup", ("asg-upgrade", "api.group.A.down.1"), There::Group("shop.api_A", 2)),
    case(AS, "DeleteAutoScalingGroup", ("asg-upgrade", "api.group.A.delete"), There::Group("shop.api_A", 0)),
    case(AS, "SuspendProcesses", ("asg-upgrade", "api.group.A.suspend"), There::Group("shop.api_A", 2)),
    case(AS, "ResumeProcesses", ("asg-upgrade", "api.group.A.suspend.undo"), There::Suspended("shop.api_A")),
    case(AS, "DetachInstances", ("asg-delegated", "web.group.A.detach.1"), There::Group("shop.web_A", 2)),
    case(AS, "AttachInstances", ("asg-delegated", "web.group.A.detach.1.undo"), There::Detached("shop.web_A")),
    case(AS, "SetInstanceProtection", ("asg-failing", "web.group.B.up.2.undo.keep"), There::Group("shop.web_B", 2)),
    case(AS, "PutScalingPolicy", ("asg-spot", "worker.group.A.policy.cpu"), There::Group("shop.worker_A", 1)),
    case(AS, "DeletePolicy", ("asg-spot", "worker.group.A.policy.cpu.undo"), There::Policy("shop.worker_A")),
    case("ecs", "TagResource", ("fargate", "web.service.tag"), There::Service("shop_web")),
    case("ecs", "UntagResource", ("fargate", "web.service.untag"), There::Service("shop_web")),
    case(AAS, "RegisterScalableTarget", ("fargate", "web.scaling.target"), There::Service("shop_web")),
    case(AAS, "PutScalingPolicy", ("fargate", "web.scaling.policy.cpu"), There::Scaled("shop_web")),
    case(
        AAS,
        "DeleteScalingPolicy",
        ("fargate", "web.scaling.policy.load.undo"),
        There::ScaledBy("shop_web", "shop_web.load"),
    ),
    case(
        "cloudwatch",
        "PutMetricAlarm",
        ("step-scaling", "web.scaling.alarm.rush"),
        There::ScaledBy("shop_web", "shop_web.rush"),
    ),
    case(
        "cloudwatch",
        "DeleteAlarms",
        ("step-scaling", "worker.scaling.alarm.idle"),
        There::Alarm("default_shop_worker.idle"),
    ),
    case(
        AAS,
        "DeregisterScalableTarget",
        ("step-scaling", "thumbnails.scaling.target"),
        There::Scaled("shop_thumbnails"),
    ),
    case(AAS, "PutScheduledAction", ("fargate", "web.scaling.schedule.morning"), There::Scaled("shop_web")),
    case(
        AAS,
        "DeleteScheduledAction",
        ("fargate", "web.scaling.schedule.morning.undo"),
        There::Scheduled("shop_web", "shop_web.morning"),
    ),
    case("ecs", "RunTask", ("tasks-failing", "migrate.task.run"), There::Host),
    case("ecs", "UpdateContainerInstancesState", ("ami-update", "nodes.group.A.drain.1"), There::Joined),
    case("ecs", "CreateCapacityProvider", ("capacity-providers", "nodes.provider.create"), There::Nothing),
    case(
        "ecs",
        "PutClusterCapacityProviders",
        ("capacity-providers", "nodes.provider.attach"),
        There::Provider("shop_nodes"),
    ),
    case(
        "ecs",
        "UpdateCapacityProvider",
        ("capacity-providers-failing", "nodes.provider.update"),
        There::Provider("shop_nodes"),
    ),
    case(
        "ecs",
        "DeleteCapacityProvider",
        ("capacity-providers-upgrade", "nodes.provider.shop_nodes.delete"),
        There::Provider("shop_nodes"),
    ),
    case("ec2", "TerminateInstances", ("ami-update", "nodes.instances.A.terminate.1"), There::Detached("shop.nodes_A")),
    case("ecs", "StopTask", ("tasks-failing", "migrate.task.run.stop"), There::Task),
    case("scheduler", "CreateSchedule", ("tasks", "stock.schedule.create"), There::Revision),
    case("scheduler", "UpdateSchedule", ("tasks", "cleanup.schedule.disable"), There::Schedule("default_shop_cleanup")),
    case("scheduler", "DeleteSchedule", ("tasks", "cleanup.schedule.delete"), There::Schedule("default_shop_cleanup")),
    case(
        "events",
        "PutRule",
        ("event-rules", "report.rule.update"),
        There::EventRule("default_shop_report", Some("report")),
    ),
    case(
        "events",
        "PutTargets",
        ("event-rules", "report.rule.target"),
        There::EventRule("default_shop_report", Some("report")),
    ),
    case(
        "events",
        "RemoveTargets",
        ("event-rules", "legacy.rule.target.remove"),
        There::EventRule("default_shop_legacy", Some("legacy")),
    ),
    case(
        "events",
        "DeleteRule",
        ("event-rules", "stock.rule.create.undo"),
        There::EventRule("default_shop_stock", None),
    ),
    case("elbv2", "CreateRule", ("rules", "rule.docs.create"), There::Rules),
    case("elbv2", "ModifyRule", ("rules", "rule.www.change"), There::Rules),
    case("elbv2", "DeleteRule", ("rules", "rule.docs.create.undo"), There::Rules),
    case("elbv2", "SetRulePriorities", ("rules", "listener.main.priorities"), There::Rules),
    case("elbv2", "ModifyListener", ("network-load-balancer", "listener.feed.lead.undo"), There::Edge),
    case("elbv2", "CreateTargetGroup", ("target-groups", "target-group.docs.create"), There::Network),
    case("elbv2", "ModifyTargetGroup", ("target-groups", "target-group.web.check"), There::TargetGroup("store-web", 3)),
    case(
        "elbv2",
        "ModifyTargetGroupAttributes",
        ("target-groups", "target-group.web.delay"),
        There::TargetGroup("store-web", 3),
    ),
    case(
        "elbv2",
        "DeleteTargetGroup",
        ("target-groups", "target-group.store-legacy.delete"),
        There::TargetGroup("store-legacy", 2),
    ),
    case("route53", "ChangeResourceRecordSets", ("dns-records", "portal.record.create.undo"), There::Record),
    case("logs", "CreateLogGroup", ("log-groups", "log-group.shop.prod.create"), There::Nothing),
    case("logs", "DeleteLogGroup", ("log-groups", "log-group.shop.prod.create.undo"), There::LogGroup("/shop/prod")),
    case("logs", "PutRetentionPolicy", ("fargate", "log-group.shop.prod.retain"), There::LogGroup("/shop/prod")),
];
