"""Nodes and pods that are played by kwok: real objects for API server and scheduler, and nothing that runs."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench.autoscaler.child import child
from headrace.contract import names
from headrace.local.terminal_progress import Progress
from headrace.local.toolchain import builder
from headrace.local.toolchain.programs import KWOK

_FAKE: Final = {"kwok.x-k8s.io/node": "fake"}
_PORT: Final = 18081
_MANY: Final = {
    "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
    "kind": "KwokConfiguration",
    "options": {"podPlayStageParallelism": 16, "nodePlayStageParallelism": 4, "nodeLeaseParallelism": 4},
}
"""By default four pods at once become ready, which is too few for thousands. Options come together or not at all."""
PODS_A_NODE: Final = 110
"""The kubelet's default."""
_READY: Final = """\
{{ $now := Now }}
conditions:
{{ range $type := list "Initialized" "ContainersReady" "Ready" }}
- {type: {{ $type }}, status: "True", lastTransitionTime: {{ $now | Quote }}}
{{ end }}
podIP: {{ PodIPWith .spec.nodeName false .metadata.uid .metadata.name .metadata.namespace | Quote }}
phase: Running
startTime: {{ $now | Quote }}
"""
"""Status of a pod that became ready."""
_NODE: Final = """\
{{ $now := Now }}
conditions:
- {type: Ready, status: "True", reason: KubeletReady, lastHeartbeatTime: {{ $now | Quote }},
   lastTransitionTime: {{ $now | Quote }}}
phase: Running
"""
"""Status of a node that registered."""


@contextmanager
def running(kubeconfig: Path, folder: Path, *, cold_start_seconds: float) -> Iterator["subprocess.Popen[bytes]"]:
    """kwok plays the nodes that `node` describes, and the pods placed on them."""
    stages = folder / "stages.yaml"
    documents = [_MANY, *_stages(cold_start_seconds)]
    stages.write_text("\n---\n".join(json.dumps(document) for document in documents))
    program = builder.ensure(KWOK, Progress("kwok", steps=1)) / "kwok"
    command = [
        str(program), f"--kubeconfig={kubeconfig}", "--manage-all-nodes=false",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake", f"--config={stages}",
        "--node-lease-duration-seconds=40", "--cidr=10.128.0.0/14", f"--server-address=127.0.0.1:{_PORT}",
    ]  # fmt: skip
    with child(command, folder / "kwok.log", {}) as process:
        yield process


def node(number: int) -> dict[str, Any]:
    """A node of the usual size, for pods that tolerate that nothing runs on it."""
    room = {"cpu": "512", "memory": "1024Gi", "pods": str(PODS_A_NODE)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"fake-{number}", "annotations": _FAKE, "labels": {**_FAKE, "type": "kwok"}},
        "spec": {"taints": [{"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}]},
        "status": {"allocatable": room, "capacity": room},
    }


def deployment(endpoint: str, *, replicas: int, cores: float) -> dict[str, Any]:
    """One version of an endpoint on these nodes."""
    labels = {names.ENDPOINT_LABEL: endpoint, names.VERSION_LABEL: "v1"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "v1", "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "nodeSelector": {"type": "kwok"},
                    "tolerations": [{"key": "kwok.x-k8s.io/node", "operator": "Exists", "effect": "NoSchedule"}],
                    "automountServiceAccountToken": False,
                    "containers": [
                        {
                            "name": "model",
                            "image": "none",
                            "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": f"{cores:g}"}},
                        }
                    ],
                },
            },
        },
    }


def _stages(cold_start_seconds: float) -> list[dict[str, Any]]:
    """A node is ready at once, a pod a cold start after it was placed, within a tenth; it goes when it is told to."""

    def stage(name: str, kind: str, selector: list[dict[str, Any]], rest: dict[str, Any]) -> dict[str, Any]:
        return {
            "apiVersion": "kwok.x-k8s.io/v1alpha1",
            "kind": "Stage",
            "metadata": {"name": name},
            "spec": {
                "resourceRef": {"apiGroup": "v1", "kind": kind},
                "selector": {"matchExpressions": selector},
                **rest,
            },
        }

    here = [{"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"}]
    return [
        stage(
            "node-ready",
            "Node",
            [*here, {"key": ".status.phase", "operator": "NotIn", "values": ["Running"]}],
            {"next": {"statusTemplate": _NODE}},
        ),
        stage(
            "pod-ready",
            "Pod",
            [*here, {"key": ".status.podIP", "operator": "DoesNotExist"}],
            {
                "delay": {
                    "durationMilliseconds": round(900 * cold_start_seconds),
                    "jitterDurationMilliseconds": round(1100 * cold_start_seconds),
                },
                "next": {"statusTemplate": _READY},
            },
        ),
        stage(
            "pod-delete",
            "Pod",
            [{"key": ".metadata.deletionTimestamp", "operator": "Exists"}],
            {"next": {"finalizers": {"empty": True}, "delete": True}},
        ),
    ]
