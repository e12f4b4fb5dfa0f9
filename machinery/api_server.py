"""ApiServer: HTTP to the API server, its lists and its watches; the only module that knows how to reach it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import kubernetes
import urllib3

from headrace.contract.errors import PermanentError, TemporaryError

Object = dict[str, Any]
"""A Kubernetes object as JSON."""
Key = tuple[str, str]
"""Namespace and name."""

PAGE = 500
"""Objects a list request asks for at once."""
WATCH_SECONDS = 240
"""How long one watch lasts; ends well before proxies on the way cut idle connections."""
WRITE_SECONDS = 3.0
"""Longest wait for a write: a slow API server must not stop the turns of all other objects."""


class Gone(TemporaryError):
    """The watch's position is too old; list again."""


class Conflict(TemporaryError):
    """The object changed since it was read; read it again."""


class Missing(TemporaryError):
    """There is no such object (any more)."""


_FAILURES: dict[int, type[TemporaryError]] = {404: Missing, 409: Conflict, 410: Gone}


class ApiServer:
    """The API server, with the credentials of the pod, or of a kubeconfig outside a cluster.

    Every method raises TemporaryError, with Gone, Conflict and Missing among them, for an answer that is no success.
    """

    def __init__(self, manager: str, configuration: Any = None) -> None:
        """`manager` is the field manager that owns what is written. Raises PermanentError without credentials."""
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
        self._manager = manager
        self._configuration = configuration
        self._pool: urllib3.PoolManager = kubernetes.client.ApiClient(configuration).rest_client.pool_manager

    def get(self, path: str, *, seconds: float = 30.0) -> Object:
        """One document, waited for at most `seconds`."""
        with self._open("GET", path, seconds=seconds) as response:
            document: Object = json.loads(response.read())
            return document

    def send(self, method: str, path: str, body: Mapping[str, Any], *, kind: str = "application/json") -> Object:
        """Writes one document and returns the server's."""
        text = json.dumps(body).encode()
        with self._open(method, path, seconds=WRITE_SECONDS, body=text, headers={"content-type": kind}) as response:
            document: Object = json.loads(response.read())
            return document

    def merge(self, path: str, body: Mapping[str, Any]) -> Object:
        """A JSON merge patch; with metadata.resourceVersion in it, Conflict when the object is no longer that one."""
        return self.send("PATCH", f"{path}?fieldManager={self._manager}", body, kind="application/merge-patch+json")

    def pages(self, path: str, *, label_selector: str = "") -> Iterator[tuple[list[Object], str]]:
        """All objects, a page at a time, each with the version of the list to watch from.

        Ten thousand pods are 150 MiB of Python's objects: whoever needs little of each keeps that and lets the page go.
        """
        token = ""
        while True:
            query = {"limit": str(PAGE)} | ({"labelSelector": label_selector} if label_selector else {})
            page = self.get(f"{path}?{urlencode(query | ({'continue': token} if token else {}))}")
            yield page["items"], page["metadata"]["resourceVersion"]
            token = page["metadata"].get("continue", "")
            if not token:
                return

    def watch(self, path: str, *, resource_version: str, label_selector: str = "") -> Iterator[Object]:
        """Watch events until the server ends the watch. Raises Gone when the version is too old."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(WATCH_SECONDS),
        } | ({"labelSelector": label_selector} if label_selector else {})
        with self._open("GET", f"{path}?{urlencode(query)}", seconds=WATCH_SECONDS + 10) as response:
            buffer = b""
            try:
                for chunk in response.stream(65_536, decode_content=True):
                    *lines, buffer = (buffer + chunk).split(b"\n")
                    for line in lines:
                        if line.strip():
                            yield _checked_event(json.loads(line))
            except urllib3.exceptions.HTTPError as error:
                raise TemporaryError(f"watch of {path} broke: {error}") from error

    def _open(self, method: str, path: str, *, seconds: float, **fields: Any) -> Any:
        """The response, to be closed by the caller."""
        # The issuer's key set is served under its own media type only; any other Accept is answered 406.
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
                timeout=urllib3.Timeout(connect=min(5.0, seconds), read=seconds),
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


def _checked_event(event: Object) -> Object:
    if event["type"] == "ERROR":
        status = event["object"]
        failure = Gone if status.get("code") == 410 else TemporaryError
        raise failure(f"watch ended: {status.get('message', status)}")
    return event


def named(item: Object) -> Key:
    """Namespace and name of an object; what belongs to no namespace has an empty one."""
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]
