"""OTLP as rows: every column from where OpenTelemetry has it."""

import json
from typing import Any

import pytest

from headrace.contract.errors import InputError
from headrace.contract.telemetry import LOG_COLUMNS, SPAN_COLUMNS
from headrace.observability.tables import otlp
from tests.observability.otlp_bodies import BEGAN, TRACE, attributes, logs, span, spans


def rows(body: bytes, columns: Any) -> list[dict[str, Any]]:
    table = otlp.read(body, columns).rows
    found = {name: table[name].to_pylist() for name in table.column_names}
    return [dict(zip(found, values, strict=True)) for values in zip(*found.values(), strict=True)]


def test_a_span_becomes_a_row() -> None:
    event = {"timeUnixNano": str(BEGAN), "name": "exception", "attributes": attributes(exception_type="ValueError")}
    known = attributes(http_route="/x", http_response_status__code=500)
    sent = span(kind=2, attributes=known, events=[event], status={"code": 2, "message": "away"}, flags=1)
    [row] = rows(spans(sent, service_name="fraud"), SPAN_COLUMNS)

    assert list(row) == list(SPAN_COLUMNS)
    assert (row["record_id"], row["service_name"]) == (f"{TRACE}-{'cd' * 8}", "fraud")
    assert (row["trace_id"], row["span_id"], row["parent_span_id"]) == (TRACE, "cd" * 8, None)
    assert (row["kind"], row["status"]) == ("SPAN_KIND_SERVER", {"message": "away", "code": "STATUS_CODE_ERROR"})
    assert (row["start_time_unix_nano"], row["end_time_unix_nano"]) == (BEGAN, BEGAN + 10_000_000)
    assert round(row["time"].timestamp() * 1000) == BEGAN // 1_000_000
    assert row["date"].isoformat() == row["time"].date().isoformat()
    assert json.loads(row["attributes"])["http.route"] == "/x"
    assert json.loads(row["events"])[0]["attributes"] == {"exception.type": "ValueError"}
    assert json.loads(row["resource"]["attributes"]) == {"service.name": "fraud"}


def test_a_log_becomes_a_row_of_its_trace() -> None:
    text = {"timeUnixNano": str(BEGAN), "severityNumber": 9, "severityText": "INFO", "body": {"stringValue": "ready"}}
    listed = {"arrayValue": {"values": [{"intValue": "9007199254740993"}, {"boolValue": False}]}}
    record = {"observedTimeUnixNano": str(BEGAN), "traceId": TRACE, "spanId": "cd" * 8, "body": listed}
    plain, structured = rows(logs(text, record, service_name="fraud"), LOG_COLUMNS)

    assert list(plain) == list(LOG_COLUMNS)
    assert (plain["body"], plain["severity_text"], plain["severity_number"]) == ("ready", "INFO", "9")
    assert (plain["trace_id"], structured["trace_id"]) == (None, TRACE)
    assert structured["body"] == "[9007199254740993,false]", "an integer of 64 bits keeps all of them"
    assert structured["time"] == plain["time"], "a record without a time has the one when it was seen"


def test_nothing_is_no_rows() -> None:
    assert otlp.read(b"{}", SPAN_COLUMNS).last == 0


@pytest.mark.parametrize("body", [b"", b"\x0a\x02", b"[]", spans({"name": "no ids"}), spans(span(kind="server"))])
def test_what_is_no_export_is_refused(body: bytes) -> None:
    with pytest.raises(InputError, match="no export request"):
        otlp.read(body, SPAN_COLUMNS)
