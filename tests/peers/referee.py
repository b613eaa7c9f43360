#!/usr/bin/env python3
"""The referee: holds every AWS call in JSON documents against AWS's own models, as botocore carries them.

    referee.py FILE.json...

A call is an object with texts as `service` and `operation`. In a plan it has one more member at most, `input`, in which
late values ({"$output": NODE, "path": JMESPath} and {"$run": "id" | "token"}) stand for whatever they will be. In an
observed state a call stands in `reads`, without late values, and has exactly one of `output` and `error` besides.

What botocore validates (types, required and unknown members, minima, unions) is left to botocore; what it leaves out
(enums, maxima, patterns, keys and items of plain scalars) is added here. This file shares nothing with the validator that
it judges. Prints one JSON object: {"documents", "calls", "faults": [{"file", "path", "call", "fault"}]}.
"""
import functools
import json
import sys

import botocore.exceptions
import botocore.loaders
import botocore.model
import botocore.validate
import jmespath
import jmespath.exceptions
import regex

NUMBERS = ("integer", "long", "float", "double")
# How JSON writes the scalars of an answer.
ANSWERS = {
    "string": str, "blob": str, "timestamp": (int, float, str), "boolean": bool,
    "integer": int, "long": int, "float": (int, float), "double": (int, float),
}


class Faults(botocore.validate.ValidationErrors):
    """botocore's list of errors, with room for kinds of fault that botocore does not know."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def report(self, name, reason, **details):
        self.lines.append(self._format_error((reason, name, details)))

    def add(self, name, line):
        self.lines.append(f"{self._get_name(name)}: {line}")


class Validator(botocore.validate.ParamValidator):
    """botocore's validator, made as strict as the models are."""

    def __init__(self, late=False):
        self.late = late

    def faults(self, value, shape):
        found = Faults()
        self._validate(value, shape, found, name="")
        return found.lines

    def _shape_has_constraints(self, shape):
        return True  # so that every item of a list passes through `_validate`

    def _validate(self, value, shape, errors, name):
        if self.late and isinstance(value, dict) and ("$output" in value or "$run" in value):
            for line in misplaced(value, shape):
                errors.add(name, line)
            return
        super()._validate(value, shape, errors, name)
        for line in beyond(value, shape):
            errors.add(name, line)


def unanswerable(value, shape, name="answer"):
    """What AWS cannot have answered. Members may be absent or null, and AWS may say more values than its models list."""
    kind = shape.type_name
    if value is None or is_document(shape):
        return
    if kind == "structure" and isinstance(value, dict):
        for member, inner in value.items():
            if member in shape.members:
                yield from unanswerable(inner, shape.members[member], f"{name}.{member}")
            else:
                yield f"{name}: there is no `{member}`"
    elif kind == "list" and isinstance(value, list):
        for index, item in enumerate(value):
            yield from unanswerable(item, shape.member, f"{name}[{index}]")
    elif kind == "map" and isinstance(value, dict):
        for key, inner in value.items():
            yield from unanswerable(inner, shape.value, f"{name}.{key}")
    elif not isinstance(value, ANSWERS.get(kind, ())) or isinstance(value, bool) != (kind == "boolean"):
        yield f"{name}: {value!r} is no {kind}"


def beyond(value, shape):
    """The limits of the models that botocore does not hold."""
    kind, limits = shape.type_name, shape.metadata
    longest = limits.get("max")
    if kind in ("string", "list", "map") and isinstance(value, (str, list, dict)):
        if longest is not None and len(value) > longest:
            yield f"{len(value)} long, at most {longest} are allowed"
        if kind == "map" and len(value) < limits.get("min", 0):
            yield f"{len(value)} long, at least {limits['min']} are wanted"
    if kind == "string" and isinstance(value, str):
        if shape.enum and value not in shape.enum:
            yield f"{value!r} is none of {', '.join(shape.enum)}"
        if "pattern" in limits and not compiled(limits["pattern"]).search(value):
            yield f"{value!r} does not match {limits['pattern']}"
    if kind in NUMBERS and isinstance(value, (int, float)) and longest is not None and value > longest:
        yield f"{value} is more than {longest}"


@functools.cache
def compiled(pattern):
    """`regex` and not `re`, because the models use classes such as \\p{L}; Java's surrogate halves as one range, and
    an end that is the end, where Python's `$` is also before a last newline."""
    pattern = pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")
    return regex.compile(regex.sub(r"(?<!\\)\$$", r"\\Z", pattern))


