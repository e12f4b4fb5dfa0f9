"""Tracking servers and artifact stores through MLflow's own client. Importing this takes seconds."""

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import (
    get_artifact_repository,
    get_registered_artifact_repositories,
)
from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository
from mlflow.tracking._model_registry.utils import _resolve_registry_uri
from mlflow.tracking._tracking_service import utils
from mlflow.utils.uri import (
    add_databricks_profile_info_to_artifact_uri,
    is_databricks_unity_catalog_uri,
    is_databricks_uri,
    is_oss_unity_catalog_uri,
)

from headrace.images.tracking import BOUNDS, LoggedModel, TrackingError, mlflow_code, model_in_run, pages

for _name, _value in {**BOUNDS, "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}.items():
    os.environ.setdefault(_name, _value)  # MLflow reads them at each request
_UNITY_CATALOGS: tuple[Callable[[str], bool], ...] = (is_databricks_unity_catalog_uri, is_oss_unity_catalog_uri)
_CREDENTIALS_BY_VERSION: tuple[Callable[[str], bool], ...] = (*_UNITY_CATALOGS, is_databricks_uri)
"""Registries that give out credentials for one version: only its own URI leads to its files."""
_CHUNK: Final = 1 << 20
_alone = threading.Lock()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except MlflowException as error:
        raise TrackingError(mlflow_code(str(error.error_code)), str(error.message)) from error
    except (ImportError, TrackingError):
        raise
    except Exception as error:  # clients of clouds have no class in common
        code = _code(error)
        if not code and isinstance(error, OSError):
            raise
        raise TrackingError(code or "UNAVAILABLE", f"{type(error).__name__}: {error}") from error


def _code(error: Exception) -> str:
    """MLflow's code for what a cloud's client raised; empty where it says nothing of the kind."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:  # requests; azure.core; google.api_core
        status = getattr(response, "status_code", None) or getattr(error, "status_code", getattr(error, "code", None))
    if "Credential" in type(error).__name__ or "Authentication" in type(error).__name__:
        return "UNAUTHENTICATED"
    return {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "RESOURCE_DOES_NOT_EXIST"}.get(status, "")


def _registry(tracking_uri: str) -> str:
    """MLFLOW_REGISTRY_URI, or as MLflow has it: the tracking server, or the Unity Catalog of Databricks."""
    return str(_resolve_registry_uri(tracking_uri=tracking_uri or None) or "")


def known_scheme(location: str) -> bool:
    """Whether MLflow, or a plugin of it, has a store for artifact URIs like this one."""
    return urlsplit(location).scheme in get_registered_artifact_repositories()


class ClientServer:
    """A TrackingServer of any kind that MLflow knows."""

    def __init__(self, uri: str) -> None:
        with _translated():
            self._registry = _registry(uri)
            self._client = MlflowClient(tracking_uri=uri, registry_uri=self._registry)

    def version(self, name: str, version: str) -> LoggedModel:
        with _translated():
            if any(kind(self._registry) for kind in _CREDENTIALS_BY_VERSION):
                self._client.get_model_version(name, version)  # raises when it does not exist
                return LoggedModel(name=name, location=f"models:/{name}/{version}")
            return LoggedModel(name=name, location=self._client.get_model_version_download_uri(name, version))

    def version_of_alias(self, name: str, alias: str) -> str:
        with _translated():
            return str(self._client.get_model_version_by_alias(name, alias).version)

    def aliases(self, name: str) -> list[str]:
        with _translated():
            return sorted(self._client.get_registered_model(name).aliases)

    def versions(self, name: str) -> list[int]:
        with _translated():
            self._client.get_registered_model(name)  # raises when it is the model that does not exist

            def page(token: str) -> tuple[list[Any], str]:
                found = self._client.search_model_versions(f"name = '{name}'", page_token=token or None)
                return list(found), found.token or ""

            return sorted(int(found.version) for found in pages(page))

    def versions_in_stage(self, name: str, stage: str) -> list[int]:
        if any(kind(self._registry) for kind in _UNITY_CATALOGS):
            raise TrackingError("INVALID_PARAMETER_VALUE", f"the Unity Catalog has no stages such as {stage!r}")
        with _translated():
            # As MLflow does: its public method warns that stages are old.
            registry: Any = self._client._get_registry_client()  # type: ignore[no-untyped-call]
            return sorted(int(found.version) for found in registry.get_latest_versions(name, [stage]))

    def logged_model(self, model_id: str) -> LoggedModel:
        with _translated():
            found = self._client.get_logged_model(model_id)
        return LoggedModel(name=found.name, location=found.artifact_location)

    def model_of_run(self, run_id: str, path: str) -> LoggedModel:
        with _translated():
            run = self._client.get_run(run_id).info

        def search(condition: str) -> Iterator[tuple[str, str, str]]:
            def page(token: str) -> tuple[list[Any], str]:
                with _translated():
                    found = self._client.search_logged_models(
                        [run.experiment_id], filter_string=condition, page_token=token or None
                    )
                return list(found), found.token or ""

            for model in pages(page):
                yield model.name, model.source_run_id, model.artifact_location

        return model_in_run(run_id, path, run.artifact_uri, search)


class ClientArtifacts:
    """An ArtifactStore of any kind that MLflow knows."""

    def __init__(self, location: str, tracking_uri: str) -> None:
        with _translated():
            self._store = _store(location, tracking_uri)

    def files(self) -> Iterator[tuple[str, int]]:
        with _translated():
            yield from self._below(None)

    def fetch(self, path: str, folder: Path) -> Path:
        with _translated():
            return Path(self._store.download_artifacts(path, str(folder)))

    def read(self, path: str) -> Iterator[bytes]:
        with tempfile.TemporaryDirectory() as folder:  # MLflow's stores know whole files only
            fetched = self.fetch(path, Path(folder))
            with fetched.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    yield chunk

    def fetch_all(self, folder: Path) -> Path:
        return self.fetch("", folder)

    def _below(self, folder: str | None) -> Iterator[tuple[str, int]]:
        for found in self._store.list_artifacts(folder):
            if found.path in {folder or "", "."}:
                continue  # an empty object that stands for a folder, as consoles of object stores make them
            if found.is_dir:
                yield from self._below(found.path)
            else:
                yield found.path, int(found.file_size or 0)


def _store(location: str, tracking_uri: str) -> Any:
    server, registry = tracking_uri or None, _registry(tracking_uri)
    scheme = urlsplit(location).scheme
    if scheme == "dbfs":  # its store asks the process's own tracking server otherwise
        location = add_databricks_profile_info_to_artifact_uri(location, tracking_uri)  # type: ignore[no-untyped-call]
    if scheme != "models":
        return get_artifact_repository(location, tracking_uri=server, registry_uri=registry)
    process: Any = utils
    with _alone:  # a version's store takes the process's tracking server, and without one makes a database for it
        before, process._tracking_uri = process._tracking_uri, server
        try:
            # What MLflow puts around the store adds a file of its own to the downloaded model.
            return ModelsArtifactRepository(location, tracking_uri=server, registry_uri=registry).repo
        finally:
            process._tracking_uri = before
