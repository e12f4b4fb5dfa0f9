"""Simulated pods are true to queueing theory, to the plane without batching, and to what nodes do."""

import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # bench/ is a plain folder

pytest.importorskip("numba", reason="the benchmark's simulator needs the bench extra")

from bench.autoscaler import calibration, cells, dataplane, podservices, podstate, product
from bench.autoscaler.podplane import PodPlane
from bench.autoscaler.podrun import Place, PodCase, PodOutcome, run
from bench.autoscaler.podservices import PodService
from bench.autoscaler.policies import Apa, Static, Stats, Wanted

pytestmark = pytest.mark.slow

ALONE = Place(cores=math.inf, others=0.0, path_seconds=0.0, path_wait=0.0)
"""Nobody slows anybody down."""
COUNTED = ("ARRIVED", "COMPLETED", "REJECTED", "VIOLATED", "FAILED", "QUEUED", "EXECUTING", "NEXT", "READY")


def _exact(random: np.random.Generator, count: int) -> Any:
    """Requests that all cost the same."""
    return np.ones(count)


def _service(**changes: Any) -> PodService:
    """Calls of 2 ms and 0.1 ms a request, no front, one worker."""
    base = PodService(name="test", fixed_seconds=2e-3, each_seconds=1e-4, front_seconds=0.0, draw=_exact)
    return replace(base, **changes)


def _closed(service: PodService, connections: int, *, pods: int = 1, place: Place = ALONE) -> PodOutcome:
    """That many connections for half a minute on that many pods."""
    case = PodCase(
        name="closed", service=service, seconds=30, connections=connections, place=place, initial=pods
    )  # fmt: skip
    return run(case, Static(pods), keep_trace=True)


def test_pods_that_do_not_merge_are_those_of_the_plane_without_batching_number_for_number() -> None:
    case = next(cell for cell in cells.cells() if cell.name == "spike").case(0)
    service = case.service
    old = dataplane.Plane(
        arrivals=case.arrivals, work=case.work, pods_max=64, slots_max=65, queue_max=podstate.QUEUE, seed=1
    )  # fmt: skip
    new = PodPlane(arrivals=case.arrivals, costs=case.work, nodes=1, cores=math.inf, seed=1)
    new.arrays.count[podstate.HOLDS] = 1
    four = PodService(
        name="four workers", fixed_seconds=0.0, each_seconds=1.0, front_seconds=0.0, merges=False, workers=4, cores=4.0,
        draw=_exact,
    )  # fmt: skip
    law = four.law(4, slo=0.1)
    law[podstate.LANES], law[podstate.ADMIT] = 4, 4
    new.arrays.law[:] = law
    for second in range(1, 401):
        if second in (1, 2, 3, 50, 100, 150, 290, 291, 292, 293):
            old.serve(second % 64)
            new.serve(second % 64, 0)
        if second in (120, 320):
            (leaves,) = old.least_busy(1)
            assert new.least_busy(1) == [leaves]
            old.drain(leaves)
            new.drain(leaves)
        old.advance(float(second), speed=service.speed, cpu=service.cpu, tensor=service.tensor, limit=4, slo=0.1)
        new.advance(float(second))
        for name in COUNTED:
            assert old.scalar(getattr(dataplane, name)) == new.scalar(getattr(podstate, name)), (name, second)
    assert old.count[dataplane.REJECTED] > 0  # the spikes overflow the queue, or the test would say little
    assert (old.waits == new.arrays.waits).all()
    for old_column, new_column in (
        (dataplane.EXECUTING_SECONDS, podstate.EXECUTING_SECONDS),
        (dataplane.QUEUED_SECONDS, podstate.QUEUED_SECONDS),
    ):
        assert old.total[old_column] == pytest.approx(new.arrays.total[new_column], rel=1e-9)


def test_a_pod_answers_what_its_workers_can_merge() -> None:
    """W n / (a + b n), where more waits than two workers take at once."""
    service = _service(workers=2, cores=2.0)
    outcome = _closed(service, 4 * service.most)

    assert service.most == 180  # of a call's time a tenth is overhead
    assert outcome.answers == pytest.approx(2 * 180 / (2e-3 + 180 * 1e-4), rel=0.02)
    assert outcome.answers == pytest.approx(service.rate(), rel=0.02)
    assert outcome.refused == 0


def test_a_lone_pod_merges_what_came_while_it_was_busy() -> None:
    """One worker, 40 connections: a call of one, then the other 39 beside it; no worker waits to fill a call."""
    assert _closed(_service(), 40).answers == pytest.approx(40 / (2 * 2e-3 + 40 * 1e-4), rel=0.02)


def test_a_limit_of_one_takes_merging_away() -> None:
    class One(Static):
        def observe(self, stats: Stats) -> Wanted:
            return Wanted(replicas=1, concurrency=1)

    case = PodCase(name="limited", service=_service(), seconds=30, connections=40, place=ALONE)

    assert run(case, One(1)).answers == pytest.approx(1 / 2.1e-3, rel=0.05)


def test_littles_law_holds_of_what_waits_and_executes() -> None:
    service = _service()
    case = PodCase(name="open", service=service, seconds=60, rates=np.full(60, 3000.0), place=ALONE)
    seen: list[Stats] = []

    class Watches(Static):
        def observe(self, stats: Stats) -> Wanted:
            seen.append(stats)
            return super().observe(stats)

    outcome = run(case, Watches(1))
    first, last = seen[40], seen[-1]
    inside = last.executing_seconds + last.queued_seconds - first.executing_seconds - first.queued_seconds
    each = inside / (last.completed - first.completed)

    assert outcome.answers == pytest.approx(3000, rel=0.02)
    assert each == pytest.approx(outcome.p50, rel=0.25)  # the mean is near the middle: calls are alike
    assert last.current_requests == pytest.approx(3000 * each, rel=0.2)


