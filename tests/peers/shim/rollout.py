"""Services over time: what moto does not keep of them, and how their deployments go.

A service goes one step on whenever somebody looks at it. A deployment starts its tasks in the first step and is complete
after `STEPS` of them, when the tasks of the one before have gone; traffic that is to be shifted is shifted then, all at
once. Tasks whose image is known to fail stop as soon as they start; the deployment circuit breaker counts them. An image of
which an alarm is known (a reason that begins with `ALARM`) works until it has the traffic: then the alarm goes off.
"""
import math
import time

# Looks until a deployment is complete.
STEPS = 2
# Begins the name of an alarm in the place of a reason why tasks stop.
ALARM = "ALARM "
# What of a service belongs to its revisions: AWS's text for each of these parameters of UpdateService says "This parameter
# triggers a new service deployment". A rollback brings exactly them back.
REVISED = ("taskDefinition", "networkConfiguration", "platformVersion", "loadBalancers", "serviceRegistries",
           "serviceConnectConfiguration", "volumeConfigurations", "vpcLatticeConfigurations")
# Told by DescribeServiceRevisions only.
HIDDEN = ("serviceConnectConfiguration", "volumeConfigurations", "vpcLatticeConfigurations")
# The others, of which "This parameter doesn't trigger a new service deployment" is said.
PLAIN = ("capacityProviderStrategy", "deploymentConfiguration", "availabilityZoneRebalancing", "placementConstraints",
         "placementStrategy", "healthCheckGracePeriodSeconds", "enableExecuteCommand", "enableECSManagedTags",
         "propagateTags")
OPEN = ("PENDING", "IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS")