def misplaced(value, shape):
    """What is wrong with a late value of this shape at this place."""
    kind = shape.type_name
    if "$run" in value:
        if set(value) != {"$run"} or value["$run"] not in ("id", "token"):
            yield f"{json.dumps(value)} is no late value"
        elif kind != "string" and not is_document(shape) or getattr(shape, "enum", None):
            yield "a run's id or token is a free text, and this is none"
        return
    if set(value) - {"share"} != {"$output", "path"} or not all(isinstance(value[m], str) for m in ("$output", "path")):
        yield f"{json.dumps(value)} is no late value"
        return
    try:
        jmespath.compile(value["path"])
    except jmespath.exceptions.JMESPathError as error:
        yield f"{value['path']!r} is not JMESPath: {error}"
    if "share" in value:
        share = value["share"]
        whole = isinstance(share, list) and len(share) == 2 and all(type(part) is int for part in share)
        if not whole or not 0 <= share[0] <= share[1] or share[1] == 0:
            yield f"{share!r} is no share"
        if kind not in (*NUMBERS, "list") and not is_document(shape):
            yield "only a number or a list can be shared"
    if kind == "structure" and shape.is_tagged_union:
        yield "which member of a union is meant cannot be late"


def is_document(shape):
    return shape.type_name == "structure" and shape.is_document_type


@functools.cache
def loader():
    """Only the package's own data, not models that a user keeps in ~/.aws/models."""
    own = botocore.loaders.Loader(extra_search_paths=[], include_default_search_paths=False)
    own.search_paths.append(botocore.loaders.Loader.BUILTIN_DATA_PATH)
    return own


@functools.cache
def model(service):
    return botocore.model.ServiceModel(loader().load_service_model(service, "service-2"), service_name=service)


def operation_of(service, operation):
    try:
        return model(service).operation_model(operation)
    except botocore.exceptions.UnknownServiceError:
        raise LookupError(f"AWS has no service `{service}`") from None
    except botocore.model.OperationNotFoundError:
        raise LookupError(f"{service} has no operation `{operation}`") from None


def judge_input(service, operation, value, late):
    """Everything that is wrong with an input; null is taken as no members."""
    try:
        shape = operation_of(service, operation).input_shape
    except LookupError as error:
        return [str(error)]
    value = {} if value is None else value
    if shape is None:
        return [] if value == {} else ["the operation takes no input"]
    return Validator(late).faults(value, shape)


def judge_output(service, operation, value):
    shape = operation_of(service, operation).output_shape
    if shape is None:
        return [] if value in (None, {}) else ["the operation answers nothing"]
    return list(unanswerable(value, shape))


def judge(call, is_read):
    """Everything that is wrong with a call object."""
    faults = []
    allowed = {"service", "operation", "input"} | ({"output", "error"} if is_read else set())
    surplus = sorted(set(call) - allowed)
    if surplus:
        faults.append(f"a call object has no member {', '.join(surplus)}")
    if is_read and ("output" in call) == ("error" in call):
        faults.append("an observed read has either an output or an error")
    found = judge_input(call["service"], call["operation"], call.get("input"), late=not is_read)
    faults += found
    if is_read and "output" in call and not found:
        faults += judge_output(call["service"], call["operation"], call["output"])
    if is_read and "error" in call:
        error = call["error"]
        if not isinstance(error, dict) or set(error) != {"code", "message"} or not all(isinstance(v, str) for v in error.values()):
            faults.append("an observed error has a code and a message, both texts")
    return faults


def calls(value, path=""):
    """Every call object in a document with its JSON Pointer. What is inside of inputs and outputs is data."""
    if isinstance(value, dict):
        if isinstance(value.get("service"), str) and isinstance(value.get("operation"), str):
            yield path, value
            value = {key: inner for key, inner in value.items() if key not in ("input", "output")}
        for key, inner in value.items():
            yield from calls(inner, f"{path}/{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from calls(inner, f"{path}/{index}")


def review(document):
    """Each call of a document: path, `service:operation`, faults."""
    observed = isinstance(document, dict) and "reads" in document and "scope" in document
    for path, call in calls(document):
        is_read = observed and path.startswith("/reads/") and path.count("/") == 2
        yield path, f"{call['service']}:{call['operation']}", judge(call, is_read)


def main(files):
    seen, faults = 0, []
    for file in files:
        with open(file, encoding="utf-8") as handle:
            document = json.load(handle)
        for path, call, lines in review(document):
            seen += 1
            faults += [{"file": file, "path": path, "call": call, "fault": line} for line in lines]
    json.dump({"documents": len(files), "calls": seen, "faults": faults}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
