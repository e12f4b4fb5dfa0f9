"""The pod template of an Envoy, and the data of the ConfigMap that it reads its bootstrap from."""

from collections.abc import Mapping
from typing import Any, Final

import pulumi

from headrace.components.kubernetes import pods
from headrace.components.kubernetes.manifests import Labels, Manifest
from headrace.components.platform import envoy_bootstrap
from headrace.components.platform.identities import identity_volume
from headrace.contract import names, request_body

_EXIT_SECONDS: Final = 5
"""Seconds between the end of the drain and SIGKILL."""
_PROXY_DRAIN_SECONDS: Final = 300
"""Most seconds that a proxy drains: its last request may take 297 s and a little. An idle proxy ends in seconds."""
_CONFIG_FILE: Final = "envoy.json"
CONFIG_DIRECTORY: Final = "/etc/headrace/config"
"""Where a proxy's pod has its bootstrap and `envoy_bootstrap.secrets_files`."""
_CONFIG_PATH: Final = f"{CONFIG_DIRECTORY}/{_CONFIG_FILE}"
_TLS_PATH: Final = "/etc/headrace/tls"


def proxy_bootstrap(program: str) -> dict[str, Any]:
    """The bootstrap of an Envoy in its pod."""
    return envoy_bootstrap.bootstrap(program, secrets_directory=CONFIG_DIRECTORY)


def proxy_pod(
    program: str,
    *,
    image: pulumi.Input[str],
    labels: Labels,
    port: int,
    bootstrap: Mapping[str, Any],
    tls_secret: str | None = None,
) -> Manifest:
    """The pod template of an Envoy, started from the ConfigMap of its own name that holds `bootstrap`."""
    identity, mount = identity_volume(program)
    mounts = [{"name": "config", "mountPath": CONFIG_DIRECTORY, "readOnly": True}, mount]
    volumes: list[Manifest] = [{"name": "config", "configMap": {"name": program}}, identity]
    if tls_secret is not None:
        # A volume of its own: Envoy watches its directory, and a renewed certificate is served without a restart.
        mounts.append({"name": "tls", "mountPath": _TLS_PATH, "readOnly": True})
        volumes.append({"name": "tls", "secret": {"secretName": tls_secret, "defaultMode": 0o440}})
    memory = f"{request_body.PROXY_MIB}Mi"
    drain = envoy_bootstrap.drain_command(program, longest_seconds=_PROXY_DRAIN_SECONDS)
    command = [
        names.ENVOY_BINARY,
        "--config-path", _CONFIG_PATH,
        "--service-cluster", program,
        "--service-node", "$(POD_NAME)",
        "--concurrency", "2",
        "--disable-hot-restart",
        "--log-level", "warning",
        *envoy_bootstrap.ARGUMENTS,
    ]  # fmt: skip
    container = {
        "name": "envoy",
        "image": image,
        "command": command,
        "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "ports": pods.container_ports({"proxy": port, "stats": names.ENVOY_STATS_PORT}),
        # No CPU limit: throttling a proxy adds latency to every endpoint at once.
        "resources": {
            "requests": {"cpu": "100m", "memory": memory, "ephemeral-storage": "16Mi"},
            "limits": {"memory": memory, "ephemeral-storage": "256Mi"},
        },
        "startupProbe": pods.probe("/ready", "stats", period=1, timeout=2, failures=120),
        "readinessProbe": pods.probe("/ready", "stats", period=2, timeout=2, failures=2),
        # A port, not /ready: an Envoy that drains is not ready and must not be killed for it.
        "livenessProbe": {
            "tcpSocket": {"port": "stats"},
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 3,
        },
        "lifecycle": {"preStop": {"exec": {"command": drain}}},
        "volumeMounts": mounts,
    }
    return pods.template(
        program,
        container,
        labels=labels,
        selector={names.COMPONENT_LABEL: program},
        scratch="16Mi",
        volumes=volumes,
        config=bootstrap,
        terminationGracePeriodSeconds=_PROXY_DRAIN_SECONDS + _EXIT_SECONDS,
    )


def config_data(bootstrap: Mapping[str, Any]) -> dict[str, str]:
    """The `data` of the ConfigMap that `proxy_pod` mounts."""
    files = {_CONFIG_FILE: bootstrap, **envoy_bootstrap.secrets_files()}
    return {name: pods.config_text(content) for name, content in files.items()}