class Service:
    """One service, from its creation until it is INACTIVE."""

    def __init__(self, arn, cluster, given, ids):
        self.arn, self.cluster, self.name = arn, cluster, arn.rsplit("/", 1)[-1]
        self.scope = arn.split(":service/")[0]  # arn:PARTITION:ecs:REGION:ACCOUNT
        self.ids = ids
        self.given = given  # what it was created with, for the question whether a second creation is the same
        self.status, self.created = "ACTIVE", time.time()
        self.members = {}
        self.desired = 0
        self.deployments, self.history, self.revisions, self.tasks, self.events = [], [], {}, [], []
        self.registered, self.offers = set(), {}  # in Cloud Map: (service, task) of each task, services of its own by name

    @property
    def primary(self):
        return self.deployments[0] if self.deployments else None

    @property
    def current(self):
        """The newest of the service deployments."""
        return self.history[0] if self.history else None

    def running(self, deployment=None):
        return sum(task.last == "RUNNING" and deployment in (None, task.deployment) for task in self.tasks)

    def pending(self, deployment=None):
        return sum(task.last == "PENDING" and deployment in (None, task.deployment) for task in self.tasks)

    def say(self, text):
        self.events.insert(0, {"id": self.ids.uuid(), "createdAt": time.time(), "message": f"(service {self.name}) {text}"})
        del self.events[100:]

    def deploy(self, images, doomed, place, lead):
        """Begins a deployment of what the members say now. `lead(rule, group)` lets a listener's rule lead to a target group."""
        if self.current and self.current["status"] in OPEN:
            self.current.update(status="STOPPED", statusReason="A newer service deployment began.", stoppedAt=time.time())
        path = f"{self.cluster.rsplit('/', 1)[-1]}/{self.name}/{self.ids.number()}"
        before = self.primary
        source = before.revision if before and before.rollout == "COMPLETED" else self.good()
        revision = {
            "serviceRevisionArn": f"{self.scope}:service-revision/{path}", "serviceArn": self.arn,
            "clusterArn": self.cluster, "createdAt": time.time(), "containerImages": images,
        } | {name: self.members[name] for name in REVISED if self.members.get(name)}
        revision |= {name: self.members[name] for name in ("launchType", "capacityProviderStrategy") if self.members.get(name)}
        balancers = [self.side(one, before) for one in self.members.get("loadBalancers", [])]
        revision["resolvedConfiguration"] = {"loadBalancers": [
            {"targetGroupArn": one["targetGroupArn"]} for one in balancers if one["targetGroupArn"]]}
        self.revisions[revision["serviceRevisionArn"]] = revision
        now = time.time()
        self.history.insert(0, {
            "serviceDeploymentArn": f"{self.scope}:service-deployment/{path}", "serviceArn": self.arn,
            "clusterArn": self.cluster, "createdAt": now, "startedAt": now, "updatedAt": now, "status": "IN_PROGRESS",
            "target": revision["serviceRevisionArn"], "source": source and source["serviceRevisionArn"],
            "deploymentConfiguration": self.members["deploymentConfiguration"],
            "deploymentCircuitBreaker": {"status": "MONITORING" if self.breaker()["enable"] else "DISABLED",
                                         "failureCount": 0, "threshold": self.threshold()},
        })
        self.begin(revision, doomed, place, lead, balancers)

    def side(self, balancer, before):
        """A load balancer of the next tasks, with their target group: of a pair between which traffic is shifted, the one that
        has none; and `other`, the one that has it."""
        own, advanced = balancer.get("targetGroupArn"), balancer.get("advancedConfiguration", {})
        shifts = self.members["deploymentConfiguration"].get("strategy", "ROLLING") != "ROLLING"
        alternate = advanced.get("alternateTargetGroupArn")
        busy = before and any(one["targetGroupArn"] == own for one in before.balancers)
        group = alternate if shifts and alternate and busy else own
        return balancer | {"targetGroupArn": group, "other": own if group == alternate else alternate}

    def begin(self, revision, doomed, place, lead, balancers):
        for old in self.deployments:
            old.status = "ACTIVE"
        self.deployments.insert(0, Deployment(self, revision, doomed, place, lead, balancers))
        self.members.update({name: revision[name] for name in REVISED if name in revision})
        for name in set(REVISED) - set(revision):
            self.members.pop(name, None)

    def good(self):
        """The revision of the last deployment that succeeded."""
        done = next((one for one in self.history if one["status"] == "SUCCESSFUL"), None)
        return done and self.revisions[done["target"]]

    def breaker(self):
        return self.members["deploymentConfiguration"]["deploymentCircuitBreaker"]

    def threshold(self):
        return min(max(math.ceil(self.desired / 2), 3), 200)

    def step(self):
        """What happens between two looks."""
        primary = self.primary
        if self.status == "DRAINING":
            self.stop(self.tasks, "Service was deleted")
            self.status, self.deployments = "INACTIVE", []
        if self.status != "ACTIVE" or primary is None:
            return
        if primary.rollout == "IN_PROGRESS":
            dies = primary.doomed and not primary.doomed.startswith(ALARM)
            self.fail(primary) if dies else self.advance(primary)
        elif primary.rollout == "FAILED":
            self.roll_back(primary.reason)
        elif not primary.doomed:
            self.fill(primary)
        self.tasks = self.tasks[-200:]

    def advance(self, primary):
        primary.steps += 1
        self.fill(primary)
        if primary.steps < STEPS:
            return
        for balancer in primary.balancers:
            rule = balancer.get("advancedConfiguration", {}).get("productionListenerRule")
            for rule in filter(None, (rule, balancer.get("advancedConfiguration", {}).get("testListenerRule"))):
                primary.lead(rule, balancer["targetGroupArn"], balancer["other"])
        if primary.doomed:
            primary.done("FAILED", "failed: alarm detected")
            self.current["alarms"] = {"status": "TRIGGERED", "triggeredAlarmNames": [primary.doomed.removeprefix(ALARM)]}
            self.current["status"] = "ROLLBACK_REQUESTED" if self.good() else "STOPPED"
            return
        self.stop([task for task in self.tasks if task.deployment is not primary], "Scaling activity initiated by deployment")
        del self.deployments[1:]
        primary.done("COMPLETED", "completed")
        now = time.time()
        went_back = self.current["status"].startswith("ROLLBACK")
        self.current.update(status="ROLLBACK_SUCCESSFUL" if went_back else "SUCCESSFUL", finishedAt=now, updatedAt=now)
        self.say("has reached a steady state.")

    def fill(self, deployment):
        """As many tasks of a deployment as are wanted."""
        mine = [task for task in self.tasks if task.deployment is deployment and task.last == "RUNNING"]
        self.stop(mine[self.desired:], "Scaling activity initiated by service")
        fresh = [deployment.start() for _ in range(self.desired - len(mine))]
        self.tasks += fresh
        if fresh:
            self.say(f"has started {len(fresh)} tasks.")

    def fail(self, primary):
        """Tasks that stop as soon as they start; the breaker counts them."""
        for _ in range(max(self.desired, 1)):
            task = primary.start()
            task.stop(primary.doomed, code=1)
            self.tasks.append(task)
            primary.failed += 1
            self.say(f"has stopped task {task.arn.rsplit('/', 1)[-1]}: {primary.doomed}")
        breaker, threshold = self.breaker(), self.threshold()
        self.current["deploymentCircuitBreaker"]["failureCount"] = primary.failed
        if breaker["enable"] and primary.failed >= threshold:
            primary.done("FAILED", "failed: tasks failed to start")
            self.current["deploymentCircuitBreaker"]["status"] = "TRIGGERED"
            can_go_back = breaker["rollback"] and self.good()
            self.current["status"] = "ROLLBACK_REQUESTED" if can_go_back else "STOPPED"

    def roll_back(self, reason):
        back = self.good()
        if self.current["status"] != "ROLLBACK_REQUESTED" or not back:
            return
        left = self.primary
        self.stop([task for task in self.tasks if task.deployment is left], "Scaling activity initiated by rollback")
        self.current.update(status="ROLLBACK_IN_PROGRESS", updatedAt=time.time(), rollback={
            "reason": reason, "startedAt": time.time(), "serviceRevisionArn": back["serviceRevisionArn"]})
        self.say(f"rolling back to deployment of {back['taskDefinition']}.")
        standing = next((one for one in self.deployments if one.revision is back), None)
        balancers = standing.balancers if standing else [self.side(one, None) for one in back.get("loadBalancers", [])]
        self.begin(back, None, left.place, left.lead, balancers)
        # The tasks that still run the old revision belong to the deployment that brings it back.
        for task in self.tasks:
            if task.deployment is standing:
                task.deployment = self.primary

    def stop_deployment(self):
        """StopServiceDeployment with a rollback."""
        self.current["status"] = "ROLLBACK_REQUESTED"
        self.primary.done("FAILED", "failed: it was stopped")

    @staticmethod
    def stop(tasks, reason):
        for task in tasks:
            if task.last != "STOPPED":
                task.stop(reason)


