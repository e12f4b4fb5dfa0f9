"""Kube: the only module that talks to the API server. Reads come from watched copies, writes go straight through."""

import json
import logging
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import urlencode

import kubernetes
import urllib3

from headrace.autoscaler import telemetry
from headrace.contract import names
from headrace.contract.errors import PermanentError, TemporaryError

log = logging.getLogger(__name__)

Object = dict[str, Any]
"""A Kubernetes object as JSON."""
Key = tuple[str, str]
"""Namespace and name."""

MANAGER = "headrace-autoscaler"
PAGE = 500
WATCH_SECONDS = 240
"""How long one watch lasts; ends well before proxies on the way cut idle connections."""
WRITE_SECONDS = 3.0
"""Longest wait for a write: a slow API server must not stop the other versions' decisions."""

AUTOSCALERS = f"/apis/{names.API_GROUP}/{names.API_VERSION}/{names.APA_PLURAL}"
DEPLOYMENTS = "/apis/apps/v1/deployments"
PODS = "/api/v1/pods"
RIVALS = "/apis/autoscaling/v2/horizontalpodautoscalers"
BALANCERS = f"/api/v1/namespaces/{names.SYSTEM_NAMESPACE}/pods"


class Gone(TemporaryError):
    """The watch's position is too old; list again."""


class Conflict(TemporaryError):
    """The object changed since it was read; read it again."""


class Missing(TemporaryError):
    """There is no such object (any more)."""


class Cluster(Protocol):
    """What the reconciler and the elector need of Kubernetes; `fake_kube.FakeCluster` is the other implementation.

    Reads are copies as of some moment ago. Writes raise TemporaryError, Conflict and Missing among them.
    """

    def autoscalers(self) -> list[Object]:
        """Every AutopilotPodAutoscaler."""

    def deployment(self, namespace: str, name: str) -> Object | None:
        """One Deployment of a model version."""

    def pods(self, namespace: str, version: str) -> list[Object]:
        """Pods of one version of the endpoint whose namespace this is."""

    def rivals(self, namespace: str) -> list[Object]:
        """HorizontalPodAutoscalers in the namespace."""

    def balancers(self) -> list[Object]:
        """Pods of the LoadBalancer."""

    def scale(self, namespace: str, name: str, replicas: int) -> None:
        """Writes the scale subresource of a Deployment."""

    def write_status(self, namespace: str, name: str, status: Mapping[str, Any]) -> None:
        """Merges into an AutopilotPodAutoscaler's status."""

    def annotate(self, namespace: str, name: str, annotations: Mapping[str, str]) -> None:
        """Merges into an AutopilotPodAutoscaler's annotations."""

    def record_event(self, namespace: str, event: Mapping[str, Any]) -> None:
        """Creates an Event (v1)."""

    def read_lease(self, namespace: str, name: str) -> Object | None:
        """A Lease, straight from the server; None when there is none."""

    def write_lease(self, namespace: str, name: str, lease: Mapping[str, Any]) -> Object:
        """Creates the Lease, or replaces it if its resourceVersion still is the server's; raises Conflict if not."""


