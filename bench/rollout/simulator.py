"""Simulator: rollouts of versions whose faults are known, judged by the engine that the controller runs.

Requests arrive at a constant rate and are split by the decided share. Latency is lognormal; the engine sees what it
sees in production: counters of answers and errors, and histograms with the balancers' bounds.
"""

from dataclasses import dataclass
from typing import Final

import numpy

from headrace.contract.rollout import Phase, Rollout
from headrace.routing.rollout.engine import Compared, Memory, Observation, VersionCounters, decide

LOOK_SECONDS: Final = 2.0
REQUESTS_PER_SECOND: Final = 50.0
BOUNDS: Final = (1.0, 1.6, 2.5, 4.0, 6.3, 10.0, 16.0, 25.0, 40.0, 63.0, 100.0, 160.0, 250.0, 400.0, 630.0, 1000.0)
"""Milliseconds; those of the LoadBalancer's histograms."""
MEDIAN_MILLISECONDS: Final = 20.0
SPREAD: Final = 0.6
"""Standard deviation of the logarithm of a latency: the 99th percentile is four times the median."""
P99_MILLISECONDS: Final = MEDIAN_MILLISECONDS * float(numpy.exp(2.326 * SPREAD))
HISTORY_SECONDS: Final = 60.0
"""Until the new version's first pod is ready."""
LONGEST_LOOKS: Final = 3000


@dataclass(frozen=True, kw_only=True)
class Version:
    """What is wrong with a version."""

    errors: float = 0.001
    """Share of requests that fail."""
    slower: float = 1.0
    """Factor on every latency."""
    tail: float = 0.0
    """Share of requests that take twice the former version's 99th percentile."""
    changed: float = 0.0
    """Share of predictions that differ from the former version's."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one rollout ended."""

    phase: Phase
    reason: str
    requests: int
    """Answered by the new version since its first step began."""
    failed: int
    """Of all callers' requests, those that the new version failed."""
    seconds: float


class _Counted:
    """Counters of one version, as the balancers have them."""

    def __init__(self, version: Version, random: numpy.random.Generator) -> None:
        self.version, self._random = version, random
        self.requests = self.errors = self.changed = 0
        self._within = numpy.zeros(len(BOUNDS))

    def take(self, requests: int) -> None:
        version, random = self.version, self._random
        self.requests += requests
        self.errors += int(random.binomial(requests, version.errors))
        self.changed += int(random.binomial(requests, version.changed))
        times = random.lognormal(numpy.log(MEDIAN_MILLISECONDS * version.slower), SPREAD, requests)
        times[random.random(requests) < version.tail] = 2 * P99_MILLISECONDS
        self._within += (times[:, None] <= numpy.array(BOUNDS)).sum(axis=0)

    @property
    def counters(self) -> VersionCounters:
        within = tuple(map(float, self._within))
        return VersionCounters(requests=self.requests, errors=self.errors, timed=self.requests, within=within)


def simulate(new: Version, *, former: Version, spec: Rollout, seed: int) -> Outcome:
    """One rollout, to its end or for a bounded time, in which it stays as it is."""
    random = numpy.random.default_rng(seed)
    counted, before = _Counted(new, random), _Counted(former, random)
    memory, now, weight = Memory(), 0.0, 0
    phase, reason = Phase.WAITING, ""
    for _ in range(LONGEST_LOOKS):
        arrived = int(random.poisson(REQUESTS_PER_SECOND * LOOK_SECONDS))
        share = int(random.binomial(arrived, weight / 100))
        counted.take(share)
        before.take(arrived - share)
        observation = Observation(
            taken_at=now,
            new_ready=1 if now >= HISTORY_SECONDS else 0,
            former_ready=3,
            new=counted.counters,
            former=before.counters,
            bounds_milliseconds=BOUNDS,
            compared=Compared(answers=counted.requests, changed=counted.changed),
        )
        decision, memory = decide(spec, observation, memory, now)
        weight, phase, reason = decision.weight, decision.phase, decision.reasons[0].code
        if phase.is_final:
            break
        now += LOOK_SECONDS
    return Outcome(phase=phase, reason=reason, requests=counted.requests, failed=counted.errors, seconds=now)
