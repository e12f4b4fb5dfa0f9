"""Spans of a record: where its time went, below the span that it came from."""

from typing import Any

import orjson

from headrace.contract import trace_context
from headrace.runtimes.records.frame import decoded, encoded
from headrace.runtimes.records.spans import export, spans
from tests.runtimes.records.record_frames import frame

TRACE, PARENT = "ab" * 16, "cd" * 8
BATCHED = (0.001, 0.004, 0.011, 0.006, 3)
"""Queued after 1 ms, begun after 4, ended after 11 with a call of 6 ms for three requests."""


def made(**changed: Any) -> dict[str, Any]:
    """By name."""
    known = {"trace_id": TRACE, "parent_span": PARENT, "is_sampled": True, "call": BATCHED, **changed}
    kept = decoded(encoded(frame(**known))[8:])  # as the sidecar reads it from the disk
    return {span["name"]: span for span in spans(kept, place="pod-1")}


def after_ms(span: Any) -> tuple[float, float]:
    """Beginning and end, in milliseconds since the request came."""
    begin, end = (int(span[key]) / 1e6 - 1_796_000_000_250 for key in ("startTimeUnixNano", "endTimeUnixNano"))
    return round(begin, 3), round(end, 3)


def test_a_request_its_wait_its_batch_and_the_model_s_call_are_told_apart() -> None:
    found = made()

    assert {name: after_ms(span) for name, span in found.items()} == {
        "request": (0, 12.5), "queue": (1, 4), "batch": (4, 11), "model": (5, 11),
    }  # fmt: skip
    assert {span["traceId"] for span in found.values()} == {TRACE}
    ids = {name: span["spanId"] for name, span in found.items()}
    assert {name: span["parentSpanId"] for name, span in found.items()} == {
        "request": PARENT, "queue": ids["request"], "batch": ids["request"], "model": ids["batch"],
    }  # fmt: skip
    assert found["batch"]["attributes"] == [{"key": "headrace.batch.requests", "value": {"intValue": "3"}}]


def test_the_model_s_span_is_the_one_that_the_model_was_told() -> None:
    assert made()["model"]["spanId"] == trace_context.span_id(PARENT, trace_context.MODEL, "pod-1")


def test_an_engine_has_no_batch_and_a_refusal_only_its_request() -> None:
    assert list(made(call=(0.001, 0.002, 0.012, None, 1))) == ["request", "queue", "model"]
    assert list(made(call=None, status=429)) == ["request"]


def test_only_our_faults_are_failed() -> None:
    assert "status" not in made(status=400)["request"]
    assert made(status=500)["request"]["status"] == {"code": 2}


def test_a_request_without_a_trace_has_no_spans() -> None:
    assert spans(frame(), place="pod-1") == []


def test_of_requests_that_nobody_sampled_those_have_spans_that_failed_or_were_slow() -> None:
    assert made(is_sampled=False) == {}
    assert made(is_sampled=False, status=429) == {}
    assert list(made(is_sampled=False, status=503)) == ["request", "queue", "batch", "model"]
    assert list(made(is_sampled=False, seconds=1.5)) == ["request", "queue", "batch", "model"]


def test_an_export_says_which_pod_of_which_endpoint_it_is_of() -> None:
    document = orjson.loads(export(made().values(), endpoint="fraud", version="v7", place="pod-1"))
    [resource] = document["resourceSpans"]
    known = {each["key"]: each["value"]["stringValue"] for each in resource["resource"]["attributes"]}

    assert (known["service.name"], known["headrace.endpoint"], known["k8s.pod.name"]) == ("fraud", "fraud", "pod-1")
    assert len(resource["scopeSpans"][0]["spans"]) == 4
