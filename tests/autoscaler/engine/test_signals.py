"""Signals that cannot be trusted hold the last decision and say so (R22, R39)."""

import math
from dataclasses import replace

import pytest
from scaling_story import Story

from headrace.autoscaler.engine import Utilisation, reasons


@pytest.fixture
def running(story: Story) -> Story:
    """Thirteen pods under a steady load."""
    story.begin(13)
    story.run(90, 800)
    story.log.clear()
    return story


def _held(story: Story, seconds: int, code: str, *, replicas: int) -> None:
    assert len(story.log) == seconds
    assert all(decision.held and decision.has(code) for decision in story.log)
    assert {decision.replicas for decision in story.log} == {replicas}


def test_no_data_is_a_value_and_holds(running: Story) -> None:
    replicas = running.replicas
    for _ in range(900):
        running.now += 1
        running.decide(replace(running.observation(), load=None))

    _held(running, 900, reasons.NO_DATA, replicas=replicas)


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("arrived", math.nan, reasons.NOT_FINITE),
        ("executing_seconds", math.inf, reasons.NOT_FINITE),
        ("queued", -math.inf, reasons.NOT_FINITE),
        ("completed", -5.0, reasons.NEGATIVE),
        ("arrived", 1e308, reasons.IMPLAUSIBLE),
        ("queued_seconds", 1e15, reasons.IMPLAUSIBLE),
    ],
)
def test_numbers_that_count_nothing_hold(running: Story, field: str, value: float, code: str) -> None:
    replicas = running.replicas
    for _ in range(30):
        running.now += 1
        running._serve(800)
        seen = running.observation()
        assert seen.load is not None
        running.decide(replace(seen, load=replace(seen.load, **{field: value})))

    _held(running, 30, code, replicas=replicas)
    running.run(20, 800)
    assert running.replicas == replicas


def test_old_counters_hold(running: Story) -> None:
    replicas, seen = running.replicas, running.observation()
    running.now += 16
    running.log.clear()
    for _ in range(60):
        running.now += 1
        running.decide(seen)

    _held(running, 60, reasons.STALE, replicas=replicas)


def test_a_restarted_source_costs_one_interval(running: Story) -> None:
    replicas = running.replicas
    running._load = replace(running._load, arrived=0.0, completed=0.0, executing_seconds=0.0, queued_seconds=0.0)

    running.run(60, 800)

    assert [decision.held for decision in running.log] == [True] + [False] * 59
    assert running.log[0].has(reasons.COUNTER_RESET)
    assert running.replicas == replicas


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_clock_that_jumps_an_hour_starts_no_storm(running: Story, jump: float) -> None:
    replicas = running.replicas
    running.now += jump

    running.run(15, 800)

    assert {decision.replicas for decision in running.log} == {replicas}
    assert running.log[0].held
    running.run(300, 800)
    assert running.replicas == replicas


def test_counters_from_the_future_hold(running: Story) -> None:
    replicas = running.replicas
    running.now += 1
    decision = running.decide(replace(running.observation(), taken_at=running.now + 3600))

    assert decision.has(reasons.CLOCK_SKEW)
    assert decision.replicas == replicas


def test_a_lost_scrape_does_no_harm(running: Story) -> None:
    replicas = running.replicas
    for second in range(120):
        running.now += 1
        running._serve(800)
        if second % 3:
            running.decide(running.observation())

    assert {decision.replicas for decision in running.log} == {replicas}


def test_utilisation_that_makes_no_sense_is_left_out(running: Story) -> None:
    running.use = lambda _: Utilisation(cpu=math.nan, memory=-1.0, gpu_memory=7e9, tensor=math.inf)

    running.run(120, 800)

    assert not any(decision.held for decision in running.log)
    assert running.log[-1].concurrency == 4
