"""Tracking: what is asked of an MLflow tracking server and of the artifacts that it hands out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

BOUNDS: Final = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
"""A person waits for the preview: MLflow's own defaults try for minutes. What the user sets is kept."""
UNKNOWN_REQUEST: Final = frozenset({"NOT_FOUND", "ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED", "FEATURE_DISABLED"})
"""Codes of a server that has no such request: an older one, or none of MLflow's."""
_NOT_IN_NAMES: Final = frozenset("/:.%\"'")
"""What MLflow allows in no logged model's name (mlflow.utils.validation)."""
_PAGES: Final = 10_000
Found = TypeVar("Found")


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

    def versions_in_stage(self, name: str, stage: str) -> list[int]:
        """Of a registered model, those that are the newest of their stage; stages are MLflow 2's, in any case."""

    def logged_model(self, model_id: str) -> LoggedModel:
        """A model by its own id."""

    def model_of_run(self, run_id: str, path: str) -> LoggedModel:
        """A model by the run that logged it and its path there."""


class ArtifactStore(Protocol):
    """One model's directory. Every method raises TrackingError or OSError."""

    def files(self) -> Iterator[tuple[str, int]]:
        """Paths relative to the directory, and sizes in bytes."""

    def fetch(self, path: str, folder: Path) -> Path:
        """Downloads one file; returns where it is, which may be outside of `folder` where it need not be moved."""

    def read(self, path: str) -> Iterator[bytes]:
        """One file's content, in pieces; nothing of it stays on the disk."""

    def fetch_all(self, folder: Path) -> Path:
        """Downloads all files; returns the directory that has them, as `fetch` does."""


def mlflow_code(said: str) -> str:
    """The code of MLflow's own answer: its NOT_FOUND is about a thing, a bare HTTP 404 about the request."""
    return "RESOURCE_DOES_NOT_EXIST" if said == "NOT_FOUND" else said


def pages(ask: Callable[[str], tuple[Sequence[Found], str]]) -> Iterator[Found]:
    """What is on all pages: `ask` gets a page's token, empty for the first, and returns the page and the next token."""
    token = ""
    for _ in range(_PAGES):
        page, token = ask(token)
        yield from page
        if not token:
            return
    raise TrackingError("INTERNAL_ERROR", f"the server's listing does not end after {_PAGES} pages")


def model_in_run(
    run_id: str, path: str, run_location: str, search: Callable[[str], Iterator[tuple[str, str, str]]]
) -> LoggedModel:
    """The model at a run's path, as MLflow's own client finds it.

    MLflow 3 keeps logged models apart from the run's other artifacts, where earlier ones keep them; its paths begin
    with the model's name. `search` takes a filter and returns name, run and artifact URI of models, the newest first.
    """
    name, _, below = path.partition("/")
    only = [f"name = '{name}' AND source_run_id = '{run_id}'", f"name = '{name}'"]  # Databricks filters by no run
    for condition in () if _NOT_IN_NAMES & set(name) else only:
        try:
            for found, run, location in search(condition):
                if (found, run) == (name, run_id):
                    return LoggedModel(name=path, location=f"{location}/{below}".rstrip("/"))
            break
        except TrackingError as error:
            if error.code in UNKNOWN_REQUEST:
                break
            if error.code != "INVALID_PARAMETER_VALUE" or condition == only[-1]:
                raise
    return LoggedModel(name=path, location=f"{run_location.rstrip('/')}/{path}")
