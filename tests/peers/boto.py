#!/usr/bin/env python3
"""What is compared with: the same work by boto3, as somebody writes it who has an hour, one call after another.

    boto.py ENDPOINT seed N       makes a cluster with N services, each with a task definition of its own
    boto.py ENDPOINT observe      reads what Belay reads of such a cluster, and writes it to a file
    boto.py ENDPOINT replay       makes the calls of stdin, a list of {"service", "operation", "input"}

Credentials and region stand in the environment. Prints {"calls", "seconds"}; the seconds are those of the calls, without
the start of Python and the making of clients.
"""
import json
import sys
import time

import boto3
import botocore.config
import botocore.exceptions

# No waiting for a second try: the emulator is here.
SETTINGS = botocore.config.Config(retries={"total_max_attempts": 1}, parameter_validation=True)
TAGS = [{"key": "belay:project", "value": "many"}]


def batches(items, size):
    return [items[start:start + size] for start in range(0, len(items), size)]


def seed(client, count):
    ecs = client("ecs")
    ecs.create_cluster(clusterName="default")
    for number in range(count):
        name = f"many_c{number:03}"
        container = {"name": f"c{number:03}", "image": f"registry.example.com/c@sha256:{number:064x}", "cpu": 16, "memory": 64,
                     "essential": True, "environment": [{"name": "LEVEL", "value": "info"}]}
        made = ecs.register_task_definition(family=f"default_{name}", containerDefinitions=[container], tags=TAGS)
        ecs.create_service(cluster="default", serviceName=name, desiredCount=1, launchType="EC2", tags=TAGS,
                           taskDefinition=made["taskDefinition"]["taskDefinitionArn"])
    for batch in batches([f"many_c{number:03}" for number in range(count)], 10):
        for _ in range(3):  # until they are at rest
            ecs.describe_services(cluster="default", services=batch)
    return 5 * count


def observe(client):
    ecs, found = client("ecs"), {}
    calls = 2
    found["caller"] = client("sts").get_caller_identity()
    found["clusters"] = ecs.describe_clusters(clusters=["default"])
    names, revisions, definitions = [], [], set()
    for page in ecs.get_paginator("list_services").paginate(cluster="default", PaginationConfig={"PageSize": 100}):
        calls += 1
        names += page["serviceArns"]
    found["services"] = []
    for batch in batches(names, 10):
        calls += 1
        found["services"] += ecs.describe_services(cluster="default", services=batch, include=["TAGS"])["services"]
    for service in found["services"]:
        revisions += [one["arn"] for one in service["currentServiceRevisions"]]
        definitions.add(service["taskDefinition"])
    found["revisions"] = []
    for batch in batches(revisions, 20):
        calls += 1
        found["revisions"] += ecs.describe_service_revisions(serviceRevisionArns=batch)["serviceRevisions"]
    found["registered"] = []
    for page in ecs.get_paginator("list_task_definitions").paginate(status="ACTIVE", sort="DESC"):
        calls += 1
        found["registered"] += page["taskDefinitionArns"]
    found["definitions"] = []
    for arn in sorted(definitions):
        calls += 1
        found["definitions"].append(ecs.describe_task_definition(taskDefinition=arn, include=["TAGS"]))
    calls += 1
    found["instances"] = ecs.list_container_instances(cluster="default")
    with open("boto.json", "w", encoding="utf-8") as file:
        json.dump(found, file, default=str)
    return calls


def replay(client, calls):
    for call in calls:
        try:
            # pylint: disable=protected-access
            client(call["service"])._make_api_call(call["operation"], call["input"])
        except botocore.exceptions.ClientError:
            pass  # it was refused when Belay made it, too
    return len(calls)


def main():
    endpoint, what, *rest = sys.argv[1:]
    session, clients = boto3.session.Session(), {}

    def client(service):
        if service not in clients:
            clients[service] = session.client(service, endpoint_url=endpoint, config=SETTINGS)
        return clients[service]

    given = json.load(sys.stdin) if what == "replay" else None
    for service in ("ecs", "sts"):
        client(service)
    began = time.monotonic()
    calls = {"seed": lambda: seed(client, int(rest[0])), "observe": lambda: observe(client),
             "replay": lambda: replay(client, given)}[what]()
    print(json.dumps({"calls": calls, "seconds": time.monotonic() - began}))


if __name__ == "__main__":
    main()
