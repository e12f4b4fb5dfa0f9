"""Row: what a record becomes in the inference table. Pure."""

from typing import Any, Final

import orjson

from headrace.contract.errors import HeadraceError
from headrace.contract.inference_table import NOT_REDACTABLE, REQUEST_TOO_LARGE, RESPONSE_TOO_LARGE
from headrace.runtimes.protocols import result_json
from headrace.runtimes.records import payloads, streams
from headrace.runtimes.records.frame import Frame
from headrace.runtimes.records.redaction import Redactor

TOO_LARGE: Final = frozenset((REQUEST_TOO_LARGE, RESPONSE_TOO_LARGE))
_LONGEST_ID: Final = 1024
"""Characters of a client's own id that are kept."""


def as_texts(frame: Frame) -> Frame:
    """The frame with its payloads as texts, in UTF-8."""
    if frame.meta.is_text:
        return frame
    try:
        request, response = payloads.texts(frame.meta, frame.request, frame.response)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, HeadraceError):
        # a model may answer what only looks like one of the forms
        request, response = payloads.plain(frame.request), payloads.plain(frame.response)
    return frame._replace(
        meta=frame.meta._replace(is_text=True),
        request=None if request is None else request.encode("utf-8", "replace"),
        response=None if response is None else response.encode("utf-8", "replace"),
    )


def redacted(frame: Frame, redactor: Redactor) -> Frame:
    """The frame as texts, without what is to be replaced. The client's id is looked for before that."""
    frame = as_texts(frame)
    meta = frame.meta
    errors = list(meta.error_codes)
    identity = meta.client_request_id or _client_id(frame.request)
    kept: list[bytes | None] = []
    for data in (frame.request, frame.response):
        kept.append(None if data is None else _redacted(data, redactor))
        if data is not None and kept[-1] is None and NOT_REDACTABLE not in errors:
            errors.append(NOT_REDACTABLE)
    meta = meta._replace(
        identity=redactor.text(meta.identity),
        client_request_id=None if identity is None else redactor.text(identity),
        requester=None if meta.requester is None else redactor.text(meta.requester),
        error_codes=errors,
    )
    return frame._replace(meta=meta, request=kept[0], response=kept[1])


def row(frame: Frame, pod_uid: str) -> list[Any]:
    """The values of the inference table's columns: texts, numbers, null, days and microseconds since the epoch."""
    frame = as_texts(frame)
    meta = frame.meta
    micros = round(meta.arrived * 1e6)
    into, out = streams.usage(_document(frame.response)) if _may_hold(frame.response, b'"usage"') else (None, None)
    identity = meta.client_request_id or _client_id(frame.request)
    return [
        meta.identity,
        micros // 86_400_000_000,
        identity,
        micros,
        meta.status,
        meta.sampling_fraction,
        round(meta.seconds * 1000),
        None if frame.request is None else frame.request.decode(errors="replace"),
        None if frame.response is None else frame.response.decode(errors="replace"),
        meta.error_codes,
        meta.version,
        meta.requester,
        meta.trace_id,
        meta.path,
        into,
        out,
        pod_uid,
        frame.sequence,
    ]


def _client_id(request: bytes | None) -> str | None:
    """`client_request_id` in the body, as Databricks' clients send it."""
    if not _may_hold(request, b'"client_request_id"'):
        return None
    document = _document(request)
    found = document.get("client_request_id") if isinstance(document, dict) else None
    return found[:_LONGEST_ID] if isinstance(found, str) else None


def _may_hold(data: bytes | None, key: bytes) -> bool:
    return data is not None and key in data


def _document(data: bytes | None) -> Any:
    try:
        return orjson.loads(data or b"")
    except orjson.JSONDecodeError:
        return None


def _redacted(data: bytes, redactor: Redactor) -> bytes | None:
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None if redactor.needs_json else redactor.text(data.decode(errors="replace")).encode()
    return result_json.written(redactor.document(document))
