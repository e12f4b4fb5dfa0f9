"""ManagementApi: the answer to each path, for one verified caller."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

from headrace.contract.caller import Caller
from headrace.contract.errors import TemporaryError
from headrace.kube.admin_server import Response
from headrace.routing.management import host_protocols, openapi, serving_endpoints
from headrace.routing.management.serving_endpoints import Served

_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"
_ROOT: Final = "/api/2.0/serving-endpoints"
_DEPLOYMENTS: Final = "/api/2.0/endpoints"
_VERSION_PATH: Final = re.compile(r"served-models/([^/]+)/(build-logs|logs)")


class Reports(Protocol):
    """What is not in the object; see `pod_reports.PodReports`."""

    def metadata(self, endpoint: str) -> Mapping[str, Any] | None: ...

    def measures(self, endpoint: str) -> str: ...

    def logs(self, endpoint: str, version: str) -> str: ...


class ManagementApi:
    """A caller is told of the endpoints that it may call; others do not exist for it."""

    def __init__(self, found: Callable[[], Iterable[Served | None]], reports: Reports) -> None:
        """`found` gives all endpoints that there are now."""
        self._found, self._reports = found, reports

    def get(self, path: str, caller: Caller) -> Response:
        """The answer to GET, for the caller that the PopProxy verified."""
        path = path.rstrip("/")
        endpoints = serving_endpoints.visible(self._found(), caller)
        if path == _ROOT:
            return _json({"endpoints": [serving_endpoints.summary(each) for each in endpoints.values()]})
        if path.startswith(f"{_ROOT}/"):
            name, _, rest = path.removeprefix(f"{_ROOT}/").partition("/")
            if name not in endpoints:
                return _unknown(name)
            try:
                return self._about(endpoints[name], rest)
            except TemporaryError as error:
                return _databricks(503, "TEMPORARILY_UNAVAILABLE", f"{error}.")
        if path == _DEPLOYMENTS:
            return _json({"endpoints": [serving_endpoints.deployment_endpoint(each) for each in endpoints.values()]})
        if path.startswith(f"{_DEPLOYMENTS}/"):
            name = path.removeprefix(f"{_DEPLOYMENTS}/")
            found = endpoints.get(name)
            return _unknown(name) if found is None else _json(serving_endpoints.deployment_endpoint(found))
        if path.startswith("/v2"):
            document = host_protocols.rest(path, endpoints)
            return _json({"error": f"Nothing is at {path}."}, 404) if document is None else _json(document)
        return _openai(path, endpoints)

    def _about(self, served: Served, rest: str) -> Response:
        """Of one endpoint. Raises TemporaryError while nobody can say it."""
        if not rest:
            return _json(serving_endpoints.detail(served))
        if rest == "metrics":
            return Response(200, self._reports.measures(served.name).encode(), "text/plain; version=0.0.4")
        if rest == "openapi":
            document = openapi.document(served.name, self._reports.metadata(served.name))
            return Response(200, json.dumps(document, indent=1).encode(), _TEXT)
        if (asked := _VERSION_PATH.fullmatch(rest)) is not None:
            return self._version(served, *asked.groups())
        words = f"An endpoint has nothing at {rest!r}: ask for metrics, openapi or served-models/VERSION/logs."
        return _databricks(404, "RESOURCE_DOES_NOT_EXIST", words)

    def _version(self, served: Served, name: str, kind: str) -> Response:
        version = served.version(name)
        if version is None:
            known = ", ".join(each.name for each in served.endpoint.spec.versions)
            words = f"Endpoint {served.name!r} has no version {name!r}; it has {known}."
            return _databricks(404, "RESOURCE_DOES_NOT_EXIST", words)
        if kind == "logs":
            return _json({"logs": self._reports.logs(served.name, name)})
        told = [
            f"{version.model_uri} is in image {version.image}, which was built where Pulumi ran; its log is Pulumi's.",
            *(f"{version.runtime}: {reason}" for reason in version.reasons),
        ]
        return _json({"logs": "\n".join(told)})


def _openai(path: str, endpoints: Mapping[str, Served]) -> Response:
    """Models as OpenAI's clients list them, at the host or below /serving-endpoints."""
    _, _, name = path.partition("/models/")
    if not name:
        models = [serving_endpoints.openai_model(each) for each in endpoints.values()]
        return _json({"object": "list", "data": models})
    if name in endpoints:
        return _json(serving_endpoints.openai_model(endpoints[name]))
    words = f"No model {name!r} that you may call exists."
    return _json({"error": {"message": words, "type": "invalid_request_error", "code": "model_not_found"}}, 404)


def _unknown(name: str) -> Response:
    return _databricks(404, "RESOURCE_DOES_NOT_EXIST", f"No endpoint {name!r} that you may call exists.")


def _json(document: Mapping[str, Any], status: int = 200) -> Response:
    return Response(status, json.dumps(document).encode(), _JSON)


def _databricks(status: int, code: str, message: str) -> Response:
    return _json({"error_code": code, "message": message}, status)
