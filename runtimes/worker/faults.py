"""Turns what went wrong while scoring into an answer that helps the caller and repeats neither payload nor stack trace.

MLflow's own messages echo the request in four places (`scoring_server/__init__.py`, `proto_json_utils.py` of 3.17.2);
each is cut here. The trace of a model's own exception goes to the pod's log.
"""

import json
import logging
import re
from typing import Any, NamedTuple

log = logging.getLogger("headrace.worker")

_ECHOES = (
    # "Failed to predict data '<the whole input>'. \nError: <what was wrong>"
    (re.compile(r"\AFailed to predict data '.*'\. \nError: ", re.DOTALL), ""),
    # "Ensure that input is a valid JSON formatted string. Error: '<repr>'\nInput: \n<the whole body>\n"
    (re.compile(r" Error: '[^\n]*'\nInput: \n.*\Z", re.DOTALL), ""),
    # "Failed to convert column a to type 'float64'. Error: 'ValueError(<the value>)'"
    (re.compile(r"(Failed to convert column .* to type '[^']*')\. Error: .*\Z", re.DOTALL), r"\1."),
    # "Failed to convert data type for data `<value>` with spec", "Failed to convert data `<value>` to type"
    (re.compile(r"`.*` (with spec|to type) ", re.DOTALL), r"\1 "),
)
_LONGEST_MESSAGE = 2000


class Fault(NamedTuple):
    """A refusal, free of any dialect; the front renders it for the protocol that the caller speaks."""

    status: int
    error_code: str
    message: str
    sqlstate: "str | None" = None
    error_class: "str | None" = None

    def to_bytes(self) -> bytes:
        """The fault as a worker sends it to the front."""
        return json.dumps({key: value for key, value in self._asdict().items() if value is not None}).encode()


MODEL_RAISED = (
    "Encountered an unexpected error while evaluating the model. Verify that the serialized input Dataframe is"
    " compatible with the model for inference."
)


def without_echo(message: str) -> str:
    """The message with every repetition of the request cut out, at most 2,000 characters."""
    for pattern, replacement in _ECHOES:
        message = pattern.sub(replacement, message)
    if len(message) > _LONGEST_MESSAGE:
        message = message[:_LONGEST_MESSAGE] + " …"
    return message


def from_exception(error: BaseException) -> Fault:
    """What to answer when MLflow or the model raised `error`; the trace is logged."""
    if not hasattr(error, "serialize_as_json"):
        log.error("the model raised %s", type(error).__name__, exc_info=error)
        return Fault(400, "BAD_REQUEST", MODEL_RAISED, "KAM00", "INVALID_PARAMETER_VALUE")
    body: dict[str, Any] = json.loads(error.serialize_as_json())
    status = int(error.get_http_status_code()) if hasattr(error, "get_http_status_code") else 400
    message = without_echo(str(body.get("message", "")))
    log.info("refused a request: %s", message)  # without the trace: its text repeats the payload
    return Fault(
        status, str(body.get("error_code", "BAD_REQUEST")), message, body.get("sqlstate"), body.get("error_class")
    )
