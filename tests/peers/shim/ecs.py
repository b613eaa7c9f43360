"""The operations of ECS that moto lacks, or answers with less than AWS does.

moto keeps what it can keep: each service is made, changed and deleted in moto too, which checks clusters and task
definitions and keeps tags. Its answers are completed from what `rollout` knows.
"""
import base64
import random
import time
import uuid

from . import health, names
from .once import Once
from .rollout import HIDDEN, OPEN, PLAIN, REVISED, Service

# What an operation takes at a time.
BATCHES = {
    "DescribeServices": ("services", 10), "DescribeServiceDeployments": ("serviceDeploymentArns", 20),
    "DescribeServiceRevisions": ("serviceRevisionArns", 20), "DescribeTasks": ("tasks", 100),
    "DescribeContainerInstances": ("containerInstances", 100), "DescribeClusters": ("clusters", 100),
    "DescribeCapacityProviders": ("capacityProviders", 100), "DeleteTaskDefinitions": ("taskDefinitions", 10),
}
# What is listed, how many of it in a page unless asked otherwise, and at most.
PAGES = {
    "ListServices": ("serviceArns", 10, 100), "ListTaskDefinitions": ("taskDefinitionArns", 100, 100),
    "ListTaskDefinitionFamilies": ("families", 100, 100), "ListTasks": ("taskArns", 100, 100),
    "ListContainerInstances": ("containerInstanceArns", 100, 100), "ListClusters": ("clusterArns", 100, 100),
    "ListServiceDeployments": ("serviceDeployments", 100, 100),
}


class Refused(Exception):
    """An error as AWS answers it."""

    def __init__(self, code, message, status=400):
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class Ids:
    """Ids that are the same in every run."""

    def __init__(self):
        self.dice = random.Random(0)

    def number(self):
        return str(self.dice.randrange(10**18, 10**19))

    def uuid(self):
        return str(uuid.UUID(int=self.dice.getrandbits(128), version=4))


