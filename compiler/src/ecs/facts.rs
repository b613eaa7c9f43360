//! What was observed, indexed for the compiler.
//!
//! Invariants: borrowed from the observed document and never changed; a question about something that was not observed
//! answers "unknown" (`None`), never a guess.

mod used;

use std::collections::BTreeMap;

use belay_schemas::observed::{ImageObservation, Observed};
use belay_schemas::scope::{Scope, is_zone_id};
use serde_json::Value;

use super::json::{family, items, number, provider_names, revision, tag, text, upper_tag};
use super::records;

/// An index over observed state.
#[derive(Debug, Default)]
pub struct Facts<'a> {
    /// Account of the observation.
    pub account: &'a str,
    /// Partition of the account.
    pub partition: &'a str,
    /// Region of the observation.
    pub region: &'a str,
    /// What was looked at.
    pub scope: Option<&'a Scope>,
    clusters: Vec<&'a Value>,
    capacity_providers: BTreeMap<&'a str, &'a Value>,
    services: BTreeMap<&'a str, &'a Value>,
    revisions: BTreeMap<&'a str, &'a Value>,
    definitions: BTreeMap<&'a str, Definition<'a>>,
    families: BTreeMap<&'a str, Vec<&'a str>>,
    target_groups: BTreeMap<&'a str, &'a Value>,
    target_group_attributes: BTreeMap<&'a str, &'a [Value]>,
    classic: BTreeMap<&'a str, &'a Value>,
    classic_attributes: BTreeMap<&'a str, &'a Value>,
    /// ACTIVE container instances of the cluster; absent when they were not asked for.
    pub instances: Option<Vec<&'a Value>>,
    images: BTreeMap<&'a str, &'a ImageObservation>,
    /// VPCs, in EC2's shape.
    pub vpcs: Vec<&'a Value>,
    /// Subnets, in EC2's shape.
    pub subnets: Vec<&'a Value>,
    /// Security groups, in EC2's shape.
    pub security_groups: Vec<&'a Value>,
    log_groups: BTreeMap<&'a str, &'a Value>,
    /// What Application Auto Scaling holds for services.
    pub scalable_targets: Vec<&'a Value>,
    /// Its policies.
    pub scaling_policies: Vec<&'a Value>,
    /// Its scheduled actions.
    pub scheduled_actions: Vec<&'a Value>,
    alarms: BTreeMap<&'a str, &'a Value>,
    schedules: BTreeMap<&'a str, &'a Value>,
    /// Rules of EventBridge by name; what they start, by their names; their tags, by ARN.
    event_rules: BTreeMap<&'a str, &'a Value>,
    /// Values of Service Quotas, by code.
    quotas: BTreeMap<&'a str, f64>,
    event_targets: BTreeMap<&'a str, &'a [Value]>,
    event_tags: BTreeMap<&'a str, &'a [Value]>,
    /// Cloud Map namespaces.
    namespaces: Vec<&'a Value>,
    /// Cloud Map services by the id of their namespace.
    registries: BTreeMap<&'a str, Vec<&'a Value>>,
    registry_tags: BTreeMap<&'a str, &'a [Value]>,
    /// Cloud Map services that something registers with, by ARN.
    registered: BTreeMap<&'a str, &'a Value>,
    /// Hosted zones of Route 53.
    hosted_zones: Vec<&'a Value>,
    /// Record sets of Route 53, by the id of their zone and the name that was looked up.
    record_sets: BTreeMap<&'a str, BTreeMap<String, Vec<&'a Value>>>,
    /// Application and network load balancers, by ARN.
    load_balancers: BTreeMap<&'a str, &'a Value>,
    /// Rules that are not default ones, by the ARN of their listener.
    rules: BTreeMap<&'a str, Vec<&'a Value>>,
    /// Of rules and target groups, by ARN.
    balancing_tags: BTreeMap<&'a str, &'a [Value]>,
    /// Rules, default ones too, and listeners of network load balancers, by their ARNs.
    leading: BTreeMap<&'a str, &'a Value>,
}

/// One observed task definition.
#[derive(Debug, Clone, Copy)]
pub struct Definition<'a> {
    /// `taskDefinition` of DescribeTaskDefinition.
    pub task: &'a Value,
    /// Its tags.
    pub tags: &'a [Value],
}

