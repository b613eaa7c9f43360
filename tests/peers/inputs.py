#!/usr/bin/env python3
"""Makes inputs of AWS operations, sound ones and broken ones, and says what AWS's own models hold of each.

Reads one JSON object from stdin: {"seed", "each", "operations": [[service, operation], …]}. Prints, one JSON object a line,
{"service", "operation", "input", "change", "faults"}: for every operation `each` inputs made after its model
(`change` is null) and of each of them three that differ from it at one random place. The same seed and the same botocore
give the same lines. The models are botocore's, not those that Belay derived from them, so that a limit that got lost on
the way is probed too.
"""
import copy
import json
import random
import sys

import referee

LONGEST = 5000  # a text or list that must be longer to break a limit is not made
DEEPEST = 6  # below that only required members are made
# Texts for members with a pattern; each pattern is matched by one of them.
SAMPLES = ["a", "nginx/web", "m5.large", "123456789012", "200", "HTTPS", "#{protocol}", "10.0.0.0/16", "Name", "ami-0a000001",
           "arn:aws:iam::123456789012:role/events", "arn:aws:sqs:us-east-1:123456789012:dead",
           "arn:aws:kms:us-east-1:123456789012:key/a", "arn:aws:scheduler:us-east-1:123456789012:schedule/a/b",
           "arn:aws:secretsmanager:us-east-1:123456789012:secret:a", "01234567-89ab-cdef-0123-456789abcdef"]
# Values of every type, to stand where another type is wanted.
STRANGERS = [None, True, 0, -1, 7, 2**63, 0.5, "", "x", "2026-11-03T08:00:00Z", [], ["x"], {}, {"x": "y"}]
MOMENTS = [0, 1762156800, 1762156800.25, "2026-11-03T08:00:00Z", "2026-11-03", "1762156800"]


def sound(shape, dice, depth=0):
    """A value that the model allows."""
    kind, limits = shape.type_name, shape.metadata
    if referee.is_document(shape):
        return {"any": ["thing", 1, None, {"deep": True}]}
    if kind == "structure":
        return structure(shape, dice, depth)
    if kind in ("list", "map"):
        least = limits.get("min", 0)
        count = max(least, min(limits.get("max", 2), dice.choice([0, 1, 1, 2]) if depth < DEEPEST else 0))
        if kind == "list":
            return [sound(shape.member, dice, depth + 1) for _ in range(count)]
        return {sound(shape.key, dice) + str(n): sound(shape.value, dice, depth + 1) for n in range(count)}
    if kind == "string":
        return text(shape, dice)
    if kind in referee.NUMBERS:
        least = limits.get("min", -1000)
        number = dice.choice([least, limits.get("max", 1000), dice.randint(least, limits.get("max", least + 1000))])
        return number + 0.5 if kind in ("float", "double") and dice.random() < 0.5 and "max" not in limits else number
    if kind == "boolean":
        return dice.random() < 0.5
    if kind == "timestamp":
        return dice.choice(MOMENTS)
    if kind == "blob":
        return "YmVsYXk="
    raise SystemExit(f"inputs.py: {shape.name} is a {kind}, which this script cannot make")


def structure(shape, dice, depth):
    if shape.is_tagged_union:
        name = dice.choice(sorted(shape.members))
        return {name: sound(shape.members[name], dice, depth + 1)}
    share = 0.0 if depth >= DEEPEST else 0.5 / (1 + depth / 2)
    wanted = set(shape.required_members)
    return {name: sound(inner, dice, depth + 1) for name, inner in sorted(shape.members.items())
            if name in wanted or dice.random() < share}


def text(shape, dice):
    limits = shape.metadata
    if shape.enum:
        return dice.choice(sorted(shape.enum))
    least, most = limits.get("min", 0), min(limits.get("max", LONGEST), LONGEST)
    if "pattern" in limits:
        fitting = [s for s in SAMPLES if least <= len(s) <= most and referee.compiled(limits["pattern"]).search(s)]
        if not fitting:
            raise SystemExit(f"inputs.py: no sample matches {limits['pattern']}; add one to SAMPLES")
        return dice.choice(fitting)
    length = dice.choice([least, min(most, least + 8), min(most, max(least, 40))])
    return "".join(dice.choice("abcXYZ-/:. 09é") for _ in range(length))


