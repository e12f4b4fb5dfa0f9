"""Why a request failed, and how each protocol says so: one table for MLflow, Open Inference, OpenAI and gRPC. Pure.

Code between the HTTP shell and the model reports a `Failure`, free of any protocol. It becomes an answer in one place,
when it leaves the pod (`worded`).
"""

import functools
import json
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final
from urllib.parse import quote

from headrace.contract import names
from headrace.contract.errors import InputError, PermanentError
from headrace.runtimes.protocols.answers import JSON_HEADER, Answer, Headers


class Reason(Enum):
    """Why a request failed: HTTP status, error code of MLflow and Databricks, gRPC status code."""

    BAD_REQUEST = (400, "BAD_REQUEST", 3)
    INVALID_VALUE = (400, "INVALID_PARAMETER_VALUE", 3)
    FORBIDDEN = (403, "PERMISSION_DENIED", 7)
    NOT_FOUND = (404, "RESOURCE_DOES_NOT_EXIST", 5)
    WRONG_METHOD = (405, "BAD_REQUEST", 12)
    SLOW_CALLER = (408, "BAD_REQUEST", 4)
    TOO_LARGE = (413, "BAD_REQUEST", 8)
    URL_TOO_LONG = (414, "BAD_REQUEST", 3)
    UNSUPPORTED_TYPE = (415, "BAD_REQUEST", 3)
    UPGRADE_REQUIRED = (426, "BAD_REQUEST", 12)
    OVERLOADED = (429, "RESOURCE_EXHAUSTED", 8)
    HEAD_TOO_LARGE = (431, "BAD_REQUEST", 8)
    INTERNAL = (500, "INTERNAL_ERROR", 13)
    NOT_IMPLEMENTED = (501, "NOT_IMPLEMENTED", 12)
    UNAVAILABLE = (503, "TEMPORARILY_UNAVAILABLE", 14)
    TIMED_OUT = (504, "DEADLINE_EXCEEDED", 4)

    @property
    def status(self) -> int:
        """HTTP status."""
        return self.value[0]

    @property
    def error_code(self) -> str:
        """`error_code` of MLflow and Databricks."""
        return self.value[1]

    @property
    def grpc_code(self) -> int:
        """Number of gRPC's status code."""
        return self.value[2]


_BY_STATUS: Final = {reason.status: reason for reason in reversed(Reason)}
"""The first reason of each status."""
_CLASSES: Final = {
    "BAD_REQUEST": ("KAM00", "INVALID_PARAMETER_VALUE"),
    "INVALID_PARAMETER_VALUE": ("KAM00", "INVALID_PARAMETER_VALUE"),
    "INTERNAL_ERROR": ("XXM00", "CLIENT_INTERNAL_ERROR"),
}
"""`sqlstate` and `error_class` that MLflow 3 adds to its error codes."""
_OPENAI_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request has no result."""

    reason: Reason
    message: str
    """One sentence for the caller; never what the request holds."""
    retry_after_seconds: int | None = None
    """When to try again, for a request that no model has seen; None: it may have been seen."""
    allow: str | None = None
    """Methods that the path answers, of a WRONG_METHOD."""
    status: int = 0
    """HTTP status where a model or an engine chose one that its reason does not have; 0: the reason's."""
    error_code: str = ""
    """The same for the error code."""
    sqlstate: str | None = None
    error_class: str | None = None

    @property
    def http_status(self) -> int:
        """The status that HTTP callers get."""
        return self.reason.status if self.status == 0 else self.status


def of_status(status: int, message: str) -> Failure:
    """The failure that an HTTP status of 400 or more stands for."""
    reason = _BY_STATUS.get(status, Reason.INTERNAL if status >= 500 else Reason.BAD_REQUEST)
    return Failure(reason, message, status=status)


def of_worker(status: int, document: bytes) -> Failure:
    """The failure that a worker sends: `error_code`, `message`, and perhaps MLflow's classes."""
    told = json.loads(document)
    failure = of_status(status, str(told["message"]))
    return Failure(
        failure.reason,
        failure.message,
        status=failure.status,
        error_code=str(told["error_code"]),
        sqlstate=told.get("sqlstate"),
        error_class=told.get("error_class"),
    )


def of_input(error: InputError) -> Failure:
    """The failure of a request whose content breaks a rule."""
    return Failure(Reason.BAD_REQUEST, "; ".join(error.faults))


def of_result(error: PermanentError) -> Failure:
    """The failure of a request whose answer its protocol cannot carry."""
    return Failure(Reason.INTERNAL, str(error))


