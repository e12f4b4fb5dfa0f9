"""What the bars of bench-product make of outcomes: which apply, and whether they hold."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # bench/ is a plain folder

from bench import report
from bench.product import bars, plan
from bench.product.outcome import FIXED, OURS, Outcome
from bench.product.usage import PODS, POP


def looks(ordered: list[int], *, ready: int = 1) -> list[dict[str, Any]]:
    """One a second."""
    same = {"placed": ready, "ready": ready, "concurrency": 1, "reason": ""}
    return [{"second": second, "ordered": pods, "alive": pods, **same} for second, pods in enumerate(ordered)]


def track(*answers: int) -> list[dict[str, Any]]:
    return [{"second": second, "answers": each} for second, each in enumerate(answers)]


def outcome(
    case: str,
    system: str = OURS,
    *,
    rate: float = 100.0,
    p99_ms: float = 10.0,
    failures: int = 0,
    ordered: list[int] | None = None,
    cores: float = 0.5,
    **more: Any,
) -> Outcome:
    """Ten seconds of a load; `cores` are those that the pods used."""
    load = {
        "answers": int(rate * 10), "failures": failures, "sent": int(rate * 10) + failures, "p50_ms": 5.0,
        "p90_ms": 8.0, "p99_ms": p99_ms, "client_cpu_seconds": 1.0, "track": track(*[int(rate)] * 10),
        **more.pop("load", {}),
    }  # fmt: skip
    cpu = more.pop("cpu", {PODS: 10 * cores})
    return Outcome(
        case=case, system=system, seconds=10, load=load, looks=looks(ordered or [1] * 10), cpu=cpu, **more
    )  # fmt: skip


def fixed(case: str, pods: int, **more: Any) -> Outcome:
    return outcome(case, f"{FIXED}, {pods} pods", pods=pods, **more)


def judged(*outcomes: Outcome) -> dict[str, report.Bar]:
    return {bar.name: bar for bar in bars.bars(outcomes)}


def test_a_load_that_one_pod_carries_wants_few_pods_and_nearly_what_fixed_pods_give() -> None:
    found = judged(
        outcome("forest", rate=95, p99_ms=14, ordered=[1, 1, 2, 2]),
        fixed("forest", 1, rate=100, p99_ms=10),
        fixed("forest", 2, rate=101, p99_ms=8),
    )

    assert all(bar.holds for bar in found.values())
    assert found["forest: answers over ours fixed"].value == pytest.approx(0.95)
    assert found["forest: p99 over ours fixed"].value == pytest.approx(1.4)


@pytest.mark.parametrize(
    ("missed", "more"),
    [
        ("forest: pods ordered", {"ordered": [1, 3, 1, 1]}),
        ("forest: answers over ours fixed", {"rate": 89}),
        ("forest: p99 over ours fixed", {"p99_ms": 15.1}),
        ("forest: failures", {"failures": 1}),
    ],
)
def test_each_of_these_bars_can_be_missed(missed: str, more: dict[str, Any]) -> None:
    found = judged(outcome("forest", **more), fixed("forest", 1))

    assert [name for name, bar in found.items() if not bar.holds] == [missed]


@pytest.mark.parametrize("one", [{"cores": 0.71}, {"cores": 0.5, "rate": 80}])
def test_a_load_that_one_pod_does_not_carry_is_not_held_to_one_pod(one: dict[str, Any]) -> None:
    assert not judged(outcome("wait", ordered=[9]), fixed("wait", 1, **one), fixed("wait", 2))


def test_fewer_connections_than_one_pod_carries_are_held_to_its_pods() -> None:
    found = judged(outcome("forest"), outcome("forest, 16 connections", ordered=[3]), fixed("forest", 1))

    assert not found["forest, 16 connections: pods ordered"].holds


def test_answers_after_the_last_request_are_no_throughput() -> None:
    assert outcome("callers", load={"track": track(*[50] * 10, 400)}).rate == 50


def test_callers_that_wait_are_judged_from_the_first_second() -> None:
    good = judged(outcome("callers", p99_ms=1400, ordered=[1, 3, 3]))
    bad = judged(outcome("callers", p99_ms=1600, failures=1, ordered=[1, 4, 3]))

    assert [bar.holds for bar in good.values()] == [True] * 3
    assert [bar.holds for bar in bad.values()] == [False] * 3


def test_the_time_to_capacity_runs_from_the_step_to_three_full_seconds() -> None:
    rates = [10.0] * 3 + [100.0] * 7

    assert bars.capacity_seconds(track(10, 10, 10, 100, 100, 100, 99, 100, 100, 100), rates, 3) == 0
    assert bars.capacity_seconds(track(10, 10, 10, 40, 100, 60, 99, 100, 100, 100), rates, 3) == 3
    assert bars.capacity_seconds(track(10, 10, 10, 40, 50, 60, 50, 50, 50, 50), rates, 3) == float("inf")


def test_steps_are_judged_by_their_highest_and_by_how_fast_pods_start() -> None:
    load = {"rates": [10.0] * 3 + [100.0] * 7, "track": track(10, 10, 10, 40, 50, 60, 50, 50, 50, 50)}
    found = judged(outcome("steps", load=load, ordered=[1, 2, 3], starts={"a": 4.0}))

    assert found["steps: capacity after the highest"].rule == "<= 10 s; never"
    assert not found["steps: capacity after the highest"].holds
    assert not found["steps: pods ordered over those needed"].holds
    assert found["steps: failures"].holds


@pytest.mark.parametrize(
    ("ordered", "decisions"),
    [
        ([1, 2, 4, 4, 4], 0),  # never above what fits
        ([1, 2, 5, 5, 5], 0),  # one more than fits
        ([1, 2, 8, 5, 5], 1),
        ([1, 5, 8, 5, 5], 2),
        ([1, 5, 8, 9, 5, 5, 7, 4], 5),
    ],
)
def test_orders_beyond_a_full_node_are_counted_until_they_stop(ordered: list[int], decisions: int) -> None:
    assert bars.decisions_beyond(ordered, 4) == decisions
    found = judged(outcome(bars.FULL, ordered=ordered, room=4))
    assert [bar.holds for bar in found.values()] == [decisions <= 2, max(ordered) <= 5]


def test_ours_pays_for_its_proxies_against_the_best_peer() -> None:
    """Ours: 1 ms a request, of which the pods' is half; the best peer 9 ms, the quickest another one."""
    found = judged(
        outcome("forest", cpu={PODS: 0.5, POP: 0.5, "autoscaler": 9.0}, p99_ms=20),
        outcome("forest", "mlflow", cpu={PODS: 9.0}, p99_ms=50),
        outcome("forest", "bentoml", cpu={PODS: 12.0}, p99_ms=19),
    )

    assert found["forest: requests a CPU-second over mlflow with HPA"].value == pytest.approx(9)
    assert found["forest: requests a CPU-second over mlflow with HPA"].holds
    assert not found["forest: p99 over bentoml with HPA"].holds


def test_the_slowest_form_is_held_against_the_fastest() -> None:
    found = judged(
        outcome("form: split", rate=100), outcome("form: CSV", rate=49), outcome("form: CSV", "mlflow", rate=9)
    )

    assert not found["forms: CSV over the fastest"].holds


def test_the_plan_fits_the_time_that_it_may_take() -> None:
    assert sum(case.expected_seconds for case in plan.CASES) < plan.BUDGET_SECONDS - 180


def test_a_case_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(SystemExit, match=r"--cases = forest,woods: woods is none of logistic, .*cnn"):
        plan.chosen(["forest", "woods"], quick=False)
