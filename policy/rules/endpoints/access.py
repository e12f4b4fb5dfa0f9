"""An endpoint says who may call it."""

from collections.abc import Iterator

from rules.rule import Level, ObjectRule, Resource, Settings


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    if resource.kind != "ModelEndpoint":
        return
    access = resource.spec.get("access") or {}
    if not access.get("subjects") and not access.get("groups"):
        yield "whoever has a token of the platform may call it; set its input allowed_subjects or allowed_groups"


RULE = ObjectRule(
    name="headrace-endpoint-access",
    description="Endpoints list the subjects or groups that may call them.",
    level=Level.ADVISORY,
    judge=_judge,
)
