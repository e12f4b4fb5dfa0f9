"""Kube: the only module that talks to the API server. Lists, then watches; any doubt ends in a fresh list."""

import json
import logging
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import kubernetes
import urllib3

from headrace.contract import names
from headrace.contract.errors import PermanentError, TemporaryError
from headrace.routing import telemetry

log = logging.getLogger(__name__)

Object = dict[str, Any]
"""A Kubernetes object as JSON."""

PAGE = 500
"""Objects a list request asks for at once."""
WATCH_SECONDS = 240
"""How long one watch lasts; ends well before proxies on the way cut idle connections."""
RELIST_SECONDS = 600
"""A full list at least this often: whatever a watch may have lost is found again."""

MODEL_ENDPOINTS = f"/apis/{names.API_GROUP}/{names.API_VERSION}/{names.MODEL_ENDPOINT_PLURAL}"
ENDPOINT_SLICES = "/apis/discovery.k8s.io/v1/endpointslices"


class Gone(TemporaryError):
    """The watch's position is too old; list again."""


class Conflict(TemporaryError):
    """The object has changed since it was read; read it again."""


_FAILURES: dict[int, type[TemporaryError]] = {409: Conflict, 410: Gone}


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

    def _request(self, method: str, path: str, *, read_seconds: float = 30.0, **fields: Any) -> Any:
        # The key set is served under its own media type only; any other Accept is answered 406.
        headers = {"accept": "application/json, application/jwk-set+json", **fields.pop("headers", {})}
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
                timeout=urllib3.Timeout(connect=5.0, read=read_seconds),
                **fields,
            )
        except urllib3.exceptions.HTTPError as error:
            raise TemporaryError(f"API server at {self._configuration.host} cannot be reached: {error}") from error
        if response.status >= 300:
            with response:
                text = response.read(4096).decode(errors="replace")
            failure = _FAILURES.get(response.status, TemporaryError)
            raise failure(f"API server answered {method} {path} with {response.status}: {text}")
        return response

    def get(self, path: str) -> Object:
        """One document."""
        with self._request("GET", path) as response:
            document: Object = json.loads(response.read())
            return document

    def patch_status(self, path: str, status: Mapping[str, Any], *, resource_version: str) -> None:
        """Merges into `status`. Raises Conflict when the object is no longer the one that was read."""
        body = {"metadata": {"resourceVersion": resource_version}, "status": status}
        with self._request(
            "PATCH",
            f"{path}/status?fieldManager=headrace-routing",
            body=json.dumps(body).encode(),
            headers={"content-type": "application/merge-patch+json"},
        ) as response:
            response.read()

    def list(self, path: str, *, label_selector: str = "") -> tuple[dict[str, Object], str]:
        """All objects by uid, and the version of the list to watch from."""
        items: dict[str, Object] = {}
        token = ""
        while True:
            query = {"limit": str(PAGE)}
            if label_selector:
                query["labelSelector"] = label_selector
            if token:
                query["continue"] = token
            page = self.get(f"{path}?{urlencode(query)}")
            items.update((item["metadata"]["uid"], item) for item in page["items"])
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
        }
        if label_selector:
            query["labelSelector"] = label_selector
        with self._request("GET", f"{path}?{urlencode(query)}", read_seconds=WATCH_SECONDS + 10) as response:
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


@dataclass
class Mirror:
    """A copy of one kind of object, kept by a thread of its own.

    `synced` turns true after the first complete list and stays so: when the API server goes away the copy is old, not
    empty. `changed` is called, from the mirror's thread, after each change.
    """

    server: ApiServer
    path: str
    changed: Callable[[], None]
    label_selector: str = ""
    synced: bool = False

    def __post_init__(self) -> None:
        self._objects: dict[str, Object] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"mirror {self.path}", daemon=True)

    def start(self) -> None:
        """Begins to follow the API server."""
        self._thread.start()

    def stop(self) -> None:
        """Asks the thread to end after its current wait."""
        self._stop.set()

    def objects(self) -> list[Object]:
        """The copy as of now; objects are replaced, never changed in place."""
        with self._lock:
            return list(self._objects.values())

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
                telemetry.watch_failures.labels(self.path.rsplit("/", 1)[-1]).inc()
                log.warning("%s; trying again", error)
                # Full jitter, so that the replicas do not come back in step after an outage.
                self._stop.wait(random.uniform(0.05, min(0.1 * 2**failures, 10.0)))

    def _follow(self) -> None:
        objects, version = self.server.list(self.path, label_selector=self.label_selector)
        with self._lock:
            self._objects = objects
        self.synced = True
        self.changed()
        for _ in range(max(RELIST_SECONDS // WATCH_SECONDS, 1)):
            for event in self.server.watch(self.path, resource_version=version, label_selector=self.label_selector):
                item = event["object"]
                version = item["metadata"]["resourceVersion"]
                if event["type"] == "BOOKMARK":
                    continue
                with self._lock:
                    if event["type"] == "DELETED":
                        self._objects.pop(item["metadata"]["uid"], None)
                    else:
                        self._objects[item["metadata"]["uid"]] = item
                self.changed()
                if self._stop.is_set():
                    return


class IssuerKeys:
    """The token issuer's name and keys, read again and again by a thread; the last good answer is kept."""

    def __init__(self, server: ApiServer, changed: Callable[[], None], *, period_seconds: float = 60.0) -> None:
        self._server = server
        self._changed = changed
        self._period = period_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="issuer keys", daemon=True)
        self.found: tuple[str, Object] | None = None
        """Issuer and JWKS; None until the first answer."""

    def start(self) -> None:
        """Begins to read."""
        self._thread.start()

    def stop(self) -> None:
        """Asks the thread to end after its current wait."""
        self._stop.set()

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                issuer = self._server.get("/.well-known/openid-configuration")["issuer"]
                jwks = self._server.get("/openid/v1/jwks")
                if not jwks.get("keys"):
                    raise TemporaryError("the issuer publishes no keys")
                found = (issuer, jwks)
                failures = 0
                telemetry.keys_age_seconds.set_to_current_time()
                if found != self.found:
                    self.found = found
                    self._changed()
            except (TemporaryError, KeyError, ValueError) as error:
                failures += 1
                log.warning("issuer keys cannot be read: %s; keeping the last ones", error)
            wait = self._period if failures == 0 else min(0.1 * 2.0**failures, self._period)
            self._stop.wait(wait)


def pods_of(server: ApiServer, namespace: str) -> list[Object]:
    """Pods of one endpoint's namespace that carry its labels."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    return list(server.list(path, label_selector=names.ENDPOINT_LABEL)[0].values())


def status_path(item: Mapping[str, Any]) -> str:
    """Path of one ModelEndpoint object."""
    metadata = item["metadata"]
    return (
        f"/apis/{names.API_GROUP}/{names.API_VERSION}/namespaces/{metadata['namespace']}"
        f"/{names.MODEL_ENDPOINT_PLURAL}/{metadata['name']}"
    )
