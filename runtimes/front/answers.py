"""Answers in the dialect of the protocol that the caller speaks (MLflow and Databricks here)."""

import json
from dataclasses import dataclass, field

from headrace.contract import names

JSON_HEADER = (b"content-type", b"application/json")

_CLASSES = {
    "BAD_REQUEST": ("KAM00", "INVALID_PARAMETER_VALUE"),
    "INVALID_PARAMETER_VALUE": ("KAM00", "INVALID_PARAMETER_VALUE"),
    "INTERNAL_ERROR": ("XXM00", "CLIENT_INTERNAL_ERROR"),
}
"""`sqlstate` and `error_class` that MLflow 3 adds to its error codes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = field(default=(JSON_HEADER,))


def refusal(
    status: int,
    error_code: str,
    message: str,
    *,
    retry_after_seconds: int | None = None,
    allow: str | None = None,
    sqlstate: str | None = None,
    error_class: str | None = None,
) -> Answer:
    """An error as MLflow and the Databricks SDK read it; `Retry-After` is whole seconds, all the SDK can parse."""
    known = _CLASSES.get(error_code)
    body: dict[str, str] = {"error_code": error_code, "message": message}
    if sqlstate or known:
        body["sqlstate"] = sqlstate or (known[0] if known else "")
        body["error_class"] = error_class or (known[1] if known else "")
    headers = [JSON_HEADER]
    if retry_after_seconds is not None:
        # Whoever is told to come back has been refused before any worker saw the request: the balancer may try
        # another pod at once.
        headers.append((b"retry-after", str(retry_after_seconds).encode()))
        headers.append((names.UNPROCESSED_HEADER.encode(), b"1"))
    if allow is not None:
        headers.append((b"allow", allow.encode()))
    return Answer(status, json.dumps(body).encode(), tuple(headers))


def from_worker(status: int, body: bytes) -> Answer:
    """The worker's answer: predictions as they are, a fault in this dialect."""
    if status == 200:
        return Answer(200, body)
    fault = json.loads(body)
    return refusal(
        status,
        fault["error_code"],
        fault["message"],
        sqlstate=fault.get("sqlstate"),
        error_class=fault.get("error_class"),
    )
