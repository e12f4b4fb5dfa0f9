"""Waterfall: the spans of a trace in the order of a reader, each with its place in time. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

WIDTH: Final = 1000
"""Units of a whole trace's time, in which bars are drawn."""
LEAST_WIDTH: Final = 4
"""Of a bar, so that a short span can be seen."""
_DEEPEST: Final = 8
"""Levels that are indented."""

Span = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A span, as a line of the page."""

    name: str
    service: str
    depth: int
    """Spans that it is below."""
    milliseconds: float
    after_milliseconds: float
    """Since the trace's first span began."""
    left: int
    width: int
    """Of WIDTH, as is `left`."""
    failed: bool
    message: str


@dataclass(frozen=True, kw_only=True)
class Waterfall:
    """A trace."""

    bars: list[Bar]
    milliseconds: float
    """From the beginning of its first span to the end of its last."""


def waterfall(spans: Sequence[Span]) -> Waterfall:
    """Each span below its parent, and those of one parent by their beginning; a parent that is not there is none."""
    if not spans:
        return Waterfall(bars=[], milliseconds=0.0)
    began = min(span["start_time_unix_nano"] for span in spans)
    whole = max(1, max(span["end_time_unix_nano"] for span in spans) - began)
    bars = [_bar(span, depth, began, whole) for span, depth in _ordered(spans)]
    return Waterfall(bars=bars, milliseconds=whole / 1e6)


def _ordered(spans: Sequence[Span]) -> Iterator[tuple[Span, int]]:
    known = {span["span_id"] for span in spans}
    children: dict[str | None, list[Span]] = {}
    for span in sorted(spans, key=lambda each: each["start_time_unix_nano"]):
        parent = span["parent_span_id"]
        children.setdefault(parent if parent in known and parent != span["span_id"] else None, []).append(span)
    seen: set[str] = set()
    waiting = [(span, 0) for span in reversed(children.get(None, []))]
    while waiting:
        span, depth = waiting.pop()
        if span["span_id"] not in seen:
            seen.add(span["span_id"])
            yield span, depth
            waiting += [(child, depth + 1) for child in reversed(children.get(span["span_id"], []))]
    # spans that are each other's parents, which nobody sound sends
    yield from ((span, 0) for span in spans if span["span_id"] not in seen)


def _bar(span: Span, depth: int, began: int, whole: int) -> Bar:
    after, takes = span["start_time_unix_nano"] - began, span["end_time_unix_nano"] - span["start_time_unix_nano"]
    width = max(LEAST_WIDTH, round(WIDTH * takes / whole))
    return Bar(
        name=span["name"],
        service=span["service_name"] or "",
        depth=min(depth, _DEEPEST),
        milliseconds=takes / 1e6,
        after_milliseconds=after / 1e6,
        left=max(0, min(round(WIDTH * after / whole), WIDTH - width)),
        width=min(width, WIDTH),
        failed=span["status"] == "STATUS_CODE_ERROR",
        message=span.get("message") or "",
    )
