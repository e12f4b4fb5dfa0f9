"""Each public address speaks TLS."""

from collections.abc import Iterator

from rules.rule import ObjectRule, Resource, Settings

_ENCRYPTED = frozenset(("HTTPS", "TLS"))


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    if resource.kind == "Ingress" and not resource.spec.get("tls"):
        yield "clients send tokens and inputs in the clear; set spec.tls with the Secret of a certificate"
    if resource.kind == "Gateway":
        for listener in resource.spec.get("listeners") or ():
            if listener.get("protocol") not in _ENCRYPTED:
                yield (
                    f"listener {listener.get('name')} speaks {listener.get('protocol')}, which is not encrypted; set "
                    "protocol HTTPS or TLS"
                )


RULE = ObjectRule(
    name="kubernetes-address-tls",
    description="Ingresses and Gateways speak TLS.",
    judge=_judge,
)
