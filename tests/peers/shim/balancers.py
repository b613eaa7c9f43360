"""Load balancers by their kind: in moto every ARN is that of an application load balancer, on AWS it tells the kind.
Classic ones with the zone that their names are in."""
import threading

from moto.elbv2 import models

ZONE = "</DNSName><CanonicalHostedZoneNameID>Z35SXDOTRQ7X7K</CanonicalHostedZoneNameID>"
KINDS = {"network": "net", "gateway": "gwy"}
asked = threading.local()


def tell_apart():
    """From now on a load balancer, and with it its listeners, has an ARN of its kind."""
    create, arn = models.ELBv2Backend.create_load_balancer, models.make_arn_for_load_balancer

    def created(self, *given, **named):
        asked.kind = KINDS.get(named.get("loadbalancer_type"), "app")
        return create(self, *given, **named)

    def named(**parts):
        return arn(**parts).replace(":loadbalancer/app/", f":loadbalancer/{asked.kind}/")

    models.ELBv2Backend.create_load_balancer, models.make_arn_for_load_balancer = created, named
