"""The horizontal axis, told as stories on a fake clock."""

import random

import pytest
from scaling_story import Story

from headrace.autoscaler.engine import Memory, PodCounts, Profile, horizontal, model, windows
from headrace.autoscaler.engine.capacity import REQUESTS, Capacity
from headrace.autoscaler.engine.model import Bucket

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


def test_a_steady_load_moves_nothing(story: Story) -> None:
    arrivals = random.Random(1)
    story.begin(15)
    story.run(300, lambda _: arrivals.gauss(1000, 1000**0.5))
    story.log.clear()

    story.run(1200, lambda _: arrivals.gauss(1000, 1000**0.5))

    assert story.actions == 0


def test_pods_go_when_the_need_is_two_cold_starts_old(story: Story) -> None:
    story.begin(16)
    story.run(120, 1000)
    kept = story.replicas

    story.run(15, 100)
    assert story.replicas == kept
    story.run(45, 100)
    assert story.replicas == 3


def test_a_restarted_controller_keeps_the_pods_it_finds(story: Story) -> None:
    """knative#4795: seven pods became one because the history was empty."""
    story.begin(7)
    story.restart()

    story.run(15, 10)

    assert {decision.replicas for decision in story.log} == {7}


def test_pending_pods_do_not_ask_for_more_pods(story: Story) -> None:
    """aibrix#2670: each look multiplied what had not started yet."""
    story.cold_start = 10_000.0
    story.begin(1)
    story._born = [-20_000.0]
    story.run(30, 40)

    story.run(120, 400)

    assert len({decision.replicas for decision in story.log[-60:]}) == 1
    assert story.replicas <= 3 * 400 / 80


@pytest.mark.parametrize(
    ("pods", "code", "ordered"),
    [
        (PodCounts(desired=1, ready=1, unschedulable=3), model.CAPACITY_SHORT, 2),  # what fits, and one more
        (PodCounts(desired=1, ready=1, failing=3), model.PODS_FAILING, 4),  # 5 slots of load and half for the queue
    ],
)
def test_pods_that_cannot_start_are_a_condition_and_no_loop(
    story: Story, pods: PodCounts, code: str, ordered: int
) -> None:
    story.run(30, 40)
    story.pods = pods
    story.run(60, 100)

    assert story.decision is not None
    assert story.decision.has(code)
    assert {decision.replicas for decision in story.log[-30:]} == {ordered}


def test_bounds_hold_and_say_so(story: Story) -> None:
    story.limits(max_replicas=3)
    story.run(60, 1000)

    assert story.replicas == 3
    assert any(decision.has(model.LIMIT_REACHED) for decision in story.log)


def test_bounds_changed_under_load_hold_at_the_next_look(story: Story) -> None:
    story.begin(15)
    story.run(60, 1000)

    story.limits(max_replicas=5)
    story.run(1, 1000)
    assert story.replicas == 5

    story.limits(max_replicas=50, min_replicas=20)
    story.run(1, 1000)
    assert story.replicas >= 20


def test_a_budget_is_a_hard_limit_and_has_its_own_reason(story: Story) -> None:
    story.limits(cost_per_hour=2.0, pod_cost_per_hour=0.5, min_replicas=6)
    story.run(60, 1000)

    assert story.replicas == 4  # below min_replicas: the budget is the harder rule
    assert any(decision.has(model.BUDGET_REACHED) for decision in story.log)


def test_an_idle_version_sleeps_and_a_call_wakes_it(story: Story) -> None:
    story.limits(min_replicas=0, idle_seconds=120.0)
    story.run(60, 10)
    story.run(115, 0)
    assert story.replicas == 1

    story.run(10, 0)
    assert story.replicas == 0

    story.run(1, 0, wake=True)
    assert story.replicas == 1
    assert story.decision is not None
    assert story.decision.has(model.WOKEN)
    story.run(60, 0)
    assert story.replicas == 1


