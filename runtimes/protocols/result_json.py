"""JSON of a model's results: one reading of it, and one writing, in all protocols. Pure.

Models answer what Python writes as JSON and orjson does not read or write: lone surrogates, whole numbers beyond 64
bits, lists nested hundreds of levels deep. Callers of /invocations get it as the worker wrote it, and so do all others.
orjson goes first, since nearly every result is of its kind.
"""

import json
from typing import Any, Final

import orjson

from headrace.contract.errors import PermanentError

_TOO_DEEP: Final = "The model's result is nested too deep for this protocol; use /invocations."


def read(text: bytes) -> Any:
    """The document. PermanentError where nothing reads it."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return _read(text)


def _read(text: bytes) -> Any:
    try:
        return json.loads(text.decode("utf-8", "replace"), parse_constant=lambda _: None)
    except RecursionError:
        raise PermanentError(_TOO_DEEP) from None
    except ValueError as error:
        raise PermanentError(f"The model's result is not JSON ({type(error).__name__}).") from None


def written(document: Any) -> bytes:
    """The document as JSON; NaN and infinity become null. PermanentError where it is nested too deep."""
    try:
        return orjson.dumps(document)
    except orjson.JSONEncodeError:
        return _written(document)


def _written(document: Any) -> bytes:
    try:
        text = json.dumps(document)
        if "NaN" in text or "Infinity" in text:
            text = json.dumps(json.loads(text, parse_constant=lambda _: None))
        return text.encode()
    except RecursionError:
        raise PermanentError(_TOO_DEEP) from None
