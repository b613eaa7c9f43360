"""Load balancers as far as ECS changes them: the running tasks of services are their targets, and healthy ones.

moto keeps one port for each target, and its target groups know nothing of services; so where tasks stand behind a target
group or a classic load balancer, their health is told from here. All others are moto's.
"""
from xml.sax.saxutils import escape

from moto.elbv2.models import elbv2_backends


def targets(services, arn):
    """Targets of a target group: (id, port) of each running task behind it."""
    return [place for service in services for deployment in service.deployments for balancer in deployment.balancers
            if balancer["targetGroupArn"] == arn for place in places(service, balancer, deployment)]


def instances(services, scope, name):
    """Instances of a classic load balancer: those on which a task behind it runs."""
    found = set()
    for service in services:
        for balancer in service.members.get("loadBalancers", []):
            if balancer.get("loadBalancerName") == name and service.scope.replace(":ecs:", ":") == scope:
                found |= {place for place, _ in places(service, balancer)}
    return sorted(found)


def places(service, balancer, deployment=None):
    key = (balancer["containerName"], balancer["containerPort"])
    mine = [task for task in service.tasks if deployment in (None, task.deployment)]
    running = [task for task in mine if task.last == "RUNNING" and key in task.ports]
    return [task.ports[key] for task in running]


def is_led_to(arn):
    """Whether a listener or a rule leads to a target group."""
    _, _, _, region, account, _ = arn.split(":", 5)
    return elbv2_backends[account][region]._any_listener_using(arn)


def target_health(found):
    members = "".join(
        f"<member><HealthCheckPort>traffic-port</HealthCheckPort><TargetHealth><State>healthy</State></TargetHealth>"
        f"<Target><Port>{port}</Port><Id>{escape(place)}</Id></Target></member>" for place, port in found)
    return wrapped("DescribeTargetHealth", "2015-12-01", f"<TargetHealthDescriptions>{members}</TargetHealthDescriptions>")


def instance_health(found):
    """Of instances as (id, state, reason)."""
    members = "".join(
        f"<member><InstanceId>{escape(place)}</InstanceId><State>{state}</State>"
        f"<ReasonCode>{'Instance' if why else 'N/A'}</ReasonCode>"
        f"<Description>{escape(why or 'N/A')}</Description></member>" for place, state, why in found)
    return wrapped("DescribeInstanceHealth", "2012-06-01", f"<InstanceStates>{members}</InstanceStates>")


def wrapped(operation, version, inner):
    return (f'<{operation}Response xmlns="http://elasticloadbalancing.amazonaws.com/doc/{version}/">'
            f"<{operation}Result>{inner}</{operation}Result>"
            f"<ResponseMetadata><RequestId>00000000-0000-0000-0000-000000000000</RequestId></ResponseMetadata>"
            f"</{operation}Response>")
