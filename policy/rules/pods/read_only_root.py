"""A container's own files cannot be changed: who breaks in finds no place to leave a program."""

from collections.abc import Iterator

from rules.pods.pod_specs import pods
from rules.rule import ObjectRule, Resource, Settings


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    for pod in pods(resource):
        for container in pod.containers:
            if (container.get("securityContext") or {}).get("readOnlyRootFilesystem") is not True:
                yield (
                    f"container {container.get('name')} can be changed while it runs; set readOnlyRootFilesystem: true "
                    "and give an emptyDir for what it writes"
                )


RULE = ObjectRule(
    name="kubernetes-container-read-only",
    description="Containers have a read-only root file system.",
    judge=_judge,
)
