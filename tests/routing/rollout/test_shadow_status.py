"""What is said of a version that gets copies: how much was compared, what differed last, and who is faster."""

from headrace.contract.model_endpoint import ModelEndpointSpec, ServedVersion
from headrace.contract.shadow import DIFFERENCES_KEPT, DifferingPrediction
from headrace.routing.rollout import shadow_status
from headrace.routing.rollout.answer_comparer import Pair
from headrace.routing.rollout.balancer_counters import Counts
from headrace.routing.rollout.engine import Compared, VersionCounters
from headrace.routing.snapshot import Endpoint, PodAddress


def endpoint(**spec: bool) -> Endpoint:
    versions = tuple(
        ServedVersion(name=name, model_uri="m", image="i", weight=weight, shadow=shadow)
        for name, weight, shadow in (("v1", 10, 0), ("v2", 90, 0), ("next", 0, 20))
    )
    return Endpoint(name="fraud", spec=ModelEndpointSpec(versions=versions, **spec))


def difference(row: int) -> DifferingPrediction:
    return DifferingPrediction(time="2026-01-01T00:00:00Z", row=row, serving='"yes"', shadow='"no"')


def test_a_shadow_is_compared_with_the_version_that_has_most_requests_unless_nobody_serves() -> None:
    pods = {("fraud", "v2"): (PodAddress("10.0.0.2", 8080),), ("fraud", "v1"): (PodAddress("10.0.0.1", 8080),)}

    assert shadow_status.pairs([endpoint()], pods) == [Pair(endpoint="fraud", new="next", hosts=("10.0.0.2",))]
    assert shadow_status.pairs([endpoint(stopped=True)], pods) == []


def test_counts_add_up_and_the_last_differences_are_kept() -> None:
    once = shadow_status.with_more(
        shadow_status.begun("next", "v2"), Compared(answers=90, changed=9), [difference(row) for row in range(9)], None
    )
    twice = shadow_status.with_more(once, Compared(answers=10, changed=2), [difference(9), difference(10)], None)

    assert (twice.predictions, twice.differing, twice.differing_percent) == (100, 11, 11.0)
    assert [found.row for found in twice.differences] == list(range(1, 11))
    assert len(twice.differences) == DIFFERENCES_KEPT
    assert twice.typical_milliseconds is None


def test_the_median_of_both_is_told_once_there_are_enough_requests() -> None:
    versions = {
        "v2": VersionCounters(timed=100, within=(10, 60, 100)),
        "next": VersionCounters(timed=40, within=(0, 0, 40)),
    }
    counts = Counts(versions=versions, bounds_milliseconds=(1.0, 2.5, 5.0))

    found = shadow_status.with_more(shadow_status.begun("next", "v2"), Compared(), [], counts)

    assert (found.typical_milliseconds, found.beside_typical_milliseconds) == (None, 2.5)
