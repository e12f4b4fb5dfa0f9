"""The number of a model's pods belongs to the autoscaler: a program that sets it undoes a decision at every update."""

from collections.abc import Iterator

from rules.rule import ObjectRule, Resource

ENDPOINT_LABEL = "serving.headrace.dev/endpoint"


def _judge(resource: Resource) -> Iterator[str]:
    if resource.kind != "Deployment" or ENDPOINT_LABEL not in (resource.metadata.get("labels") or {}):
        return
    replicas = (resource.props.get("spec") or {}).get("replicas")
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
