"""The pod template of a controller: a program of the platform that talks to the API server."""

from collections.abc import Mapping, Sequence

import pulumi

from headrace.components.kubernetes import pods
from headrace.components.kubernetes.manifests import Labels, Manifest
from headrace.contract import names


def controller_pod(
    program: str,
    *,
    module: str | None = None,
    image: pulumi.Input[str],
    labels: Labels,
    ports: Mapping[str, int],
    environment: Mapping[str, str] | None = None,
    volumes: Sequence[tuple[Manifest, Manifest]] = (),
    memory: str = "256Mi",
) -> Manifest:
    """The pod template of `python -m headrace.<module>` (`program` when absent), with a token for the API server.

    Probes request /healthz and /readyz on the port `health`, which is added to `ports`. `volumes` are pairs of a volume
    and where the container mounts it.
    """
    container = {
        "name": program,
        "image": image,
        "args": ["-m", f"headrace.{module or program}"],  # to the interpreter that the image starts
        "env": pods.environment(environment or {}),
        "volumeMounts": [mount for _, mount in volumes],
        "ports": pods.container_ports({**ports, "health": names.CONTROL_HEALTH_PORT}),
        "resources": {
            "requests": {"cpu": "50m", "memory": memory, "ephemeral-storage": "16Mi"},
            "limits": {"cpu": "1000m", "memory": memory, "ephemeral-storage": "256Mi"},
        },
        "startupProbe": pods.probe("/healthz", "health", period=1, timeout=3, failures=120),
        "readinessProbe": pods.probe("/readyz", "health", period=2, timeout=3, failures=2),
        "livenessProbe": pods.probe("/healthz", "health", period=10, timeout=5, failures=3),
    }
    return pods.template(
        program,
        container,
        labels=labels,
        selector={names.COMPONENT_LABEL: program},
        scratch="16Mi",
        volumes=[volume for volume, _ in volumes],
        automountServiceAccountToken=True,
        terminationGracePeriodSeconds=15,
    )
