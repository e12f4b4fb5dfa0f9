"""What a decision costs: CPU of one tick of a controller with a thousand versions and ten thousand pods."""

import random
import time

from headrace.autoscaler.engine import LoadCounters, Memory, Observation, PodCounts, Utilisation, decide
from headrace.contract.apa import AutoscalerSpec

VERSIONS = 1000
PODS = 10
SECONDS = 12


def tick_milliseconds() -> float:
    """The dearest tick of some seconds in which all versions are decided, in CPU milliseconds."""
    dice = random.Random(1)
    spec = AutoscalerSpec(target="version", max_replicas=100)
    rates = [dice.uniform(10, 1000) for _ in range(VERSIONS)]
    totals = [0.0] * VERSIONS
    memories = [Memory()] * VERSIONS
    worst = 0.0
    for second in range(SECONDS):
        now = 1_700_000_000.0 + second
        seen = []
        for index, rate in enumerate(rates):
            totals[index] += dice.gauss(rate, rate**0.5)
            seen.append(
                Observation(
                    taken_at=now,
                    load=LoadCounters(
                        arrived=totals[index],
                        completed=totals[index],
                        executing_seconds=0.05 * totals[index],
                        queued_seconds=0.0,
                        executing=0.05 * rate,
                    ),
                    pods=PodCounts(desired=PODS, ready=PODS),
                    utilisation=Utilisation(cpu=0.5, memory=0.4),
                    cold_start_seconds=10.0,
                )
            )
        begun = time.process_time()
        for index, observation in enumerate(seen):
            _, memories[index] = decide(spec, observation, memories[index], now)
        worst = max(worst, 1000.0 * (time.process_time() - begun))
    return worst
