"""What a load asks for: rate, growth and backlog apart."""

from dataclasses import replace

import pytest
from scaling_story import Story

from headrace.autoscaler.engine import History, Learned, Memory, Profile
from headrace.autoscaler.engine.horizontal.capacity import REQUESTS, Capacity
from headrace.autoscaler.engine.horizontal.demand import measured
from headrace.autoscaler.engine.statistics import buckets as buckets_of
from headrace.autoscaler.engine.statistics.buckets import Bucket

POD = Capacity(slots=4.0, seconds=0.05, source=REQUESTS)


def test_a_step_gets_its_pods_in_the_first_second_and_not_many_more(story: Story) -> None:
    story.run(60, 10)
    story.run(1, 10_000)

    assert story.replicas >= 125  # 80 requests a second a pod

    story.run(60, 10_000)
    assert max(decision.replicas for decision in story.log) <= 250
    assert story.replicas >= 139  # nine tenths full


def test_a_backlog_is_drained_and_not_mistaken_for_load(story: Story) -> None:
    story.begin(13)
    story.run(60, 800)
    story.queue = 10_000

    story.run(2, 800)

    assert 13 < story.replicas <= 2 * 800 / 80 + 1  # current requests over target would have asked for 3,700
    story.run(120, 800)
    assert story.replicas <= 15


def test_a_ramp_is_met_ahead_of_its_cold_start(story: Story) -> None:
    story.cold_start = 30.0
    story.run(120, 10)
    story.run(30, lambda second: 10 + 166.5 * second)

    ordered_at_half = story.replicas

    assert ordered_at_half > 5_000 / 80 * 1.5  # more than the load of now, for the load of 30 s from now
    story.run(30, lambda second: 5_005 + 166.5 * second)
    assert story.ready >= 10_000 / 80 * 0.9


def test_what_a_line_of_minutes_explains_is_no_step() -> None:
    """The mean of 20 s lags 5 a second behind a load that grows by half a request a second each second."""
    history, learned = History(), Learned(profile=Profile(busy=5.0, done=100.0, concurrency=4))
    for second in range(1, 301):
        arrived = 100 + second / 2 if second < 300 else 300.0
        bucket = Bucket(
            end=float(second),
            seconds=1.0,
            arrived=arrived,
            completed=arrived,
            executing_seconds=arrived / 20,
            queued_seconds=0.0,
            executing=arrived / 20,
        )
        history = History(
            buckets=buckets_of.push(history.buckets, bucket),
            stretches=buckets_of.push_stretch(history.stretches, bucket),
        )

    def rate(seen: History) -> float:
        memory = Memory(history=seen, learned=learned)
        return measured(memory, queued=0.0, start_seconds=10.0, ready=10, capacity=POD).rate

    assert rate(replace(history, stretches=())) == 300
    assert rate(history) == pytest.approx(247.5, abs=1)