def test_a_closed_loop_sends_as_its_answers_come() -> None:
    """Ten callers of a model that waits a second: ten answers a second, whatever the number of pods."""
    service = replace(podservices.CALLERS, front_seconds=0.0)
    for pods in (1, 3):
        outcome = _closed(service, 10, pods=pods)
        assert outcome.answers == pytest.approx(10.0, rel=0.04)
        assert outcome.p99 == pytest.approx(1.0, rel=0.05)


def test_the_proxies_take_their_time_and_their_cores() -> None:
    slow = replace(ALONE, path_seconds=1e-3, path_wait=9e-3)
    alone = _closed(_service(), 1, place=slow)
    crowd = _closed(_service(), 200, place=replace(slow, cores=2.0))

    assert alone.answers == pytest.approx(1 / (10e-3 + 2.1e-3), rel=0.02)
    assert crowd.answers < 2 / 1e-3  # two cores, a millisecond a request, and the pod besides


def test_a_full_node_slows_all_its_pods_alike() -> None:
    """Four busy pods that want a core each on two cores, one of which others use."""
    service = _service(merges=False)
    one = _closed(service, 64, pods=4)
    shared = _closed(service, 64, pods=4, place=replace(ALONE, cores=2.0, others=1.0))

    assert one.answers == pytest.approx(4 / 2.1e-3, rel=0.02)
    assert shared.answers == pytest.approx(one.answers * 2 / 5, rel=0.03)


def test_a_pods_limit_throttles_its_front_and_its_worker() -> None:
    service = _service(merges=False, front_seconds=1e-3, cores=0.5)

    assert _closed(service, 16).answers == pytest.approx(0.5 / 3.1e-3, rel=0.02)


class _Adds(Static):
    """One pod, and more from the tenth second of the load on."""

    def __init__(self, pods: int) -> None:
        super().__init__(1)
        self.pods = pods
        self.seen: list[Stats] = []

    def observe(self, stats: Stats) -> Wanted:
        self.seen.append(stats)
        return Wanted(replicas=self.pods if stats.now >= 40 else 1)


def test_starts_burn_what_their_neighbours_want() -> None:
    service = _service(merges=False, start_seconds=2.0, start_cpu_seconds=5.0)
    case = PodCase(
        name="starts", service=service, seconds=60, connections=1, initial=1,
        place=replace(ALONE, cores=1.0, room=2),
    )  # fmt: skip
    outcome = run(case, _Adds(2), keep_trace=True)
    answers, ready = outcome.trace["answers"], outcome.trace["ready"]
    first = ready.index(2.0)

    assert answers[15] < 0.6 * answers[5]  # half of the core
    assert answers[-5] == pytest.approx(answers[5], rel=0.05)
    assert first == pytest.approx(10 + 2.5 + 2 * 5.0, abs=1.5)  # and the start takes twice as long


def test_what_no_node_has_room_for_is_told_and_placed_when_there_is() -> None:
    adds = _Adds(5)
    case = PodCase(
        name="room", service=_service(), seconds=60, connections=1, place=replace(ALONE, nodes=2, room=2)
    )  # fmt: skip
    outcome = run(case, adds, keep_trace=True)

    assert outcome.trace["ready"][-1] == 4
    assert adds.seen[-1].unschedulable == 1
    assert outcome.ordered_max == 5


def test_a_front_tells_what_its_calls_cost() -> None:
    """And on a crowded node as much more as they take, with as many more at once as a free node would allow."""
    told: list[Any] = []

    class Watches(Static):
        def observe(self, stats: Stats) -> Wanted:
            told.append(stats.calls)
            return super().observe(stats)

    service = _service()
    case = PodCase(name="curve", service=service, seconds=20, connections=40, place=ALONE)
    run(case, Watches(1))
    alone = told[-1]
    run(replace(case, place=replace(ALONE, cores=1.0, others=1.0)), Watches(1))
    crowded = told[-1]

    assert told[0] is None
    assert alone.fixed_seconds == pytest.approx(2e-3, rel=0.02)
    assert alone.request_seconds == pytest.approx(1e-4, rel=0.02)
    assert alone.at_once == pytest.approx(1.0)
    assert crowded.fixed_seconds == pytest.approx(2 * alone.fixed_seconds, rel=0.05)
    capacities = [each.at_once / (each.fixed_seconds / each.requests_max + each.request_seconds) for each in
                  (alone, crowded)]  # fmt: skip
    assert capacities[1] == pytest.approx(capacities[0], rel=0.02)


def test_the_engine_at_its_defaults_serves_waiting_callers_with_a_few_pods() -> None:
    case = PodCase(name="callers", service=podservices.CALLERS, seconds=60, connections=50)
    outcome = run(case, Apa(case.setting, vertical=True))

    assert outcome.ordered_max <= 3
    assert outcome.refused == 0
    assert outcome.p99 <= 1.5


def test_one_seed_is_one_result() -> None:
    case = PodCase(name="same", service=podservices.MIXED, seconds=20, connections=8)

    first, second = (run(case, Static(2), keep_trace=True) for _ in range(2))

    assert first.trace == second.trace
    assert first.p99 == second.p99


def test_services_answer_as_many_as_were_measured() -> None:
    for point in calibration.points():
        assert abs(point.apart) <= calibration.NEAR, point


def test_orders_that_did_not_fit_are_counted_from_the_first_that_did_not() -> None:
    assert product.decisions_beyond((2, 4), room=4) == 0
    assert product.decisions_beyond((2, 5), room=4) == 0  # what fits and one
    assert product.decisions_beyond((11, 5, 4, 5), room=4) == 2
    assert product.decisions_beyond((11, 20, 57, 5), room=4) == 4
