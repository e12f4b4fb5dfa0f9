"""MLflow tracking servers and the artifacts that they hand out.

Ordinary HTTP servers are asked over their REST API (mlflow.org/docs/latest/rest-api.html). MLflow's own client takes
2 s to import, longer than all else that an update without a change does; it is loaded for everything that is not such
a server: databases, Databricks, artifact stores that are reached directly, and authentication by plugins.
"""

import os
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from headrace.images import mlflow_rest
from headrace.images.tracking import ArtifactStore, TrackingServer

_CLIENT_ONLY: Final = ("MLFLOW_TRACKING_AUTH", "MLFLOW_TRACKING_AWS_SIGV4", "MLFLOW_WORKSPACE")
"""Variables that change requests in ways that only MLflow's client knows."""


def tracking_server(uri: str) -> TrackingServer:
    """The server at `uri`; raises ImportError where its kind needs a package that is not installed."""
    if _is_ordinary(uri):
        return mlflow_rest.RestServer(uri)
    from headrace.images import mlflow_client  # noqa: PLC0415 -- 2 s

    return mlflow_client.ClientServer(uri)


def artifact_store(location: str, tracking_uri: str) -> ArtifactStore:
    """What holds the directory `location`; raises ImportError as `tracking_server` does."""
    parts = urlsplit(location)
    if parts.scheme == "mlflow-artifacts" and not parts.netloc and _is_ordinary(tracking_uri):
        return mlflow_rest.RestArtifacts(location, mlflow_rest.RestServer(tracking_uri))
    from headrace.images import mlflow_client  # noqa: PLC0415 -- 2 s

    return mlflow_client.ClientArtifacts(location, tracking_uri)


def known_scheme(location: str) -> bool:
    """Whether there is a kind of store for artifact URIs like `location`."""
    if urlsplit(location).scheme == "mlflow-artifacts":
        return True
    from headrace.images import mlflow_client  # noqa: PLC0415 -- 2 s

    return mlflow_client.known_scheme(location)


def _is_ordinary(uri: str) -> bool:
    """Whether requests to the server are what MLflow's client would send with its defaults and a user or a token."""
    return (
        urlsplit(uri).scheme in {"http", "https"}
        and os.environ.get("MLFLOW_REGISTRY_URI", uri) == uri
        and not any(os.environ.get(name) for name in _CLIENT_ONLY)
        and not (Path.home() / ".mlflow" / "credentials").exists()
        and not entry_points(group="mlflow.request_header_provider")
    )
