"""Source: where the weights are read from, by ranges.

One library speaks to all stores (obstore): it signs requests, finds identities as the clouds give them to pods, and
tries again what a server could not answer. An MLflow server hands out files over plain HTTP.
"""

import base64
import datetime
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Protocol
from urllib.parse import quote, urlsplit

import obstore
from obstore import exceptions, store

from headrace.contract.errors import InputError, PermanentError, TemporaryError

_CLIENT: Final[Any] = {"allow_http": True, "connect_timeout": "10s", "timeout": "300s"}
"""A part of 16 MiB takes 300 s at 56 kB/s; whole files, which have no such limit, are read in pieces."""
_RETRIES: Final[Any] = {
    "max_retries": 4,
    "retry_timeout": datetime.timedelta(seconds=60),
    "backoff": {
        "init_backoff": datetime.timedelta(milliseconds=500),
        "max_backoff": datetime.timedelta(seconds=8),
        "base": 2,
    },
}
SCHEMES: Final = ("mlflow-artifacts", "s3", "gs", "abfss", "wasbs")


class NoRangesError(Exception):
    """The server sends whole files only."""


class Source(Protocol):
    """A model's directory. Methods raise PermanentError for a refusal, TemporaryError for what may pass."""

    def part(self, path: str, start: int, end: int) -> tuple[memoryview, int]:
        """Bytes from `start` to before `end`, and the size of the file; raises NoRangesError."""

    def whole(self, path: str) -> Iterator[memoryview]:
        """All bytes, in pieces."""


class StoreSource:
    """A Source of any kind that obstore knows."""

    def __init__(self, objects: store.ObjectStore, place: str) -> None:
        """`place` is what messages call it."""
        self._objects = objects
        self._place = place

    def part(self, path: str, start: int, end: int) -> tuple[memoryview, int]:
        with self._told(path):
            try:
                found = obstore.get(self._objects, path, options={"range": (start, end)})
                return memoryview(found.bytes()), found.meta["size"]
            except exceptions.NotSupportedError as error:
                raise NoRangesError from error

    def whole(self, path: str) -> Iterator[memoryview]:
        with self._told(path):
            for chunk in obstore.get(self._objects, path).stream(min_chunk_size=1 << 20):
                yield memoryview(chunk)

    @contextmanager
    def _told(self, path: str) -> Iterator[None]:
        subject = f"The weights {path} at {self._place}"
        try:
            yield
        except FileNotFoundError as error:
            raise PermanentError(
                f"{subject} are not there any more; log the model again, or serve a version that has them"
            ) from error
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
            raise PermanentError(
                f"{subject} are refused to this pod ({_short(error)}); give it what the store asks for in "
                "weights.environment, or an identity in service_account"
            ) from error
        except (exceptions.BaseError, OSError) as error:
            raise TemporaryError(
                f"{subject} cannot be read ({_short(error)}); see that weights.egress permits the connection and that "
                "the store answers"
            ) from error


def opened(uri: str, tracking_uri: str, environment: Mapping[str, str]) -> StoreSource:
    """The model's directory at the artifact URI `uri`; the MLflow server `tracking_uri` hands out those of the scheme
    mlflow-artifacts. Who asks is said in `environment`, as for MLflow and for the clouds' own clients.

    Raises InputError for a URI that no pod can read.
    """
    parts = urlsplit(uri)
    if parts.scheme not in SCHEMES:
        raise InputError("weights", [f"source = {uri!r}, must be of the scheme {', '.join(SCHEMES)}"])
    if parts.scheme == "mlflow-artifacts":
        address = uri.replace("mlflow-artifacts://", "https://", 1) if parts.netloc else tracking_uri
        root = f"{address.rstrip('/')}/api/2.0/mlflow-artifacts/artifacts/{quote(parts.path.strip('/'))}"
        options: Any = {**_CLIENT, "default_headers": _authorization(environment)}
        return StoreSource(store.HTTPStore.from_url(root, client_options=options, retry_config=_RETRIES), tracking_uri)
    given: dict[str, Any] = {}
    if parts.scheme == "s3" and (endpoint := environment.get("MLFLOW_S3_ENDPOINT_URL")):
        given["endpoint"] = endpoint
    if parts.scheme == "wasbs":  # MLflow's name of the same account's other service
        uri = uri.replace("wasbs://", "abfss://", 1).replace(".blob.", ".dfs.", 1)
    found = store.from_url(uri, client_options=_CLIENT, retry_config=_RETRIES, **given)
    return StoreSource(found, f"{parts.scheme}://{parts.netloc}")


def _authorization(environment: Mapping[str, str]) -> dict[str, str]:
    user, password, token = (environment.get(f"MLFLOW_TRACKING_{name}") for name in ("USERNAME", "PASSWORD", "TOKEN"))
    if user and password:
        return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
    return {"authorization": f"Bearer {token}"} if token else {}


def _short(error: Exception) -> str:
    """What the library says, without where in it that was."""
    return str(error).partition("\n")[0].strip()[:300]
