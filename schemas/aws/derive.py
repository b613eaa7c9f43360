#!/usr/bin/env python3
"""Derives the shapes of the AWS operations that a plan may hold from botocore's public service models.

    python3 -m venv /tmp/derive
    /tmp/derive/bin/pip install botocore==1.44.5
    /tmp/derive/bin/python schemas/aws/derive.py            # writes SERVICE.json beside this script
    /tmp/derive/bin/python schemas/aws/derive.py --check    # only says which files differ; exits 1 when one does

Each file is a JSON Schema (2020-12) whose `$defs` are the shapes that the listed operations' inputs and outputs reach,
with facts only: names, types, required members, enums, ranges, patterns and names on the wire, never documentation.
What JSON Schema has no word for stands in `x-` keywords:

  x-service       protocol, versions and names of the service
  x-operations    per operation: input, output, errors, http, readonly, idempotencyToken, pagination
  x-type          the kind of shape where `type` leaves it open: map, long, float, double, timestamp, blob, document
  x-location, x-location-name, x-query-name, x-flattened, x-list-member-name, x-map-key-name, x-map-value-name,
  x-timestamp-format, x-xml-namespace, x-xml-attribute, x-payload, x-streaming     how it is written on the wire
  x-idempotency-token, x-sensitive, x-union, x-min-bytes, x-max-bytes                             what it says

The same botocore gives the same bytes. A trait of a model that this script does not know stops it, so that no constraint
gets lost unseen. To add an operation, add a line to OPERATIONS.
"""
import argparse
import json
import pathlib
import sys

import botocore
import botocore.loaders

BOTOCORE = "1.44.5"

