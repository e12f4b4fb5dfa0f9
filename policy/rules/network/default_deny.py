"""Every namespace in which a stack runs pods denies all connections by default."""

from collections.abc import Iterator, Sequence

from rules.pods.pod_specs import pods
from rules.rule import Resource, Settings, StackRule


def _judge(resources: Sequence[Resource], _: Settings) -> Iterator[str]:
    closed = {_namespace(resource) for resource in resources if _denies_all(resource)}
    for namespace in sorted({_namespace(resource) for resource in resources if any(True for _ in pods(resource))}):
        if namespace not in closed:
            yield (
                f"Namespace {namespace}: its pods can be reached by, and can reach, anything; add a NetworkPolicy with "
                "podSelector: {}, policyTypes: [Ingress, Egress] and no rules"
            )


def _namespace(resource: Resource) -> str:
    return str(resource.metadata.get("namespace") or "default")


def _denies_all(resource: Resource) -> bool:
    if resource.kind != "NetworkPolicy":
        return False
    spec = resource.spec
    selector = spec.get("podSelector") or {}
    return (
        set(spec.get("policyTypes") or ()) == {"Ingress", "Egress"}
        and not any(selector.values())
        and not spec.get("ingress")
        and not spec.get("egress")
    )


RULE = StackRule(
    name="kubernetes-namespace-default-deny",
    description="Namespaces in which a stack runs pods deny all connections by default.",
    judge=_judge,
)