class Ecs:
    def __init__(self):
        self.services = {}  # by ARN
        self.once = {}  # tasks of RunTask, by ARN
        self.tokens = {}  # answers of RunTask, by cluster, client token and task definition
        self.doomed = {}  # why tasks of an image stop, by its digest
        self.ids = Ids()
        self.ports = 32768
        self.contents = {}  # of task definitions, by ARN: they never change
        self.hosts = {}  # container instances of clusters, as long as one call is answered

    def answer(self, moto, operation, given):
        """The answer to a call; `moto(operation, input, service)` asks moto on the same caller's behalf."""
        member, most = BATCHES.get(operation, (None, 0))
        if member and len(given.get(member, [])) > most:
            raise Refused("InvalidParameterException", f"{member} cannot have more than {most} items.")
        self.hosts.clear()
        handler = HANDLERS.get(operation)
        answer = handler(self, moto, given) if handler else moto(operation, given)
        return page(operation, answer, given) if operation in PAGES else answer

    def describe_container_instances(self, moto, given):
        """Instances whose agent and Docker are of today; moto's are the oldest that there were."""
        answer = moto("DescribeContainerInstances", given)
        for instance in answer.get("containerInstances", []):
            instance["versionInfo"] = {
                "agentVersion": "1.90.0", "agentHash": "00000000", "dockerVersion": "DockerVersion: 25.0.6",
            }
        return answer

    def describe_capacity_providers(self, moto, given):
        """moto breaks unless it is told which; AWS tells those of a cluster, or all."""
        if given.get("capacityProviders"):
            return moto("DescribeCapacityProviders", given)
        clusters = [given["cluster"]] if given.get("cluster") else moto("ListClusters", {})["clusterArns"]
        found = moto("DescribeClusters", {"clusters": clusters})["clusters"]
        named = {name for one in found for name in one.get("capacityProviders", []) if not name.startswith("FARGATE")}
        if not named:
            return {"capacityProviders": [], "failures": []}
        return moto("DescribeCapacityProviders", given | {"capacityProviders": sorted(named)})

    # Services

    def create_service(self, moto, given):
        name = given["serviceName"]
        self.check_groups(given)
        known = self.find(moto, given.get("cluster", "default"), name)
        if known and known.status == "DRAINING":
            raise Refused("InvalidParameterException", "Unable to Start a service that is still Draining.")
        if known and known.status == "ACTIVE":
            if without_token(known.given) != without_token(given):
                raise Refused("InvalidParameterException", "Creation of service was not idempotent.")
            return {"service": self.told(known, moto)}
        made = moto("CreateService", given)["service"]
        service = Service(made["serviceArn"], made["clusterArn"], given, self.ids)
        service.members = defaults(given, made)
        service.desired = self.wanted(moto, service, given.get("desiredCount", 0))
        service.role = made.get("roleArn") or role(service, given)
        self.services[service.arn] = service
        self.deploy(moto, service)
        return {"service": self.told(service, moto, made)}

    def update_service(self, moto, given):
        service = self.find(moto, given.get("cluster", "default"), given["service"])
        if service is None:
            raise Refused("ServiceNotFoundException", "Service not found.")
        if service.status != "ACTIVE":
            raise Refused("ServiceNotActiveException", "Service was not ACTIVE.")
        self.check_groups(given)
        given = dict(given)
        if given.get("taskDefinition"):
            found = moto("DescribeTaskDefinition", {"taskDefinition": given["taskDefinition"]})["taskDefinition"]
            if found["status"] != "ACTIVE":
                raise Refused("ClientException", "TaskDefinition is inactive")
            given["taskDefinition"] = found["taskDefinitionArn"]
        base = moto("UpdateService", given)["service"]
        changed = [name for name in REVISED if name in given and given[name] != service.members.get(name)]
        for name in REVISED + PLAIN:
            if name in given:
                value = given[name]
                if name == "deploymentConfiguration":
                    value = configuration(value, service.members[name])
                service.members[name] = value
        service.desired = self.wanted(moto, service, given.get("desiredCount", service.desired))
        if changed or given.get("forceNewDeployment"):
            self.deploy(moto, service)
        return {"service": self.told(service, moto, base)}

    def delete_service(self, moto, given):
        service = self.find(moto, given.get("cluster", "default"), given["service"])
        if service is None or service.status == "INACTIVE":
            raise Refused("ServiceNotFoundException", "Service not found.")
        base = moto("DeleteService", given)["service"]
        service.status, service.desired = "DRAINING", 0
        return {"service": self.told(service, moto, base)}

    def describe_services(self, moto, given):
        answer = moto("DescribeServices", given)
        for index, base in enumerate(answer["services"]):
            service = self.services.get(base["serviceArn"])
            if service:
                service.step()
                names.settle(service)
                answer["services"][index] = self.told(service, moto, base)
        return answer

    def list_services(self, moto, given):
        answer = moto("ListServices", given)
        gone = {arn for arn, service in self.services.items() if service.status != "ACTIVE"}
        answer["serviceArns"] = [arn for arn in answer["serviceArns"] if arn not in gone]
        return answer

    # Service deployments and revisions

    def list_service_deployments(self, moto, given):
        service = self.find(moto, given.get("cluster", "default"), given["service"])
        if service is None:
            raise Refused("ServiceNotFoundException", "Service not found.")
        members = ("serviceDeploymentArn", "serviceArn", "clusterArn", "startedAt", "createdAt", "finishedAt", "status",
                   "statusReason")
        wanted = given.get("status") or OPEN + ("SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED")
        listed = [one for one in service.history if one["status"] in wanted]
        brief = [{name: one[name] for name in members if name in one} | {"targetServiceRevisionArn": one["target"]}
                 for one in listed]
        return {"serviceDeployments": brief}

    def describe_service_deployments(self, moto, given):
        known = {one["serviceDeploymentArn"]: (service, one) for service in self.services.values() for one in service.history}
        found, failures = [], []
        for arn in given["serviceDeploymentArns"]:
            if arn not in known:
                failures.append({"arn": arn, "reason": "MISSING"})
                continue
            service, one = known[arn]
            told = {name: value for name, value in one.items() if name not in ("target", "source")}
            told["targetServiceRevision"] = self.counts(service, one["target"])
            told["sourceServiceRevisions"] = [self.counts(service, one["source"])] if one["source"] else []
            found.append(told)
        return {"serviceDeployments": found, "failures": failures}

    def describe_service_revisions(self, moto, given):
        known = {arn: revision for service in self.services.values() for arn, revision in service.revisions.items()}
        arns = given["serviceRevisionArns"]
        return {"serviceRevisions": [known[arn] for arn in arns if arn in known],
                "failures": [{"arn": arn, "reason": "MISSING"} for arn in arns if arn not in known]}

    def stop_service_deployment(self, moto, given):
        arn = given["serviceDeploymentArn"]
        service = next((one for one in self.services.values() if any(h["serviceDeploymentArn"] == arn for h in one.history)), None)
        if service is None:
            raise Refused("ServiceDeploymentNotFoundException", "Service deployment not found.")
        if service.current["serviceDeploymentArn"] != arn or service.current["status"] not in OPEN:
            raise Refused("ConflictException", "The service deployment cannot be stopped any more.")
        if service.current["status"] in ("PENDING", "IN_PROGRESS"):
            service.stop_deployment()
        return {"serviceDeploymentArn": arn}

    # Tasks of services

    def list_tasks(self, moto, given):
        stopped = given.get("desiredStatus", "RUNNING") == "STOPPED"
        if "serviceName" not in given:
            # To moto, tasks that ended by themselves still run.
            found = moto("ListTasks", {name: value for name, value in given.items() if name != "desiredStatus"})["taskArns"]
            ended = {arn for arn, once in self.once.items() if once.stopped}
            return {"taskArns": [arn for arn in found if (arn in ended) == stopped]}
        service = self.find(moto, given.get("cluster", "default"), given["serviceName"])
        tasks = service.tasks if service else []
        return {"taskArns": [task.arn for task in reversed(tasks) if (task.last == "STOPPED") == stopped]}

    def describe_tasks(self, moto, given):
        known = {task.arn: task for service in self.services.values() for task in service.tasks}
        ours = [arn for arn in given["tasks"] if arn in known]
        others = [arn for arn in given["tasks"] if arn not in known]
        answer = moto("DescribeTasks", given | {"tasks": others}) if others else {"tasks": [], "failures": []}
        others = [self.once[one["taskArn"]].look(one) if one["taskArn"] in self.once else one for one in answer["tasks"]]
        answer["tasks"] = [known[arn].told() for arn in ours] + others
        return answer

    # Tasks of nobody

    def run_task(self, moto, given):
        token = (given.get("cluster"), given.get("clientToken"), given["taskDefinition"])
        if given.get("clientToken") and token in self.tokens:
            return self.tokens[token]
        answer = moto("RunTask", given)
        self.tokens[token] = answer
        for index, task in enumerate(answer["tasks"]):
            definition = self.definition(moto, task["taskDefinitionArn"])
            once = Once(definition, self.reason([image(moto, one) for one in definition["containerDefinitions"]]), given)
            self.once[task["taskArn"]] = once
            answer["tasks"][index] = once.told(task)
        return answer

    def stop_task(self, moto, given):
        once = next((one for arn, one in self.once.items() if given["task"] in (arn, arn.rsplit("/", 1)[-1])), None)
        answer = moto("StopTask", given)
        if once:
            once.stop(137, "UserInitiated", given.get("reason", "Task stopped by user"))
            answer["task"] = once.told(answer["task"])
        return answer

    # Task definitions

    def list_task_definitions(self, moto, given):
        answer = moto("ListTaskDefinitions", given)
        key = lambda arn: (arn.rsplit(":", 1)[0], int(arn.rsplit(":", 1)[1]))
        answer["taskDefinitionArns"].sort(key=key, reverse=given.get("sort") == "DESC")
        return answer

    def list_task_definition_families(self, moto, given):
        answer = moto("ListTaskDefinitionFamilies", given)
        status = given.get("status", "ALL")
        if status != "ALL":
            # A family is ACTIVE while one of its revisions is.
            listed = moto("ListTaskDefinitions", {"status": "ACTIVE"})["taskDefinitionArns"]
            active = {arn.rsplit("/", 1)[-1].split(":")[0] for arn in listed}
            answer["families"] = [one for one in answer["families"] if (one in active) == (status == "ACTIVE")]
        answer["families"] = sorted(answer["families"])
        return answer

    # What all of them need

    @staticmethod
    def check_groups(given):
        """A target group has to be one to which a listener or a rule leads."""
        for balancer in given.get("loadBalancers", []):
            arn = balancer.get("targetGroupArn")
            if arn and not health.is_led_to(arn):
                raise Refused("InvalidParameterException",
                              f"The target group with targetGroupArn {arn} does not have an associated load balancer.")

    def find(self, moto, cluster, name):
        found = moto("DescribeServices", {"cluster": cluster, "services": [name]})["services"]
        return self.services.get(found[0]["serviceArn"]) if found else None

    def wanted(self, moto, service, count):
        if service.members.get("schedulingStrategy") != "DAEMON":
            return count
        return len(moto("ListContainerInstances", {"cluster": service.cluster})["containerInstanceArns"])

    def deploy(self, moto, service):
        found = self.definition(moto, service.members["taskDefinition"])
        service.members["taskDefinition"] = found["taskDefinitionArn"]
        images = [image(moto, one) for one in found["containerDefinitions"]]

        def lead(rule, group, other):
            to = "Actions.member.1.ForwardConfig.TargetGroups.member"
            moto("ModifyRule", {
                "RuleArn": rule, "Actions.member.1.Type": "forward", f"{to}.1.TargetGroupArn": group, f"{to}.1.Weight": 100,
                f"{to}.2.TargetGroupArn": other, f"{to}.2.Weight": 0}, "elbv2")

        service.deploy(images, self.reason(images), lambda revision: self.place(moto, service.cluster, revision), lead)

    def reason(self, images):
        """Why tasks of these images cannot work, if they cannot."""
        return next((self.doomed[one["imageDigest"]] for one in images if one.get("imageDigest") in self.doomed), None)

    def definition(self, moto, name):
        """What a task definition says; its status is not to be taken from here."""
        if name not in self.contents:
            found = moto("DescribeTaskDefinition", {"taskDefinition": name})["taskDefinition"]
            self.contents[found["taskDefinitionArn"]] = found
            return found
        return self.contents[name]

    def place(self, moto, cluster, definition):
        """Where a new task runs, and at which place each of its container ports is reached. In turns, without counting."""
        found = self.definition(moto, definition)
        if cluster not in self.hosts:
            self.hosts[cluster] = instances(moto, cluster)
        hosts = self.hosts[cluster]
        host = hosts[self.ports % len(hosts)] if hosts else None
        ports = {}
        for container in found["containerDefinitions"]:
            for mapping in container.get("portMappings", []):
                self.ports += 1
                port = mapping.get("hostPort") or self.ports
                own = found.get("networkMode") == "awsvpc" or host is None
                at = (f"10.0.{self.ports // 250 % 250}.{self.ports % 250}", mapping["containerPort"]) if own else (host["ec2InstanceId"], port)
                ports[(container["name"], mapping["containerPort"])] = at
        if not ports:
            self.ports += 1
        return host, ports, [{"name": one["name"], "image": one["image"]} for one in found["containerDefinitions"]]

    def counts(self, service, revision):
        mine = [one for one in service.deployments if one.revision["serviceRevisionArn"] == revision]
        return {"arn": revision, "requestedTaskCount": service.desired,
                "runningTaskCount": sum(service.running(one) for one in mine),
                "pendingTaskCount": sum(service.pending(one) for one in mine)}

    def told(self, service, moto, base=None):
        """A service as AWS describes it: moto's answer, completed."""
        if base is None:
            base = moto("DescribeServices", {"cluster": service.cluster, "services": [service.arn]})["services"][0]
        told = {name: value for name, value in base.items() if value is not None and (name, value) != ("networkConfiguration", {})}
        told |= {name: value for name, value in service.members.items() if name not in HIDDEN}
        told |= {
            "status": service.status, "desiredCount": service.desired, "runningCount": service.running(),
            "pendingCount": service.pending(), "deployments": [one.told() for one in service.deployments],
            "events": service.events, "createdAt": service.created, "resourceManagementType": "CUSTOMER",
            "currentServiceRevisions": [self.counts(service, one.revision["serviceRevisionArn"]) for one in service.deployments],
        }
        if "capacityProviderStrategy" in service.members:
            told.pop("launchType", None)
        if service.role:
            told["roleArn"] = service.role
        if service.current and service.current["status"] in OPEN:
            told["currentServiceDeployment"] = service.current["serviceDeploymentArn"]
        return told


