"""EksEntrance: a name and a network load balancer in front of a platform's nodes.

Clients reach the load balancer on port 443 and nothing else. It passes connections on to the port on which each node
has the PopProxy (exposure node_port), as they are or, with a certificate of ACM, decrypted and encrypted again.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final, NotRequired, TypedDict

import pulumi
from pulumi_aws import acm, autoscaling, ec2, lb, route53, vpc

from headrace.components.cluster.eks.owner import Owner, tag_faults
from headrace.components.kubernetes import checks

HTTPS: Final = 443
_NODE_PORT: Final = 30443
"""PopProxy's default."""
_HOST: Final = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
_SECURITY_POLICY: Final = "ELBSecurityPolicy-TLS13-1-2-2021-06"
"""TLS 1.2 and 1.3 with forward secrecy, nothing older."""


class EntranceCertificate(StrEnum):
    """Whose certificate clients see."""

    PLATFORM = "platform"
    """The PopProxy's: its private authority's, or that of the platform's `tls_secret`. Nothing is decrypted on the
    way."""
    ACM = "acm"
    """One of AWS' public authority, proven by a record in the hosted zone and renewed by AWS."""


class EksEntranceArgs(TypedDict):
    """Inputs of EksEntrance."""

    cluster: pulumi.Input[Mapping[str, Any]]
    """The output `ref` of an EksCluster."""
    host: str
    """DNS name that clients use, for example models.example.com: also the platform's `host`."""
    zone_id: str
    """Id of the Route 53 hosted zone in which `host` is written."""
    certificate: NotRequired[str]
    """platform or acm. Default platform: no part of AWS sees requests in the clear."""
    allowed_addresses: NotRequired[list[str]]
    """Address blocks of clients. Default everybody, as the platform itself asks who they are."""
    node_port: NotRequired[int]
    """The platform's `node_port`. Default 30443."""
    deletion_protection: NotRequired[bool]
    """Whether AWS refuses to delete the load balancer, whose address clients may know. Default true."""
    tags: NotRequired[dict[str, str]]
    """Put on everything."""


class EksEntrance(pulumi.ComponentResource):
    """The way of clients to a platform on EKS."""

    address: pulumi.Output[str]
    """Name of the load balancer, to which `host` leads."""

    def __init__(self, name: str, args: EksEntranceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        checks.require(f"EksEntrance '{name}'", _faults(args))
        super().__init__("headrace:index:EksEntrance", name, dict(args), opts)
        owner = Owner(name=name, tags=args.get("tags", {}), component=self)
        cluster = pulumi.Output.from_input(args["cluster"])
        port, with_acm = int(args.get("node_port", _NODE_PORT)), args.get("certificate") == EntranceCertificate.ACM

        group = _closed_but_443(owner, cluster, args.get("allowed_addresses", ["0.0.0.0/0"]), port)
        balancer = lb.LoadBalancer(
            f"{name}-balancer",
            load_balancer_type="network",
            internal=False,
            subnets=cluster["public_subnets"],
            security_groups=[group.id],
            enable_cross_zone_load_balancing=True,  # two nodes in three zones
            enable_deletion_protection=bool(args.get("deletion_protection", True)),
            tags=owner.tagged("balancer"),
            opts=owner.options(),
        )
        targets = lb.TargetGroup(
            f"{name}-nodes",
            vpc_id=cluster["vpc"],
            port=port,
            protocol="TLS" if with_acm else "TCP",
            target_type="instance",
            deregistration_delay=30,
            health_check={"protocol": "TCP", "interval": 10, "healthy_threshold": 2, "unhealthy_threshold": 2},
            tags=owner.tagged("nodes"),
            opts=owner.options(),
        )
        autoscaling.Attachment(
            f"{name}-nodes",
            autoscaling_group_name=cluster["node_group"],
            lb_target_group_arn=targets.arn,
            opts=owner.options(),
        )
        lb.Listener(
            f"{name}-https",
            load_balancer_arn=balancer.arn,
            port=HTTPS,
            protocol="TLS" if with_acm else "TCP",
            certificate_arn=_certificate(owner, args["host"], args["zone_id"]) if with_acm else None,
            ssl_policy=_SECURITY_POLICY if with_acm else None,
            alpn_policy="HTTP2Preferred" if with_acm else None,
            default_actions=[{"type": "forward", "target_group_arn": targets.arn}],
            tags=owner.tagged("https"),
            opts=owner.options(),
        )
        route53.Record(
            f"{name}-host",
            zone_id=args["zone_id"],
            name=args["host"],
            type="A",
            aliases=[{"name": balancer.dns_name, "zone_id": balancer.zone_id, "evaluate_target_health": True}],
            opts=owner.options(),
        )
        self.address = balancer.dns_name
        self.register_outputs({"address": self.address})


def _closed_but_443(owner: Owner, cluster: pulumi.Output[Any], allowed: list[str], port: int) -> ec2.SecurityGroup:
    """The balancer's group; the nodes' own group lets it in on one port and nobody else."""
    group = ec2.SecurityGroup(
        f"{owner.name}-clients",
        vpc_id=cluster["vpc"],
        description="Clients of the platform",
        ingress=[{"protocol": "tcp", "from_port": HTTPS, "to_port": HTTPS, "cidr_blocks": allowed}],
        egress=[{"protocol": "tcp", "from_port": port, "to_port": port, "cidr_blocks": ["0.0.0.0/0"]}],
        tags=owner.tagged("clients"),
        opts=owner.options(),
    )
    vpc.SecurityGroupIngressRule(
        f"{owner.name}-to-nodes",
        security_group_id=cluster["node_security_group"],
        referenced_security_group_id=group.id,
        ip_protocol="tcp",
        from_port=port,
        to_port=port,
        description="The load balancer of the platform",
        tags=owner.tagged("to-nodes"),
        opts=owner.options(),
    )
    return group


def _certificate(owner: Owner, host: str, zone: str) -> pulumi.Output[str]:
    made = acm.Certificate(
        f"{owner.name}-certificate",
        domain_name=host,
        validation_method="DNS",
        tags=owner.tagged("certificate"),
        opts=owner.options(),
    )
    proof = made.domain_validation_options[0]
    record = route53.Record(
        f"{owner.name}-certificate-proof",
        zone_id=zone,
        name=proof.resource_record_name,
        type=proof.resource_record_type,
        records=[proof.resource_record_value],
        ttl=60,
        allow_overwrite=True,  # a name has one proof, which a certificate before may have left
        opts=owner.options(),
    )
    proven = acm.CertificateValidation(
        f"{owner.name}-certificate-proven",
        certificate_arn=made.arn,
        validation_record_fqdns=[record.fqdn],
        opts=owner.options(),
    )
    arn: pulumi.Output[str] = proven.certificate_arn
    return arn


def _faults(args: EksEntranceArgs) -> Iterator[str]:
    yield from checks.known_keys(args, EksEntranceArgs.__annotations__)
    yield from checks.present(args, "cluster", "host", "zone_id")
    if args.get("host") and not _HOST.fullmatch(str(args["host"])):
        yield f"host = {args['host']!r}, must be a DNS name such as models.example.com"
    yield from checks.choice("certificate", args.get("certificate", EntranceCertificate.PLATFORM), EntranceCertificate)
    yield from checks.node_port("node_port", int(args.get("node_port", _NODE_PORT)))
    for block in args.get("allowed_addresses", []):
        try:
            ipaddress.ip_network(str(block))
        except ValueError as error:
            yield f"allowed_addresses has {block!r}, must be a block such as 192.0.2.0/24: {error}"
    yield from tag_faults(args.get("tags", {}))
