"""The clairvoyant bound: the fewest pod-seconds with which the known arrivals could be served within a second.

A linear programme per second t: pods N(t), starts s(t) >= N(t) - N(t-1), cumulative departures D(t). A start costs C,
an end E: there are as many ends as starts, and those of the first fleet, less what stands at the end.
    minimise    sum N(t) + C sum s(t) + E (sum s(t) + N(0) - N(end))
    subject to  A(t - 1) <= D(t) <= A(t),   D(t) - D(t - 1) <= N(t) x pod rate
Pods may be fractions and come just in time, so no policy that serves everyone within a second can cost less.
"""

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from bench.autoscaler.run import DRAIN_SECONDS, Case


def pod_seconds(case: Case) -> float:
    """The bound over the measured part of the case; its first fleet is free."""
    start, seconds = case.warm_seconds, case.seconds - case.warm_seconds
    service = case.service
    counts = np.bincount(case.arrivals.astype(np.int64), minlength=case.seconds)[start : case.seconds]
    # Work, not requests: a bin of long requests needs more.
    work = np.bincount(case.arrivals.astype(np.int64), weights=case.work, minlength=case.seconds)
    demand = work[start : case.seconds] / service.mean_seconds if counts.sum() else counts.astype(float)
    arrived = np.cumsum(demand)
    size = seconds
    identity = sparse.identity(size, format="csr")
    earlier = sparse.diags([np.ones(size - 1)], [-1], shape=(size, size), format="csr")
    nothing = sparse.csr_matrix((size, size))
    # Variables: N, s, D.
    starts = sparse.hstack([identity - earlier, -identity, nothing])
    capacity = sparse.hstack([-service.pod_rate * identity, nothing, identity - earlier])
    limits = np.concatenate([np.zeros(size), np.zeros(size)])
    limits[0] = case.setting.initial
    # Long requests may be served over their own length; the wait bound grows with them.
    slack = 1 + int(service.slo_seconds())
    lower = np.concatenate([np.zeros(slack), arrived[:-slack]]) if slack < size else np.zeros(size)
    bounds = [(0, None)] * (2 * size) + list(zip(lower, arrived, strict=True))
    standing = np.ones(size)
    standing[-1] -= DRAIN_SECONDS
    result = linprog(
        np.concatenate([standing, np.full(size, case.cold_start_seconds + DRAIN_SECONDS), np.zeros(size)]),
        A_ub=sparse.vstack([starts, capacity]).tocsr(),
        b_ub=limits,
        bounds=bounds,
        method="highs",
    )
    return float(result.fun) + DRAIN_SECONDS * case.setting.initial if result.success else float("nan")
