"""Namespaces of endpoints make the API server refuse pods that are not `restricted`, whoever creates them."""

from collections.abc import Iterator

from rules.rule import ObjectRule, Resource, Settings

_PART_OF = "app.kubernetes.io/part-of"
_ENFORCE = "pod-security.kubernetes.io/enforce"


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    labels = resource.labels
    if resource.kind == "Namespace" and labels.get(_PART_OF) == "headrace" and labels.get(_ENFORCE) != "restricted":
        yield (
            f"the API server would admit any pod; set the label {_ENFORCE}: restricted (it is {labels.get(_ENFORCE)!r})"
        )


RULE = ObjectRule(
    name="headrace-namespace-restricted",
    description="Namespaces of the platform and of endpoints enforce the Pod Security Standard restricted.",
    judge=_judge,
)
