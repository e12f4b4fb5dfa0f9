"""ApiServer: requests, lists and watches over HTTP; the only module that knows how the API server is reached."""

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

PAGE_SIZE = 500
"""Objects in one page of a list."""
WATCH_SECONDS = 240
"""Seconds that one watch lasts; proxies on the way cut idle connections after more."""
WRITE_SECONDS = 3.0
"""Seconds that a write is waited for: a slow API server must not hold up the reconciliation of other objects."""


class Gone(TemporaryError):
    """The API server no longer has the resource version to watch from (410); list again."""


class Conflict(TemporaryError):
    """The object changed since it was read (409); read it again."""


class Missing(TemporaryError):
    """The object does not exist (404)."""


class Forbidden(TemporaryError):
    """The right is missing (401, 403). It may be granted while a controller runs."""


_FAILURES: dict[int, type[TemporaryError]] = {401: Forbidden, 403: Forbidden, 404: Missing, 409: Conflict, 410: Gone}


class ApiServer:
    """The API server, with the credentials of the pod, or of a kubeconfig outside a cluster.

    Every method raises TemporaryError (Gone, Conflict and Missing are kinds of it) for a response that is no success.
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
                    remedy = "run in a pod with a service account or set KUBECONFIG"
                    raise PermanentError(f"Kubernetes credentials are missing ({error}); {remedy}") from error
        self._manager = manager
        self._configuration = configuration
        self._pool: urllib3.PoolManager = kubernetes.client.ApiClient(configuration).rest_client.pool_manager

    def get(self, path: str, *, seconds: float = 30.0) -> Object:
        """One JSON document. Raises TemporaryError when it does not come within `seconds`."""
        with self._open("GET", path, seconds=seconds) as response:
            document: Object = json.loads(response.read())
            return document

    def text(self, path: str, *, seconds: float = 30.0) -> str:
        """One document that is no JSON. Raises TemporaryError when it does not come within `seconds`."""
        with self._open("GET", path, seconds=seconds, headers={"accept": "text/plain, */*"}) as response:
            return str(response.read().decode(errors="replace"))

    def send(self, method: str, path: str, body: Mapping[str, Any], *, kind: str = "application/json") -> Object:
        """Sends one JSON document and returns the one in the response."""
        text = json.dumps(body).encode()
        with self._open(method, path, seconds=WRITE_SECONDS, body=text, headers={"content-type": kind}) as response:
            document: Object = json.loads(response.read())
            return document

    def merge(self, path: str, body: Mapping[str, Any]) -> Object:
        """A JSON merge patch; with metadata.resourceVersion in it, Conflict when the object is no longer that one."""
        return self.send("PATCH", f"{path}?fieldManager={self._manager}", body, kind="application/merge-patch+json")

    def pages(self, path: str, *, label_selector: str = "") -> Iterator[tuple[list[Object], str]]:
        """All objects, page by page, each page with the resource version to watch from.

        Ten thousand pods are 150 MiB of Python objects, so a caller that needs little of each keeps no page.
        """
        query = {"limit": str(PAGE_SIZE)} | ({"labelSelector": label_selector} if label_selector else {})
        while True:
            page = self.get(f"{path}?{urlencode(query)}")
            yield page["items"], page["metadata"]["resourceVersion"]
            query["continue"] = page["metadata"].get("continue", "")
            if not query["continue"]:
                return

    def watch(self, path: str, *, resource_version: str, label_selector: str = "") -> Iterator[Object]:
        """The events of one watch. Raises Gone when the resource version is too old."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(WATCH_SECONDS),
        } | ({"labelSelector": label_selector} if label_selector else {})
        for line in self.lines(f"{path}?{urlencode(query)}", seconds=WATCH_SECONDS + 10):
            yield _checked_event(json.loads(line))

    def lines(self, path: str, *, seconds: float) -> Iterator[bytes]:
        """The lines of a document as they come, without their ends and without empty ones.

        Raises TemporaryError when nothing comes for `seconds`, and when the connection breaks.
        """
        with self._open("GET", path, seconds=seconds) as response:
            rest = b""
            try:
                for chunk in response.stream(65_536, decode_content=True):
                    *lines, rest = (rest + chunk).split(b"\n")
                    yield from filter(bytes.strip, lines)
            except urllib3.exceptions.HTTPError as error:
                raise TemporaryError(f"the answer to GET {path} broke off: {error}") from error
            if rest.strip():
                yield rest

    def _open(self, method: str, path: str, *, seconds: float, **fields: Any) -> Any:
        """The response, which the caller must close."""
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


def cores(quantity: str | float) -> float:
    """The number that a quantity of CPU stands for: 0.5 for "500m"."""
    return float(kubernetes.utils.parse_quantity(quantity))  # type: ignore[no-untyped-call]


def named(item: Object) -> Key:
    """Namespace and name of an object; the namespace of a cluster-scoped object is empty."""
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]
