"""What is seen of a rollout at one time. All times are Unix seconds, all durations seconds."""

from dataclasses import dataclass
from typing import Final

from headrace.contract.rollout import Command


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionCounters:
    """Answers of one version since counting began, summed over the balancers. All only grow, but for new beginnings."""

    requests: float = 0.0
    errors: float = 0.0
    """Of those, answers with a status of 400 and above, without 429: what one version refuses and another answers is a
    fault, and callers' own faults hit both alike."""
    timed: float = 0.0
    """Requests in the histogram of latency."""
    within: tuple[float, ...] = ()
    """How many of them took at most each of the bounds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """Predictions of both versions for the same requests, since counting began."""

    answers: float = 0.0
    changed: float = 0.0
    """Of those, pairs that differ: another label, or a number out of tolerance."""


NOTHING_COUNTED: Final = VersionCounters()
NOTHING_COMPARED: Final = Compared()


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    taken_at: float
    new_ready: int
    """Ready pods of the new version."""
    former_ready: int
    """Ready pods of the version before."""
    new: VersionCounters | None = None
    """None: nobody could be asked, which is a value: nothing is learned and nothing moves."""
    former: VersionCounters | None = None
    bounds_milliseconds: tuple[float, ...] = ()
    """Of the histograms, rising."""
    compared: Compared = NOTHING_COMPARED
    asked: Command = Command.NONE
    """What a person asks for."""
