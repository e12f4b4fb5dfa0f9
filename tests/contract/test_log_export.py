"""A line is an OTLP log record by renaming: what wrote it is the resource's, the rest the record's own."""

import json
from typing import Any

from headrace.contract import log_line
from headrace.contract.log_export import export

IDENTITY = {"component": "model", "scope": "model", "endpoint": "fraud", "version": "v7", "pod": "v7-a"}


def attributes(found: list[dict[str, Any]]) -> dict[str, Any]:
    return {each["key"]: each["value"] for each in found}


def of(body: str = "it failed", **fields: object) -> bytes:
    return log_line.line(1_796_104_800.25, "ERROR", body, {**IDENTITY, **fields}).encode()


def test_a_line_is_a_record_of_its_programs_resource_and_its_loggers_scope() -> None:
    line = of(
        request_id="r1", trace_id="a" * 32, span_id="b" * 16, exception="ValueError",
        attributes={"worker": 1, "duration_ms": 1.5, "warm": True, "tags": ["x"], "more": {"y": None}},
    )  # fmt: skip
    (resource,) = json.loads(export([line]).body)["resourceLogs"]
    (scope,) = resource["scopeLogs"]
    (record,) = scope["logRecords"]

    assert attributes(resource["resource"]["attributes"]) == {
        "service.name": {"stringValue": "model"}, "service.namespace": {"stringValue": "headrace"},
        "headrace.endpoint": {"stringValue": "fraud"}, "headrace.version": {"stringValue": "v7"},
        "k8s.pod.name": {"stringValue": "v7-a"},
    }  # fmt: skip
    assert scope["scope"] == {"name": "model"}
    assert attributes(record.pop("attributes")) == {
        "headrace.request_id": {"stringValue": "r1"}, "exception.stacktrace": {"stringValue": "ValueError"},
        "worker": {"intValue": "1"}, "duration_ms": {"doubleValue": 1.5}, "warm": {"boolValue": True},
        "tags": {"arrayValue": {"values": [{"stringValue": "x"}]}},
        "more": {"kvlistValue": {"values": [{"key": "y", "value": {"stringValue": ""}}]}},
    }  # fmt: skip
    assert record == {
        "timeUnixNano": "1796104800250000000", "observedTimeUnixNano": "1796104800250000000",
        "severityNumber": 17, "severityText": "ERROR", "body": {"stringValue": "it failed"},
        "traceId": "a" * 32, "spanId": "b" * 16,
    }  # fmt: skip


def test_programs_and_loggers_are_told_apart() -> None:
    lines = [of("1"), of("2", component="front", scope="headrace.front"), of("3"), of("4", scope="urllib3")]
    found = json.loads(export(lines).body)["resourceLogs"]
    assert [
        [[record["body"]["stringValue"] for record in scope["logRecords"]] for scope in resource["scopeLogs"]]
        for resource in found
    ] == [[["1", "3"], ["4"]], [["2"]]]


def test_an_id_that_is_none_is_left_out_since_it_would_cost_the_whole_request() -> None:
    for wrong in ("0" * 32, "A" * 32, "a" * 31, "x"):
        (resource,) = json.loads(export([of(trace_id=wrong, span_id=wrong)]).body)["resourceLogs"]
        assert not {"traceId", "spanId"} & set(resource["scopeLogs"][0]["logRecords"][0])


def test_a_line_that_is_none_costs_no_other() -> None:
    found = export([b"{", b"[]", b'{"body": "no time"}', of()])
    assert (found.records, found.unreadable) == (1, 3)


def test_a_number_that_otlp_cannot_hold_is_a_text_since_it_would_cost_the_whole_request() -> None:
    line = of(attributes={"huge": 2**63, "least": -(2**63), "lost": float("nan")})
    (resource,) = json.loads(export([line]).body, parse_constant=lambda name: f"no JSON: {name}")["resourceLogs"]
    assert attributes(resource["scopeLogs"][0]["logRecords"][0]["attributes"]) == {
        "huge": {"stringValue": str(2**63)}, "least": {"intValue": str(-(2**63))}, "lost": {"stringValue": "nan"},
    }  # fmt: skip
