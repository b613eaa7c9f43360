#!/usr/bin/env python3
"""How AWS's protocols write calls and answers, as botocore writes and reads them.

Reads one JSON object a line from stdin and prints one for each:

  {"write": {"service", "operation", "input"}}   {"method", "uri", "headers", "json" | "form" | "xml" | "text"}
  {"answer": {"service", "operation"}}           {"status", "headers", "body", "output"}: an answer with every member that
                                                 the output's shape has, as the service writes it, and what botocore
                                                 reads out of it
  {"endpoint": {"service", "region", "fips", "dual"}}   {"url"}, or nothing where there is none

Bytes are base64, moments of answers RFC 3339. Nothing is sent, and no setting of the user is read.
"""
import base64
import datetime
import functools
import json
import sys
import urllib.parse
import xml.etree.ElementTree as tree
from xml.sax.saxutils import escape, quoteattr

import botocore.awsrequest
import botocore.endpoint_provider
import botocore.exceptions
import botocore.parsers
import botocore.serialize

import referee

# Protocols that Belay speaks; a service that has others too is held against the first of these.
SPOKEN = ("json", "rest-json", "rest-xml", "query", "ec2")
DEEPEST = 4  # how often a shape may hold itself


@functools.cache
def protocol(service):
    facts = referee.model(service).metadata
    known = [name for name in facts.get("protocols", [facts["protocol"]]) if name in SPOKEN]
    return facts["protocol"] if facts["protocol"] in SPOKEN else known[0]


def native(value, shape):
    """The input as botocore wants it: bytes where the API has bytes."""
    kind = shape.type_name
    if kind == "structure" and not referee.is_document(shape):
        return {name: native(inner, shape.members[name]) for name, inner in value.items()}
    if kind == "list":
        return [native(inner, shape.member) for inner in value]
    if kind == "map":
        return {key: native(inner, shape.value) for key, inner in value.items()}
    return base64.b64decode(value) if kind == "blob" else value


def write(service, operation, input):
    model = referee.operation_of(service, operation)
    serializer = botocore.serialize.create_serializer(protocol(service), include_validation=False)
    value = native(input, model.input_shape) if model.input_shape else {}
    request = serializer.serialize_to_request(value, model)
    query = request["query_string"]
    if isinstance(query, dict):
        query = urllib.parse.urlencode(query, doseq=True, quote_via=urllib.parse.quote)
    path = request["url_path"]
    told = {
        "method": request["method"],
        "uri": path + ("&" if "?" in path else "?") + query if query else path,
        "headers": {name.lower(): str(value) for name, value in request["headers"].items()},
    }
    body = request["body"]
    if isinstance(body, dict):
        return told | {"form": {name: form(value) for name, value in body.items()}}
    text = body.decode() if isinstance(body, bytes) else body
    if protocol(service) in ("json", "rest-json") and text:
        try:
            return told | {"json": json.loads(text)}
        except ValueError:
            pass
    if protocol(service) == "rest-xml" and text.startswith("<"):
        return told | {"xml": tree.canonicalize(text, strip_text=True)}
    return told | {"text": text}


def form(value):
    return value.decode() if isinstance(value, bytes) else str(value)


class Filled:
    """Values of every shape, each another one, and their form on the wire."""

    def __init__(self):
        self.number = 0

    def next(self):
        self.number += 1
        return self.number

    def scalar(self, shape):
        kind, number = shape.type_name, self.next()
        if kind == "boolean":
            return number % 2 == 0
        if kind in ("integer", "long"):
            return number
        if kind in ("float", "double"):
            return number + 0.5
        if kind == "timestamp":
            return datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(minutes=number)
        if kind == "blob":
            return base64.b64encode(f"bytes {number}".encode()).decode()
        return shape.enum[number % len(shape.enum)] if getattr(shape, "enum", None) else f"a <b> & ü {number}"

    def json(self, shape, open=()):
        kind = shape.type_name
        if open.count(shape.name) >= DEEPEST:
            return None
        open = (*open, shape.name)
        if referee.is_document(shape):
            return {"any": ["thing", self.next()]}
        if kind == "structure":
            members = list(shape.members.items())
            unknown = {"unknownToTheModel": [1]}
            if shape.is_tagged_union:
                members, unknown = members[:1], {}
            found = {m.serialization.get("name", n): self.json(m, open) for n, m in members if "location" not in m.serialization}
            return {name: value for name, value in found.items() if value is not None} | unknown
        if kind == "list":
            return [value for value in (self.json(shape.member, open) for _ in range(2)) if value is not None]
        if kind == "map":
            return {f"key {n}": value for n in range(2) if (value := self.json(shape.value, open)) is not None}
        value = self.scalar(shape)
        return value.timestamp() + 0.25 if isinstance(value, datetime.datetime) else value

    def text(self, shape, usual="iso8601"):
        value = self.scalar(shape)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, datetime.datetime):
            how = shape.serialization.get("timestampFormat", usual)
            if how == "rfc822":
                return value.strftime("%a, %d %b %Y %H:%M:%S GMT")
            return str(int(value.timestamp())) if how == "unixTimestamp" else value.strftime("%Y-%m-%dT%H:%M:%S.250Z")
        return str(value)

    def element(self, name, shape, open=()):
        """One element, or for a flattened list or map as many as it has entries."""
        kind, traits = shape.type_name, shape.serialization
        if open.count(shape.name) >= DEEPEST:
            return ""
        open = (*open, shape.name)
        if kind == "list":
            inner = shape.member.serialization.get("name")
            if traits.get("flattened"):
                return "".join(self.element(inner or name, shape.member, open) for _ in range(2))
            return tag(name, "".join(self.element(inner or "member", shape.member, open) for _ in range(2)))
        if kind == "map":
            entries = [
                self.element(shape.key.serialization.get("name", "key"), shape.key, open)
                + self.element(shape.value.serialization.get("name", "value"), shape.value, open)
                for _ in range(2)
            ]
            if traits.get("flattened"):
                return "".join(tag(name, entry) for entry in entries)
            return tag(name, "".join(tag("entry", entry) for entry in entries))
        if kind == "structure":
            attributes, inner = self.members(shape, open)
            return tag(name, inner, attributes)
        return tag(name, escape(self.text(shape)))

    def members(self, shape, open):
        attributes, inner = "", "" if shape.is_tagged_union else "<unknownToTheModel>1</unknownToTheModel>\n "
        for name, member in shape.members.items():
            if "location" in member.serialization:
                continue
            name = member.serialization.get("name", name)
            if member.serialization.get("xmlAttribute"):
                attributes += f" xmlns:{name.split(':')[0]}='urn:x' {name}={quoteattr(self.text(member))}"
            else:
                inner += self.element(name, member, open)
        return attributes, inner


