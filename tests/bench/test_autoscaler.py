"""The simulator is true to queueing theory, and the shipped engine clears its bars on short runs of the benchmark."""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # bench/ is a plain folder

pytest.importorskip("numba", reason="the benchmark's simulator needs the bench extra")

from bench.autoscaler import bars, bound, cells, dataplane, learning, loads, pace, page, services
from bench.autoscaler.bars import Row
from bench.autoscaler.policies import Apa, Setting, Static, Stats, Wanted
from bench.autoscaler.run import DRAIN_SECONDS, Case, run

pytestmark = pytest.mark.slow


def _case(name: str, *, seconds: int | None = None, seed: int = 0) -> Case:
    found = next(cell for cell in cells.cells() if cell.name == name).case(seed)
    return found if seconds is None else replace(found, seconds=seconds)


def _queue(rate: float, pods: int, *, seconds: int = 900) -> Case:
    """Poisson arrivals, exponential work of 50 ms, pods of four."""
    service = replace(services.WORKERS, draw=services.gamma(0.05, 1.0))
    random = np.random.default_rng(1)
    arrivals = loads.poisson(loads.steady(rate, seconds), random)
    setting = Setting(concurrency=4, target=2.8, initial=pods, min_replicas=1, max_replicas=pods, cores=4)
    return Case(
        name="queue",
        service=service,
        arrivals=arrivals,
        work=service.draw(random, arrivals.size),
        seconds=seconds,
        warm_seconds=60,
        setting=setting,
        cold_start_seconds=10,
        needed=pods,
    )


def test_every_request_is_somewhere() -> None:
    case = _case("spike", seconds=400)
    plane = dataplane.Plane(arrivals=case.arrivals, work=case.work, pods_max=16, slots_max=65, queue_max=10_000, seed=1)
    for pod in range(3):
        plane.serve(pod)
    service = case.service
    for second in range(1, 401):
        plane.advance(float(second), speed=service.speed, cpu=service.cpu, tensor=service.tensor, limit=4, slo=0.1)
        counted = (dataplane.COMPLETED, dataplane.REJECTED, dataplane.QUEUED, dataplane.EXECUTING)
        assert plane.scalar(dataplane.ARRIVED) == sum(plane.scalar(column) for column in counted)
        assert plane.scalar(dataplane.EXECUTING) <= 12


@pytest.mark.parametrize(("rate", "pods"), [(200.0, 3), (700.0, 10)])
def test_waits_are_those_of_erlang(rate: float, pods: int) -> None:
    """M/M/c with c = 4 slots a pod: P(wait > t) = C exp(-(c - a) t / S)."""
    offered, slots = rate * 0.05, 4 * pods
    blocked = 1.0
    for count in range(1, slots + 1):
        blocked = offered * blocked / (count + offered * blocked)
    waiting = slots * blocked / (slots - offered * (1 - blocked))
    outcome = run(_queue(rate, pods), Static(pods))

    expected = max(0.0, math.log(waiting / 0.01) * 0.05 / (slots - offered))  # where one in a hundred waits longer
    assert outcome.wait_p99 == pytest.approx(expected, rel=0.3)


def test_the_bound_is_below_every_fleet_that_serves_all() -> None:
    case = _queue(400.0, 7)
    outcome = run(case, Static(7))

    assert 0.9 * 5 * 840 < bound.pod_seconds(case) < outcome.pod_seconds


class _Shrinks:
    """Five pods, and four from the hundredth second on."""

    def observe(self, stats: Stats) -> Wanted:
        return Wanted(replicas=5 if stats.now < 100 else 4)

    def close(self) -> None:
        """Nothing was started."""


def test_a_pod_that_leaves_costs_until_it_has_drained() -> None:
    outcome = run(_queue(10.0, 5, seconds=300), _Shrinks())

    assert outcome.pod_seconds == pytest.approx(5 * (100 - 60) + 4 * 200 + DRAIN_SECONDS, abs=1)


def test_one_seed_is_one_result() -> None:
    case = _case("autothrottle-bursty", seconds=300)

    first, second = (run(case, Apa(case.setting)) for _ in range(2))

    assert first == second


def test_a_steady_load_moves_nothing() -> None:
    case = _case("steady")

    assert run(case, Apa(case.setting)).actions == 0


def test_a_step_has_its_capacity_one_cold_start_later_and_no_more_than_twice_the_pods() -> None:
    cell = next(cell for cell in cells.unlimited(cells.cells()) if cell.name == "step")
    case = replace(cell.case(0), seconds=200)
    outcome = run(case, Apa(case.setting))

    assert outcome.capacity_seconds <= 16
    assert outcome.peak_pods / case.needed <= 2.05
    assert outcome.cut == 0


def test_a_ramp_has_its_capacity_within_a_minute_at_thirty_seconds_of_cold_start() -> None:
    case = replace(_case("ramp60"), seconds=240)

    assert run(case, Apa(case.setting)).capacity_seconds <= 60


@pytest.mark.parametrize(
    ("name", "late", "cost", "actions"),
    [
        # What peers need for as few late requests, and a third of Knative's actions where it acts often.
        ("steady", 0.0001, 2412, 0),
        ("zigzag", 0.0022, 12_760, 8),
        ("diurnal", 0.0028, 21_200, 34),
        ("spike", 0.20, 35_880, 5),
        ("azure-functions-all", 0.0228, 29_445, 27),
        ("agent-ramp", 0.0096, 3_900, 7),
    ],
)
def test_loads_are_served_as_well_as_by_any_peer_for_less(name: str, late: float, cost: float, actions: int) -> None:
    case = _case(name)
    outcome = run(case, Apa(case.setting))

    assert outcome.violations <= late
    assert outcome.pod_seconds <= cost
    assert outcome.actions <= actions
    assert outcome.cut == 0


@pytest.mark.parametrize("name", ["xgboost", "agent", "image"])
def test_the_best_concurrency_is_learned(name: str) -> None:
    lesson = next(lesson for lesson in learning.lessons() if lesson.name == name)
    learned = learning.study(replace(lesson, rates=lesson.rates[:700]), 0)

    assert learned.error <= 0.15
    assert learned.extra_violations <= 0.01


@pytest.mark.long  # a time: on cores that other groups of tests share it says nothing of ours
def test_a_thousand_versions_are_decided_in_a_second() -> None:
    assert pace.tick_milliseconds() <= 1000


def test_the_best_concurrency_of_each_model_is_where_theory_puts_it() -> None:
    found = {
        service.name: service.best for service in (services.SKLEARN, services.XGBOOST, services.AGENT, services.IMAGE)
    }

    assert found == {"sklearn": 1, "xgboost": 4, "agent": 307, "image": 1}
    assert 12 <= services.LLM.best <= 18


def test_domination_and_best_settings_are_judged_as_they_read() -> None:
    def row(system: str, family: str, violations: float, cost: float) -> Row:
        values = {"violations": violations, "pod_seconds": cost}
        return Row(case="c", system=system, family=family, medians=values, lows=values, highs=values)

    ours = row("ours", "ours", 0.01, 100)
    cheap, good, better = row("a", "x", 0.02, 90), row("b", "x", 0.005, 150), row("c", "y", 0.01, 99)

    assert bars.dominated_by(ours, [cheap, good]) == []
    assert bars.dominated_by(ours, [better]) == ["c"]
    assert bars.best_settings([cheap, good, better]) == {"x": good, "y": better}


def test_the_page_shows_the_results_that_are_committed() -> None:
    root = Path(__file__).parents[2]
    text = (root / page.PAGE).read_text()

    assert page.render(text, json.loads((root / page.RESULTS).read_text())) == text
