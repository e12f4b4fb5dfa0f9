"""Faults of registries: what a person reads when a tracking server or an artifact store says no, or nothing."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

from headrace.contract.errors import PermanentError, TemporaryError
from headrace.images.tracking import UNKNOWN_REQUEST, TrackingError

_REFUSALS: Final = frozenset({"PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"})
_DATABRICKS: Final = ("mlflow-skinny[databricks]", "DATABRICKS_HOST and DATABRICKS_TOKEN, or name a profile")
_MLFLOW: Final = ("", "MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD")
_AZURE: Final = "AZURE_STORAGE_CONNECTION_STRING or AZURE_STORAGE_ACCESS_KEY, or run `az login`"
_KINDS: Final = {
    "s3": ("boto3", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"),
    "gs": ("google-cloud-storage", "GOOGLE_APPLICATION_CREDENTIALS"),
    "wasbs": ("azure-storage-blob azure-identity", _AZURE),
    "abfss": ("azure-storage-file-datalake azure-identity", _AZURE),
    "models": _DATABRICKS,
    "dbfs": _DATABRICKS,
    "databricks": _DATABRICKS,
    "databricks-uc": _DATABRICKS,
}
"""Packages that a kind of server or store needs, and where it finds out who asks. In a message, so not complete."""


@contextmanager
def of_server(subject: str, tracking_uri: str, missing: Callable[[], str] | None = None) -> Iterator[None]:
    """Turns a tracking server's errors into one sentence; `missing` says what there is instead of what does not exist.

    Raises PermanentError, or TemporaryError where it helps to try again.
    """
    package, credentials = _kind(tracking_uri)
    server = f"the tracking server {tracking_uri}"
    try:
        yield
    except ImportError as error:
        raise PermanentError(
            f"tracking_uri = {tracking_uri!r} needs the package {error.name!r}, which is not installed here; "
            f"`pip install {package or error.name}` (stores other than HTTP servers need the package mlflow)"
        ) from error
    except TrackingError as error:
        first = _first_line(error)
        if error.code in UNKNOWN_REQUEST:
            raise PermanentError(
                f"{subject}: {server} has no such request ({_short(first)}); see that tracking_uri is an MLflow "
                "server's, and that its release knows what the URI names"
            ) from error
        if error.code == "RESOURCE_DOES_NOT_EXIST" or "not found" in first.lower():
            reason = first
            if missing is not None:
                try:
                    reason = missing()
                except TrackingError as cause:
                    reason = _first_line(cause)
            raise PermanentError(f"{subject} does not exist on {server}: {reason}") from error
        if _refused(error):
            raise PermanentError(f"{subject}: {server} refused access ({_short(first)}); set {credentials}") from error
        if error.code == "INVALID_PARAMETER_VALUE":
            raise PermanentError(f"{subject}: {server} refused it: {first}") from error
        raise TemporaryError(
            f"{subject}: {server} cannot be reached or failed ({_short(first)}); "
            "see that it runs and that tracking_uri is right"
        ) from error


@contextmanager
def of_store(subject: str, location: str) -> Iterator[None]:
    """The same for the artifact store that has the model's files at `location`."""
    package, credentials = _kind(location)
    try:
        yield
    except ImportError as error:
        raise PermanentError(
            f"{subject}: its files at {location} need the package {error.name!r}, which is not installed here; "
            f"`pip install {package or error.name}`"
        ) from error
    except TrackingError as error:
        first = _short(_first_line(error))
        if _refused(error):
            raise PermanentError(
                f"{subject}: the artifact store refused access to {location} ({first}); set {credentials}"
            ) from error
        if error.code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", *UNKNOWN_REQUEST}:
            raise PermanentError(
                f"{subject}: its files cannot be read at {location} ({first}); name the directory that log_model made"
            ) from error
        raise TemporaryError(
            f"{subject}: its files cannot be read at {location} ({first}); "
            "see that this machine reaches the artifact store"
        ) from error
    except OSError as error:
        raise TemporaryError(
            f"{subject}: its files cannot be read at {location} ({_short(str(error))}); "
            "see that this machine reaches the artifact store"
        ) from error


def _kind(uri: str) -> tuple[str, str]:
    return _KINDS.get(urlsplit(uri).scheme or uri, _MLFLOW)


def _refused(error: TrackingError) -> bool:
    return error.code in _REFUSALS or re.search(r"error code 40[13]", _first_line(error)) is not None


def _first_line(error: TrackingError) -> str:
    return next(iter(str(error).strip().splitlines()), error.code)


def _short(text: str) -> str:
    return text if len(text) <= 300 else text[:300] + "…"
