"""Refusals in the words of the protocol that a path belongs to, and an engine's own errors in MLflow's. Pure."""

import json
from typing import Any

from headrace.runtimes.front import inference, openai
from headrace.runtimes.front.answers import Answer, refusal

_CODES = {
    400: "BAD_REQUEST",
    404: "RESOURCE_DOES_NOT_EXIST",
    413: "BAD_REQUEST",
    422: "BAD_REQUEST",
    429: "RESOURCE_EXHAUSTED",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
FAILED = "The model's engine failed on this request; its log says why."


class Verbatim(Answer):
    """An engine's own answer, in the caller's dialect already."""

    __slots__ = ()


def spoken(path: str, answer: Answer) -> Answer:
    """A refusal of ours as the callers of `path` read it."""
    if isinstance(answer, Verbatim):
        return answer
    if path.startswith("/v1/"):
        return openai.dialect(answer)
    if path.startswith("/v2"):
        return inference.dialect(answer)
    return answer


def translated(status: int, body: bytes) -> Answer:
    """An engine's error, as MLflow words it; what a failure of its own says stays in the log."""
    if status >= 500 and status not in (503, 504):
        return refusal(500, "INTERNAL_ERROR", FAILED)
    return refusal(
        status, _CODES.get(status, "BAD_REQUEST"), _message(body) or "The model's engine refused this request."
    )


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
