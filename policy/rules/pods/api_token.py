"""Pods carry no token for the API server, but those of the platform that talk to it."""

from collections.abc import Iterator

from rules import labels
from rules.pods.pod_specs import pods
from rules.rule import ObjectRule, Resource, Settings


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    for pod in pods(resource):
        if pod.spec.get("automountServiceAccountToken") is not False and labels.COMPONENT not in pod.labels:
            yield (
                "whoever breaks into the pod gets a token for the API server; set automountServiceAccountToken: false"
            )


RULE = ObjectRule(
    name="kubernetes-pod-api-token",
    description="Pods get no token for the API server unless they are the platform's own.",
    judge=_judge,
)
