"""How full a fleet may be before balancing is noticed: `python -m bench.autoscaler.imbalance`, under a minute.

A steady load on fixed fleets, with the data plane's balancer, the less busy of two random pods. Prints the share of
requests that are late; `staffing.IMBALANCE_UNNOTICED` is chosen from these lines.
"""

import statistics
import sys
from dataclasses import replace
from typing import Final

from bench.autoscaler import loads, services
from bench.autoscaler.cells import Cell
from bench.autoscaler.policies import Static
from bench.autoscaler.run import run

RATE: Final = 1000
PODS: Final = (14, 15, 16, 17, 20, 25)
SEEDS: Final = (1, 2, 3)
CELL: Final = Cell(
    name="steady", about="Poisson", service=services.WORKERS, rates=loads.steady(RATE, 600),
    cold_start_seconds=10,
)  # fmt: skip


def late(pods: int, seed: int) -> float:
    """Share of the requests that so many pods answer late, refuse or lose."""
    case = CELL.case(seed)
    return run(replace(case, setting=replace(case.setting, initial=pods)), Static(pods)).violations


def main() -> int:
    """Prints a line for each fleet."""
    service = CELL.service
    for pods in PODS:
        busy = RATE / (pods * service.pod_rate)
        share = statistics.mean(late(pods, seed) for seed in SEEDS)
        print(f"{pods} pods of {service.best}, {100 * busy:.0f} % busy: {100 * share:.3f} % late")
    return 0


if __name__ == "__main__":
    sys.exit(main())
