"""The pod template of Prometheus, and the data of the ConfigMap that it reads its configuration from."""

from collections.abc import Mapping
from typing import Any, Final

import pulumi

from headrace.components.kubernetes import network_policies, pods
from headrace.components.kubernetes.manifests import Labels, Manifest
from headrace.contract import names

_PROMETHEUS_FILE: Final = "prometheus.json"  # JSON is YAML
_PROMETHEUS_PATH: Final = f"/etc/headrace/{_PROMETHEUS_FILE}"
_PROMETHEUS_DATA: Final = "/prometheus"
_UNREACHABLE_SECONDS: Final = 20
"""Seconds after which the only pod of a lost node is replaced; Kubernetes' default is five minutes."""


def prometheus_pod(
    program: str, *, image: pulumi.Input[str], labels: Labels, config: Mapping[str, Any], memory_mib: int
) -> Manifest:
    """The pod template of a Prometheus, started from the ConfigMap of its own name that holds `config`.

    It keeps ten minutes in blocks of five: Prometheus' default blocks of two hours stay in memory for three hours.
    """
    memory = f"{memory_mib}Mi"
    container = {
        "name": program,
        "image": image,
        "args": [
            f"--config.file={_PROMETHEUS_PATH}",
            f"--storage.tsdb.path={_PROMETHEUS_DATA}",
            "--storage.tsdb.retention.time=10m",
            "--storage.tsdb.min-block-duration=5m",
            "--storage.tsdb.max-block-duration=5m",
            "--storage.tsdb.wal-segment-size=10MB",
            # A target that stopped answering is no data after 10 s; by default its last sample counts for 5 minutes.
            "--query.lookback-delta=10s",
            "--query.max-samples=2000000",
            "--query.timeout=10s",
            f"--web.listen-address=:{network_policies.PROMETHEUS_PORT}",
            "--log.level=warn",
        ],
        # Go's garbage collector works harder before the kernel would kill the process.
        "env": pods.environment({"GOMEMLIMIT": f"{memory_mib * 9 // 10}MiB"}),
        "ports": pods.container_ports({"web": network_policies.PROMETHEUS_PORT}),
        "resources": {
            "requests": {"cpu": "50m", "memory": memory, "ephemeral-storage": "64Mi"},
            "limits": {"cpu": "1000m", "memory": memory, "ephemeral-storage": "2Gi"},
        },
        "startupProbe": pods.probe("/-/ready", "web", period=1, timeout=3, failures=120),
        "readinessProbe": pods.probe("/-/ready", "web", period=2, timeout=3, failures=2),
        "livenessProbe": pods.probe("/-/healthy", "web", period=10, timeout=5, failures=3),
        "volumeMounts": [
            {"name": "data", "mountPath": _PROMETHEUS_DATA},
            {"name": "config", "mountPath": _PROMETHEUS_PATH, "subPath": _PROMETHEUS_FILE, "readOnly": True},
        ],
    }
    tolerations = [
        {
            "key": f"node.kubernetes.io/{fault}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": _UNREACHABLE_SECONDS,
        }
        for fault in ("not-ready", "unreachable")
    ]
    return pods.template(
        program,
        container,
        labels=labels,
        selector={names.COMPONENT_LABEL: program},
        scratch="16Mi",
        volumes=[
            {"name": "data", "emptyDir": {"sizeLimit": "1Gi"}},
            {"name": "config", "configMap": {"name": program}},
        ],
        config=config,
        terminationGracePeriodSeconds=15,
        tolerations=tolerations,
    )


def prometheus_data(config: Mapping[str, Any]) -> dict[str, str]:
    """The `data` of the ConfigMap that `prometheus_pod` mounts."""
    return {_PROMETHEUS_FILE: pods.config_text(config)}
