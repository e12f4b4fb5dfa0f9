"""What a pod can do decides how many there are: stories of measured pods, and the arithmetic behind them."""

import math
from dataclasses import replace

import pytest
from pod_story import COMPUTES, LOGISTIC, WAITS, PodStory

from headrace.autoscaler.engine import CallCurve, Observation, PodCounts, Profile, Utilisation, reasons
from headrace.autoscaler.engine.horizontal import capacity

CURVE = CallCurve(fixed_seconds=0.002, request_seconds=0.0001, requests_max=100, at_once=2.0, mean_seconds=0.001)


@pytest.mark.parametrize("callers", [1, 16, 64])
def test_callers_that_one_pod_serves_get_one_pod_however_full_the_node_is(callers: int) -> None:
    story = PodStory(LOGISTIC).run(300, callers=callers)

    assert story.most_ordered == 1
    assert story.log[-1].concurrency == 256  # the runtime's own


def test_callers_of_a_model_that_waits_are_served_by_few_pods_from_the_first_second() -> None:
    story = PodStory(WAITS).run(240, callers=50)

    assert story.most_ordered <= 2


def test_a_steeper_load_gets_the_pods_that_its_cpu_needs_at_once_and_no_more() -> None:
    story = PodStory(LOGISTIC, cores=64.0, proxies=0.0, fits=100)
    story.run(60, rate=10.0)
    story.run(20, rate=60_000.0)

    needed = 60_000 * (LOGISTIC.front + LOGISTIC.best)
    assert needed <= story.ordered
    assert story.most_ordered <= 2.0 * needed + 1


def test_a_full_node_is_ordered_for_once() -> None:
    story = PodStory(COMPUTES, fits=4)
    story.run(10, rate=5.0)
    story.run(120, rate=400.0)  # 16 cores of work on a node of two

    ordered = [decision.replicas for decision in story.log[10:]]
    assert max(ordered[10:]) == 5  # what fits, and one more, within two decisions
    assert any(decision.has(reasons.CAPACITY_SHORT) for decision in story.log)


def test_a_node_that_gets_room_gets_the_pods_that_waited_for_it() -> None:
    story = PodStory(COMPUTES, cores=64.0, proxies=0.0, fits=2)
    story.run(60, rate=400.0)
    assert story.ordered == 3

    story.fits = 100
    story.run(60, rate=400.0)

    assert story.ordered >= 400 * 0.04 / 0.95


def test_a_model_that_gets_slower_gets_the_pods_that_it_then_needs() -> None:
    story = PodStory(COMPUTES, cores=64.0, proxies=0.0, fits=100)
    story.run(120, rate=100.0)
    story.becomes(each=0.08)
    story.run(120, rate=100.0)

    assert story.completed_rate == pytest.approx(100, rel=0.01)
    assert 100 * 0.08 / 0.95 <= story.ordered <= 2.0 * 100 * 0.08


def test_a_pod_at_its_cpu_limit_gets_company() -> None:
    story = PodStory(LOGISTIC, cores=64.0, proxies=0.0, fits=100)
    story.pod_cores = 0.25
    story.run(120, rate=6_000.0)

    assert story.completed_rate == pytest.approx(6_000, rel=0.01)
    assert story.ordered <= 2.0 * 6_000 * (LOGISTIC.front + LOGISTIC.best) / 0.25 + 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"request_seconds": math.nan},
        {"fixed_seconds": -1.0},
        {"requests_max": 0.0},
        {"at_once": math.inf},
        {"fixed_seconds": 0.0, "request_seconds": 0.0},
        {"request_seconds": 1e9},
    ],
)
def test_a_curve_that_makes_no_sense_is_a_guess_and_no_storm(wrong: dict[str, float]) -> None:
    story = PodStory(LOGISTIC)
    story.told = lambda curve: replace(curve, **wrong)
    story.run(300, callers=64)

    assert story.most_ordered <= 2
    assert reasons.GUESSED in story.codes()


def test_fronts_that_tell_nothing_cause_no_storm_either() -> None:
    story = PodStory(LOGISTIC)
    story.told = lambda curve: None
    story.run(300, callers=16)

    assert story.most_ordered <= 6  # 21 at 9b4793a, where room was for 4


def test_the_scarcer_of_workers_and_cores_is_what_a_pod_can_do() -> None:
    seen = Observation(
        taken_at=0.0,
        load=None,
        pods=PodCounts(desired=1, ready=1),
        utilisation=Utilisation(cpu=0.5),
        pod_cores=2.0,
        calls=CURVE,
    )
    profile = capacity.learned(Profile(), seen, seconds=1.0, completed=1000.0)

    found = capacity.at_best(seen, profile, concurrency=256)

    # 1 ms of CPU a request, in calls that could be eight times as full: a quarter of it is believed to be left.
    assert (found.source, found.slots, found.seconds) == (capacity.CPU, 2.0, pytest.approx(0.00025))
    alone = capacity.at_best(replace(seen, pod_cores=None), profile, concurrency=256)
    assert (alone.source, alone.slots, alone.seconds) == (capacity.CALLS, 2.0, pytest.approx(0.00012))


def test_callers_who_come_within_seconds_are_no_ramp_to_many_pods() -> None:
    story = PodStory(LOGISTIC)
    for callers in (2, 8, 24, 48, 64):
        story.run(1, callers=callers)
    story.run(60, callers=64)

    assert story.most_ordered <= 2