def without_token(given):
    return {name: value for name, value in given.items() if name != "clientToken"}


def configuration(given, before=None):
    """A deployment configuration with what AWS fills in; what an update leaves out stays."""
    filled = before or {
        "deploymentCircuitBreaker": {"enable": False, "rollback": False}, "maximumPercent": 200,
        "minimumHealthyPercent": 100, "strategy": "ROLLING", "bakeTimeInMinutes": 0,
    }
    return filled | (given or {})


def defaults(given, made):
    """The members of a new service, with AWS's defaults (texts of CreateService)."""
    members = {name: given[name] for name in REVISED + PLAIN if name in given}
    members["taskDefinition"] = made["taskDefinition"]
    daemon = given.get("schedulingStrategy") == "DAEMON"
    members["schedulingStrategy"] = "DAEMON" if daemon else "REPLICA"
    fixed = {"maximumPercent": 100, "minimumHealthyPercent": 0} if daemon else {}
    members["deploymentConfiguration"] = configuration(fixed | (given.get("deploymentConfiguration") or {}))
    filled = {
        "loadBalancers": [], "serviceRegistries": [], "placementConstraints": [], "placementStrategy": [],
        "enableECSManagedTags": False, "enableExecuteCommand": False, "propagateTags": "NONE",
        "availabilityZoneRebalancing": "DISABLED" if daemon else "ENABLED",
    }
    if given.get("loadBalancers"):
        filled["healthCheckGracePeriodSeconds"] = 0
    if "capacityProviderStrategy" not in given:
        members["launchType"] = given.get("launchType", "EC2")
    return filled | members


