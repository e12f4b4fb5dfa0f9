"""Pods are tried where they should have room, and more are believed in only while completions rise."""

from dataclasses import replace
from random import Random

import pytest
from pod_story import COMPUTES, LOGISTIC, WAITS, PodStory

from headrace.autoscaler.engine import reasons


def test_a_noisy_neighbour_that_pods_cannot_flee_is_not_bought_against() -> None:
    story = PodStory(COMPUTES, fits=20)
    story.run(60, rate=20.0)
    calm = story.ordered

    story.neighbour = 1.5  # of two cores: half of the load is served
    story.run(600, rate=20.0)

    assert story.most_ordered <= 2 * calm + 1
    assert reasons.CROWDED in story.codes()


def test_a_lock_that_all_calls_share_is_not_bought_against() -> None:
    story = PodStory(WAITS, cores=64.0, fits=100)
    story.lock = 40.0
    story.run(600, rate=60.0)

    assert story.most_ordered <= 8


def test_a_curve_that_promises_too_much_is_corrected_by_what_full_pods_complete() -> None:
    story = PodStory(COMPUTES, cores=64.0, proxies=0.0, fits=100)
    story.told = lambda curve: replace(curve, request_seconds=curve.request_seconds / 20, mean_seconds=0.002)
    story.pod_cores = 1.0
    story.becomes(busy=1.0)
    story.run(400, rate=100.0)

    assert story.completed_rate == pytest.approx(100, rel=0.01)
    assert story.ordered <= 10


@pytest.mark.parametrize("waits_inside", [False, True])
def test_calls_that_wait_for_each_other_in_a_pod_are_found_out_by_trial(waits_inside: bool) -> None:
    """Calls that look as if hundreds fitted a pod, and of which each pod completes ten a second all the same."""
    story = PodStory(replace(WAITS, each=0.1), cores=64.0, proxies=0.0, fits=100)
    story.pod_lock, story.waits_inside = 10.0, waits_inside
    story.run(60, rate=5.0)
    assert story.ordered == 1

    story.run(240, rate=25.0)

    assert story.completed_rate == pytest.approx(25, rel=0.05)
    assert 3 <= story.ordered <= 8
    assert reasons.TRYING in story.codes()


@pytest.mark.parametrize("seed", range(4))
def test_neighbours_who_come_and_go_are_not_bought_against(seed: int) -> None:
    """What pods complete falls and rises twentyfold, whatever is ordered: 70 pods once."""
    random = Random(seed)
    story = PodStory(LOGISTIC, fits=100).run(20)
    for _ in range(100):
        story.neighbour = random.choice((0.0, 1.0, 1.7, 1.9, 1.95))
        story.run(3, callers=64)

    assert story.most_ordered <= 5


def test_no_more_than_twice_the_ready_pods_follow_from_the_first_seconds_of_load() -> None:
    story = PodStory(COMPUTES, cores=64.0, proxies=0.0, fits=100).run(20)
    story.run(2, rate=400.0)
    assert story.ordered == 1

    story.run(3, rate=400.0)
    assert story.ordered == 2
    assert reasons.GUESSED in story.codes()

    story.run(60, rate=400.0)

    assert story.completed_rate == pytest.approx(400, rel=0.01)
    assert story.most_ordered <= 2.0 * 400 * COMPUTES.each + 1
