"""Admission: who may wait for a first pod, and what the others hear."""

from headrace.routing.activator.admission import (
    MEBIBYTE,
    Bounds,
    Held,
    Refusal,
    VersionView,
    refusal,
    remaining,
    too_late,
)
from headrace.routing.activator.version_queue import VersionQueue, Waiting
from headrace.routing.snapshot import PodAddress

VIEW = VersionView(name="fraud/v7", start_seconds=12.0)


def asked(
    queue: VersionQueue | None = None,
    *,
    view: VersionView = VIEW,
    held: Held | None = None,
    bounds: Bounds | None = None,
    now: float = 100.0,
    waits: float = 60.0,
    size: int = 1000,
) -> Refusal | None:
    return refusal(
        view,
        VersionQueue() if queue is None else queue,
        Held() if held is None else held,
        Bounds() if bounds is None else bounds,
        now=now,
        deadline=now + waits,
        size=size,
    )


def begun(at: float, *, size: int = 1000) -> VersionQueue:
    queue = VersionQueue()
    queue.join(Waiting(arrived_at=at, deadline=at + 60.0, size=size))
    return queue


def test_who_can_be_answered_in_time_may_wait() -> None:
    assert asked() is None


def test_a_version_that_cannot_start_holds_nobody() -> None:
    found = asked(view=VersionView(name="fraud/v7", start_seconds=12.0, failure="2 pods cannot start"))
    assert found is not None
    assert (found.reason, found.retry_seconds) == ("failing", 12)
    assert found.message == (
        "Version fraud/v7 has no ready pod, and its pods cannot start: 2 pods cannot start. Try again in 12 seconds."
    )


def test_a_full_queue_says_when_the_start_that_has_begun_is_expected_to_end() -> None:
    found = asked(begun(95.0), bounds=Bounds(version_requests=1))
    assert found is not None
    assert (found.reason, found.retry_seconds) == ("full", 7)


def test_all_versions_together_have_bounds_too() -> None:
    crowd, heavy = Held(requests=10_000), Held(bytes=128 * MEBIBYTE)
    refusals = [asked(held=crowd), asked(held=heavy), asked(begun(99.0, size=64 * MEBIBYTE))]
    assert [each.reason for each in refusals if each is not None] == ["full", "bytes", "bytes"]


def test_who_leaves_before_the_start_is_expected_to_end_need_not_wait_for_it() -> None:
    found = asked(waits=5.0)
    assert found is not None
    assert (found.reason, found.retry_seconds) == ("deadline", 12)
    assert "later than the 5.0 s that the caller waits" in found.message
    assert asked(begun(92.0), waits=5.0) is None, "eight of twelve seconds have passed"


def test_a_start_that_takes_longer_than_the_last_is_expected_at_any_moment() -> None:
    assert remaining(VIEW, begun(10.0), 100.0) == 1


def test_with_a_ready_pod_there_is_room_soon() -> None:
    queue = begun(99.0)
    queue.set_pods({PodAddress("10.0.0.1", 8080): 1})
    assert remaining(VIEW, queue, 100.0) == 1
    assert asked(queue, waits=0.5) is None


def test_who_has_waited_in_vain_hears_that_no_model_has_seen_the_request() -> None:
    found = too_late(VIEW, begun(90.0), now=100.0, waited=10.0)
    assert (found.reason, found.retry_seconds) == ("late", 2)
    assert found.message.startswith("No pod of version fraud/v7 had room within 10.0 s; no model has seen the request.")


def test_nobody_waits_for_a_version_of_which_no_pod_has_ever_been_ready() -> None:
    found = asked(view=VersionView(name="fraud/v7", start_seconds=12.0, is_new=True))
    assert found is not None
    assert (found.reason, found.retry_seconds) == ("new", 12)
    assert found.message == (
        "Version fraud/v7 has no ready pod, and none of its pods has been ready yet. Try again in 12 seconds."
    )
