"""A load whose minutes are alike and whose seconds are not is served by the published rule."""

import math
import random
from collections.abc import Callable

import pytest
from scaling_story import Story

from headrace.autoscaler.engine import model
from headrace.autoscaler.engine.model import Bucket
from headrace.autoscaler.engine.noise import height


def white(height: float, mean: float = 1000.0, seed: int = 1) -> Callable[[int], float]:
    dice = random.Random(seed)
    return lambda second: max(0.0, mean * (1.0 + height * dice.gauss(0.0, 1.0)))


def noisy(story: Story) -> list[bool]:
    return [decision.has(model.NOISY) for decision in story.log]


def test_noise_is_served_by_the_published_rule_and_not_followed(story: Story) -> None:
    story.begin(18)
    load = white(0.5)
    for second in range(900):
        story.run(1, load(second))
        assert not noisy(story)[-1] or story.replicas == story.memory.ruled  # to the pod

    assert any(noisy(story)[420:])
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

    assert not any(noisy(story))


def test_a_step_out_of_noise_gets_its_pods(story: Story) -> None:
    story.begin(18)
    steady, stepped = white(0.3), white(0.3, mean=4000.0, seed=2)
    story.run(400, steady)
    assert any(noisy(story))

    story.run(60, stepped)

    assert story.replicas >= 4000 * 0.05 / 4


def test_low_noise_is_served_with_fewer_pods_than_the_rule_has_or_as_many(story: Story) -> None:
    story.begin(18)
    story.run(600, white(0.05))

    assert not any(noisy(story)[200:])
    assert story.memory.ruled is not None
    assert 1000 * 0.05 / 4 < story.replicas <= story.memory.ruled


def test_a_small_fleet_has_the_pods_of_the_rule_and_no_more(story: Story) -> None:
    story.begin(2)
    story.run(600, white(0.02, mean=100.0))

    assert story.replicas == 2  # 5 at once over 2.8 a pod


def test_a_step_out_of_a_steady_load_gets_its_pods_at_once(story: Story) -> None:
    story.begin(18)
    story.run(400, white(0.02))
    assert story.memory.steady > 0

    story.run(2, 4000)

    assert story.replicas >= 4000 * 0.05 / 4


def test_a_queue_that_a_ramp_left_buys_nothing_when_the_load_is_steady_again(story: Story) -> None:
    story.begin(1)
    story.run(150, 10)
    story.run(60, lambda second: 10 + 100.0 * second)
    begun = len(story.log)
    story.run(500, white(0.2, mean=6000.0))

    assert max(decision.replicas for decision in story.log[begun + 60 :]) <= 2 * 6000 * 0.05 / 2.8


def test_a_poisson_stream_is_no_noise() -> None:
    dice = random.Random(3)
    counts = [sum(dice.random() < 0.1 for _ in range(1000)) for _ in range(60)]
    buckets = [
        Bucket(
            end=float(second),
            seconds=1.0,
            arrived=float(count),
            completed=0.0,
            executing_seconds=0.0,
            queued_seconds=0.0,
            executing=0.0,
        )
        for second, count in enumerate(counts)
    ]

    found = height(buckets)

    assert found is not None
    assert found < 0.08
