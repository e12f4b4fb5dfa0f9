"""Tracking: what is asked of an MLflow tracking server and of the artifacts that it hands out."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

BOUNDS: Final = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
"""A person waits for the preview: MLflow's own defaults try for minutes. What the user sets is kept."""


class TrackingError(Exception):
    """What a tracking server or an artifact store refused, or that it did not answer."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        """MLflow's, for example RESOURCE_DOES_NOT_EXIST."""
        super().__init__(message)


@dataclass(frozen=True, kw_only=True)
class LoggedModel:
    """Where a model is."""

    name: str
    location: str
    """Artifact URI of its directory."""


class TrackingServer(Protocol):
    """What knows models. Every method raises TrackingError."""

    def version(self, name: str, version: str) -> LoggedModel:
        """A version of a registered model."""

    def version_of_alias(self, name: str, alias: str) -> str:
        """Number of the version that the alias names."""

    def aliases(self, name: str) -> list[str]:
        """Of a registered model, sorted."""

    def versions(self, name: str) -> list[int]:
        """Of a registered model, sorted."""

    def logged_model(self, model_id: str) -> LoggedModel:
        """A model by its own id."""

    def model_of_run(self, run_id: str, path: str) -> LoggedModel:
        """A model by the run that logged it and its name there. MLflow 3 keeps models apart from the run's other
        artifacts, earlier versions among them."""


class ArtifactStore(Protocol):
    """One model's directory. Every method raises TrackingError or OSError."""

    def files(self) -> Iterator[tuple[str, int]]:
        """Paths relative to the directory, and sizes in bytes."""

    def fetch(self, path: str, folder: Path) -> Path:
        """Downloads one file; returns where it is, which may be outside of `folder` where it need not be moved."""

    def fetch_all(self, folder: Path) -> Path:
        """Downloads all files; returns the directory that has them, as `fetch` does."""
