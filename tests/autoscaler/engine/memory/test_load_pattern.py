"""A load whose minutes are alike and whose seconds are not is served by the published rule."""

import math
from collections.abc import Callable

import pytest
from arrivals import white
from scaling_story import Story

from headrace.autoscaler.engine import reasons


def test_noise_is_served_by_the_published_rule_and_not_followed(story: Story) -> None:
    story.begin(18)
    load = white(0.5)
    for second in range(900):
        story.run(1, load(second))
        ruled = story.memory.history.published.pods
        assert not story.with_reason(reasons.NOISY)[-1] or story.replicas == ruled  # to the pod

    assert any(story.with_reason(reasons.NOISY)[420:])
    assert story.actions <= 20
    # The most of five minutes of the mean of twenty seconds, over seven tenths of four slots; 50 ms a request. What
    # waits counts too.
    assert 1000 * 0.05 / (0.7 * 4) <= story.replicas <= 2.0 * 1.4 * 1000 * 0.05 / (0.7 * 4)


@pytest.mark.parametrize(
    "load",
    [
        lambda second: 1000.0,
        lambda second: 500.0 + 2.0 * second,
        lambda second: 500.0 + 450.0 * math.sin(second / 150.0),
        lambda second: 200.0 if second % 300 < 280 else 2000.0,
        lambda second: 100.0 if second < 300 else 1000.0,
    ],
    ids=["constant", "ramp", "wave", "spikes", "step"],
)
def test_a_load_that_can_be_followed_is_followed(story: Story, load: Callable[[int], float]) -> None:
    story.begin(20)
    story.run(600, load)

    assert not any(story.with_reason(reasons.NOISY))


def test_a_step_out_of_noise_gets_its_pods(story: Story) -> None:
    story.begin(18)
    steady, stepped = white(0.3), white(0.3, mean=4000.0, seed=2)
    story.run(400, steady)
    assert any(story.with_reason(reasons.NOISY))

    story.run(60, stepped)

    assert story.replicas >= 4000 * 0.05 / 4


def test_a_step_out_of_a_steady_load_gets_its_pods_at_once(story: Story) -> None:
    story.begin(18)
    story.run(400, white(0.02))
    assert story.memory.learned.steady.rate > 0

    story.run(2, 4000)

    assert story.replicas >= 4000 * 0.05 / 4


def test_a_queue_that_a_ramp_left_buys_nothing_when_the_load_is_steady_again(story: Story) -> None:
    story.begin(1)
    story.run(150, 10)
    story.run(60, lambda second: 10 + 100.0 * second)
    begun = len(story.log)
    story.run(500, white(0.2, mean=6000.0))

    assert max(decision.replicas for decision in story.log[begun + 60 :]) <= 2 * 6000 * 0.05 / 2.8