def role(service, given):
    """The role that ECS uses for load balancers: the given one, or the service-linked one."""
    if not given.get("loadBalancers"):
        return None
    partition, account = service.scope.split(":")[1], service.scope.split(":")[4]
    wanted = given.get("role", "aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS")
    return wanted if wanted.startswith("arn:") else f"arn:{partition}:iam::{account}:role/{wanted}"


def image(moto, container):
    """A container's image as a service revision tells it; the digest when the image names it or ECR knows it."""
    name = container["image"]
    told = {"containerName": container["name"], "image": name}
    if "@" in name:
        return told | {"imageDigest": name.split("@", 1)[1]}
    host, _, path = name.partition("/")
    if ".dkr.ecr." in host:
        repository, _, tag = path.partition(":")
        wanted = {"repositoryName": repository, "registryId": host.split(".")[0], "imageIds": [{"imageTag": tag or "latest"}]}
        found = moto("DescribeImages", wanted, "ecr").get("imageDetails")
        return told | {"imageDigest": found[0]["imageDigest"]} if found else told
    return told


def instances(moto, cluster):
    arns = moto("ListContainerInstances", {"cluster": cluster, "status": "ACTIVE"})["containerInstanceArns"]
    wanted = {"cluster": cluster, "containerInstances": arns}
    return moto("DescribeContainerInstances", wanted)["containerInstances"] if arns else []


