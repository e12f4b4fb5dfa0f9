"""Cluster: what the controller reads and writes of Kubernetes. Reads come from watched copies, writes go through."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from headrace.contract import names
from headrace.contract.declaration import Style, members
from headrace.contract.model_endpoint import MODEL_ENDPOINT
from headrace.contract.rollout import RolloutStatus
from headrace.kube.api_server import ApiServer, Key, Object
from headrace.kube.informer import Informer, whole
from headrace.kube.watched import Watched
from headrace.routing.rollout import telemetry
from headrace.routing.snapshot.endpoint_health import SERVICE_LABEL

MANAGER: Final = "headrace-rollout"
ENDPOINT_SLICES: Final = "/apis/discovery.k8s.io/v1/endpointslices"
BALANCER_SLICES: Final = f"/apis/discovery.k8s.io/v1/namespaces/{names.SYSTEM_NAMESPACE}/endpointslices"


class Cluster(Protocol):
    """What the controller needs of Kubernetes. Reads are copies as of some moment ago; writes raise TemporaryError."""

    def endpoints(self) -> list[Object]:
        """Every ModelEndpoint."""

    def slices(self) -> Sequence[Object]:
        """EndpointSlices of model versions."""

    def balancer_slices(self) -> Sequence[Object]:
        """EndpointSlices of the LoadBalancer."""

    def write_rollout(self, key: Key, rollout: Mapping[str, Any]) -> None:
        """Replaces `status.rollout` of a ModelEndpoint."""


class WatchedCluster(Watched):
    def __init__(self, server: ApiServer) -> None:
        def informer(path: str, selector: str = "") -> Informer[Object]:
            failed = telemetry.watch_failures.labels(path.rsplit("/", 1)[-1]).inc
            return Informer(server, path, transform=whole, label_selector=selector, failed=failed)

        self._server = server
        self._endpoints = informer(MODEL_ENDPOINT.path)
        self._slices = informer(ENDPOINT_SLICES, names.ENDPOINT_LABEL)
        self._balancers = informer(BALANCER_SLICES, f"{SERVICE_LABEL}={names.LOAD_BALANCER}")
        super().__init__(self._endpoints, self._slices, self._balancers)

    def endpoints(self) -> list[Object]:
        return self._endpoints.all()

    def slices(self) -> Sequence[Object]:
        return self._slices.all()

    def balancer_slices(self) -> Sequence[Object]:
        return self._balancers.all()

    def write_rollout(self, key: Key, rollout: Mapping[str, Any]) -> None:
        group = f"/apis/{names.API_GROUP}/{names.API_VERSION}"
        path = f"{group}/namespaces/{key[0]}/{names.MODEL_ENDPOINT_PLURAL}/{key[1]}/status"
        # Merged into what is there: a key that is absent from now on must be taken away.
        absent = {member.path[0]: None for member in members(RolloutStatus, Style.KUBERNETES)}
        self._server.merge(path, {"status": {"rollout": {**absent, **rollout}}})