/// One observed rule of a listener.
#[derive(Debug, Clone, Copy)]
pub struct Rule<'a> {
    /// As DescribeRules tells it.
    pub rule: &'a Value,
    tags: &'a [Value],
}

/// One observed rule of EventBridge.
#[derive(Debug, Clone, Copy)]
pub struct EventRule<'a> {
    /// As DescribeRule tells it.
    pub rule: &'a Value,
    /// All that it starts, as ListTargetsByRule tells it.
    pub targets: &'a [Value],
    tags: &'a [Value],
}

impl<'a> EventRule<'a> {
    /// The value of a tag.
    pub fn tag(&self, key: &str) -> Option<&'a str> {
        upper_tag(self.tags, key)
    }
}

impl<'a> Rule<'a> {
    /// Its ARN.
    pub fn arn(&self) -> &'a str {
        text(self.rule, "RuleArn").unwrap_or_default()
    }

    /// The value of a tag.
    pub fn tag(&self, key: &str) -> Option<&'a str> {
        upper_tag(self.tags, key)
    }
}

impl<'a> Facts<'a> {
    /// Indexes an observation.
    pub fn new(observed: &'a Observed) -> Self {
        let mut facts = Self {
            account: &observed.account,
            partition: &observed.partition,
            region: &observed.region,
            scope: Some(&observed.scope),
            images: observed.images.iter().map(|(k, v)| (k.as_str(), v)).collect(),
            ..Self::default()
        };
        for (input, output) in observed.reads.iter().filter_map(|r| r.output.as_ref().map(|o| ((r, &r.input), o))) {
            let (read, input) = input;
            facts.take(&read.service, &read.operation, input, output);
        }
        facts.clusters.sort_by_key(|c| text(c, "clusterName"));
        for arns in facts.families.values_mut() {
            arns.sort_by_key(|arn| std::cmp::Reverse(revision(arn)));
        }
        facts
    }

