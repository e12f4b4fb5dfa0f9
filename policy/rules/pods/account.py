"""Pods run under an account of their own: a right given to `default` is given to every pod of the namespace."""

from collections.abc import Iterator

from rules.pods.pod_specs import pods
from rules.rule import ObjectRule, Resource, Settings


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    for pod in pods(resource):
        account = pod.spec.get("serviceAccountName")
        if account is None or account in ("", "default"):
            yield (
                f"its pods run as the ServiceAccount {account or 'default'!r}, whose rights every pod of the namespace "
                "shares; make one for them and set serviceAccountName"
            )


RULE = ObjectRule(
    name="kubernetes-pod-account",
    description="Pods run under a ServiceAccount of their own.",
    judge=_judge,
)