def places(value, shape, path=()):
    """Every value of an input with its shape."""
    yield path, value, shape
    kind = shape.type_name
    if referee.is_document(shape):
        return
    if kind == "structure":
        for name in sorted(value):
            yield from places(value[name], shape.members[name], (*path, name))
    elif kind == "list":
        for index, item in enumerate(value):
            yield from places(item, shape.member, (*path, index))
    elif kind == "map":
        for key in sorted(value):
            yield from places(value[key], shape.value, (*path, key))


def changes(value, shape, dice):
    """What may be put in a value's place: pairs of a name and the new value. Some are allowed, most are not."""
    kind, limits = shape.type_name, shape.metadata
    # No moment is 2^63 seconds after 1970: botocore does not judge it, it breaks.
    yield "another type", dice.choice([value for value in STRANGERS if (kind, value) != ("timestamp", 2**63)])
    if kind == "structure" and not referee.is_document(shape):
        yield "one more member", {**value, dice.choice(["surplus", "Tags", "cluster ", "$ref"]): "x"}
        for name in sorted(value):
            yield f"without {name}", {key: inner for key, inner in value.items() if key != name}
        absent = sorted(set(shape.members) - set(value))
        if absent:
            name = dice.choice(absent)
            yield f"with {name}", {**value, name: sound(shape.members[name], dice, DEEPEST)}
            yield f"with another case of {name}", {**value, name.swapcase(): sound(shape.members[name], dice, DEEPEST)}
    for bound, step in (("min", -1), ("min", 0), ("max", 0), ("max", 1)):
        if bound in limits:
            size = limits[bound] + step
            if kind in referee.NUMBERS:
                yield f"{bound}{step:+}", size
            elif 0 <= size <= LONGEST:
                yield from resized(value, shape, size, f"{bound}{step:+} long", dice)
    if kind == "string":
        yield "an odd text", dice.choice(["", " ", "ÄÖ", "#", "a b", "\n", "x" * 300])
        if shape.enum:
            yield "another case", value.swapcase()
            yield "a letter more", value + "X"
    if kind == "timestamp":
        yield "another moment", dice.choice(["yesterday", "12:00", "2026-13-01", "Nov 3, 2026", "2026", ""])


def resized(value, shape, size, name, dice):
    kind = shape.type_name
    if kind == "string":
        yield name, ("é" * size if size % 2 else "a" * size)
    elif kind == "list":
        yield name, [sound(shape.member, dice, DEEPEST) for _ in range(size)]
    elif kind == "map":
        yield name, {f"k{n}": sound(shape.value, dice, DEEPEST) for n in range(size)}


def replaced(whole, path, new):
    if not path:
        return new
    whole = copy.deepcopy(whole)
    at = whole
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = new
    return whole


def variants(shape, dice):
    """One sound input, and three that differ from it at one place."""
    whole = sound(shape, dice)
    yield None, whole
    spots = list(places(whole, shape))
    for _ in range(3):
        path, value, inner = dice.choice(spots)
        name, new = dice.choice(list(changes(value, inner, dice)))
        yield f"/{'/'.join(map(str, path))}: {name}", replaced(whole, path, new)


def main():
    order = json.load(sys.stdin)
    for service, operation in order["operations"]:
        shape = referee.operation_of(service, operation).input_shape
        dice = random.Random(f"{order['seed']}:{service}:{operation}")
        for _ in range(order["each"]):
            for change, value in variants(shape, dice) if shape else [(None, {}), ("surplus", {"x": 1})]:
                faults = referee.judge_input(service, operation, value, late=False)
                line = {"service": service, "operation": operation, "input": value, "change": change, "faults": faults}
                print(json.dumps(line, sort_keys=True))


if __name__ == "__main__":
    main()
