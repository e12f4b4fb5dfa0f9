"""The order and the place of a trace's spans on its page."""

from typing import Any

from headrace.observability.console.waterfall import LEAST_WIDTH, WIDTH, waterfall

BEGAN = 1_796_000_000_000_000_000


def span(name: str, parent: str | None, begin_ms: float, end_ms: float, **changed: Any) -> dict[str, Any]:
    known = {
        "name": name, "span_id": name, "parent_span_id": parent, "service_name": "fraud", "status": "STATUS_CODE_UNSET",
        "start_time_unix_nano": BEGAN + round(begin_ms * 1e6), "end_time_unix_nano": BEGAN + round(end_ms * 1e6),
    }  # fmt: skip
    return {**known, **changed}


def test_spans_are_below_their_parents_in_order_of_time() -> None:
    found = waterfall(
        [
            span("model", "batch", 6, 9), span("balancer", "pop", 1, 10), span("batch", "request", 5, 9),
            span("queue", "request", 3, 5), span("request", "balancer", 2, 10), span("pop", "the caller's", 0, 10),
        ]
    )  # fmt: skip

    assert [(bar.name, bar.depth) for bar in found.bars] == [
        ("pop", 0), ("balancer", 1), ("request", 2), ("queue", 3), ("batch", 3), ("model", 4),
    ]  # fmt: skip
    assert found.milliseconds == 10
    assert [(bar.left, bar.width) for bar in found.bars[-2:]] == [(500, 400), (600, 300)]


def test_a_span_of_no_time_is_seen_and_stays_inside() -> None:
    [_, short] = waterfall([span("pop", None, 0, 10), span("mark", "pop", 10, 10)]).bars

    assert (short.width, short.left + short.width) == (LEAST_WIDTH, WIDTH)


def test_a_failure_is_marked_with_its_words() -> None:
    [bar] = waterfall([span("model", None, 0, 1, status="STATUS_CODE_ERROR", message="ValueError")]).bars

    assert (bar.failed, bar.message) == (True, "ValueError")


def test_spans_in_a_circle_are_shown_once_each() -> None:
    found = waterfall([span("a", "b", 0, 1), span("b", "a", 0, 1), span("c", "c", 0, 1)])

    assert sorted(bar.name for bar in found.bars) == ["a", "b", "c"]


def test_nothing_is_no_bars() -> None:
    assert waterfall([]).bars == []
