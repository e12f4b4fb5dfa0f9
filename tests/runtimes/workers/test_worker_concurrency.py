"""How many calls a worker runs at once follows from the CPU its calls use."""

import pytest

from headrace.runtimes.pod.processes import CpuPressure
from headrace.runtimes.workers.worker_concurrency import MOST, CallUse, WorkerConcurrency


def crowd(lanes: WorkerConcurrency, cores_per_call: float, *, most_cores: float = 1.0, steps: int = 20) -> int:
    """`most_cores`: what others leave it of the one core that its interpreter can use."""
    cpu = starved = 0.0
    for step in range(steps):
        lanes.observe(step * 0.05, CpuPressure(cpu, starved, ready=False))
        wanted = min(1.0, lanes.count * cores_per_call)
        cpu += 0.05 * min(most_cores, wanted)
        starved += 0.05 * max(0.0, wanted - most_cores)
    return lanes.count


def test_a_model_that_computes_runs_one_call_at_a_time() -> None:
    assert crowd(WorkerConcurrency(), 1.0) == 1


def test_a_model_that_computes_does_so_on_a_busy_machine_too() -> None:
    assert crowd(WorkerConcurrency(), 1.0, most_cores=0.3) == 1


def test_nothing_is_concluded_while_a_thread_waits_for_a_core() -> None:
    lanes = WorkerConcurrency()
    lanes.observe(0.0, CpuPressure(0.0, 0.0, ready=True))

    assert not lanes.observe(0.05, CpuPressure(0.004, 0.0, ready=True))
    assert not lanes.observe(0.10, CpuPressure(0.014, 0.086, ready=False))
    assert lanes.count == 1


def test_a_model_that_waits_runs_hundreds() -> None:
    assert crowd(WorkerConcurrency(), 0.002) >= 300


def test_hundreds_are_reached_within_a_few_looks() -> None:
    assert crowd(WorkerConcurrency(), 0.001, steps=5) >= 100


def test_a_model_that_half_waits_settles_where_the_core_is_used() -> None:
    assert crowd(WorkerConcurrency(), 0.5) == 2


def test_lanes_shrink_when_calls_begin_to_compute() -> None:
    lanes = WorkerConcurrency()
    lanes.count = 8

    assert crowd(lanes, 1.0, steps=30) == 1


def test_an_idle_time_between_is_not_taken_for_room() -> None:
    lanes = WorkerConcurrency()
    lanes.observe(0.0, CpuPressure(0.0, 0.0, ready=False))
    lanes.idle()

    assert not lanes.observe(100.0, CpuPressure(0.1, 0.0, ready=False))
    assert lanes.count == 1


def used(cpu_share: float, starved_share: float = 0.0, *, merges: bool = False, seconds: float = 4.0) -> float:
    """Calls at once after calls of that many seconds in all, which used and lacked a core for these shares of them."""
    use = CallUse()
    use.begin(CpuPressure(7.0, 3.0, ready=False))  # its start is not a call's use
    use.called(seconds)
    return use.at_once(
        CpuPressure(7.0 + cpu_share * seconds, 3.0 + starved_share * seconds, ready=False), merges=merges
    )


def test_calls_that_wait_leave_a_core_room_for_hundreds() -> None:
    assert used(0.001) == MOST
    assert used(0.1) == pytest.approx(8.5)
    assert used(1.0) == 1.0


def test_a_worker_that_merges_runs_one_call_at_a_time_whatever_it_waits_for() -> None:
    assert used(0.05, merges=True) == 1.0


@pytest.mark.parametrize("merges", [True, False])
def test_a_call_that_takes_longer_for_want_of_a_core_is_worth_no_less(merges: bool) -> None:
    crowded = used(0.25, 0.75, merges=merges)  # four times as long as alone

    assert 0.8 * 4 < crowded <= 4.0


def test_a_model_that_begins_to_wait_is_seen() -> None:
    use, cpu = CallUse(), 0.0
    use.begin(CpuPressure(0.0, 0.0, ready=False))
    for share in [1.0] * 50 + [0.01] * 50:
        use.called(2.0)
        cpu += share * 2.0
        found = use.at_once(CpuPressure(cpu, 0.0, ready=False), merges=False)

    assert found > 20.0
