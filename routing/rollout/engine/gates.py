"""Gates: what a new version is judged by, each with a test that it is too bad and a test that it is not bad."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from headrace.contract.rollout import GateStatus, Rollout
from headrace.routing.rollout.engine import reasons
from headrace.routing.rollout.engine.observation import Compared, VersionCounters
from headrace.routing.rollout.engine.reasons import Reason
from headrace.routing.rollout.engine.sequential_test import NO_REQUESTS, UNTRIED, Hypothesis, Sample, SequentialTest

ALPHA: Final = 0.01
"""Longest odds of taking a good version back, and of each bad one going through, over a whole rollout: one in a hundred
of each. They are shared out over gates and steps."""
TYPICAL_MARGIN: Final = 0.10
"""Requests slower than the former version's median are half of its own; a new one may have six in ten."""
SERIOUS: Final = 0.05
"""A version is let go on when it is known not to be worse by so much: one request in twenty."""
SERIOUS_TYPICAL: Final = 0.25
SERIOUS_CHANGED: Final = 0.02
KNOWN_REQUESTS: Final = 50.0
"""Timed requests of the former version from which its quantiles are taken for known."""
SLOW_SHARE: Final = 0.01

ERRORS: Final = "errors"
TYPICAL: Final = "typical latency"
SLOW: Final = "slow requests"
PREDICTIONS: Final = "predictions"
_CODES: Final = {
    ERRORS: reasons.ERRORS,
    TYPICAL: reasons.LATENCY,
    SLOW: reasons.LATENCY,
    PREDICTIONS: reasons.PREDICTIONS,
}
_BAD: Final = {
    ERRORS: "failed",
    TYPICAL: "took longer than the former version's median",
    SLOW: "took longer than all but one in a hundred of the former version's",
    PREDICTIONS: "were predicted otherwise",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """What came since the last look, as one gate counts it."""

    gate: str
    new: Sample
    former: Sample
    before: Sample
    """All of the former version until then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """The evidence of one gate. That of a fault begins anew with each step, because a fault may show with load only;
    that of soundness stays."""

    name: str
    failing: SequentialTest = UNTRIED
    passing: SequentialTest = UNTRIED
    new: Sample = NO_REQUESTS
    """Of the present step."""
    former: Sample = NO_REQUESTS


def begun(spec: Rollout) -> tuple[Gate, ...]:
    """The gates of a rollout, before the first request."""
    wanted = [ERRORS, TYPICAL, SLOW, *([] if spec.changed_percent is None else [PREDICTIONS])]
    return tuple(Gate(name=name) for name in wanted)


def next_step(gates: tuple[Gate, ...]) -> tuple[Gate, ...]:
    """The gates at the beginning of another step."""
    return tuple(Gate(name=gate.name, passing=gate.passing) for gate in gates)


def blocks(
    *, new: VersionCounters, former: VersionCounters, before: VersionCounters, compared: Compared, settled: bool
) -> Iterator[Block]:
    """What came since the last look, gate by gate; `before` is all of the former version until then. Latency is left
    out until the share has `settled`: pods that come with it have caches to fill."""
    yield Block(gate=ERRORS, new=_failed(new), former=_failed(former), before=_failed(before))
    answers = Sample(requests=compared.answers, bad=compared.changed)
    yield Block(gate=PREDICTIONS, new=answers, former=NO_REQUESTS, before=NO_REQUESTS)
    if settled and before.timed >= KNOWN_REQUESTS:
        for gate, share in ((TYPICAL, 0.5), (SLOW, 1.0 - SLOW_SHARE)):
            at = next((at for at, count in enumerate(before.within) if count >= share * before.timed), None)
            if at is not None:
                yield Block(gate=gate, new=_slower(new, at), former=_slower(former, at), before=_slower(before, at))


def after(gates: tuple[Gate, ...], found: Iterator[Block], spec: Rollout) -> tuple[Gate, ...]:
    """The gates with what came since the last look."""
    by_gate: Mapping[str, Block] = {block.gate: block for block in found}
    return tuple(_after(gate, by_gate[gate.name], spec) if gate.name in by_gate else gate for gate in gates)


def failed(gates: tuple[Gate, ...], spec: Rollout) -> Reason | None:
    """The reason to take the version back; None where there is none yet."""
    worst = max(gates, key=lambda gate: gate.failing.log_evidence)
    if worst.failing.log_evidence < _threshold(gates, spec):
        return None
    return Reason(_CODES[worst.name], f"{_sentence(worst, spec)} (p = {worst.failing.p_value:.1e})")


def open_gates(gates: tuple[Gate, ...], spec: Rollout) -> list[Gate]:
    """Gates that have seen too little to let the version go on."""
    return [gate for gate in gates if gate.passing.log_evidence < math.log(1.0 / ALPHA)]


def status(gates: tuple[Gate, ...], spec: Rollout) -> tuple[GateStatus, ...]:
    """For people."""
    still_open = [gate.name for gate in open_gates(gates, spec)]
    threshold = _threshold(gates, spec)

    def verdict(gate: Gate) -> str:
        if gate.failing.log_evidence >= threshold:
            return "Failed"
        return "Open" if gate.name in still_open else "Passed"

    return tuple(
        GateStatus(
            name=gate.name,
            verdict=verdict(gate),
            requests=round(gate.new.requests),
            percent=round(100 * gate.new.share, 2),
            former_requests=round(gate.former.requests),
            former_percent=round(100 * gate.former.share, 2),
            p_value=float(f"{gate.failing.p_value:.2g}"),
        )
        for gate in gates
    )


def _after(gate: Gate, block: Block, spec: Rollout) -> Gate:
    too_bad, serious = _hypotheses(gate.name, spec)
    seen = {"new": block.new, "former": block.former, "before": block.before}
    return replace(
        gate,
        failing=gate.failing.after(too_bad, **seen),
        passing=gate.passing.after(serious, **seen),
        new=gate.new + block.new,
        former=gate.former + block.former,
    )


def _hypotheses(gate: str, spec: Rollout) -> tuple[Hypothesis, Hypothesis]:
    """What is rejected to take the version back, and what to let it go on."""
    if gate == PREDICTIONS:
        allowed = _share(spec.changed_percent)
        beyond = allowed + SERIOUS_CHANGED
        return Hypothesis(margin=allowed, absolute=True), Hypothesis(margin=beyond, absolute=True, reversed=True)
    margin, serious = {
        ERRORS: (_share(spec.error_margin_percent), SERIOUS),
        TYPICAL: (TYPICAL_MARGIN, SERIOUS_TYPICAL),
        SLOW: (_share(spec.slow_margin_percent), SERIOUS),
    }[gate]
    return Hypothesis(margin=margin), Hypothesis(margin=max(serious, margin), reversed=True)


def _share(percent: float | None) -> float:
    return (0.0 if percent is None else percent) / 100


def _threshold(gates: tuple[Gate, ...], spec: Rollout) -> float:
    return math.log(max(1, len(gates)) * len(spec.steps) / ALPHA)


def _failed(counters: VersionCounters) -> Sample:
    return Sample(requests=counters.requests, bad=counters.errors)


def _slower(counters: VersionCounters, at: int) -> Sample:
    within = counters.within[at] if at < len(counters.within) else counters.timed
    return Sample(requests=counters.timed, bad=counters.timed - within)


def _sentence(gate: Gate, spec: Rollout) -> str:
    new, former = gate.new, gate.former
    told = f"{new.bad:.0f} of {new.requests:.0f} requests ({100 * new.share:.1f} %) {_BAD[gate.name]}"
    if gate.name == PREDICTIONS:
        return f"{told}, allowed are {spec.changed_percent:g} %"
    return f"{told}; of the former version's {former.bad:.0f} of {former.requests:.0f} ({100 * former.share:.1f} %)"