def page(operation, answer, given):
    """The part of a list that was asked for."""
    member, usual, most = PAGES[operation]
    size = min(given.get("maxResults") or usual, most)
    try:
        start = int(base64.b64decode(given["nextToken"])) if given.get("nextToken") else 0
    except ValueError:
        raise Refused("InvalidParameterException", "Invalid token.") from None
    everything = answer[member]
    answer[member] = everything[start:start + size]
    if start + size < len(everything):
        answer["nextToken"] = base64.b64encode(str(start + size).encode()).decode()
    return answer


HANDLERS = {
    "DescribeContainerInstances": Ecs.describe_container_instances,
    "DescribeCapacityProviders": Ecs.describe_capacity_providers,
    "CreateService": Ecs.create_service, "UpdateService": Ecs.update_service, "DeleteService": Ecs.delete_service,
    "DescribeServices": Ecs.describe_services, "ListServices": Ecs.list_services,
    "ListServiceDeployments": Ecs.list_service_deployments,
    "DescribeServiceDeployments": Ecs.describe_service_deployments,
    "DescribeServiceRevisions": Ecs.describe_service_revisions, "StopServiceDeployment": Ecs.stop_service_deployment,
    "RunTask": Ecs.run_task, "StopTask": Ecs.stop_task, "ListTasks": Ecs.list_tasks, "DescribeTasks": Ecs.describe_tasks,
    "ListTaskDefinitions": Ecs.list_task_definitions,
    "ListTaskDefinitionFamilies": Ecs.list_task_definition_families,
}
