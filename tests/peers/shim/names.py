"""Names in Cloud Map, as far as ECS keeps them there: the running tasks of services are the instances of the Cloud Map
services that their revisions name, and Service Connect makes Cloud Map services of its own for what services offer.

Sources: the ECS developer guide, "Service discovery" and "Service Connect"; the API model of `servicediscovery`, which lets
DeleteService fail with ResourceInUse while instances are registered.
"""
from moto.ec2.models import ec2_backends
from moto.servicediscovery.models import servicediscovery_backends


def settle(service):
    """Brings Cloud Map to what a service's tasks are now."""
    backend = servicediscovery_backends[service.scope.split(":")[4]][service.scope.split(":")[3]]
    wanted, kept = {}, set()
    for deployment in service.deployments:
        running = [task for task in service.tasks if task.deployment is deployment and task.last == "RUNNING"]
        for registry, told in named(deployment.revision) + offered(backend, service, deployment.revision):
            kept.add(registry)
            wanted |= {(registry, task.arn.rsplit("/", 1)[-1]): (service, task, told) for task in running}
    for key in [key for key in service.registered if key not in wanted]:
        backend.deregister_instance(*key)
        service.registered.remove(key)
    for key, of in wanted.items():
        if key not in service.registered:
            backend.register_instance(*key, None, attributes(*of))
            service.registered.add(key)
    for name in [name for name, registry in service.offers.items() if registry not in kept]:
        backend.delete_service(service.offers.pop(name))


def named(revision):
    """The registries of a revision: the Cloud Map service of each, and the container and port that are told of a task."""
    return [(one["registryArn"].rsplit("/", 1)[-1], (one.get("containerName"), one.get("containerPort") or one.get("port")))
            for one in revision.get("serviceRegistries", [])]


def offered(backend, service, revision):
    """What a revision offers with Service Connect; a Cloud Map service is made where there is none yet."""
    connect = revision.get("serviceConnectConfiguration", {})
    zone = connect.get("namespace", "").rsplit("/", 1)[-1]
    namespace = next((one for one in backend.namespaces.values() if zone in (one.id, one.name)), None)
    found = []
    for one in connect.get("services", []) if connect.get("enabled") and namespace else []:
        name = one.get("discoveryName", one["portName"])
        if name not in service.offers:
            tags = [{"Key": "AmazonECSManaged", "Value": "true"}]
            made = backend.create_service(name, namespace.id, service.arn, "", None, None, None, tags, "HTTP")
            service.offers[name] = made.id
        found.append((service.offers[name], (None, None)))
    return found


def attributes(service, task, told):
    _, _, _, region, account = service.scope.split(":")
    place = task.ports.get(told) or next((at for (name, port), at in task.ports.items() if told[1] == port), None)
    host, port = place or next(iter(task.ports.values()), (None, None))
    if host and host.startswith("i-"):
        host = ec2_backends[account][region].get_instance(host).private_ip_address
    found = {"AWS_INSTANCE_IPV4": host, "AWS_INSTANCE_PORT": port and str(port), "REGION": region,
             "ECS_CLUSTER_NAME": service.cluster.rsplit("/", 1)[-1], "ECS_SERVICE_NAME": service.name,
             "ECS_TASK_DEFINITION_FAMILY": task.definition.rsplit("/", 1)[-1].split(":")[0]}
    return {name: value for name, value in found.items() if value}


def in_use(account, region, given):
    """Whether tasks are registered with a Cloud Map service."""
    found = servicediscovery_backends[account][region].services.get(given["Id"])
    return bool(found and found.instances)
