"""The number of a model's pods belongs to the autoscaler: a program that sets it undoes a decision at every update."""

from collections.abc import Iterator

from rules import labels
from rules.rule import ObjectRule, Resource, Settings


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    if resource.kind != "Deployment" or labels.ENDPOINT not in resource.labels:
        return
    replicas = resource.spec.get("replicas")
    if replicas is not None:
        yield (
            f"spec.replicas = {replicas:g} would undo the autoscaler's decision at every update; leave it out and "
            "bound the endpoint instead"
        )


RULE = ObjectRule(
    name="headrace-deployment-replicas",
    description="Deployments of model versions leave the number of pods to the autoscaler.",
    judge=_judge,
)
