"""Namespaces of endpoints have a quota: a bound that holds whoever creates pods there."""

from collections.abc import Iterator, Sequence

from rules import labels
from rules.rule import Level, Resource, Settings, StackRule


def _judge(resources: Sequence[Resource], _: Settings) -> Iterator[str]:
    bounded = {each.metadata.get("namespace") for each in resources if each.kind == "ResourceQuota"}
    for each in resources:
        if each.kind == "Namespace" and labels.ENDPOINT in each.labels and each.metadata.get("name") not in bounded:
            yield f"{each.title}: nothing bounds what its pods take together; set the endpoint's input quota"


RULE = StackRule(
    name="headrace-endpoint-quota",
    description="Endpoints have a quota of CPU, memory or pods.",
    level=Level.ADVISORY,
    judge=_judge,
)
