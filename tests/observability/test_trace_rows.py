"""TraceRows: a caller is told the spans of its own request, of that endpoint, and nobody else is told anything."""

from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest

from headrace.contract.telemetry import SPAN_COLUMNS, SPANS
from headrace.observability.tables import otlp
from headrace.observability.tables.callers import NotTheConsole
from headrace.observability.tables.telemetry_tables import TelemetryTables
from headrace.observability.tables.trace_rows import TraceRows
from tests.observability.otlp_bodies import BEGAN, TRACE, attributes, span, spans


def require_reader(token: str) -> None:
    if token != "console's":
        raise NotTheConsole("the token is not the console's")


def row_time(endpoint: str, requester: str, trace_id: str) -> datetime | None:
    known = endpoint == "fraud" and requester == "alice" and trace_id == TRACE
    return datetime.fromtimestamp(BEGAN / 1e9, UTC) if known else None


@pytest.fixture
def traces(tmp_path: Path) -> TraceRows:
    tables = TelemetryTables(str(tmp_path), dict, volume=PurePosixPath(tmp_path))
    proxy = span("ingress", spanId="01" * 8, attributes=attributes(headrace_endpoint="fraud"))
    front = span("request", spanId="02" * 8, parentSpanId="01" * 8, startTimeUnixNano=str(BEGAN + 1000))
    bodies = [
        spans(front, service_name="fraud", headrace_endpoint="fraud"),
        spans(proxy, service_name="pop-proxy"),
        spans(proxy, service_name="pop-proxy"),  # sent again
        spans(span("request", spanId="03" * 8), service_name="agent", headrace_endpoint="agent"),
        spans(span("tool", spanId="05" * 8, parentSpanId="02" * 8, startTimeUnixNano=str(BEGAN + 2000))),
        spans(span("its tool", spanId="06" * 8, parentSpanId="03" * 8)),
        spans(span("other", spanId="04" * 8, traceId="ef" * 16), service_name="fraud", headrace_endpoint="fraud"),
    ]
    tables.table(SPANS).append([otlp.read(body, SPAN_COLUMNS) for body in bodies])
    return TraceRows(require_reader, row_time, tables.uri(SPANS), dict, volume=PurePosixPath(tmp_path))


def test_the_endpoints_spans_of_the_trace_come_once_and_by_their_beginning(traces: TraceRows) -> None:
    response = traces.respond("Bearer console's", f"/traces/fraud/{TRACE}?requester=alice")

    assert response.status == 200
    assert [(each["service_name"], each["name"]) for each in response.document["spans"]] == [
        ("pop-proxy", "ingress"), ("fraud", "request"), (None, "tool"),
    ]  # fmt: skip
    assert response.document["spans"][1]["parent_span_id"] == "01" * 8


@pytest.mark.parametrize(
    ("token", "target", "status"),
    [
        ("Bearer another's", f"/traces/fraud/{TRACE}?requester=alice", 401),
        ("Bearer console's", f"/traces/fraud/{TRACE}?requester=bob", 404),
        ("Bearer console's", f"/traces/agent/{TRACE}?requester=alice", 404),
        ("Bearer console's", f"/traces/fraud/{TRACE}", 400),
        ("Bearer console's", f"/traces/fraud/{TRACE.upper()}?requester=alice", 400),
        ("Bearer console's", "/traces/fraud/' or '1'='1?requester=alice", 400),
    ],
)
def test_nobody_else_is_told_anything(traces: TraceRows, token: str, target: str, status: int) -> None:
    response = traces.respond(token, target)

    assert (response.status, "message" in response.document) == (status, True)


def test_a_table_that_is_not_there_yet_has_no_spans(tmp_path: Path) -> None:
    uri = str(tmp_path / SPANS)
    traces = TraceRows(require_reader, row_time, uri, dict, volume=PurePosixPath(tmp_path))

    assert traces.respond("Bearer console's", f"/traces/fraud/{TRACE}?requester=alice").document == {"spans": []}
