"""Kube: what the control plane reads and writes of Kubernetes."""

from collections.abc import Callable, Mapping
from typing import Any

from headrace.contract import names
from headrace.machinery.api_server import ApiServer, Object
from headrace.machinery.mirror import Mirror, whole
from headrace.routing import telemetry

MANAGER = "headrace-routing"

MODEL_ENDPOINTS = f"/apis/{names.API_GROUP}/{names.API_VERSION}/{names.MODEL_ENDPOINT_PLURAL}"
ENDPOINT_SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
BALANCER_SLICES = f"/apis/discovery.k8s.io/v1/namespaces/{names.SYSTEM_NAMESPACE}/endpointslices"
SERVICE_NAME_LABEL = "kubernetes.io/service-name"


def mirror(server: ApiServer, path: str, changed: Callable[[], None], *, label_selector: str = "") -> Mirror[Object]:
    """A copy that tells of each change, and counts what failed."""
    failed = telemetry.watch_failures.labels(path.rsplit("/", 1)[-1]).inc
    return Mirror(server, path, kept=whole, label_selector=label_selector, changed=changed, failed=failed)


def pods_of(server: ApiServer, namespace: str) -> list[Object]:
    """Pods of one endpoint's namespace that carry its labels."""
    pages = server.pages(f"/api/v1/namespaces/{namespace}/pods", label_selector=names.ENDPOINT_LABEL)
    return [pod for page, _ in pages for pod in page]


def write_status(server: ApiServer, item: Mapping[str, Any], status: Mapping[str, Any]) -> None:
    """Merges into a ModelEndpoint's status. Raises Conflict when `item` is no longer what the server has."""
    metadata = item["metadata"]
    path = (
        f"/apis/{names.API_GROUP}/{names.API_VERSION}/namespaces/{metadata['namespace']}"
        f"/{names.MODEL_ENDPOINT_PLURAL}/{metadata['name']}/status"
    )
    server.merge(path, {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": status})
