"""Turns what went wrong while scoring into an answer that helps the caller and repeats neither payload nor stack trace.

What may be told of a message is in `message_redaction`. The trace of a model's own exception goes to the pod's log.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, NamedTuple

from . import message_redaction, pids
from .diagnostics import log


class Fault(NamedTuple):
    """A refusal, free of any dialect; the front renders it for the protocol that the caller speaks."""

    status: int
    error_code: str
    message: str
    sqlstate: str | None = None
    error_class: str | None = None

    def to_bytes(self) -> bytes:
        """The fault as a worker sends it to the front."""
        return json.dumps({key: value for key, value in self._asdict().items() if value is not None}).encode()


MODEL_RAISED = (
    "Encountered an unexpected error while evaluating the model. Verify that the serialized input Dataframe is"
    " compatible with the model for inference."
)


def from_exception(
    error: BaseException, body: bytes = b"", names: Collection[str] = (), *, parsing: bool = False
) -> Fault:
    """What to answer when MLflow or the model raised `error` for a request's `body`; the trace is logged.

    `names` are those of the model's signature. MLflow 2.9 and before call wrong inputs internal errors; they are
    not, where it was `parsing` or says which rule of the signature is broken.
    """
    if not hasattr(error, "serialize_as_json"):
        log.error(f"the model raised {type(error).__name__}{pids.told(error)}", error)
        return Fault(400, "BAD_REQUEST", MODEL_RAISED, "KAM00", "INVALID_PARAMETER_VALUE")
    told: dict[str, Any] = json.loads(error.serialize_as_json())
    status = int(error.get_http_status_code()) if hasattr(error, "get_http_status_code") else 400
    message = str(told.get("message", ""))
    if _raised_by_mlflow(error):
        message = message_redaction.of_mlflow(message, names)
        if status >= 500 and (parsing or message != message_redaction.UNTOLD):
            return _logged(Fault(400, "BAD_REQUEST", message))
    else:
        message = message_redaction.of_author(message, body, names) or MODEL_RAISED
    code = str(told.get("error_code", "BAD_REQUEST"))
    return _logged(Fault(status, code, message, told.get("sqlstate"), told.get("error_class")))


def _logged(fault: Fault) -> Fault:
    log.info(f"refused a request: {fault.message}")  # without the trace: its text repeats the payload
    return fault


def _raised_by_mlflow(error: BaseException) -> bool:
    """Whether MLflow's own code raised it, rather than the model's."""
    trace = error.__traceback__
    if trace is None:
        return True
    while trace.tb_next is not None:
        trace = trace.tb_next
    return str(trace.tb_frame.f_globals.get("__name__", "")).split(".")[0] == "mlflow"
