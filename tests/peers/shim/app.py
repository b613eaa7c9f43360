"""The WSGI application: takes requests, keeps a list of them, answers or hands them on to moto.

    GET  /shim/calls                       every call since the list was last taken, and how many came at the same time
    POST /shim/failing  {DIGEST: REASON}   tasks of images with these digests stop as soon as they start; instances whose
                                           user data name one never answer their load balancer
    POST /shim/steps    NUMBER             looks until a deployment is complete
    POST /shim/enforce  [KEY ID]           calls signed with these access keys are authenticated and authorised by moto's IAM
"""
import html
import io
import json
import re
import threading
import urllib.parse

from moto.elbv2.models import elbv2_backends
from moto.iam.access_control import IAMRequest
from werkzeug.datastructures import EnvironHeaders
from werkzeug.exceptions import HTTPException

from . import balancers, groups, health, names, policies, rollout
from .ecs import Ecs, Refused

TARGETS = {"ecs": "AmazonEC2ContainerServiceV20141113", "ecr": "AmazonEC2ContainerRegistry_V20150921"}
SPELLING = re.compile(r"<(HostHeader|PathPattern)Config>\s*(<Values>.*?</Values>)\s*</\1Config>", re.DOTALL)
SCOPE = re.compile(r"Credential=([^/]+)/[0-9]+/([^/]+)/([^/]+)/aws4_request")
# The protocol's names of services that botocore and the AWS CLI call otherwise; which of two it is says the version.
NAMES = {("elasticloadbalancing", "2015-12-01"): "elbv2", ("elasticloadbalancing", "2012-06-01"): "elb",
         ("monitoring", None): "cloudwatch"}


