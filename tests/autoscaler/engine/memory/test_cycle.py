"""Load and utilisation summed over buckets."""

import math

from headrace.autoscaler.engine import Observation, PodCounts, Utilisation
from headrace.autoscaler.engine.memory.cycle import Cycle
from headrace.autoscaler.engine.statistics.buckets import Bucket


def _cycle(*seen: Utilisation) -> Cycle:
    cycle = Cycle()
    for second, utilisation in enumerate(seen, start=1):
        bucket = Bucket(
            end=float(second),
            seconds=1.0,
            arrived=10.0,
            completed=9.0,
            executing_seconds=2.0,
            queued_seconds=0.5,
            executing=float(second),
        )
        pods = PodCounts(desired=3, ready=3)
        cycle = cycle.with_bucket(
            bucket, Observation(taken_at=bucket.end, load=None, pods=pods, utilisation=utilisation)
        )
    return cycle


def test_load_is_summed_and_pods_are_counted_by_the_second() -> None:
    cycle = _cycle(Utilisation(), Utilisation())

    assert (cycle.seconds, cycle.arrived, cycle.completed, cycle.pod_seconds) == (2.0, 20.0, 18.0, 6.0)
    assert cycle.executing == 1.0  # at the end of the first


def test_utilisation_counts_where_it_is_known_and_makes_sense() -> None:
    cycle = _cycle(
        Utilisation(cpu=0.5, memory=math.nan, io_wait=0.1, memory_bandwidth=0.3),
        Utilisation(),
        Utilisation(cpu=-1.0, memory=0.4),
    )

    assert (cycle.readings, cycle.cpu, cycle.memory, cycle.waiting) == (2, 0.5, 0.4, 0.3)
