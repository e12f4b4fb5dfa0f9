"""metrics-server as a process beside the cluster's own programs, registered with the API server while it runs."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench.autoscaler.child import child
from bench.product.stage import waited
from headrace.contract.errors import TemporaryError
from headrace.kube.api_server import ApiServer
from headrace.local import cluster_layout
from headrace.local.terminal_progress import Progress
from headrace.local.toolchain import builder
from headrace.local.toolchain.programs import METRICS_SERVER

PORT: Final = cluster_layout.API_PORT + 1
RESOLUTION_SECONDS: Final = 10
"""Between two looks at the kubelet, the least it allows; by default 15."""
_NAME, _SPACE = "metrics-server", "kube-system"
_GROUP, _VERSION = "metrics.k8s.io", "v1beta1"


@contextmanager
def running(server: ApiServer, kubeconfig: Path, kubectl: Path, folder: Path) -> Iterator[None]:
    """Answers the API `metrics.k8s.io` while the block runs. `folder` gets its log and certificate."""
    program = builder.ensure(METRICS_SERVER, Progress("bench-product", steps=1)) / "metrics-server"
    command = [
        str(program), f"--kubeconfig={kubeconfig}", f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}", f"--bind-address={cluster_layout.NODE_ADDRESS}",
        f"--secure-port={PORT}", f"--cert-dir={folder}", "--kubelet-insecure-tls",
        "--kubelet-preferred-address-types=InternalIP", "--kubelet-use-node-status-port",
        f"--metric-resolution={RESOLUTION_SECONDS}s", f"--kubelet-request-timeout={RESOLUTION_SECONDS // 2}s",
    ]  # fmt: skip
    with child(command, folder / "metrics-server.log", {}) as process:
        _kubectl(kubectl, kubeconfig, "apply", "-f", "-")
        try:
            waited(
                lambda: process.poll() is not None or _knows_pods(server),
                lambda: f"metrics-server says nothing: {(folder / 'metrics-server.log').read_text()[-1000:]}",
            )
            yield
        finally:
            # Before it ends: an API that nobody answers would keep namespaces from being deleted.
            _kubectl(kubectl, kubeconfig, "delete", "--ignore-not-found", "-f", "-")


def _knows_pods(server: ApiServer) -> bool:
    try:
        return bool(server.get(f"/apis/{_GROUP}/{_VERSION}/pods")["items"])
    except TemporaryError:
        return False


def _kubectl(kubectl: Path, kubeconfig: Path, *arguments: str) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": objects()}
    done = subprocess.run(
        [str(kubectl), "--kubeconfig", str(kubeconfig), *arguments],
        input=json.dumps(listed), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    if done.returncode != 0:
        raise TemporaryError(f"`kubectl {arguments[0]}` of metrics-server's objects failed: {done.stderr.strip()}")


def objects() -> list[dict[str, Any]]:
    """The API service, and a Service without pods that leads to the process."""
    metadata = {"name": _NAME, "namespace": _SPACE}
    return [
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"{_VERSION}.{_GROUP}"},
            "spec": {
                "group": _GROUP,
                "version": _VERSION,
                "service": metadata,
                "insecureSkipTLSVerify": True,
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"ports": [{"name": "https", "port": 443, "targetPort": PORT}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "labels": {"kubernetes.io/service-name": _NAME}},
            "addressType": "IPv4",
            "ports": [{"name": "https", "port": PORT, "protocol": "TCP"}],
            "endpoints": [{"addresses": [cluster_layout.NODE_ADDRESS], "conditions": {"ready": True}}],
        },
    ]