def test_requests_for_a_sleeping_version_wake_it_without_a_call(story: Story) -> None:
    story.limits(min_replicas=0, idle_seconds=30.0)
    story.run(120, 0)
    assert story.replicas == 0

    story.run(1, 1)

    assert story.replicas == 1


def test_a_burst_within_each_second_gets_room_though_the_mean_is_small(story: Story) -> None:
    """knative#15000: ten requests at once each second on one worker look like a tenth of a request on average."""
    story.limits(min_concurrency=1, max_concurrency=1)
    story.service = lambda _: 0.01
    story.run(60, 10)
    for _ in range(900):  # each burst waits 45 ms a request on one pod, less on more
        story.now += 1
        story._serve(10.0)
        waited = sum(max(0, index // story.replicas) for index in range(10)) * 0.01
        load = story._load
        story._load = type(load)(
            arrived=load.arrived,
            completed=load.completed,
            executing_seconds=load.executing_seconds,
            queued_seconds=load.queued_seconds + waited,
            executing=load.executing,
        )
        story.decide(story.observation())

    assert 4 <= story.replicas <= 20
    assert any(decision.has(model.BURSTY) for decision in story.log)


def test_every_decision_says_why_and_from_what(story: Story) -> None:
    story.run(60, lambda second: 10 + 20 * second)

    ups = [decision for decision in story.log if decision.has(model.SCALE_UP)]

    assert ups
    for decision in ups:
        assert {"demand", "rate", "service_seconds", "share", "cold_start_seconds"} <= set(decision.inputs)
        needed = decision.inputs["demand"] / decision.target
        assert decision.replicas - 1 < needed <= decision.replicas


def _steady(story: Story) -> None:
    """Five pods, which take half a minute to start, under a load that they serve."""
    story.cold_start = 30.0
    story.begin(5)
    story.run(200, 240)


def _burst(story: Story) -> int:
    """Two seconds that five pods cannot serve; the pods that are wanted then."""
    story.run(2, 600)
    return story.replicas


def test_pods_ordered_for_a_burst_go_before_they_serve_when_it_is_over(story: Story) -> None:
    _steady(story)
    ordered = _burst(story)
    story.run(10, 240)

    assert ordered >= 9
    assert story.ready == 5
    assert story.replicas <= 6


def test_pods_ordered_for_a_step_stay(story: Story) -> None:
    _steady(story)
    ordered = _burst(story)
    story.run(40, 600)

    assert min(decision.replicas for decision in story.log[-40:]) >= ordered


def test_pods_stay_where_bursts_were_seen_to_return(story: Story) -> None:
    _steady(story)
    _burst(story)
    story.run(20, 240)
    assert story.replicas <= 6

    ordered = _burst(story)
    story.run(40, 240)

    assert story.replicas == story.ready == ordered >= 9


def test_a_restarted_controller_takes_no_order_back(story: Story) -> None:
    _steady(story)
    story.restart()
    story.run(15, 240)

    ordered = _burst(story)
    story.run(15, 240)

    assert story.replicas == ordered >= 9


def test_what_a_line_of_minutes_explains_is_no_step() -> None:
    """The mean of 20 s lags 5 a second behind a load that grows by half a request a second each second."""
    memory = Memory(profile=Profile(busy=5.0, done=100.0, concurrency=4))
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
        buckets, coarse = windows.push(memory.buckets, bucket), windows.push_coarse(memory.coarse, bucket)
        memory = Memory(profile=memory.profile, buckets=buckets, coarse=coarse)

    demand = horizontal.measure(memory, queued=0.0, start_seconds=10.0, ready=10, capacity=POD)
    without = horizontal.measure(
        Memory(profile=memory.profile, buckets=memory.buckets), queued=0.0, start_seconds=10.0, ready=10, capacity=POD
    )

    assert without.rate == 300
    assert demand.rate == pytest.approx(247.5, abs=1)
