#!/usr/bin/env python3
"""An AWS client that speaks JSON lines: what botocore sends for a call, and what it reads out of the answer.

    client.py ENDPOINT REGION

Each line of stdin is {"service", "operation", "input"}, and {"credentials": [ID, SECRET, TOKEN]} where they matter; each
gets one line: {"output"} or {"error": {"code", "message", "status"}}. Moments are RFC 3339 texts, bytes base64. Nothing is
retried, and no setting of the user is read. A line {"path", "body"} is a plain request to the server itself: POST with a
body, GET without.
"""
import base64
import datetime
import json
import sys
import urllib.request

import botocore.config
import botocore.exceptions
import botocore.parsers
import botocore.session


SESSION = botocore.session.Session()


def connect(service, endpoint, region, identity, secret, token):
    return SESSION.create_client(
        service, region_name=region, endpoint_url=endpoint, aws_access_key_id=identity, aws_secret_access_key=secret,
        aws_session_token=token,
        config=botocore.config.Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60),
    )


def plain(value):
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).isoformat().replace("+00:00", "Z")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} in an answer")


def answer(clients, request, endpoint, region):
    if "path" in request:
        body = None if request.get("body") is None else json.dumps(request["body"]).encode()
        with urllib.request.urlopen(endpoint + request["path"], data=body) as told:
            return {"output": json.load(told)}
    key = (request["service"], *request.get("credentials", ("testing", "testing", None)))
    if key not in clients:
        clients[key] = connect(key[0], endpoint, region, *key[1:])
    try:
        output = clients[key]._make_api_call(request["operation"], request["input"])
    except botocore.exceptions.ClientError as error:
        told = error.response.get("Error", {})
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return {"error": {"code": told.get("Code", ""), "message": told.get("Message", ""), "status": status}}
    except (botocore.exceptions.BotoCoreError, botocore.parsers.ResponseParserError) as error:
        return {"error": {"code": type(error).__name__, "message": str(error), "status": 0}}
    output.pop("ResponseMetadata", None)
    return {"output": output}


def main():
    endpoint, region = sys.argv[1:]
    clients = {}
    for line in sys.stdin:
        print(json.dumps(answer(clients, json.loads(line), endpoint, region), default=plain), flush=True)


if __name__ == "__main__":
    main()