    fn take(&mut self, service: &str, operation: &str, input: &'a Value, output: &'a Value) {
        match (service, operation) {
            ("ecs", "DescribeClusters") => self.clusters.extend(items(output, "clusters")),
            ("ecs", "DescribeCapacityProviders") => {
                let all = items(output, "capacityProviders").iter().filter(|p| text(p, "status") != Some("INACTIVE"));
                for (name, provider) in all.filter_map(|p| Some((text(p, "name")?, p))) {
                    let known = self.capacity_providers.entry(name).or_insert(provider);
                    // One read asks for tags, another one does not.
                    if items(known, "tags").is_empty() {
                        *known = provider;
                    }
                }
            }
            ("ecs", "DescribeServices") => {
                self.services
                    .extend(items(output, "services").iter().filter_map(|s| text(s, "serviceName").map(|n| (n, s))));
            }
            ("ecs", "DescribeServiceRevisions") => self.revisions.extend(
                items(output, "serviceRevisions").iter().filter_map(|r| text(r, "serviceRevisionArn").map(|n| (n, r))),
            ),
            ("ecs", "ListTaskDefinitions") => {
                for arn in items(output, "taskDefinitionArns").iter().filter_map(Value::as_str) {
                    self.families.entry(family(arn)).or_default().push(arn);
                }
            }
            ("ecs", "DescribeTaskDefinition") => {
                if let Some(task) = output.get("taskDefinition")
                    && let Some(arn) = text(task, "taskDefinitionArn")
                {
                    self.definitions.insert(arn, Definition { task, tags: items(output, "tags") });
                }
            }
            ("ecs", "DescribeContainerInstances") => {
                self.instances
                    .get_or_insert_default()
                    .extend(items(output, "containerInstances").iter().filter(|i| text(i, "status") == Some("ACTIVE")));
            }
            ("ecs", "ListContainerInstances") => {
                self.instances.get_or_insert_default();
            }
            ("elbv2", "DescribeTargetGroups") => {
                for group in items(output, "TargetGroups") {
                    for member in ["TargetGroupArn", "TargetGroupName"] {
                        if let Some(key) = text(group, member) {
                            self.target_groups.insert(key, group);
                        }
                    }
                }
            }
            ("elbv2", "DescribeTargetGroupAttributes") => {
                if let Some(arn) = text(input, "TargetGroupArn") {
                    self.target_group_attributes.insert(arn, items(output, "Attributes"));
                }
            }
            ("logs", "DescribeLogGroups") => self
                .log_groups
                .extend(items(output, "logGroups").iter().filter_map(|g| text(g, "logGroupName").map(|n| (n, g)))),
            ("application-autoscaling", "DescribeScalableTargets") => {
                self.scalable_targets.extend(items(output, "ScalableTargets"));
            }
            ("application-autoscaling", "DescribeScalingPolicies") => {
                self.scaling_policies.extend(items(output, "ScalingPolicies"));
            }
            ("cloudwatch", "DescribeAlarms") => {
                let all = items(output, "MetricAlarms").iter();
                self.alarms.extend(all.filter_map(|alarm| Some((text(alarm, "AlarmName")?, alarm))));
            }
            ("application-autoscaling", "DescribeScheduledActions") => {
                self.scheduled_actions.extend(items(output, "ScheduledActions"));
            }
            ("elbv2", "DescribeRules") => {
                self.leading.extend(items(output, "Rules").iter().filter_map(|r| Some((text(r, "RuleArn")?, r))));
                if let Some(listener) = text(input, "ListenerArn") {
                    let own = items(output, "Rules").iter().filter(|r| r.get("IsDefault") != Some(&Value::Bool(true)));
                    self.rules.entry(listener).or_default().extend(own);
                }
            }
            ("elbv2", "DescribeListeners") => {
                let all = items(output, "Listeners").iter();
                self.leading.extend(all.filter_map(|l| Some((text(l, "ListenerArn")?, l))));
            }
            ("elbv2", "DescribeLoadBalancers") => {
                let all = items(output, "LoadBalancers").iter();
                self.load_balancers.extend(all.filter_map(|b| Some((text(b, "LoadBalancerArn")?, b))));
            }
            ("route53", "GetHostedZone") => self.hosted_zones.extend(output.get("HostedZone")),
            ("route53", "ListHostedZonesByName") => self.hosted_zones.extend(items(output, "HostedZones")),
            ("route53", "ListResourceRecordSets") => {
                if let (Some(zone), Some(name)) = (text(input, "HostedZoneId"), text(input, "StartRecordName")) {
                    let name = records::plain(name);
                    let of_name = |set: &&Value| text(set, "Name").is_some_and(|n| records::plain(n) == name);
                    let sets = items(output, "ResourceRecordSets").iter().filter(of_name).collect();
                    self.record_sets.entry(zone).or_default().insert(name, sets);
                }
            }
            ("elbv2", "DescribeTags") => {
                let all = items(output, "TagDescriptions").iter();
                self.balancing_tags.extend(all.filter_map(|d| Some((text(d, "ResourceArn")?, items(d, "Tags")))));
            }
            ("scheduler", "GetSchedule") => {
                if let Some(name) = text(output, "Name") {
                    self.schedules.insert(name, output);
                }
            }
            ("service-quotas", "GetServiceQuota") => {
                let value = output.pointer("/Quota/Value").and_then(Value::as_f64);
                self.quotas.extend(text(input, "QuotaCode").zip(value));
            }
            ("events", "DescribeRule") => self.event_rules.extend(text(output, "Name").map(|name| (name, output))),
            ("events", "ListTargetsByRule") => {
                self.event_targets.extend(text(input, "Rule").map(|name| (name, items(output, "Targets"))));
            }
            ("events", "ListTagsForResource") => {
                self.event_tags.extend(text(input, "ResourceARN").map(|arn| (arn, items(output, "Tags"))));
            }
            ("servicediscovery", "ListNamespaces") => self.namespaces.extend(items(output, "Namespaces")),
            ("servicediscovery", "GetNamespace") => self.namespaces.extend(output.get("Namespace")),
            ("servicediscovery", "GetService") => {
                let service = output.get("Service");
                self.registered.extend(service.and_then(|s| Some((text(s, "Arn")?, s))));
            }
            ("servicediscovery", "ListTagsForResource") => {
                if let Some(arn) = text(input, "ResourceARN") {
                    self.registry_tags.insert(arn, items(output, "Tags"));
                }
            }
            ("servicediscovery", "ListServices") => {
                let filter = items(input, "Filters").first();
                if let Some(id) = filter.and_then(|f| items(f, "Values").first()).and_then(Value::as_str) {
                    self.registries.entry(id).or_default().extend(items(output, "Services"));
                }
            }
            ("ec2", "DescribeVpcs") => self.vpcs.extend(items(output, "Vpcs")),
            ("ec2", "DescribeSubnets") => self.subnets.extend(items(output, "Subnets")),
            ("ec2", "DescribeSecurityGroups") => self.security_groups.extend(items(output, "SecurityGroups")),
            ("elb", "DescribeLoadBalancers") => self.classic.extend(
                items(output, "LoadBalancerDescriptions")
                    .iter()
                    .filter_map(|b| text(b, "LoadBalancerName").map(|n| (n, b))),
            ),
            ("elb", "DescribeLoadBalancerAttributes") => {
                if let (Some(name), Some(attributes)) =
                    (text(input, "LoadBalancerName"), output.get("LoadBalancerAttributes"))
                {
                    self.classic_attributes.insert(name, attributes);
                }
            }
            _ => {}
        }
    }

