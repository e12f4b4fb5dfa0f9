"""MLflow's REST API (mlflow.org/docs/latest/rest-api.html), for ordinary HTTP servers."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import quote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from headrace.images.tracking import BOUNDS, LoggedModel, TrackingError, mlflow_code, model_in_run, pages

_AGAIN: Final = (408, 429, 500, 502, 503, 504)
_CODES: Final = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "ENDPOINT_NOT_FOUND",
    501: "NOT_IMPLEMENTED",
}
_PROXIED: Final = "mlflow-artifacts/artifacts"
_CHUNK: Final = 1 << 20
_FETCHERS: Final = 4
"""Files at a time: one connection to a server rarely fills the network."""


class RestServer:
    """A TrackingServer over HTTP."""

    def __init__(self, uri: str) -> None:
        self._root = f"{uri.rstrip('/')}/api/2.0"
        settings = {name: os.environ.get(name, default) for name, default in BOUNDS.items()}
        self._timeout = float(settings["MLFLOW_HTTP_REQUEST_TIMEOUT"])
        retries = Retry(
            total=int(settings["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]),
            backoff_factor=float(settings["MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR"]),
            status_forcelist=_AGAIN,
            allowed_methods=None,
            raise_on_status=False,
        )
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retries))
        user, password = (os.environ.get(f"MLFLOW_TRACKING_{name}") for name in ("USERNAME", "PASSWORD"))
        token = os.environ.get("MLFLOW_TRACKING_TOKEN")
        if user and password:
            self._session.auth = (user, password)
        elif token:
            self._session.headers["Authorization"] = f"Bearer {token}"
        self._session.cert = os.environ.get("MLFLOW_TRACKING_CLIENT_CERT_PATH")
        insecure = os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in {"true", "1"}
        # For each request, as MLflow does: a session's own gives way to REQUESTS_CA_BUNDLE.
        self._verify = not insecure and (os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or True)

    def version(self, name: str, version: str) -> LoggedModel:
        location = self._mlflow("model-versions/get-download-uri", name=name, version=version)["artifact_uri"]
        return LoggedModel(name=name, location=location)

    def version_of_alias(self, name: str, alias: str) -> str:
        return str(self._mlflow("registered-models/alias", name=name, alias=alias)["model_version"]["version"])

    def aliases(self, name: str) -> list[str]:
        found = self._mlflow("registered-models/get", name=name)["registered_model"]
        return sorted(alias["alias"] for alias in found.get("aliases", ()))

    def versions(self, name: str) -> list[int]:
        self._mlflow("registered-models/get", name=name)  # raises when it is the model that does not exist
        quote_mark = '"' if "'" in name else "'"
        condition = f"name={quote_mark}{name}{quote_mark}"

        def page(token: str) -> tuple[list[dict[str, Any]], str]:
            found = self._mlflow("model-versions/search", filter=condition, **_page(token))
            return found.get("model_versions", []), found.get("next_page_token", "")

        return sorted(int(version["version"]) for version in pages(page))

    def versions_in_stage(self, name: str, stage: str) -> list[int]:
        found = self._mlflow("registered-models/get-latest-versions", name=name, stages=stage)
        return sorted(int(version["version"]) for version in found.get("model_versions", ()))

    def logged_model(self, model_id: str) -> LoggedModel:
        info = self._mlflow(f"logged-models/{model_id}")["model"]["info"]
        return LoggedModel(name=info["name"], location=info["artifact_uri"])

    def model_of_run(self, run_id: str, path: str) -> LoggedModel:
        run = self._mlflow("runs/get", run_id=run_id)["run"]["info"]

        def search(condition: str) -> Iterator[tuple[str, str, str]]:
            def page(token: str) -> tuple[list[dict[str, Any]], str]:
                asked = {"experiment_ids": [run["experiment_id"]], "filter": condition}
                found = self.told("POST", "mlflow/logged-models/search", json={**asked, **_page(token)})
                return found.get("models", []), found.get("next_page_token", "")

            for model in pages(page):
                info = model["info"]
                yield info.get("name", ""), info.get("source_run_id", ""), info["artifact_uri"]

        return model_in_run(run_id, path, run["artifact_uri"], search)

    def ask(self, method: str, path: str, **given: Any) -> requests.Response:
        """One request below /api/2.0/; raises TrackingError with the server's own words."""
        try:
            answer = self._session.request(
                method, f"{self._root}/{path}", timeout=self._timeout, verify=self._verify, **given
            )
        except requests.RequestException as error:
            raise TrackingError("UNAVAILABLE", str(error)) from error
        if answer.ok:
            return answer
        try:
            said = answer.json()
            raise TrackingError(mlflow_code(str(said["error_code"])), str(said["message"]))
        except (ValueError, KeyError, TypeError):
            code = _CODES.get(answer.status_code, "UNAVAILABLE")
            raise TrackingError(code, f"HTTP {answer.status_code} {answer.reason}") from None

    def told(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        """As `ask`, the answer's JSON; raises TrackingError where it is none, as another program's."""
        answer = self.ask(method, path, **given)
        try:
            said = answer.json()
        except ValueError:
            said = None
        if not isinstance(said, dict):
            kind = answer.headers.get("Content-Type", "nothing")
            raise TrackingError("ENDPOINT_NOT_FOUND", f"HTTP {answer.status_code} with {kind}, must be MLflow's JSON")
        return said

    def _mlflow(self, path: str, **parameters: str) -> dict[str, Any]:
        return self.told("GET", f"mlflow/{path}", params=parameters)


def _page(token: str) -> dict[str, str]:
    return {"page_token": token} if token else {}


class RestArtifacts:
    """An ArtifactStore that the tracking server hands out itself."""

    def __init__(self, location: str, server: RestServer) -> None:
        self._server = server
        self._root = urlsplit(location).path.strip("/")

    def files(self) -> Iterator[tuple[str, int]]:
        yield from self._below("")

    def fetch(self, path: str, folder: Path) -> Path:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            for chunk in self.read(path):
                file.write(chunk)
        return target

    def read(self, path: str) -> Iterator[bytes]:
        with self._server.ask("GET", f"{_PROXIED}/{quote(f'{self._root}/{path}')}", stream=True) as answer:
            try:
                yield from answer.iter_content(_CHUNK)
            except requests.RequestException as error:
                raise TrackingError("UNAVAILABLE", str(error)) from error

    def fetch_all(self, folder: Path) -> Path:
        with ThreadPoolExecutor(_FETCHERS) as pool:
            for _ in pool.map(lambda file: self.fetch(file[0], folder), self.files()):
                pass
        return folder

    def _below(self, folder: str) -> Iterator[tuple[str, int]]:
        listed = self._server.told("GET", _PROXIED, params={"path": f"{self._root}/{folder}".rstrip("/")})
        for found in listed.get("files", ()):
            path = f"{folder}{found['path']}"
            if ".." in PurePosixPath(path).parts or path.startswith("/"):
                raise TrackingError("INVALID_PARAMETER_VALUE", f"the listing holds the path {path!r}")
            if found.get("is_dir"):
                yield from self._below(f"{path}/")
            else:
                yield path, int(found.get("file_size", 0))
