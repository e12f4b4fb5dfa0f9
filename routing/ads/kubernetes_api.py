"""The Kubernetes objects that the control plane watches, reads and writes, and where the API server has them."""

from collections.abc import Callable, Mapping
from typing import Any

from headrace.contract import names
from headrace.contract.model_endpoint import MODEL_ENDPOINT
from headrace.kube.api_server import ApiServer, Object
from headrace.kube.informer import Informer, whole
from headrace.routing.ads import telemetry
from headrace.routing.snapshot.endpoint_health import SERVICE_LABEL

MANAGER = "headrace-routing"
"""Field manager of what the control plane writes."""

MODEL_ENDPOINTS = MODEL_ENDPOINT.path
ENDPOINT_SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
BALANCER_SLICES = f"/apis/discovery.k8s.io/v1/namespaces/{names.SYSTEM_NAMESPACE}/endpointslices"
_ROUTED_TO = (names.LOAD_BALANCER, names.MANAGEMENT, names.CONSOLE, names.ACTIVATOR)
BALANCER_SELECTOR = f"{SERVICE_LABEL} in ({','.join([*_ROUTED_TO, names.POP_PROXY])})"


def informer(server: ApiServer, changed: Callable[[], None], path: str, *, selector: str = "") -> Informer[Object]:
    """An informer that calls `changed` after each change, and counts lists and watches that failed."""
    failed = telemetry.watch_failures.labels(path.rsplit("/", 1)[-1]).inc
    return Informer(server, path, transform=whole, label_selector=selector, changed=changed, failed=failed)


def pods_of(server: ApiServer, namespace: str) -> list[Object]:
    """Pods of one endpoint's namespace that carry its labels."""
    pages = server.pages(f"/api/v1/namespaces/{namespace}/pods", label_selector=names.ENDPOINT_LABEL)
    return [pod for page, _ in pages for pod in page]


def write_status(server: ApiServer, item: Mapping[str, Any], status: Mapping[str, Any]) -> None:
    """Merges `status` into a ModelEndpoint's. Raises Conflict when the server has a newer version than `item`."""
    metadata = item["metadata"]
    group = f"/apis/{names.API_GROUP}/{names.API_VERSION}/namespaces/{metadata['namespace']}"
    path = f"{group}/{names.MODEL_ENDPOINT_PLURAL}/{metadata['name']}/status"
    server.merge(path, {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": status})
