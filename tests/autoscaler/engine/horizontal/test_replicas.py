"""How many pods there are, told as stories on a fake clock."""

import random
from pathlib import Path

import pytest
from scaling_story import Story

from headrace.autoscaler.engine import PodCounts, reasons


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
        (PodCounts(desired=1, ready=1, unschedulable=3), reasons.CAPACITY_SHORT, 2),  # what fits, and one more
        (PodCounts(desired=1, ready=1, failing=3), reasons.PODS_FAILING, 4),  # 5 slots of load and half for the queue
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
    assert any(decision.has(reasons.LIMIT_REACHED) for decision in story.log)


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
    assert any(decision.has(reasons.BUDGET_REACHED) for decision in story.log)


def test_an_idle_version_sleeps_and_a_request_wakes_it(story: Story) -> None:
    story.limits(min_replicas=0, idle_seconds=120.0)
    story.run(60, 10)
    story.run(115, 0)
    assert story.replicas == 1
    story.run(10, 0)
    assert story.replicas == 0

    story.run(1, 1)

    assert story.replicas == 1
    assert story.decision is not None
    assert story.decision.has(reasons.WOKEN)
    story.run(60, 0)
    assert story.replicas == 1


def test_a_stopped_version_has_no_pod_whoever_asks_and_comes_back_at_once(story: Story) -> None:
    story.run(60, 100)
    assert story.replicas >= 1
    story.limits(stopped=True)
    story.run(1, 100)
    assert story.replicas == 0
    story.run(30, 50)
    assert story.replicas == 0
    assert story.decision is not None
    assert story.decision.has(reasons.STOPPED)

    story.limits(stopped=None)
    story.run(2, 0)

    assert story.replicas >= 1


def test_a_version_that_starts_too_slowly_for_its_callers_does_not_sleep(story: Story) -> None:
    story.limits(min_replicas=0, idle_seconds=60.0, max_wait_seconds=5.0)
    story.cold_start = 10.0
    story.run(60, 10)
    story.run(120, 0)

    assert story.replicas == 1
    assert story.decision is not None
    assert [reason.message for reason in story.decision.reasons if reason.code == reasons.SPARE_KEPT] == [
        "a start takes 10.0 s, and maxWaitSeconds = 5: one pod is kept"
    ]
    story.cold_start = 4.0
    story.run(10, 0)
    assert story.replicas == 0


def test_every_decision_says_why_and_from_what(story: Story) -> None:
    story.run(60, lambda second: 10 + 20 * second)

    ups = [decision for decision in story.log if decision.has(reasons.SCALE_UP)]

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


def test_the_example_of_the_page_is_what_is_decided(story: Story) -> None:
    page = (Path(__file__).parents[4] / "docs" / "autoscaler.md").read_text(encoding="utf-8")
    story.begin(4)
    story.run(120, 150)
    story.run(1, 600)

    assert story.decision is not None
    reason = story.decision.reasons[0]
    assert f"\n{reason.code}: {reason.message}\n" in page
    story.run(14, 600)
    assert story.queue == 0
    story.run(19, 600)
    assert story.replicas == 10
    story.run(140, 150)
    assert sorted({each.replicas for each in story.log}) == [4, 8, 10, 15]
