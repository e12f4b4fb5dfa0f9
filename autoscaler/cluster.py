"""Cluster: what the controller reads and writes of Kubernetes. Reads come from watched copies, writes go through."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from headrace.autoscaler import telemetry
from headrace.autoscaler.fleet import Deployment, Pod, read_deployment, read_pod
from headrace.contract import names
from headrace.kube.api_server import ApiServer, Key, Object
from headrace.kube.informer import Informer, T, whole
from headrace.kube.watched import Watched

MANAGER = "headrace-autoscaler"

AUTOSCALERS = f"/apis/{names.API_GROUP}/{names.API_VERSION}/{names.APA_PLURAL}"
DEPLOYMENTS = "/apis/apps/v1/deployments"
PODS = "/api/v1/pods"
RIVALS = "/apis/autoscaling/v2/horizontalpodautoscalers"
PLATFORM_PODS = f"/api/v1/namespaces/{names.SYSTEM_NAMESPACE}/pods"


class Cluster(Protocol):
    """What the loop and the reconciler need of Kubernetes; `fake_cluster.FakeCluster` is the other implementation.

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

    def activators(self) -> list[Pod]:
        """Pods of the activator."""

    def scale(self, namespace: str, name: str, replicas: int) -> None:
        """Writes the scale subresource of a Deployment."""

    def write_status(self, namespace: str, name: str, status: Mapping[str, Any]) -> None:
        """Merges into an AutopilotPodAutoscaler's status."""

    def record_event(self, namespace: str, event: Mapping[str, Any]) -> None:
        """Creates an Event (v1)."""


def _version(item: Object) -> Key:
    labels = item["metadata"].get("labels", {})
    return item["metadata"]["namespace"], labels.get(names.VERSION_LABEL, "")


class WatchedCluster(Watched):
    def __init__(self, server: ApiServer) -> None:
        def informer(path: str, kept: Callable[[Object], T], **how: Any) -> Informer[T]:
            return Informer(server, path, transform=kept, failed=telemetry.api_failures.labels("watch").inc, **how)

        def platform(component: str) -> Informer[Pod]:
            return informer(PLATFORM_PODS, read_pod, label_selector=f"{names.COMPONENT_LABEL}={component}")

        self._server = server
        self._autoscalers = informer(AUTOSCALERS, whole)
        self._deployments = informer(DEPLOYMENTS, read_deployment, label_selector=names.ENDPOINT_LABEL)
        self._pods = informer(PODS, read_pod, group=_version, label_selector=names.ENDPOINT_LABEL)
        self._rivals = informer(RIVALS, whole, group=lambda item: item["metadata"]["namespace"])
        self._balancers, self._activators = platform(names.LOAD_BALANCER), platform(names.ACTIVATOR)
        pods = (self._pods, self._balancers, self._activators)
        super().__init__(self._autoscalers, self._deployments, self._rivals, *pods)

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

    def activators(self) -> list[Pod]:
        return self._activators.all()

    def scale(self, namespace: str, name: str, replicas: int) -> None:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"
        self._server.merge(path, {"spec": {"replicas": replicas}})

    def write_status(self, namespace: str, name: str, status: Mapping[str, Any]) -> None:
        path = f"/apis/{names.API_GROUP}/{names.API_VERSION}/namespaces/{namespace}/{names.APA_PLURAL}/{name}/status"
        self._server.merge(path, {"status": status})

    def record_event(self, namespace: str, event: Mapping[str, Any]) -> None:
        self._server.send("POST", f"/api/v1/namespaces/{namespace}/events", event)
