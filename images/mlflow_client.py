"""Tracking servers and artifact stores through MLflow's own client. Importing this takes seconds."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from headrace.images.tracking import BOUNDS, LoggedModel, TrackingError

for _name, _value in {**BOUNDS, "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}.items():
    os.environ.setdefault(_name, _value)  # MLflow reads them at each request


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except MlflowException as error:
        raise TrackingError(str(error.error_code), str(error.message)) from error


class ClientServer:
    """A TrackingServer of any kind that MLflow knows."""

    def __init__(self, uri: str) -> None:
        with _translated():
            self._client = MlflowClient(tracking_uri=uri, registry_uri=os.environ.get("MLFLOW_REGISTRY_URI", uri))

    def version(self, name: str, version: str) -> LoggedModel:
        with _translated():
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
            return sorted(int(found.version) for found in self._client.search_model_versions(f"name = '{name}'"))

    def logged_model(self, model_id: str) -> LoggedModel:
        with _translated():
            found = self._client.get_logged_model(model_id)
        return LoggedModel(name=found.name, location=found.artifact_location)

    def model_of_run(self, run_id: str, path: str) -> LoggedModel:
        with _translated():
            run = self._client.get_run(run_id)
            models = self._client.search_logged_models(
                [run.info.experiment_id], filter_string=f"source_run_id = '{run_id}'"
            )
        named = [model.artifact_location for model in models if model.name == path]  # the latest first
        return LoggedModel(name=path, location=named[0] if named else f"{run.info.artifact_uri}/{path}")


class ClientArtifacts:
    """An ArtifactStore of any kind that MLflow knows."""

    def __init__(self, location: str, tracking_uri: str) -> None:
        with _translated():
            self._store = get_artifact_repository(location, tracking_uri=tracking_uri or None)

    def files(self) -> Iterator[tuple[str, int]]:
        with _translated():
            yield from self._below(None)

    def fetch(self, path: str, folder: Path) -> Path:
        with _translated():
            return Path(self._store.download_artifacts(path, str(folder)))  # type: ignore[no-untyped-call]

    def fetch_all(self, folder: Path) -> Path:
        return self.fetch("", folder)

    def _below(self, folder: str | None) -> Iterator[tuple[str, int]]:
        for found in self._store.list_artifacts(folder):
            if found.is_dir:
                yield from self._below(found.path)
            else:
                yield found.path, int(found.file_size or 0)