# The AWS CLI's name of each service, and the operations that plans, reads and undos may use.
OPERATIONS = {
    "application-autoscaling": """
        DeleteScalingPolicy
        DeleteScheduledAction
        DeregisterScalableTarget
        DescribeScalableTargets
        DescribeScalingPolicies
        DescribeScheduledActions
        PutScalingPolicy
        PutScheduledAction
        RegisterScalableTarget
    """,
    "autoscaling": """
        AttachInstances
        AttachLoadBalancerTargetGroups
        AttachLoadBalancers
        AttachTrafficSources
        CreateAutoScalingGroup
        CreateLaunchConfiguration
        CreateOrUpdateTags
        DeleteAutoScalingGroup
        DeleteLaunchConfiguration
        DeleteLifecycleHook
        DeletePolicy
        DeleteScheduledAction
        DeleteTags
        DescribeAccountLimits
        DescribeAutoScalingGroups
        DescribeAutoScalingInstances
        DescribeInstanceRefreshes
        DescribeLaunchConfigurations
        DescribeLifecycleHooks
        DescribeLoadBalancerTargetGroups
        DescribeLoadBalancers
        DescribePolicies
        DescribeScalingActivities
        DescribeScheduledActions
        DescribeTags
        DescribeTrafficSources
        DescribeWarmPool
        DetachInstances
        DetachLoadBalancerTargetGroups
        DetachLoadBalancers
        DetachTrafficSources
        DisableMetricsCollection
        EnableMetricsCollection
        PutLifecycleHook
        PutScalingPolicy
        PutScheduledUpdateGroupAction
        ResumeProcesses
        SetDesiredCapacity
        SetInstanceHealth
        SetInstanceProtection
        SuspendProcesses
        TerminateInstanceInAutoScalingGroup
        UpdateAutoScalingGroup
    """,
    "cloudwatch": """
        DeleteAlarms
        DescribeAlarms
        PutMetricAlarm
    """,
    "ec2": """
        CreateLaunchTemplate
        CreateLaunchTemplateVersion
        CreateTags
        DeleteLaunchTemplate
        DeleteLaunchTemplateVersions
        DeleteTags
        DescribeAvailabilityZones
        DescribeImages
        DescribeInstanceTypeOfferings
        DescribeInstanceTypes
        DescribeInstances
        DescribeKeyPairs
        DescribeLaunchTemplateVersions
        DescribeLaunchTemplates
        DescribeSecurityGroups
        DescribeSubnets
        DescribeVpcs
        ModifyLaunchTemplate
        TerminateInstances
    """,
    "ecr": """
        BatchGetImage
        DescribeImages
        GetAuthorizationToken
    """,
    "ecs": """
        ContinueServiceDeployment
        CreateCapacityProvider
        CreateService
        CreateTaskSet
        DeleteCapacityProvider
        DeleteService
        DeleteTaskDefinitions
        DeleteTaskSet
        DeregisterTaskDefinition
        DescribeCapacityProviders
        DescribeClusters
        DescribeContainerInstances
        DescribeServiceDeployments
        DescribeServiceRevisions
        DescribeServices
        DescribeTaskDefinition
        DescribeTaskSets
        DescribeTasks
        ListClusters
        ListContainerInstances
        ListServiceDeployments
        ListServices
        ListTagsForResource
        ListTaskDefinitionFamilies
        ListTaskDefinitions
        ListTasks
        PutClusterCapacityProviders
        RegisterTaskDefinition
        RunTask
        StartTask
        StopServiceDeployment
        StopTask
        TagResource
        UntagResource
        UpdateCapacityProvider
        UpdateContainerInstancesState
        UpdateService
        UpdateServicePrimaryTaskSet
        UpdateTaskSet
    """,
    "elb": """
        AddTags
        DeregisterInstancesFromLoadBalancer
        DescribeInstanceHealth
        DescribeLoadBalancerAttributes
        DescribeLoadBalancers
        DescribeTags
        RegisterInstancesWithLoadBalancer
        RemoveTags
    """,
    "elbv2": """
        AddTags
        CreateRule
        CreateTargetGroup
        DeleteRule
        DeleteTargetGroup
        DeregisterTargets
        DescribeListeners
        DescribeLoadBalancers
        DescribeRules
        DescribeTags
        DescribeTargetGroupAttributes
        DescribeTargetGroups
        DescribeTargetHealth
        ModifyListener
        ModifyRule
        ModifyTargetGroup
        ModifyTargetGroupAttributes
        RegisterTargets
        RemoveTags
        SetRulePriorities
    """,
    "events": """
        DeleteRule
        DescribeRule
        ListTagsForResource
        ListTargetsByRule
        PutRule
        PutTargets
        RemoveTargets
    """,
    "iam": """
        GetInstanceProfile
    """,
    "logs": """
        CreateLogGroup
        DeleteLogGroup
        DeleteRetentionPolicy
        DescribeLogGroups
        DescribeLogStreams
        GetLogEvents
        PutRetentionPolicy
    """,
    "route53": """
        ChangeResourceRecordSets
        GetChange
        GetHostedZone
        ListHostedZonesByName
        ListResourceRecordSets
    """,
    "scheduler": """
        CreateSchedule
        DeleteSchedule
        GetSchedule
        UpdateSchedule
    """,
    "s3": """
        GetObject
        HeadObject
    """,
    "servicediscovery": """
        CreateService
        DeleteService
        GetNamespace
        GetOperation
        GetService
        ListInstances
        ListNamespaces
        ListServices
        ListTagsForResource
        TagResource
        UntagResource
        UpdateService
    """,
    "service-quotas": """
        GetServiceQuota
    """,
    "sts": """
        GetCallerIdentity
    """,
}

# Client tokens that the API documents as such but the model does not mark.
TOKENS = {"ec2": {"CreateLaunchTemplate": "ClientToken", "CreateLaunchTemplateVersion": "ClientToken"},
          "ecs": {"CreateService": "clientToken", "CreateTaskSet": "clientToken"}}

# Java's regular expressions write what lies beyond the Basic Multilingual Plane in halves, which other dialects refuse.
SURROGATES = (r"\uD800\uDC00-\uDBFF\uDFFF", r"\u{10000}-\u{10FFFF}")

# An operation with such a name changes nothing.
READS = ("BatchGet", "Describe", "Get", "Head", "List")

# Traits that say nothing about a value or its form on the wire (prose, endpoints, signing, generated clients).
IGNORED = {
    "documentation", "deprecatedMessage", "deprecatedSince", "box", "contextParam", "synthetic", "xmlOrder",
    "exception", "fault", "error", "retryable", "idempotent", "readonly", "auth", "authtype", "endpoint",
    "deprecated-operation", "staticContextParams", "operationContextParams", "httpChecksum", "requestcompression",
    "unsignedPayload", "documentationUrl", "name", "httpChecksumRequired", "endpointdiscovery", "endpointoperation",
}
SERVICE_FACTS = ("apiVersion", "endpointPrefix", "globalEndpoint", "jsonVersion", "protocol", "protocols", "serviceId",
                 "signatureVersion", "signingName", "targetPrefix", "xmlNamespace")
