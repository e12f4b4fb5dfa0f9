"""What a fleet costs that knows each second's arrivals beforehand, and must still queue as well as the best peer does.

The clairvoyant bound (bound.py) lets pods be fractions and each second's requests wait for a second. Here pods are
whole, ordered one cold start ahead and kept over gaps shorter than one; each second has the slots that the engine's own
queueing theory asks for a share of waiting requests. The share is lowered until few enough are late. No causal policy
knows the arrivals, so what it costs above this is its price, and what this costs above the bound is nobody's.
"""

import functools
import itertools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bench.autoscaler.policies import Stats, Wanted
from bench.autoscaler.run import Case, Outcome, run
from headrace.autoscaler.engine.statistics import staffing

Integers = NDArray[np.int64]
SHARES = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003)
"""Shares of waiting requests that are tried, rising in cost."""


class Oracle:
    """A plan of pods by second, ordered a cold start ahead."""

    def __init__(self, case: Case, plan: Integers) -> None:
        self.plan = plan
        self.ahead = math.ceil(1.1 * case.cold_start_seconds + 1.5)  # the slowest start, and the look

    def observe(self, stats: Stats) -> Wanted:
        now = min(int(stats.now), self.plan.size - 1)
        return Wanted(replicas=int(self.plan[now : now + self.ahead + 1].max()))

    def close(self) -> None:
        """Nothing was started."""


def plan(case: Case, pods: Callable[[float], int]) -> Integers:
    """Pods by second: `pods` of the second's arrivals, the n-th kept where it would be wanted back within a start."""
    counts = np.bincount(case.arrivals.astype(np.int64), minlength=case.seconds)[: case.seconds]
    needed = np.array([pods(float(count)) for count in counts])
    planned = np.zeros(case.seconds, np.int64)
    for layer in range(1, int(needed.max()) + 1):
        wanted = needed >= layer
        seconds = np.flatnonzero(wanted)
        for earlier, later in itertools.pairwise(seconds):
            if later - earlier <= case.cold_start_seconds + 1:
                wanted[earlier:later] = True
        planned += wanted
    return planned


def cheapest(case: Case, late: float) -> Outcome | None:
    """The cheapest plan tried with at most that share of late requests; None where none has."""
    concurrency = case.setting.concurrency
    each = concurrency / case.service.pod_rate  # seconds for which a request keeps a slot
    for share in SHARES:
        outcome = run(case, Oracle(case, plan(case, functools.partial(_pods, each, concurrency, share))))
        if outcome.violations <= late:
            return outcome
    return None


def _pods(each: float, concurrency: int, share: float, count: float) -> int:
    offered = float(f"{count * each:.3g}")
    return max(1, math.ceil(staffing.slots_needed(offered, float(f"{each:.2g}"), share) / concurrency - 1e-9))
