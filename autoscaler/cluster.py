"""Cluster: what the controller reads and writes of Kubernetes. Reads come from watched copies, writes go through."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from headrace.autoscaler import telemetry
from headrace.autoscaler.fleet import Deployment, Pod, read_deployment, read_pod
from headrace.contract import names
from headrace.kube.api_server import WRITE_SECONDS, ApiServer, Key, Missing, Object
from headrace.kube.informer import Informer, T, whole
from headrace.kube.lease import Leases

MANAGER = "headrace-autoscaler"

AUTOSCALERS = f"/apis/{names.API_GROUP}/{names.API_VERSION}/{names.APA_PLURAL}"
DEPLOYMENTS = "/apis/apps/v1/deployments"
PODS = "/api/v1/pods"
RIVALS = "/apis/autoscaling/v2/horizontalpodautoscalers"
BALANCERS = f"/api/v1/namespaces/{names.SYSTEM_NAMESPACE}/pods"


class Cluster(Leases, Protocol):
    """What the reconciler and the elector need of Kubernetes; `fake_cluster.FakeCluster` is the other implementation.

    Reads are copies as of some moment ago. Writes raise TemporaryError, Conflict and Missing among them.
    """

    def autoscalers(self) -> list[Object]:
        """Every AutopilotPodAutoscaler."""

    def deployment(self, namespace: str, name: str) -> Deployment | None:
        """One Deployment of a model version."""

    def pods(self, namespace: str, version: str) -> Sequence[Pod]:
        """Pods of one version of the endpoint whose namespace this is; the same sequence until one changes."""

    def rivals(self, namespace: str) -> Sequence[Object]:
        """HorizontalPodAutoscalers in the namespace."""

    def balancers(self) -> list[Pod]:
        """Pods of the LoadBalancer."""

    def scale(self, namespace: str, name: str, replicas: int) -> None:
        """Writes the scale subresource of a Deployment."""

    def write_status(self, namespace: str, name: str, status: Mapping[str, Any]) -> None:
        """Merges into an AutopilotPodAutoscaler's status."""

    def record_event(self, namespace: str, event: Mapping[str, Any]) -> None:
        """Creates an Event (v1)."""


def _version(item: Object) -> Key:
    labels = item["metadata"].get("labels", {})
    return item["metadata"]["namespace"], labels.get(names.VERSION_LABEL, "")


class WatchedCluster:
    def __init__(self, server: ApiServer) -> None:
        def informer(path: str, kept: Callable[[Object], T], **how: Any) -> Informer[T]:
            return Informer(server, path, transform=kept, failed=telemetry.api_failures.labels("watch").inc, **how)

        balancers = f"{names.COMPONENT_LABEL}={names.LOAD_BALANCER}"
        self._server = server
        self._autoscalers = informer(AUTOSCALERS, whole)
        self._deployments = informer(DEPLOYMENTS, read_deployment, label_selector=names.ENDPOINT_LABEL)
        self._pods = informer(PODS, read_pod, group=_version, label_selector=names.ENDPOINT_LABEL)
        self._rivals = informer(RIVALS, whole, group=lambda item: item["metadata"]["namespace"])
        self._balancers = informer(BALANCERS, read_pod, label_selector=balancers)
        all_pods = (self._pods, self._balancers)
        self._informers: tuple[Informer[Any], ...] = (self._autoscalers, self._deployments, self._rivals, *all_pods)

    def start(self) -> None:
        for informer in self._informers:
            informer.start()

    def stop(self) -> None:
        for informer in self._informers:
            informer.stop()

    @property
    def synced(self) -> bool:
        """Whether everything has been read once."""
        return all(informer.synced for informer in self._informers)

    def autoscalers(self) -> list[Object]:
        return self._autoscalers.all()

    def deployment(self, namespace: str, name: str) -> Deployment | None:
        return next(iter(self._deployments.of((namespace, name))), None)

    def pods(self, namespace: str, version: str) -> Sequence[Pod]:
        return self._pods.of((namespace, version))

    def rivals(self, namespace: str) -> Sequence[Object]:
        return self._rivals.of(namespace)

    def balancers(self) -> list[Pod]:
        return self._balancers.all()

    def scale(self, namespace: str, name: str, replicas: int) -> None:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"
        self._server.merge(path, {"spec": {"replicas": replicas}})

    def write_status(self, namespace: str, name: str, status: Mapping[str, Any]) -> None:
        path = f"/apis/{names.API_GROUP}/{names.API_VERSION}/namespaces/{namespace}/{names.APA_PLURAL}/{name}/status"
        self._server.merge(path, {"status": status})

    def record_event(self, namespace: str, event: Mapping[str, Any]) -> None:
        self._server.send("POST", f"/api/v1/namespaces/{namespace}/events", event)

    def read_lease(self, namespace: str, name: str) -> Object | None:
        try:
            return self._server.get(f"{_leases(namespace)}/{name}", seconds=WRITE_SECONDS)
        except Missing:
            return None

    def write_lease(self, namespace: str, name: str, lease: Mapping[str, Any]) -> Object:
        if lease["metadata"].get("resourceVersion"):
            return self._server.send("PUT", f"{_leases(namespace)}/{name}", lease)
        return self._server.send("POST", _leases(namespace), lease)


def _leases(namespace: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
