"""A line as commands read it: whose it is, what it belongs to, and no power over a terminal."""

import json

import pytest

from headrace.cli.log_lines import COMPONENTS, LogLine, harmless
from headrace.contract import log_line

TIME = "2026-12-01T10:00:00.123456789Z"


def line(text: str, **certain: str) -> LogLine:
    return LogLine.of_pod(text, time=TIME, pod="v7-a", component="front", **certain)


def test_a_line_of_ours_keeps_its_fields_and_gets_the_pods_name() -> None:
    text = {"timestamp": "2026-12-01T10:00:00.100Z", "severity_text": "ERROR", "body": "no", "component": "model"}
    assert line(json.dumps(text)).document() == {**text, "pod": "v7-a"}


@pytest.mark.parametrize("text", ["loading", "[1, 2]", '{"cut off', '{"message": "of another program"}'])
def test_any_other_is_a_body(text: str) -> None:
    found = line(text).document()
    assert (found["body"], found["timestamp"], found["severity_text"]) == (text, TIME, "INFO")


def test_what_the_cluster_knows_of_a_pod_stands_whatever_its_line_says() -> None:
    claimed = json.dumps({"body": "x", "endpoint": "other", "version": "v9", "pod": "p", "forged": 1})
    found = line(claimed, endpoint="fraud", version="v7").document()
    assert (found["endpoint"], found["version"], found["pod"]) == ("fraud", "v7", "v7-a")
    assert "forged" not in found


@pytest.mark.parametrize(("word", "severity"), [("warning", "WARN"), ("critical", "FATAL"), ("info", "INFO")])
def test_severities_have_one_word(word: str, severity: str) -> None:
    assert line(json.dumps({"body": "x", "severity_text": word})).fields["severity_text"] == severity


@pytest.mark.parametrize(
    ("text", "tells"),
    [
        ('{"body": "x", "endpoint": "fraud"}', True),
        ('{"body": "fraud", "endpoint": "other"}', False),
        ("scaled endpoint-fraud/v7", True),
        ("status of ModelEndpoint endpoint-fraud/fraud not written", True),
        ("fraud-two: not this one", False),
        ("POST /serving-endpoints/fraud/invocations: 401 after 1 ms", True),
    ],
)
def test_a_platforms_line_tells_of_an_endpoint(text: str, tells: bool) -> None:
    assert line(text).tells_of("fraud") is tells


@pytest.mark.parametrize(
    ("fields", "belongs"),
    [
        ({"request_id": "r1"}, True),
        ({"request_ids": ["r0", "r1"]}, True),
        ({"trace_id": "r1"}, True),
        ({"attributes": {"traceparent": "00-r1-span-01"}}, True),
        ({"body": "request r1 of an engine"}, True),
        ({"request_id": "r10"}, False),
        ({}, False),
    ],
)
def test_a_line_belongs_to_a_request_by_its_id_or_its_traces(fields: dict[str, object], belongs: bool) -> None:
    assert line(json.dumps({"body": "x", **fields})).belongs_to("r1") is belongs


def test_every_component_is_one_of_those_that_can_be_asked_for() -> None:
    assert line("x").is_of("front")
    assert not line("x").is_of("model")
    assert set(COMPONENTS) == {"front", "model", "pop", "balancer", "controller"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;a title\x07text", "text"),
        ("\x1b]8;;http://evil\x1b\\link", "link"),
        ("\x9b31m\x00\x7f", "\ufffd31m\ufffd\ufffd"),
        ("right\u202eleft", "right\ufffdleft"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
    ],
)
def test_no_text_commands_the_terminal(text: str, shown: str) -> None:
    assert harmless(text) == shown
    assert shown in line(json.dumps({"body": text})).shown().plain


def test_a_trace_is_shown_below_its_line() -> None:
    found = line(json.dumps({"body": "no", log_line.EXCEPTION: "Traceback\n  x\nValueError"})).shown().plain
    assert found.splitlines()[1:] == ["    Traceback", "      x", "    ValueError"]
