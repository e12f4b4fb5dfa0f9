"""Images are pinned by digest: a tag can come to mean other bytes after they were reviewed."""

import re
from collections.abc import Iterator

from rules.pods.pod_specs import pods
from rules.rule import ObjectRule, Resource, Settings

_PINNED = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    for pod in pods(resource):
        for container in pod.containers:
            image = container.get("image") or ""
            if not _PINNED.fullmatch(image):
                fault = f"container {container.get('name')} has image {image!r}, which may change under its name"
                yield f"{fault}; pin it as repository@sha256:<digest>"


RULE = ObjectRule(
    name="kubernetes-container-image-digest",
    description="Container images are pinned by digest.",
    judge=_judge,
)