class Shim:
    def __init__(self, moto):
        balancers.tell_apart()
        self.moto, self.ecs = moto, Ecs()
        self.services = {}  # moto's applications that it was asked for: it looks for them among all its services
        self.lock = threading.RLock()
        self.calls, self.open, self.most = [], 0, 0
        self.enforced = set()

    def __call__(self, environ, start_response):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if environ["PATH_INFO"].startswith("/shim/"):
            return self.told(environ["PATH_INFO"], body, start_response)
        if environ["PATH_INFO"].startswith("/moto-api/"):
            return self.pass_on(environ, body, start_response)
        scope = SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
        service = scope.group(3) if scope else None
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        form = {}
        if target:
            operation, given = target.split(".", 1)[1], json.loads(body or b"{}")
        else:
            form = dict(urllib.parse.parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
            operation, given = form.get("Action"), form
            service = NAMES.get((service, form.get("Version")), NAMES.get((service, None), service))
        with self.lock:
            self.calls.append({"service": service, "operation": operation, "input": given})
            self.open += 1
            self.most = max(self.most, self.open)
        try:
            if scope and scope.group(1) in self.enforced:
                denial = self.denial(environ, scope.group(3), operation, body)
                if denial:
                    return refuse(start_response, scope.group(3), bool(target), denial)
            with self.lock:
                if target.startswith(TARGETS["ecs"] + "."):
                    return self.ecs_call(environ, operation, given, start_response)
                if operation == "SetRulePriorities":
                    return self.set_priorities(environ, body, form, start_response)
                if operation == "DescribeRules":
                    # moto tells hosts and paths as they were given, AWS in both spellings.
                    status, kind, text = self.gathered(environ, body)
                    return answer(start_response, status, kind, SPELLING.sub(r"\2\g<0>", text))
                if service == "elb" and operation == "DescribeLoadBalancers":
                    # moto does not tell in which zone of AWS's their names are; records that lead to them say it.
                    status, kind, text = self.gathered(environ, body)
                    return answer(start_response, status, kind, text.replace("</DNSName>", balancers.ZONE))
                if operation == "DescribeTargetHealth" and "Targets.member.1.Id" not in form:
                    found = health.targets(self.ecs.services.values(), form.get("TargetGroupArn"))
                    if found:
                        return answer(start_response, 200, "text/xml", health.target_health(found))
                if service == "elb" and operation == "DescribeInstanceHealth" and "Instances.member.1.InstanceId" not in form:
                    found = health.instances(self.ecs.services.values(), self.account(environ), form["LoadBalancerName"])
                    if found:
                        found = [(place, "InService", None) for place in found]
                        return answer(start_response, 200, "text/xml", health.instance_health(found))
                if service == "elb" and operation == "DescribeInstanceHealth":
                    asked = [value for name, value in form.items() if name.startswith("Instances.member.")]
                    place = self.place(environ)
                    found = groups.classic_health(*place, form["LoadBalancerName"], asked, self.ecs.doomed)
                    if found is not None:
                        return answer(start_response, 200, "text/xml", health.instance_health(found))
                if service == "servicediscovery" and operation == "DeleteService" and names.in_use(*self.place(environ), given):
                    text = json.dumps({"__type": "ResourceInUse", "Message": "Service contains registered instances; delete the instances before deleting the service"})
                    return answer(start_response, 400, "application/x-amz-json-1.1", text)
                if service == "application-autoscaling" and operation == "PutScalingPolicy":
                    place = self.place(environ)
                    before = policies.known(*place, given)
                    status, kind, text = self.gathered(environ, body)
                    return answer(start_response, status, kind, policies.kept(*place, given, before, text))
                if service == "autoscaling":
                    place = self.place(environ)
                    groups.before(*place, operation, form)
                    told = list(self.pass_on(environ, body, start_response))
                    groups.after(*place, operation, form)
                    return told
            return self.pass_on(environ, body, start_response)
        finally:
            with self.lock:
                self.open -= 1

    def pass_on(self, environ, body, start_response, application=None):
        asked = environ | {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        return (application or self.moto)(asked, start_response)

    def gathered(self, environ, body, application=None):
        """Status, content type and text of an answer."""
        told = {}

        def started(status, headers, *_):
            told["status"], told["type"] = int(status.split()[0]), dict(headers).get("Content-Type", "")
            return lambda data: None

        text = b"".join(self.pass_on(environ, body, started, application)).decode()
        return told["status"], told["type"], text

    def set_priorities(self, environ, body, form, start_response):
        """moto moves one rule after another and refuses a place that is still taken; AWS moves all of them at once, or none."""
        arns = [value for name, value in form.items() if name.endswith(".RuleArn")]
        account, region = self.place(environ)
        balancers = elbv2_backends[account][region].load_balancers.values()
        listeners = [listener for balancer in balancers for listener in balancer.listeners.values()]
        rules = [rule for listener in listeners for rule in listener.rules.values() if rule.arn in arns]
        before = [(rule, rule.priority) for rule in rules]
        for rule in rules:
            rule.priority = None
        status, kind, text = self.gathered(environ, body)
        if status != 200:
            for rule, priority in before:
                rule.priority = priority
        return answer(start_response, status, kind, text)

    def told(self, path, body, start_response):
        with self.lock:
            if path == "/shim/failing":
                self.ecs.doomed.update(json.loads(body))
                return answer(start_response, 200, "application/json", "{}")
            if path == "/shim/enforce":
                self.enforced.update(json.loads(body))
                return answer(start_response, 200, "application/json", "{}")
            if path == "/shim/steps":
                rollout.STEPS = json.loads(body)
                return answer(start_response, 200, "application/json", "{}")
            calls, most = self.calls, self.most
            self.calls, self.most = [], self.open
            return answer(start_response, 200, "application/json", json.dumps({"calls": calls, "most": most}))

    def ecs_call(self, environ, operation, given, start_response):
        try:
            told = self.ecs.answer(lambda *call: self.ask(environ, *call), operation, given)
            return answer(start_response, 200, "application/x-amz-json-1.1", json.dumps(told))
        except Refused as error:
            text = json.dumps({"__type": error.code, "message": error.message})
            return answer(start_response, error.status, "application/x-amz-json-1.1", text)
        except Passed as passed:
            return answer(start_response, *passed.args)

    def denial(self, environ, service, operation, body):
        """Why moto's IAM does not allow a call. It is asked here, once: what the shim asks moto in the caller's name on the
        way to an answer is signed by nobody. moto asks for each action on `*`, whatever the call names."""
        path = environ["PATH_INFO"] + ("?" + environ["QUERY_STRING"] if environ.get("QUERY_STRING") else "")
        with self.lock:
            account, _ = self.place(environ)
        try:
            request = IAMRequest(account, environ["REQUEST_METHOD"], path, {}, body, EnvironHeaders(environ), operation)
            request.check_signature()
            request.check_action_permitted("*")
        except HTTPException as error:
            told = re.search(r"<Message>(.*?)</Message>", error.description, re.DOTALL)
            return told.group(1) if told else error.description
        return None

    def account(self, environ):
        """Of the caller, as the beginning of ARNs: `arn:PARTITION:REGION:ACCOUNT`."""
        # moto's DescribeClusters names what is missing by its ARN.
        arn = self.ask(environ, "DescribeClusters", {"clusters": ["-"]})["failures"][0]["arn"]
        return ":".join(part for index, part in enumerate(arn.split(":")[:5]) if index != 2)

    def place(self, environ):
        """Account and region of the caller."""
        _, _, region, account = self.account(environ).split(":")
        return account, region

    def ask(self, environ, operation, given, service="ecs"):
        """moto's answer to a call on the same caller's behalf; a form's is nothing."""
        signed = environ.get("HTTP_AUTHORIZATION", "")
        scope = SCOPE.search(signed)
        if scope:
            name = "elasticloadbalancing" if service == "elbv2" else service
            signed = signed[:scope.start(3)] + name + signed[scope.end(3):]
        asked = environ | {"HTTP_AUTHORIZATION": signed, "REQUEST_METHOD": "POST", "PATH_INFO": "/"}
        if service == "elbv2":
            body = urllib.parse.urlencode(given | {"Action": operation, "Version": "2015-12-01"}).encode()
            del asked["HTTP_X_AMZ_TARGET"]
            asked |= {"CONTENT_TYPE": "application/x-www-form-urlencoded; charset=utf-8"}
        else:
            body = json.dumps(given).encode()
            asked |= {"HTTP_X_AMZ_TARGET": f"{TARGETS[service]}.{operation}", "CONTENT_TYPE": "application/x-amz-json-1.1"}
        if service not in self.services:
            self.services[service] = self.moto.get_application(asked)
        status, kind, text = self.gathered(asked, body, self.services[service])
        if status == 200:
            return None if service == "elbv2" else json.loads(text)
        if service == "ecr":
            return {}
        raise Passed(status, kind, text)


class Passed(Exception):
    """An error that moto answered."""


def refuse(start_response, service, is_json, message):
    """A denial in the words of the service's protocol."""
    if is_json:
        text = json.dumps({"__type": "AccessDeniedException", "message": message})
        return answer(start_response, 400, "application/x-amz-json-1.1", text)
    code = "UnauthorizedOperation" if service == "ec2" else "AccessDenied"
    error = f"<Error><Code>{code}</Code><Message>{html.escape(message)}</Message></Error>"
    wrapped = f"<Response><Errors>{error}</Errors></Response>" if service == "ec2" else f"<ErrorResponse>{error}</ErrorResponse>"
    return answer(start_response, 403, "text/xml", wrapped)


STATUS = {200: "200 OK", 400: "400 Bad Request", 404: "404 Not Found", 500: "500 Internal Server Error"}


def answer(start_response, status, kind, text):
    body = text.encode()
    start_response(STATUS.get(status, f"{status} Error"), [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]
