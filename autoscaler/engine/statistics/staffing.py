"""How many slots serve an offered load, from queueing theory: the headroom is computed, not set.

Offered load is in Erlang: arrivals per second times service seconds, the mean number executing if nobody waited.
Sources: Erlang 1917; Halfin and Whitt 1981 (square-root staffing); Hayward's approximation (Fredericks 1980).
"""

import functools
import math

WAIT_SECONDS = 0.010
"""What the platform may add to the 99th percentile of a version: its claim."""
SLACK_SHARE = 0.5
"""Share of its service time that a request may wait besides, since the objective is the 99th percentile of all and
most requests are shorter: that percentile is 1.56 means of a log-normal law even where it varies by only a fifth."""
WAIT_SHARE = 0.001
"""Share of requests that may wait longer: a tenth of the objective's hundredth, the rest is for loads that change."""
UNNOTICED = 5e-4
"""WAIT_SHARE of a steady load: half of it, and without the reserve that is kept for a load that changes."""
IMBALANCE_UNNOTICED = 0.6
"""Requests by which pods are above the mean where nobody is to notice: 80 % of pods of four. 1,000 steady requests a
second of 50 ms are late in 0.169 % on 16 such pods and in 0.164 % on 20; on 15, which is 83 %, in 0.190 %
(`python -m bench.autoscaler.imbalance`)."""
LOWEST_SHARE = 0.5
"""Soft target over hard limit for the smallest fleets. Theory would leave even more room below five slots, where a pod
is too coarse a step to give it; until a service time is known this is the target too."""
HIGHEST_SHARE = 0.95
"""And for large ones: a twentieth is for a load that changes while pods start (decision 0106)."""
IMBALANCE = 0.4
"""Requests by which a pod is above the mean of all for a while, where the less busy of two random ones is taken."""
COARSEST = 0.15
"""Most that is left for both: pods of few slots are small steps, and theory leaves them room enough."""

STEP_SIGMAS = 0.5
"""Steps in which a normal law is summed."""
DEVIATIONS = tuple(
    (
        place,
        0.5 * (math.erf((place + STEP_SIGMAS / 2) / math.sqrt(2)) - math.erf((place - STEP_SIGMAS / 2) / math.sqrt(2))),
    )
    for place in (STEP_SIGMAS * step for step in range(-2, 9))
)
"""Deviations and the share of a normal law about them; what is below the first leaves no one waiting."""


def target_share(offered: float, deviation: float, service_seconds: float, concurrency: float) -> float:
    """Share of the slots to fill, LOWEST_SHARE to HIGHEST_SHARE, so that WAIT_SHARE wait longer than their slack.

    offered in Erlang; deviation: standard deviation in Erlang of the load from second to second, without the noise of a
    Poisson stream; concurrency: slots of a pod.
    """
    # Three digits keep the cache small; a load under a hundredth of a slot is as good as none.
    reduced = float(f"{offered:.3g}")
    if reduced < 0.01:
        return LOWEST_SHARE
    needed = slots_needed(reduced, float(f"{service_seconds:.2g}"), deviation=float(f"{deviation:.2g}"))
    return max(LOWEST_SHARE, min(reduced / needed, max(HIGHEST_SHARE - IMBALANCE / concurrency, 1.0 - COARSEST)))


def unnoticed_slots(
    offered: float, crest: float, deviation: float, service_seconds: float, concurrency: float
) -> float:
    """Slots for a steady load of whose requests at most UNNOTICED shall wait longer, or which its highest stretch
    (`crest`, in Erlang) fills to HIGHEST_SHARE, less what balancing leaves above the mean."""
    reduced = float(f"{offered:.3g}")
    if reduced < 0.01:
        return 0.0
    needed = slots_needed(reduced, float(f"{service_seconds:.2g}"), UNNOTICED, deviation=float(f"{deviation:.2g}"))
    return max(needed, crest / (HIGHEST_SHARE - IMBALANCE_UNNOTICED / max(2.0, concurrency)))


def slack_seconds(service_seconds: float) -> float:
    """For how long a request may wait."""
    return WAIT_SECONDS + SLACK_SHARE * service_seconds


@functools.lru_cache(maxsize=4096)
def slots_needed(
    offered: float, service_seconds: float, wait_share: float = WAIT_SHARE, *, deviation: float = 0.0
) -> float:
    """Fewest slots so that the share of requests that wait longer than their slack is at most `wait_share`."""
    if offered <= 0:
        return 0.0
    slack = slack_seconds(service_seconds)
    loads = [(weight, offered + place * deviation) for place, weight in DEVIATIONS if offered + place * deviation > 0]
    if deviation <= 0:
        loads = [(1.0, offered)]
    low, high = offered, offered + 8.0 * math.sqrt(offered) + 8.0 + 4.0 * deviation
    for _ in range(24):
        middle = (low + high) / 2.0
        if sum(weight * _late(load, middle, slack, service_seconds) for weight, load in loads) > wait_share:
            low = middle
        else:
            high = middle
    return high


def _late(offered: float, slots: float, slack: float, service_seconds: float) -> float:
    """Share of the requests of a second, or of a service time if that is longer, that wait longer than their slack.

    Where the load is above the slots a queue grows from nothing; what it leaves to the next second is small beside that
    second's spare slots, and is left out."""
    spare = slots - offered
    if spare > 0:
        return waiting_share(offered, slots) * math.exp(-min(spare * slack / max(service_seconds, 1e-6), 700.0))
    return max(0.0, 1.0 + slack * slots / (min(spare, -1e-9) * max(1.0, service_seconds)))


def waiting_share(offered: float, slots: float) -> float:
    """Share of requests that wait at all, by Halfin and Whitt: 1 / (1 + b Phi(b) / phi(b)), b = spare / sqrt(load)."""
    beta = (slots - offered) / math.sqrt(offered)
    if beta <= 0:
        return 1.0
    if beta > 30:
        return 0.0
    cumulative = 0.5 * (1.0 + math.erf(beta / math.sqrt(2.0)))
    density = math.exp(-beta * beta / 2.0) / math.sqrt(2.0 * math.pi)
    return 1.0 / (1.0 + beta * cumulative / max(density, 1e-300))


def mean_wait(offered: float, slots: float, service_seconds: float) -> float:
    """Mean seconds that a Poisson stream waits, over all requests; infinite when the slots cannot serve it."""
    if offered <= 0:
        return 0.0
    if slots <= offered:
        return math.inf
    return waiting_share(offered, slots) * service_seconds / (slots - offered)
