"""Policies of Application Auto Scaling: one that is put again stays the same one on AWS, and moto makes another of it."""
from moto.applicationautoscaling.models import applicationautoscaling_backends


def known(account, region, given):
    """The policy that a call of PutScalingPolicy is about, if there is one."""
    policies = applicationautoscaling_backends[account][region].policies.values()
    members = (("PolicyName", "policy_name"), ("ResourceId", "resource_id"), ("ScalableDimension", "scalable_dimension"))
    return next((p for p in policies if all(getattr(p, own) == given.get(name) for name, own in members)), None)


def kept(account, region, given, before, text):
    """The answer of that call; the policy has the ARN that it had before."""
    after = known(account, region, given)
    if not before or not after:
        return text
    made, after.policy_arn = after.policy_arn, before.policy_arn
    return text.replace(made, before.policy_arn)
