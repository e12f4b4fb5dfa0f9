"""An endpoint says who may call it."""

from collections.abc import Iterator

from rules.rule import Level, ObjectRule, Resource, Settings


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    if resource.kind != "ModelEndpoint":
        return
    if not (resource.spec.get("access") or {}).get("subjects"):
        yield "whoever has a token of the platform may call it; set the endpoint's input allowed_subjects"


RULE = ObjectRule(
    name="headrace-endpoint-access",
    description="Endpoints list the subjects that may call them.",
    level=Level.ADVISORY,
    judge=_judge,
)