class Deployment:
    """One of the `deployments` that DescribeServices tells."""

    def __init__(self, service, revision, doomed, place, lead, balancers):
        self.service, self.revision, self.doomed, self.place, self.lead = service, revision, doomed, place, lead
        self.balancers = balancers  # those of the service, each with the target group that these tasks are in
        self.id = f"ecs-svc/{service.ids.number()}"
        self.status, self.rollout, self.steps, self.failed = "PRIMARY", "IN_PROGRESS", 0, 0
        self.reason = f"ECS deployment {self.id} in progress."
        self.created = self.updated = time.time()

    def done(self, rollout, words):
        self.rollout, self.reason, self.updated = rollout, f"ECS deployment {self.id} {words}.", time.time()

    def start(self):
        return Task(self, *self.place(self.revision["taskDefinition"]))

    def told(self):
        service = self.service
        members = {
            "id": self.id, "status": self.status, "taskDefinition": self.revision["taskDefinition"],
            "desiredCount": service.desired if self.status == "PRIMARY" else 0, "failedTasks": self.failed,
            "runningCount": service.running(self), "pendingCount": service.pending(self),
            "createdAt": self.created, "updatedAt": self.updated, "rolloutState": self.rollout,
            "rolloutStateReason": self.reason,
        }
        shown = ("launchType", "capacityProviderStrategy", "networkConfiguration", "platformVersion")
        members |= {name: service.members[name] for name in shown if service.members.get(name)}
        if any("loadBalancerName" in one for one in service.members.get("loadBalancers", [])):
            # "only returned for services ... that aren't behind a Classic Load Balancer"
            del members["rolloutState"], members["rolloutStateReason"]
        return members


class Task:
    """One task of a service."""

    def __init__(self, deployment, instance, ports, containers):
        service = deployment.service
        self.deployment, self.instance, self.ports, self.containers = deployment, instance, ports, containers
        self.arn = f"{service.scope}:task/{service.cluster.rsplit('/', 1)[-1]}/{service.ids.uuid().replace('-', '')}"
        self.last, self.reason, self.code = "RUNNING", None, None
        self.definition, self.created, self.stopped = deployment.revision["taskDefinition"], time.time(), None

    def stop(self, reason, code=None):
        self.last, self.reason, self.code, self.stopped = "STOPPED", reason, code, time.time()

    def told(self):
        service = self.deployment.service
        ended = {} if self.code is None else {"exitCode": self.code}
        members = {
            "taskArn": self.arn, "clusterArn": service.cluster, "taskDefinitionArn": self.definition,
            "group": f"service:{service.name}", "startedBy": self.deployment.id, "lastStatus": self.last,
            "desiredStatus": "STOPPED" if self.last == "STOPPED" else "RUNNING", "createdAt": self.created,
            "containers": [one | ended | {"taskArn": self.arn, "lastStatus": self.last} for one in self.containers],
        }
        if self.instance:
            members["containerInstanceArn"] = self.instance["containerInstanceArn"]
        if self.reason:
            members |= {"stoppedReason": self.reason, "stoppedAt": self.stopped}
        return members
