"""Images come from registries that the organisation trusts."""

from collections.abc import Iterator

from rules.pods.pod_specs import pods
from rules.rule import ObjectRule, Resource, Setting, Settings

_DOCKER_HUB = "docker.io"


def _judge(resource: Resource, settings: Settings) -> Iterator[str]:
    trusted = settings["registries"]
    if not trusted:
        return
    for pod in pods(resource):
        for container in pod.containers:
            image = container.get("image") or ""
            if not any(_name(image).startswith(f"{prefix.rstrip('/')}/") for prefix in trusted):
                yield (
                    f"container {container.get('name')} has image {image!r}, which is from none of the registries "
                    f"{', '.join(trusted)}; copy the image there or add its registry to `registries`"
                )


def _name(image: str) -> str:
    """The image's name with its registry; as for every container runtime, one without is Docker Hub's."""
    host, slash, _ = image.partition("/")
    has_registry = bool(slash) and ("." in host or ":" in host or host == "localhost")
    return image if has_registry else f"{_DOCKER_HUB}/{image if slash else f'library/{image}'}"


RULE = ObjectRule(
    name="kubernetes-container-image-registry",
    description="Container images come from trusted registries.",
    own_settings=(
        Setting(
            name="registries",
            meaning="Registries and paths from which images may come, for example registry.example.com/models. "
            "Empty: any.",
            default=(),
            type={"type": "array", "items": {"type": "string"}},
        ),
    ),
    judge=_judge,
)
