"""What is measured, for how many seconds each, and what the whole takes: the one table of cells."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from bench.product import models

FIXED_SECONDS: Final = 16
"""A load on *ours fixed*; its first second of connecting is in it, as in all."""
FIXED_LIMIT: Final = 256
"""Requests at once that a fixed pod admits: what the front starts with by itself on a core."""
FORM_SECONDS: Final = 7
PEER_SECONDS: Final = 40
BUDGET_SECONDS: Final = 45 * 60


@dataclass(frozen=True, kw_only=True)
class Case:
    """One endpoint under one load."""

    name: str
    model: str
    seconds: int
    connections: int = 0
    """Of a closed loop; 0: the load is open."""
    steps: tuple[float, ...] = ()
    """Requests a second of an open loop, each for its share of the seconds."""
    fixed: tuple[int, ...] = (1, 2)
    """Numbers of pods that are tried as *ours fixed*."""
    fewer: tuple[int, ...] = ()
    """Closed loops of fewer connections after the first one, each for a few seconds."""
    forms: bool = False
    """Whether all forms of the request follow."""
    peers: tuple[str, ...] = ()
    """Peers that serve the model."""

    @property
    def rates(self) -> list[float]:
        """Of an open loop, one a second."""
        each = self.seconds // len(self.steps) if self.steps else 0
        return [rate for rate in self.steps for _ in range(each)]

    def without_fixed(self) -> "Case":
        """The case at defaults alone."""
        return replace(self, fixed=())

    @property
    def expected_seconds(self) -> int:
        """With what comes before and between its loads, as measured on two cores."""
        deployed, settled = 22, 14
        total = deployed + self.seconds + len(self.fixed) * (settled + FIXED_SECONDS)
        total += len(self.fewer) * (FORM_SECONDS + 1) + (16 * (FORM_SECONDS + 1) if self.forms else 0)
        return total + (30 + len(self.peers) * (PEER_SECONDS + 3) if self.peers else 0)


THREE: Final = ("mlflow", "mlserver", "bentoml")
LONG, MIDDLE = 180, 90
CASES: Final = (
    Case(name="logistic", model="logistic", seconds=LONG, connections=64, fewer=(16, 1), forms=True, peers=THREE),
    Case(name="callers", model="callers", seconds=LONG, connections=50, fixed=(1,)),
    Case(name="steps", model="logistic", seconds=120, steps=(10.0, 200.0, 1000.0, 50.0), fixed=()),
    Case(name="compute", model="compute", seconds=LONG, connections=64),
    Case(name="wait", model="wait", seconds=MIDDLE, connections=64, fixed=(1,)),
    Case(name="forest", model="forest", seconds=MIDDLE, connections=64, peers=THREE),
    Case(name="xgboost", model="xgboost", seconds=MIDDLE, connections=64, fixed=(1,), peers=THREE),
    Case(name="cnn", model="cnn", seconds=MIDDLE, connections=64, fixed=(1,), peers=("mlflow", "bentoml")),
)
"""MLServer's environment is without torch."""
assert {case.model for case in CASES} <= set(models.ALL)

QUICK: Final = (
    Case(name="logistic", model="logistic", seconds=40, connections=64, fixed=(1,)),
    Case(name="callers", model="callers", seconds=40, connections=50, fixed=()),
)
"""What `make test` guards."""


def chosen(names: Sequence[str], *, quick: bool, seconds: int | None = None, peers: bool = True) -> list[Case]:
    """The cases of these names, or all; with `seconds` in place of each one's own, and without peers if not wanted."""
    table = QUICK if quick else CASES
    unknown = sorted(set(names) - {case.name for case in table})
    if unknown:
        raise SystemExit(
            f"--cases = {','.join(names)}: {', '.join(unknown)} is none of {', '.join(case.name for case in table)}"
        )
    cases = [case for case in table if not names or case.name in names]
    if seconds:
        cases = [replace(case, seconds=seconds) for case in cases]
    return cases if peers else [replace(case, peers=()) for case in cases]


def told(cases: Sequence[Case]) -> str:
    """The plan as text."""
    lines = [f"{case.name:10} {case.expected_seconds:5} s" for case in cases]
    total = sum(case.expected_seconds for case in cases)
    return "\n".join([*lines, f"{'together':10} {total:5} s of {BUDGET_SECONDS} s, beside what brings the platform up"])
