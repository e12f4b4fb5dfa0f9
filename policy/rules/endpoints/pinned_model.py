"""An endpoint names one version of a model: an alias or `latest` means another model tomorrow."""

import re
from collections.abc import Iterator

from rules.rule import Level, ObjectRule, Resource, Settings

_PINNED = re.compile(r"models:/(?:[^/@]+/\d+|m-[0-9a-f]+)|runs:/[^/]+/.+")


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    if resource.kind != "ModelEndpoint":
        return
    for version in resource.spec.get("versions") or ():
        uri = version.get("modelUri") or ""
        if not _PINNED.fullmatch(uri):
            yield (
                f"version {version.get('name')} serves {uri!r}, which may name another model tomorrow; name a version, "
                "for example models:/fraud/7"
            )


RULE = ObjectRule(
    name="headrace-endpoint-model-version",
    description="Endpoints name a version of their model.",
    level=Level.ADVISORY,
    judge=_judge,
)
