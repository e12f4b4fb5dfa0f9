"""Spans: what a record says of its request's way through the pod, as OTLP. Pure.

They are made of the record and not in the front: one place takes what is known of a request, after its answer, and
nothing is measured twice. The request's span holds those of its wait in the queue, of the batch that it ran in and, in
that, of the model's call.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from headrace.contract import telemetry, trace_context
from headrace.contract.trace_context import MODEL, REQUEST, TraceContext
from headrace.runtimes.records.frame import Frame, Meta

_INTERNAL: Final = 1
_SERVER: Final = 2
_ERROR: Final = 2
_FAILED: Final = 500
_SCOPE: Final = "headrace.front"
Span = dict[str, Any]


def are_made(context: TraceContext | None, *, status: int, seconds: float) -> bool:
    """Whether a request has spans of its pod: not if it came without a trace, or with one that is not sampled and was
    answered well and in time. How a request ended is known here, and not to the proxy that sampled."""
    return context is not None and (context.is_sampled or status >= _FAILED or seconds > telemetry.SLOW_SECONDS)


def spans(frame: Frame, *, place: str) -> list[Span]:
    """Of one record, whose pod is `place`; none where none are made of it."""
    meta = frame.meta
    if meta.trace_id is None or meta.parent_span is None:
        return []
    context = TraceContext(meta.trace_id, meta.parent_span, meta.is_sampled)
    if not are_made(context, status=meta.status, seconds=meta.seconds):
        return []
    request = trace_context.span_id(context.span_id, REQUEST, place)
    made = [_request(meta, context, request)]
    if meta.call is None:
        return made
    queued, started, ended, seconds, requests = meta.call

    def part(name: str, parent: str, begin: float, end: float, **known: int) -> Span:
        identity = trace_context.span_id(context.span_id, name, place)
        return _span(meta, context, name, identity, parent=parent, begin=begin, end=max(begin, end), known=known)

    made.append(part("queue", request, queued, started))
    if seconds is None:  # an engine, which batches by itself
        return [*made, part(MODEL, request, started, ended)]
    batch = part("batch", request, started, ended, **{"headrace.batch.requests": int(requests)})
    return [*made, batch, part(MODEL, batch["spanId"], max(started, ended - seconds), ended)]


def export(found: Iterable[Span], *, endpoint: str, version: str, place: str) -> bytes:
    """The body of an OTLP request, in JSON, with these spans of a pod."""
    resource = {
        "service.name": endpoint, telemetry.ENDPOINT_ATTRIBUTE: endpoint, "service.version": version,
        telemetry.VERSION_ATTRIBUTE: version, telemetry.POD_ATTRIBUTE: place,
    }  # fmt: skip
    scoped = [{"scope": {"name": _SCOPE}, "spans": list(found)}]
    return orjson.dumps({"resourceSpans": [{"resource": {"attributes": _attributes(resource)}, "scopeSpans": scoped}]})


def _request(meta: Meta, context: TraceContext, identity: str) -> Span:
    known: dict[str, str | int] = {
        "http.response.status_code": meta.status, "url.path": meta.path, telemetry.REQUEST_ID_ATTRIBUTE: meta.identity,
    }  # fmt: skip
    made = _span(meta, context, REQUEST, identity, parent=context.span_id, begin=0.0, end=meta.seconds, known=known)
    failed = {"status": {"code": _ERROR}} if meta.status >= _FAILED else {}
    return {**made, "kind": _SERVER, **failed}


def _span(
    meta: Meta, context: TraceContext, name: str, identity: str, *, parent: str, begin: float, end: float,
    known: Mapping[str, str | int],
) -> Span:  # fmt: skip
    """`begin` and `end` in seconds since the request's arrival; `known` are attributes."""
    return {
        "traceId": context.trace_id, "spanId": identity, "parentSpanId": parent, "name": name, "kind": _INTERNAL,
        "flags": int(meta.is_sampled), "attributes": _attributes(known),
        "startTimeUnixNano": _nanos(meta.arrived + begin), "endTimeUnixNano": _nanos(meta.arrived + end),
    }  # fmt: skip


def _nanos(seconds: float) -> str:
    """As text, as JSON has numbers of 64 bits."""
    return str(round(seconds * 1e9))


def _attributes(values: Mapping[str, str | int]) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in values.items()
    ]
