#!/usr/bin/env python3
"""An AWS client that speaks JSON lines: what botocore sends for a call, and what it reads out of the answer.

    client.py ENDPOINT REGION

Each line of stdin is {"service", "operation", "input"}; each gets one line: {"output"} or {"error": {"code", "message",
"status"}}. Moments are RFC 3339 texts, bytes base64. Nothing is retried, and no setting of the user is read.
"""
import base64
import datetime
import json
import sys

import botocore.config
import botocore.exceptions
import botocore.parsers
import botocore.session


def connect(service, endpoint, region):
    session = botocore.session.Session()
    return session.create_client(
        service, region_name=region, endpoint_url=endpoint, aws_access_key_id="testing", aws_secret_access_key="testing",
        config=botocore.config.Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60),
    )


def plain(value):
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).isoformat().replace("+00:00", "Z")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} in an answer")


def answer(clients, request, endpoint, region):
    service = request["service"]
    if service not in clients:
        clients[service] = connect(service, endpoint, region)
    try:
        output = clients[service]._make_api_call(request["operation"], request["input"])
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