SCALARS = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "long": {"type": "integer", "x-type": "long"},
    "float": {"type": "number", "x-type": "float"},
    "double": {"type": "number", "x-type": "double"},
    "boolean": {"type": "boolean"},
    "timestamp": {"type": ["number", "string"], "x-type": "timestamp"},
    "blob": {"type": "string", "contentEncoding": "base64", "x-type": "blob"},
}
RANGES = {
    "string": ("minLength", "maxLength"),
    "list": ("minItems", "maxItems"),
    "map": ("minProperties", "maxProperties"),
    "blob": ("x-min-bytes", "x-max-bytes"),
}
# Traits of a shape or of a reference to it that are copied under another name.
TRAITS = {
    "location": "x-location", "locationName": "x-location-name", "queryName": "x-query-name", "flattened": "x-flattened",
    "timestampFormat": "x-timestamp-format", "xmlNamespace": "x-xml-namespace", "xmlAttribute": "x-xml-attribute",
    "payload": "x-payload", "streaming": "x-streaming", "sensitive": "x-sensitive",
    "idempotencyToken": "x-idempotency-token", "deprecated": "deprecated", "resultWrapper": "x-result-wrapper",
}


def fail(message):
    sys.exit(f"derive.py: {message}")


def traits(source, taken, where):
    """The copied traits of `source`; `taken` are those that the caller has dealt with."""
    found = {}
    for key, value in source.items():
        if key in TRAITS and key not in taken:
            found[TRAITS[key]] = value
        elif key not in taken and key not in IGNORED:
            fail(f"{where} has a trait `{key}`, which this script does not know")
    return found


def reference(source, where):
    return {"$ref": f"#/$defs/{source['shape']}", **traits(source, {"shape"}, where)}


def element(source, rename, where):
    """The reference from a list or a map to what it holds; its name on the wire goes to the holder, as `rename`."""
    extra = traits(source, {"shape", "locationName"}, where)
    holder = {rename: source["locationName"]} if "locationName" in source else {}
    return {"$ref": f"#/$defs/{source['shape']}", **extra}, holder


def structure(name, shape, closed):
    definition = {"type": "object", "properties": {m: reference(r, f"{name}.{m}") for m, r in shape["members"].items()}}
    if shape.get("required"):
        definition["required"] = sorted(shape["required"])
    if closed:
        definition["additionalProperties"] = False
    if shape.get("union"):
        definition |= {"x-union": True, "minProperties": 1, "maxProperties": 1}
    return definition | traits(shape, {"type", "members", "required", "union"}, name)


def define(name, shape, closed):
    kind = shape["type"]
    if shape.get("document"):
        return {"x-type": "document"} | traits(shape, {"type", "members", "document"}, name)
    if kind == "structure":
        return structure(name, shape, closed)
    taken = {"type", "min", "max"}
    if kind == "list":
        items, definition = element(shape["member"], "x-list-member-name", name)
        definition |= {"type": "array", "items": items}
        taken.add("member")
    elif kind == "map":
        keys, of_key = element(shape["key"], "x-map-key-name", name)
        values, of_value = element(shape["value"], "x-map-value-name", name)
        definition = {"type": "object", "x-type": "map", "propertyNames": keys, "additionalProperties": values}
        definition |= of_key | of_value
        taken |= {"key", "value"}
    elif kind in SCALARS:
        definition = dict(SCALARS[kind])
    else:
        fail(f"{name} is a `{kind}`, which this script does not know")
    for key, keyword in zip(("min", "max"), RANGES.get(kind, ("minimum", "maximum"))):
        if key in shape:
            definition[keyword] = shape[key]
    if kind == "string":
        taken |= {"enum", "pattern"}
        if shape.get("enum"):
            definition["enum"] = sorted(set(shape["enum"]))
        if shape.get("pattern"):
            definition["pattern"] = shape["pattern"].replace(*SURROGATES)
    return definition | traits(shape, taken, name)


def reach(shapes, names):
    """The shapes that these ones lead to, themselves included."""
    seen, todo = set(), list(names)
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        shape = shapes[name]
        todo += [r["shape"] for r in shape.get("members", {}).values()]
        todo += [shape[part]["shape"] for part in ("member", "key", "value") if part in shape]
    return seen


def paginator(source):
    def many(value):
        return [value] if isinstance(value, str) else list(value)

    facts = {"inputTokens": many(source["input_token"]), "outputTokens": many(source["output_token"]),
             "resultKeys": many(source["result_key"])}
    for key, name in (("limit_key", "limitKey"), ("more_results", "moreResults")):
        if key in source:
            facts[name] = source[key]
    return facts


