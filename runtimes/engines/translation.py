"""An engine's own errors, in the words that callers of another protocol read. Pure."""

import json
from typing import Any, Final

from headrace.runtimes.protocols import errors
from headrace.runtimes.protocols.errors import Failure, Reason

FAILED: Final = Failure(Reason.INTERNAL, "The model's engine failed on this request; its log says why.")


def to_failure(status: int, body: bytes) -> Failure:
    """The failure that an engine's answer of 400 or more stands for; its own faults' words stay in the log."""
    if status >= 500 and status not in (503, 504):
        return FAILED
    return errors.of_status(status, _message(body) or "The model's engine refused this request.")


def _message(body: bytes) -> str:
    """The text in an error of OpenAI's, of the Open Inference Protocol's, or of FastAPI's."""
    try:
        read: Any = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(read, dict):
        return ""
    error = read.get("error", read.get("message", ""))
    if isinstance(error, dict):
        error = error.get("message", "")
    return error if isinstance(error, str) else ""
