"""A load balancer's listener speaks TLS, or passes on what does."""

from collections.abc import Iterator

from rules.rule import ObjectRule, Resource, Settings

_LISTENERS = frozenset(("aws:lb/listener:Listener", "aws:alb/listener:Listener"))


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    if resource.type not in _LISTENERS:
        return
    protocol, port = resource.props.get("protocol"), resource.props.get("port")
    redirects = any(action.get("type") == "redirect" for action in resource.props.get("defaultActions") or ())
    passes_tls_on = protocol == "TCP" and port == 443  # the PopProxy behind a network load balancer ends it
    if protocol not in ("HTTPS", "TLS") and not redirects and not passes_tls_on:
        yield f"clients of port {port} speak {protocol} in the clear; set protocol HTTPS or TLS with a certificate"


RULE = ObjectRule(
    name="aws-listener-tls",
    description="Listeners of load balancers speak TLS.",
    package="aws",
    judge=_judge,
)