def wrong_method(allow: str) -> Failure:
    """The path answers other methods; `allow` as the header has it."""
    return Failure(Reason.WRONG_METHOD, f"This path answers {allow.replace(', ', ' and ')} only.", allow=allow)


NOTHING_HERE: Final = Failure(Reason.NOT_FOUND, "There is nothing at this path.")
NO_SUCH_MODEL: Final = Failure(Reason.NOT_FOUND, "There is no model of this name here.")
NO_SUCH_VERSION: Final = Failure(Reason.NOT_FOUND, "The model has no version of this name here.")
FAILED_INSIDE: Final = Failure(Reason.INTERNAL, "The server failed to handle this request; its log says why.")


class Dialect(Enum):
    """Whose errors a caller reads."""

    MLFLOW = "mlflow"
    OPEN_INFERENCE = "open-inference"
    OPENAI = "openai"
    GRPC = "grpc"

    @staticmethod
    def of_path(path: str) -> "Dialect":
        """The dialect of the callers of a path."""
        if path.startswith("/v2"):
            return Dialect.OPEN_INFERENCE
        if path.startswith("/v1/"):
            return Dialect.OPENAI
        return Dialect.GRPC if path.startswith(f"/{names.GRPC_SERVICE}/") else Dialect.MLFLOW


@functools.lru_cache(maxsize=64)  # under overload thousands of callers a second hear the same
def worded(failure: Failure, dialect: Dialect) -> Answer:
    """The answer to a request that failed, as its caller reads it."""
    if dialect is Dialect.GRPC:
        return _grpc(failure)
    if dialect is Dialect.OPEN_INFERENCE:
        document: dict[str, Any] = {"error": failure.message}
    elif dialect is Dialect.OPENAI:
        document = openai_error(failure)
    else:
        document = _mlflow_error(failure)
    return Answer(failure.http_status, json.dumps(document).encode(), (JSON_HEADER, *_hints(failure)))


def _mlflow_error(failure: Failure) -> dict[str, str]:
    code = failure.error_code if failure.error_code else failure.reason.error_code
    document = {"error_code": code, "message": failure.message}
    sqlstate, error_class = _CLASSES.get(code, ("", ""))
    if failure.sqlstate or sqlstate:
        document["sqlstate"] = failure.sqlstate or sqlstate
        document["error_class"] = failure.error_class or error_class
    return document


def openai_error(failure: Failure) -> dict[str, Any]:
    """OpenAI's error object, for an answer or as the last event of a stream."""
    status = failure.http_status
    kind = _OPENAI_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    code = "model_not_found" if status == 404 else None
    return {"error": {"message": failure.message, "type": kind, "param": None, "code": code}}


def _hints(failure: Failure) -> Headers:
    """Headers that say what to do; `Retry-After` is whole seconds, all that the Databricks SDK can parse."""
    hints: list[tuple[bytes, bytes]] = []
    if failure.retry_after_seconds is not None:
        # Whoever is told to come back has been refused before any worker saw the request: the balancer may try
        # another pod at once.
        hints.append((b"retry-after", b"%d" % failure.retry_after_seconds))
        hints.append((names.UNPROCESSED_HEADER.encode(), b"1"))
    if failure.allow is not None:
        hints.append((b"allow", failure.allow.encode()))
    return tuple(hints)


def grpc_code(failure: Failure) -> int:
    """gRPC's status code; 3 (INVALID_ARGUMENT) or 13 (INTERNAL) for a status that the table does not have."""
    known = _BY_STATUS.get(failure.http_status)
    if known is not None:
        return known.grpc_code
    return Reason.INTERNAL.grpc_code if failure.http_status >= 500 else Reason.BAD_REQUEST.grpc_code


def _grpc(failure: Failure) -> Answer:
    """A response of headers alone ("Trailers-Only"): status and message, when to come back, and no body.

    `grpc-retry-pushback-ms` is what gRPC's own clients wait for; `retry-after` is for people and proxies.
    """
    safe = " !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
    message = quote(failure.message, safe=safe, errors="backslashreplace")  # the specification's percent-encoding
    headers = [(b"content-type", b"application/grpc"), (b"grpc-status", b"%d" % grpc_code(failure))]
    headers += [(b"grpc-message", message.encode()), *_hints(failure)]
    if failure.retry_after_seconds is not None:
        headers.append((b"grpc-retry-pushback-ms", b"%d" % (1000 * failure.retry_after_seconds)))
    return Answer(200, b"", tuple(headers))
