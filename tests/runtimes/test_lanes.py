"""How many calls a worker runs at once follows from the CPU its calls use."""

from headrace.runtimes.front.lanes import Lanes
from headrace.runtimes.front.process import Demand


def crowd(lanes: Lanes, cores_per_call: float, *, most_cores: float = 1.0, steps: int = 20) -> int:
    """`most_cores`: what others leave it of the one core that its interpreter can use."""
    cpu = starved = 0.0
    for step in range(steps):
        lanes.observe(step * 0.05, Demand(cpu, starved, ready=False))
        wanted = min(1.0, lanes.count * cores_per_call)
        cpu += 0.05 * min(most_cores, wanted)
        starved += 0.05 * max(0.0, wanted - most_cores)
    return lanes.count


def test_a_model_that_computes_runs_one_call_at_a_time() -> None:
    assert crowd(Lanes(), 1.0) == 1


def test_a_model_that_computes_does_so_on_a_busy_machine_too() -> None:
    assert crowd(Lanes(), 1.0, most_cores=0.3) == 1


def test_nothing_is_concluded_while_a_thread_waits_for_a_core() -> None:
    lanes = Lanes()
    lanes.observe(0.0, Demand(0.0, 0.0, ready=True))

    assert not lanes.observe(0.05, Demand(0.004, 0.0, ready=True))
    assert not lanes.observe(0.10, Demand(0.014, 0.086, ready=False))
    assert lanes.count == 1


def test_a_model_that_waits_runs_hundreds() -> None:
    assert crowd(Lanes(), 0.002) >= 300


def test_hundreds_are_reached_within_a_few_looks() -> None:
    assert crowd(Lanes(), 0.001, steps=5) >= 100


def test_a_model_that_half_waits_settles_where_the_core_is_used() -> None:
    assert crowd(Lanes(), 0.5) == 2


def test_lanes_shrink_when_calls_begin_to_compute() -> None:
    lanes = Lanes()
    lanes.count = 8

    assert crowd(lanes, 1.0, steps=30) == 1


def test_an_idle_time_between_is_not_taken_for_room() -> None:
    lanes = Lanes()
    lanes.observe(0.0, Demand(0.0, 0.0, ready=False))
    lanes.idle()

    assert not lanes.observe(100.0, Demand(0.1, 0.0, ready=False))
    assert lanes.count == 1
