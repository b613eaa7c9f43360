"""Auto Scaling groups as far as moto leaves something out of them.

moto takes a load balancer to serve one group: whenever a group changes, it takes the instances of all other groups out
of it, and it never takes one out of a target group. On AWS each group registers and deregisters its own instances. moto
also takes a grace period of 0 seconds for none at all, and says 300.

And what no emulator shows: instances whose application never answers. Those whose user data name a digest that was
declared as failing are out of service in their load balancers.
"""
from moto.autoscaling.models import autoscaling_backends
from moto.elb.models import elb_backends
from moto.elbv2.models import elbv2_backends


def before(account, region, operation, form):
    """A call of Auto Scaling is about to be made: a group that is deleted by force takes its protected instances along,
    which moto leaves running."""
    if operation == "DeleteAutoScalingGroup" and form.get("ForceDelete") == "true":
        group = autoscaling_backends[account][region].autoscaling_groups.get(form["AutoScalingGroupName"])
        for state in group.instance_states if group else []:
            state.protected_from_scale_in = False


def after(account, region, operation, form):
    """A call of Auto Scaling was answered: load balancers get what groups have now."""
    groups = autoscaling_backends[account][region].autoscaling_groups
    if operation in ("CreateAutoScalingGroup", "UpdateAutoScalingGroup") and form.get("HealthCheckGracePeriod") == "0":
        if form["AutoScalingGroupName"] in groups:
            groups[form["AutoScalingGroupName"]].health_check_grace_period = 0
    classic, targets = {}, {}
    for group in groups.values():
        ids = [state.instance.id for state in group.active_instances()]
        for name in group.load_balancer_names:
            classic.setdefault(name, []).extend(ids)
        for arn in group.target_group_arns:
            targets.setdefault(arn, []).extend(ids)
    for balancer in elb_backends[account][region].load_balancers.values():
        balancer.instance_autoscaling_ids[:] = classic.get(balancer.name, [])
    for arn, group in elbv2_backends[account][region].target_groups.items():
        ours, wanted = registered(account, region, arn), targets.get(arn, [])
        gone = [{"Id": id} for id in ours if id not in wanted]
        if gone:
            group.deregister(gone)
        if wanted:
            group.register([{"Id": id, "Port": group.port} for id in wanted])
        ours.clear()
        ours.update(wanted)


REGISTERED = {}


def registered(account, region, arn):
    """The instances that a target group has from groups."""
    return REGISTERED.setdefault((account, region, arn), set())


def reason(instance, doomed):
    """Why an instance never answers, if it does not."""
    data = instance.user_data
    # moto keeps what a launch template holds in a type of its own.
    text = data.decode("utf-8") if hasattr(data, "decode") else data or ""
    return next((why for digest, why in doomed.items() if digest in text), None)


def classic_health(account, region, name, asked, doomed):
    """(id, state, reason) of instances of a classic load balancer, if groups have any there; else nothing."""
    found = elb_backends[account][region].load_balancers.get(name)
    if found is None or not found.instance_autoscaling_ids:
        return None
    groups = autoscaling_backends[account][region].autoscaling_groups.values()
    instances = {state.instance.id: state.instance for group in groups for state in group.instance_states}
    there = [id for id in found.instance_ids]
    health = []
    for id in asked or there:
        why = reason(instances[id], doomed) if id in instances else None
        state = "Unknown" if id not in there else "OutOfService" if why else "InService"
        health.append((id, state, why))
    return health