def operation(service, name, model, paginators):
    source, shapes = model["operations"][name], model["shapes"]
    traits(source, {"http", "input", "output", "errors", "deprecated"}, name)
    facts = {"http": dict(source["http"]), "readonly": name.startswith(READS)}
    for side in ("input", "output"):
        if side in source:
            facts[side] = reference(source[side], f"{name}.{side}")
    facts["errors"] = sorted({shapes[e["shape"]].get("error", {}).get("code", e["shape"]) for e in source.get("errors", [])})
    members = shapes[source["input"]["shape"]]["members"] if "input" in source else {}
    documented = TOKENS.get(service, {}).get(name)
    tokens = [m for m, r in members.items() if r.get("idempotencyToken") or m == documented]
    if documented and documented not in tokens:
        fail(f"{name} has no member `{documented}` to be its token")
    if len(tokens) > 1:
        fail(f"{name} has several idempotency tokens: {tokens}")
    if tokens:
        facts["idempotencyToken"] = tokens[0]
    if name in paginators:
        facts["pagination"] = paginator(paginators[name])
    return facts


def derive(service, loader):
    names = sorted(OPERATIONS[service].split())
    model = loader.load_service_model(service, "service-2")
    version = loader.determine_latest_version(service, "service-2")
    try:
        paginators = loader.load_service_model(service, "paginators-1", version)["pagination"]
    except botocore.exceptions.DataNotFoundError:
        paginators = {}
    missing = [name for name in names if name not in model["operations"]]
    if missing:
        fail(f"{service} of botocore {BOTOCORE} has no operation {', '.join(missing)}")
    operations = {name: operation(service, name, model, paginators) for name in names}
    sides = {side: {model["operations"][n][side]["shape"] for n in names if side in model["operations"][n]}
             for side in ("input", "output")}
    inputs, outputs = (reach(model["shapes"], sides[side]) for side in ("input", "output"))
    metadata = {"signingName": model["metadata"].get("signingName", model["metadata"]["endpointPrefix"]), **model["metadata"]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:belay:aws:{service}",
        "title": metadata["serviceFullName"],
        "x-derived-from": f"botocore {BOTOCORE}",
        "x-service": {"name": service} | {key: metadata[key] for key in SERVICE_FACTS if key in metadata}
        | ({"awsQueryCompatible": True} if "awsQueryCompatible" in metadata else {}),
        "x-operations": operations,
        "$defs": {n: define(n, model["shapes"][n], n in inputs) for n in sorted(inputs | outputs)},
    }


def text(value, depth=0, width=120):
    """JSON with sorted keys; what fits on a line stands on one line."""
    line = json.dumps(value, sort_keys=True, ensure_ascii=False)
    if not isinstance(value, (dict, list)) or not value or len(line) + depth <= width and depth > 1:
        return line
    pad = " " * (depth + 1)
    if isinstance(value, dict):
        parts = [f"{json.dumps(k, ensure_ascii=False)}: {text(v, depth + 1, width)}" for k, v in sorted(value.items())]
        return "{\n" + ",\n".join(pad + part for part in parts) + "\n" + " " * depth + "}"
    return "[\n" + ",\n".join(pad + text(v, depth + 1, width) for v in value) + "\n" + " " * depth + "]"


def main():
    parser = argparse.ArgumentParser(description="Derive schemas/aws/*.json from botocore's models.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file differs")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent, help="folder of the files")
    arguments = parser.parse_args()
    print(f"botocore {botocore.__version__}")
    if botocore.__version__ != BOTOCORE:
        fail(f"botocore {BOTOCORE} is wanted: pip install botocore=={BOTOCORE}")
    # Only the package's own data, not models that a user keeps in ~/.aws/models.
    loader = botocore.loaders.Loader(extra_search_paths=[], include_default_search_paths=False)
    loader.search_paths.append(botocore.loaders.Loader.BUILTIN_DATA_PATH)
    differing = []
    for service in sorted(OPERATIONS):
        document = derive(service, loader)
        data, path = (text(document) + "\n").encode(), arguments.out / f"{service}.json"
        if not path.exists() or path.read_bytes() != data:
            differing.append(path.name)
            if not arguments.check:
                path.write_bytes(data)
        print(f"{path.name}: {len(document['x-operations'])} operations, {len(document['$defs'])} shapes")
    print(f"{'differing' if arguments.check else 'written'}: {', '.join(differing) or 'none'}")
    return 1 if arguments.check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
