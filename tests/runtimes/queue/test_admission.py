"""Who may wait, and what is said to those who may not."""

from headrace.runtimes.protocols.errors import Failure, Reason
from headrace.runtimes.queue.admission import LONGEST_WAIT_SECONDS, Admission
from headrace.runtimes.queue.request_metrics import RequestMetrics


def admission(*, limit: int = 10, waiting: int = 0, at_once: int = 1, timeout_seconds: float = 300.0) -> Admission:
    metrics = RequestMetrics(lambda: 0.0)
    metrics.queued = waiting
    return Admission(metrics, limit=limit, timeout_seconds=timeout_seconds, at_once=lambda: at_once)


def slow(made: Admission, seconds: float = 1.0) -> Admission:
    for _ in range(100):
        made.observe(seconds, 1)
    made.judge()
    return made


def test_nobody_is_refused_where_nobody_waits_however_slow_the_model_is() -> None:
    assert not slow(admission(), 60.0).full()


def test_four_rounds_of_the_limit_may_wait_and_64_at_least() -> None:
    assert [admission(limit=limit).queue_limit for limit in (1, 20, 100, 10_000)] == [64, 80, 400, 1024]
    assert not admission(waiting=63).full()
    assert admission(waiting=64).full()


def test_no_more_may_wait_than_are_answered_in_ten_seconds() -> None:
    assert slow(admission(waiting=int(LONGEST_WAIT_SECONDS) + 1)).full()
    assert not slow(admission(waiting=int(LONGEST_WAIT_SECONDS) + 1, at_once=2)).full()


def test_a_caller_that_cannot_wait_as_long_as_it_would_have_to_is_refused() -> None:
    made = slow(admission(waiting=3))

    assert made.full(2.0)
    assert not made.full(4.0)


def test_a_refusal_says_when_the_queue_will_be_empty_and_is_counted() -> None:
    metrics = RequestMetrics(lambda: 0.0)
    metrics.queued = 7
    made = slow(Admission(metrics, limit=1, timeout_seconds=300.0, at_once=lambda: 1))
    failure = made.refuse()

    assert (failure.reason, failure.retry_after_seconds) == (Reason.OVERLOADED, 7)
    assert made.refuse() is failure
    assert (metrics.arrived, metrics.refused) == (2, 2)


def test_what_is_turned_away_for_another_reason_is_demand_too() -> None:
    metrics = RequestMetrics(lambda: 0.0)
    made = Admission(metrics, limit=1, timeout_seconds=300.0, at_once=lambda: 1)
    why = Failure(Reason.UNAVAILABLE, "The model is loading.")

    assert made.turn_away(why) is why
    assert (metrics.arrived, metrics.refused) == (1, 1)