    /// The cluster of that name.
    pub fn cluster(&self, name: &str) -> Option<&'a Value> {
        self.clusters.iter().copied().find(|c| text(c, "clusterName") == Some(name))
    }

    /// The capacity provider of that name.
    pub fn capacity_provider(&self, name: &str) -> Option<&'a Value> {
        self.capacity_providers.get(name).copied()
    }

    /// Whether ECS starts the instances of a capacity provider itself (Managed Instances).
    pub fn is_managed(&self, provider: &str) -> bool {
        self.capacity_providers.get(provider).is_some_and(|p| p.get("managedInstancesProvider").is_some())
    }

    /// Whether a strategy names such a capacity provider.
    pub fn any_managed(&self, strategy: &[Value]) -> bool {
        provider_names(strategy).any(|provider| self.is_managed(provider))
    }

    /// Whether what says neither launch type nor capacity providers runs on such instances in a cluster.
    pub fn is_managed_by_default(&self, cluster: &str) -> bool {
        self.cluster(cluster).is_some_and(|c| self.any_managed(items(c, "defaultCapacityProviderStrategy")))
    }

    /// All observed capacity providers.
    pub fn capacity_providers(&self) -> impl Iterator<Item = &'a Value> {
        self.capacity_providers.values().copied()
    }

    /// The service of that name, unless it is INACTIVE (which AWS shows for a while after a deletion).
    pub fn service(&self, name: &str) -> Option<&'a Value> {
        self.services.get(name).copied().filter(|s| text(s, "status") != Some("INACTIVE"))
    }

    /// All services that are not INACTIVE, by name.
    pub fn services(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.services.iter().map(|(n, s)| (*n, *s)).filter(|(_, s)| text(s, "status") != Some("INACTIVE"))
    }

    /// The revision that a service runs: what DescribeServices leaves out stands there.
    pub fn current_revision(&self, service: &Value) -> Option<&'a Value> {
        let arn = items(service, "currentServiceRevisions").first().and_then(|r| text(r, "arn"))?;
        self.revisions.get(arn).copied()
    }

    /// A task definition by ARN.
    pub fn definition(&self, arn: &str) -> Option<Definition<'a>> {
        self.definitions.get(arn).copied()
    }

    /// ACTIVE revisions of a family, newest first.
    pub fn family(&self, family: &str) -> &[&'a str] {
        self.families.get(family).map_or(&[], Vec::as_slice)
    }

    /// Families with at least one ACTIVE revision.
    pub fn families(&self) -> impl Iterator<Item = &'a str> {
        self.families.keys().copied()
    }

    /// A CloudWatch log group by name.
    pub fn log_group(&self, name: &str) -> Option<&'a Value> {
        self.log_groups.get(name).copied()
    }

    /// Whether a log group was looked for.
    pub fn looked_for_group(&self, name: &str) -> bool {
        self.scope.and_then(|s| s.ecs.as_ref()).is_some_and(|ecs| ecs.log_groups.contains(name))
    }

    /// Whether the rules of a listener were told, or of a network load balancer the listener itself.
    pub fn looked_at(&self, listener: &str) -> bool {
        self.rules.contains_key(listener) || self.leading.contains_key(listener)
    }

    /// A rule, or the listener of a network load balancer, by its ARN.
    pub fn leading(&self, arn: &str) -> Option<&'a Value> {
        self.leading.get(arn).copied()
    }

    /// ARNs of the target groups that a rule, or the listener of a network load balancer, leads to; absent when there is
    /// none of that ARN.
    pub fn led_to(&self, arn: &str) -> Option<Vec<&'a str>> {
        let leads = self.leading.get(arn)?;
        let actions = items(leads, "Actions").iter().chain(items(leads, "DefaultActions"));
        let groups = actions.flat_map(|action| {
            let weighted = action.get("ForwardConfig").map_or(&[][..], |forward| items(forward, "TargetGroups"));
            std::iter::once(action).chain(weighted).filter_map(|to| text(to, "TargetGroupArn"))
        });
        Some(groups.collect())
    }

    /// The target group of a pair that has a running service's traffic, where its deployments shift it.
    pub fn live_group(&self, service: &Value) -> Option<&'a str> {
        let resolved = self.current_revision(service)?.get("resolvedConfiguration")?;
        items(resolved, "loadBalancers").first().and_then(|balancer| text(balancer, "targetGroupArn"))
    }

    /// The rules of a listener, but for its default one.
    pub fn rules(&self, listener: &str) -> impl Iterator<Item = Rule<'a>> {
        let all = self.rules.get(listener).into_iter().flatten().copied();
        all.map(|rule| {
            let tags = text(rule, "RuleArn").and_then(|arn| self.balancing_tags.get(arn)).copied();
            Rule { rule, tags: tags.unwrap_or_default() }
        })
    }

    /// Cloud Map namespaces of a name, or the one of an ARN.
    pub fn namespaces(&self, reference: &str) -> Vec<&'a Value> {
        let member = if reference.starts_with("arn:") { "Arn" } else { "Name" };
        let all = self.namespaces.iter().copied().filter(|n| text(n, member) == Some(reference));
        let by_id: BTreeMap<&str, &Value> = all.filter_map(|n| Some((text(n, "Id")?, n))).collect();
        by_id.into_values().collect()
    }

    /// Cloud Map services in the namespace of an ARN; absent when it was not looked at.
    pub fn registries(&self, namespace: &str) -> Option<&[&'a Value]> {
        self.registries.get(super::namespaces::id_of(namespace)).map(Vec::as_slice)
    }

    /// All observed Cloud Map services, by ARN.
    pub fn all_registries(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let listed = self.registries.values().flatten().filter_map(|one| Some((text(one, "Arn")?, *one)));
        let all: BTreeMap<&str, &Value> = self.registered.iter().map(|(arn, one)| (*arn, *one)).chain(listed).collect();
        all.into_iter()
    }

    /// The tags of a Cloud Map service; absent when they were not looked at.
    pub fn registry_tags(&self, arn: &str) -> Option<&'a [Value]> {
        self.registry_tags.get(arn).copied()
    }

    /// Hosted zones of Route 53 of a name, or the one of an id.
    pub fn hosted_zones(&self, named: &str) -> Vec<&'a Value> {
        let fits = |zone: &Value| match is_zone_id(named) {
            true => text(zone, "Id").map(records::bare) == Some(named),
            false => text(zone, "Name").is_some_and(|name| records::plain(name) == named),
        };
        let all = self.hosted_zones.iter().copied().filter(|zone| fits(zone));
        let by_id: BTreeMap<&str, &Value> = all.filter_map(|zone| Some((text(zone, "Id")?, zone))).collect();
        by_id.into_values().collect()
    }

    /// The record sets of a name in a hosted zone; absent when they were not looked at.
    pub fn record_sets(&self, zone: &str, name: &str) -> Option<&[&'a Value]> {
        self.record_sets.get(zone)?.get(name).map(Vec::as_slice)
    }

    /// All names that were looked at, with the ids of their hosted zones and their record sets.
    pub fn all_record_sets(&self) -> impl Iterator<Item = (&'a str, &str, &[&'a Value])> {
        let all = self.record_sets.iter();
        all.flat_map(|(zone, names)| names.iter().map(|(name, sets)| (*zone, name.as_str(), sets.as_slice())))
    }

    /// An application or network load balancer by ARN.
    pub fn load_balancer(&self, arn: &str) -> Option<&'a Value> {
        self.load_balancers.get(arn).copied()
    }

    /// A metric alarm by name.
    pub fn alarm(&self, name: &str) -> Option<&'a Value> {
        self.alarms.get(name).copied()
    }

    /// All observed metric alarms, by name.
    pub fn alarms(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.alarms.iter().map(|(name, alarm)| (*name, *alarm))
    }

    /// A schedule by name.
    pub fn schedule(&self, name: &str) -> Option<&'a Value> {
        self.schedules.get(name).copied()
    }

    /// All observed schedules, by name.
    pub fn schedules(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.schedules.iter().map(|(name, schedule)| (*name, *schedule))
    }

    /// The value of a quota of the account, by its code.
    pub fn quota(&self, code: &str) -> Option<f64> {
        self.quotas.get(code).copied()
    }

    /// A rule of EventBridge by name.
    pub fn event_rule(&self, name: &str) -> Option<EventRule<'a>> {
        let rule = *self.event_rules.get(name)?;
        let targets = self.event_targets.get(name).copied().unwrap_or_default();
        let tags = text(rule, "Arn").and_then(|arn| self.event_tags.get(arn).copied());
        Some(EventRule { rule, targets, tags: tags.unwrap_or_default() })
    }

    /// All observed rules of EventBridge, by name.
    pub fn event_rules(&self) -> impl Iterator<Item = (&'a str, EventRule<'a>)> {
        self.event_rules.keys().filter_map(|name| Some((*name, self.event_rule(name)?)))
    }

    /// A target group by name or ARN.
    pub fn target_group(&self, name: &str) -> Option<&'a Value> {
        self.target_groups.get(name).copied()
    }

    /// All target groups, once each.
    pub fn target_groups(&self) -> impl Iterator<Item = &'a Value> {
        self.target_groups.iter().filter(|(key, _)| key.starts_with("arn:")).map(|(_, group)| *group)
    }

    /// A tag of a rule or target group, by its ARN.
    pub fn tag(&self, arn: &str, key: &str) -> Option<&'a str> {
        upper_tag(self.balancing_tags.get(arn)?, key)
    }

    /// ARNs of rules, and of listeners of network load balancers, that lead to a target group.
    pub fn leading_to<'s>(&'s self, group: &'s str) -> impl Iterator<Item = &'a str> + 's {
        self.leading.keys().copied().filter(move |arn| self.led_to(arn).is_some_and(|groups| groups.contains(&group)))
    }

    /// Whether a load balancer or target group was looked for, by the name or ARN in the environment.
    pub fn looked_for(&self, reference: &str) -> bool {
        self.scope.is_some_and(|s| {
            [&s.load_balancers, &s.target_groups, &s.balancers].into_iter().any(|names| names.contains(reference))
        })
    }

    /// An attribute of a target group.
    pub fn target_group_attribute(&self, arn: &str, attribute: &str) -> Option<&'a str> {
        let attributes = self.target_group_attributes.get(arn)?;
        attributes.iter().find(|a| text(a, "Key") == Some(attribute)).and_then(|a| text(a, "Value"))
    }

    /// A classic load balancer by name.
    pub fn classic(&self, name: &str) -> Option<&'a Value> {
        self.classic.get(name).copied()
    }

    /// Seconds for which a classic load balancer drains connections; 0 when it does not.
    pub fn classic_drain(&self, name: &str) -> Option<u64> {
        let draining = self.classic_attributes.get(name)?.get("ConnectionDraining")?;
        match draining.get("Enabled").and_then(Value::as_bool) {
            Some(true) => Some(number(draining, "Timeout").unwrap_or(300)),
            _ => Some(0),
        }
    }

    /// What the registry said about an image.
    pub fn image(&self, image: &str) -> Option<&'a ImageObservation> {
        self.images.get(image).copied()
    }

    /// The digest that a service's running revision resolved for a container.
    pub fn running_digest(&self, service: &Value, container: &str) -> Option<&'a str> {
        let revision = self.current_revision(service)?;
        items(revision, "containerImages")
            .iter()
            .find(|i| text(i, "containerName") == Some(container))
            .and_then(|i| text(i, "imageDigest"))
    }
}

/// The project that a tagged object says it belongs to (`skopos:` tags are understood).
pub fn owner<'t>(tags: &'t [Value], prefix: &str) -> Option<&'t str> {
    tag(tags, &format!("{prefix}:project")).or_else(|| tag(tags, "skopos:project"))
}