class ApiServer:
    """HTTP to the API server with the credentials of the pod, or of a kubeconfig outside a cluster."""

    def __init__(self, configuration: Any = None) -> None:
        if configuration is None:
            configuration = kubernetes.client.Configuration()
            try:
                kubernetes.config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            except kubernetes.config.ConfigException:
                try:
                    kubernetes.config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
                except kubernetes.config.ConfigException as error:
                    raise PermanentError(
                        f"Kubernetes credentials are missing ({error}); run in a pod with a service account "
                        "or set KUBECONFIG"
                    ) from error
        self._configuration = configuration
        self._pool: urllib3.PoolManager = kubernetes.client.ApiClient(configuration).rest_client.pool_manager

    def open(self, method: str, path: str, *, read_seconds: float = 30.0, **fields: Any) -> Any:
        """The response, to be closed by the caller. Raises the families above for what is not a success."""
        headers = {"accept": "application/json", **fields.pop("headers", {})}
        for setting in self._configuration.auth_settings().values():
            if setting["in"] == "header" and setting["value"]:
                headers[setting["key"]] = setting["value"]
        try:
            response = self._pool.request(
                method,
                self._configuration.host.rstrip("/") + path,
                headers=headers,
                preload_content=False,
                retries=False,
                timeout=urllib3.Timeout(connect=min(5.0, read_seconds), read=read_seconds),
                **fields,
            )
        except urllib3.exceptions.HTTPError as error:
            raise TemporaryError(f"API server at {self._configuration.host} cannot be reached: {error}") from error
        if response.status >= 300:
            with response:
                text = response.read(4096).decode(errors="replace")
            failure = {404: Missing, 409: Conflict, 410: Gone}.get(response.status, TemporaryError)
            raise failure(f"API server answered {method} {path} with {response.status}: {text}")
        return response

    def get(self, path: str) -> Object:
        """One document."""
        with self.open("GET", path) as response:
            document: Object = json.loads(response.read())
            return document

    def send(self, method: str, path: str, body: Mapping[str, Any], *, kind: str = "application/json") -> Object:
        """Writes one document and returns the server's."""
        with self.open(
            method,
            path,
            read_seconds=WRITE_SECONDS,
            body=json.dumps(body).encode(),
            headers={"content-type": kind},
        ) as response:
            document: Object = json.loads(response.read())
            return document

    def merge(self, path: str, body: Mapping[str, Any]) -> Object:
        """A JSON merge patch."""
        return self.send("PATCH", f"{path}?fieldManager={MANAGER}", body, kind="application/merge-patch+json")

    def list(self, path: str, *, label_selector: str = "") -> tuple[list[Object], str]:
        """All objects, and the version of the list to watch from."""
        items: list[Object] = []
        token = ""
        while True:
            query = {"limit": str(PAGE)} | ({"labelSelector": label_selector} if label_selector else {})
            page = self.get(f"{path}?{urlencode(query | ({'continue': token} if token else {}))}")
            items.extend(page["items"])
            token = page["metadata"].get("continue", "")
            if not token:
                return items, page["metadata"]["resourceVersion"]

    def watch(self, path: str, *, resource_version: str, label_selector: str = "") -> Iterator[Object]:
        """Watch events until the server ends the watch. Raises Gone when the version is too old."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(WATCH_SECONDS),
        } | ({"labelSelector": label_selector} if label_selector else {})
        with self.open("GET", f"{path}?{urlencode(query)}", read_seconds=WATCH_SECONDS + 10) as response:
            buffer = b""
            try:
                for chunk in response.stream(65_536, decode_content=True):
                    *lines, buffer = (buffer + chunk).split(b"\n")
                    for line in lines:
                        if line.strip():
                            yield _checked_event(json.loads(line))
            except urllib3.exceptions.HTTPError as error:
                raise TemporaryError(f"watch of {path} broke: {error}") from error


def _checked_event(event: Object) -> Object:
    if event["type"] == "ERROR":
        status = event["object"]
        failure = Gone if status.get("code") == 410 else TemporaryError
        raise failure(f"watch ended: {status.get('message', status)}")
    return event


class Mirror:
    """A copy of one kind of object, kept by a thread of its own and grouped by `group`.

    `synced` turns true after the first complete list and stays so: when the API server goes away the copy is old, not
    empty.
    """

    def __init__(
        self, server: ApiServer, path: str, *, group: Callable[[Object], Any], label_selector: str = ""
    ) -> None:
        self.synced = False
        self._server, self._path, self._group, self._selector = server, path, group, label_selector
        self._groups: dict[Any, dict[str, Object]] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"mirror {path}", daemon=True)

    def start(self) -> None:
        """Begins to follow the API server."""
        self._thread.start()

    def stop(self) -> None:
        """Asks the thread to end after its current wait."""
        self._stop.set()

    def of(self, group: Any) -> list[Object]:
        """The objects of one group; they are replaced, never changed in place."""
        with self._lock:
            return list(self._groups.get(group, {}).values())

    def all(self) -> list[Object]:
        """Every object."""
        with self._lock:
            return [item for group in self._groups.values() for item in group.values()]

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                self._follow()
                failures = 0
            except Gone:
                continue
            except TemporaryError as error:
                failures += 1
                telemetry.api_failures.labels("watch").inc()
                log.warning("%s; trying again", error)
                # Full jitter, so that the replicas do not come back in step after an outage.
                self._stop.wait(random.uniform(0.05, min(0.1 * 2**failures, 10.0)))

    def _follow(self) -> None:
        objects, version = self._server.list(self._path, label_selector=self._selector)
        groups: dict[Any, dict[str, Object]] = {}
        for item in objects:
            groups.setdefault(self._group(item), {})[item["metadata"]["uid"]] = item
        with self._lock:
            self._groups = groups
        self.synced = True
        for _ in range(3):
            for event in self._server.watch(self._path, resource_version=version, label_selector=self._selector):
                item = event["object"]
                version = item["metadata"]["resourceVersion"]
                if event["type"] == "BOOKMARK":
                    continue
                with self._lock:
                    group = self._groups.setdefault(self._group(item), {})
                    if event["type"] == "DELETED":
                        group.pop(item["metadata"]["uid"], None)
                    else:
                        group[item["metadata"]["uid"]] = item
                if self._stop.is_set():
                    return


def named(item: Object) -> Key:
    """Namespace and name of an object."""
    return item["metadata"]["namespace"], item["metadata"]["name"]


def _version(item: Object) -> Key:
    labels = item["metadata"].get("labels", {})
    return item["metadata"]["namespace"], labels.get(names.VERSION_LABEL, "")


class WatchedCluster:
    """The Cluster behind an API server."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._autoscalers = Mirror(server, AUTOSCALERS, group=named)
        self._deployments = Mirror(server, DEPLOYMENTS, group=named, label_selector=names.ENDPOINT_LABEL)
        self._pods = Mirror(server, PODS, group=_version, label_selector=names.ENDPOINT_LABEL)
        self._rivals = Mirror(server, RIVALS, group=lambda item: item["metadata"]["namespace"])
        self._balancers = Mirror(
            server, BALANCERS, group=named, label_selector=f"{names.COMPONENT_LABEL}={names.LOAD_BALANCER}"
        )
        self._mirrors = (self._autoscalers, self._deployments, self._pods, self._rivals, self._balancers)

    def start(self) -> None:
        """Starts the watches."""
        for mirror in self._mirrors:
            mirror.start()

    def stop(self) -> None:
        """Asks the watches to end."""
        for mirror in self._mirrors:
            mirror.stop()

    @property
    def synced(self) -> bool:
        """Whether everything has been read once."""
        return all(mirror.synced for mirror in self._mirrors)

    def autoscalers(self) -> list[Object]:
        return self._autoscalers.all()

    def deployment(self, namespace: str, name: str) -> Object | None:
        return next(iter(self._deployments.of((namespace, name))), None)

    def pods(self, namespace: str, version: str) -> list[Object]:
        return self._pods.of((namespace, version))

    def rivals(self, namespace: str) -> list[Object]:
        return self._rivals.of(namespace)

    def balancers(self) -> list[Object]:
        return self._balancers.all()

    def scale(self, namespace: str, name: str, replicas: int) -> None:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"
        self._server.merge(path, {"spec": {"replicas": replicas}})

    def write_status(self, namespace: str, name: str, status: Mapping[str, Any]) -> None:
        self._server.merge(f"{_path(namespace, name)}/status", {"status": status})

    def annotate(self, namespace: str, name: str, annotations: Mapping[str, str]) -> None:
        self._server.merge(_path(namespace, name), {"metadata": {"annotations": annotations}})

    def record_event(self, namespace: str, event: Mapping[str, Any]) -> None:
        self._server.send("POST", f"/api/v1/namespaces/{namespace}/events", event)

    def read_lease(self, namespace: str, name: str) -> Object | None:
        try:
            with self._server.open("GET", f"{_leases(namespace)}/{name}", read_seconds=WRITE_SECONDS) as response:
                lease: Object = json.loads(response.read())
                return lease
        except Missing:
            return None

    def write_lease(self, namespace: str, name: str, lease: Mapping[str, Any]) -> Object:
        if lease["metadata"].get("resourceVersion"):
            return self._server.send("PUT", f"{_leases(namespace)}/{name}", lease)
        return self._server.send("POST", _leases(namespace), lease)


def _path(namespace: str, name: str) -> str:
    return f"/apis/{names.API_GROUP}/{names.API_VERSION}/namespaces/{namespace}/{names.APA_PLURAL}/{name}"


def _leases(namespace: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
