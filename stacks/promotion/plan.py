"""Plan: which endpoints of a stack get which versions from another, and what speaks against each. Pure."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from headrace.contract.attestation import Attestation, unverified
from headrace.contract.errors import HeadraceError, InputError
from headrace.stacks.promotion.envelope import opened
from headrace.stacks.promotion.gates import Gates, difference

PROMOTED: Final = ("model_uri", "evidence")
"""Keys of an entry of the setting `endpoints` that a promotion writes; the rest is the target's own."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One endpoint of the target."""

    endpoint: str
    """Its name there."""
    position: int
    """Of its entry in the target's setting `endpoints`."""
    envelope: str
    candidate: Attestation | None
    """What comes; None where the evidence cannot be believed."""
    live: Attestation | None
    """What the target's settings name now; None where that was never promoted."""
    faults: tuple[str, ...]
    """What speaks against it."""

    @property
    def changes(self) -> Mapping[str, tuple[str, str]]:
        """As `gates.difference`."""
        return {} if self.candidate is None else difference(self.candidate, self.live)

    def settings(self) -> dict[str, str]:
        """The entries of `PROMOTED`."""
        assert self.candidate is not None
        return {"model_uri": self.candidate.model_uri, "evidence": self.envelope}

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "endpoint": self.endpoint,
            "faults": list(self.faults),
            "changes": {name: {"from": old, "to": new} for name, (old, new) in self.changes.items()},
        }


def plan(
    evidence: Mapping[str, str],
    endpoints: Sequence[Mapping[str, Any]],
    gates: Gates,
    wanted: Mapping[str, str],
    now: datetime.datetime,
) -> list[Step]:
    """One step for each of `wanted`, names in the source stack to names in the target; none: all that both have.

    `evidence` is the source stack's output, by endpoint; `endpoints` the target's setting. Raises InputError with every
    name that one of the two stacks lacks.
    """
    positions = {entry["name"]: position for position, entry in enumerate(endpoints)}
    if not wanted:
        wanted = {name: name for name in evidence if name in positions}
    faults = [
        *_lacking("the stack before", wanted.keys(), evidence),
        *_lacking("the target", wanted.values(), positions),
    ]
    if not wanted:
        faults.append(
            f"no endpoint is in both stacks ({_listed(evidence)} and {_listed(positions)}); name some as OLD=NEW"
        )
    if faults:
        raise InputError("headrace promote", faults)
    return [
        _step(endpoints[positions[there]], positions[there], evidence[here], gates, now)
        for here, there in wanted.items()
    ]


def _step(entry: Mapping[str, Any], position: int, envelope: str, gates: Gates, now: datetime.datetime) -> Step:
    live = unverified(entry["evidence"]) if entry.get("evidence") else None
    candidate: Attestation | None = None
    try:
        candidate = opened(envelope, gates.trusted_keys)
        faults = tuple(gates.against(candidate, live, now))
    except HeadraceError as error:
        faults = (str(error),)
    return Step(
        endpoint=entry["name"], position=position, envelope=envelope, candidate=candidate, live=live, faults=faults
    )


def _lacking(stack: str, names: Iterable[str], known: Iterable[str]) -> list[str]:
    known = set(known)
    return [f"{name}: {stack} has {_listed(known)}, must have {name}" for name in names if name not in known]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "no endpoint"