def tag(name, inner, attributes=""):
    return f"<{name}{attributes}>{inner}</{name}>" if inner else f"<{name}{attributes}/>"


def answer(service, operation):
    model, filled = referee.operation_of(service, operation), Filled()
    shape, headers, status, spoken = model.output_shape, {"x-amzn-requestid": "r-1"}, 200, protocol(service)
    body = ""
    if shape is not None:
        for name, member in shape.members.items():
            where, name = member.serialization.get("location"), member.serialization.get("name", name)
            if where == "header" and name.lower() != "content-length":
                headers[name.lower()] = filled.text(member, "rfc822").encode("ascii", "replace").decode()
            elif where == "headers":
                headers |= {f"{name}{n}".lower(): f"value {n}" for n in range(2)}
        payload = shape.serialization.get("payload")
        inner = shape.members[payload] if payload else shape
        if inner.type_name in ("blob", "string"):
            body = "whatever it holds"
        elif spoken in ("json", "rest-json"):
            body = json.dumps(filled.json(inner))
        elif spoken == "rest-xml":
            name = inner.serialization.get("name", inner.name if payload else f"{operation}Response")
            body = filled.element(name, inner)
        else:
            wrapper = shape.serialization.get("resultWrapper")
            _, members = filled.members(shape, (shape.name,))
            result = tag(wrapper, members) if wrapper else members
            tail = "<requestId>r-1</requestId>" if spoken == "ec2" else "<ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata>"
            body = f"<?xml version='1.0' encoding='UTF-8'?>\n<{operation}Response xmlns='http://x/'>\n{result}{tail}</{operation}Response>"
    elif spoken in ("json", "rest-json"):
        body = "{}"
    elif spoken in ("query", "ec2"):
        body = f"<{operation}Response><requestId>r-1</requestId></{operation}Response>"
    body = "" if model.http["method"] == "HEAD" else body
    received = botocore.awsrequest.HeadersDict(headers | {"content-length": str(len(body.encode()))})
    parser = botocore.parsers.create_parser(spoken)
    output = parser.parse({"status_code": status, "headers": received, "body": body.encode()}, shape)
    output.pop("ResponseMetadata", None)
    if shape is not None and payload and inner.type_name == "blob":
        output[payload] = body.encode()  # botocore takes a body of a test for text
    return {"status": status, "headers": headers, "body": body, "output": output}


@functools.cache
def rules(service):
    load = referee.loader()
    return botocore.endpoint_provider.EndpointProvider(
        load.load_service_model(service, "endpoint-rule-set-1"), load.load_data("partitions"))


def endpoint(service, region, fips, dual):
    provider = rules(service)
    known = {"Region": region, "UseFIPS": fips, "UseDualStack": dual}
    known = {name: value for name, value in known.items() if name in provider.ruleset.parameters}
    try:
        return {"url": provider.resolve_endpoint(**known).url}
    except botocore.exceptions.EndpointProviderError:
        return {}


def plain(value):
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if hasattr(value, "read"):
        return base64.b64encode(value.read()).decode()
    raise TypeError(f"{type(value).__name__} in an answer")


def main():
    tasks = {"write": write, "answer": answer, "endpoint": endpoint}
    for line in sys.stdin:
        (name, arguments), = json.loads(line).items()
        print(json.dumps(tasks[name](**arguments), default=plain, sort_keys=True))


if __name__ == "__main__":
    main()
