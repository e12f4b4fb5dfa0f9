"""Rollout: how a new version gets the traffic of the one before it, step by step, and what is known of it meanwhile."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final

from headrace.contract import names
from headrace.contract.conditions import Time
from headrace.contract.declaration import Bounds, Items

Share = Annotated[float, Bounds(minimum=0, maximum=100)]
StepPercent = Annotated[int, Bounds(minimum=1, maximum=99)]

DEFAULT_STEPS: Final = (5, 25, 50)
"""Of the field's tools, most begin with 5 to 20 % and then double or more; half is the last share at which the version
before still carries a load that it can be compared by."""
COMMAND_ANNOTATION: Final = f"{names.API_GROUP}/rollout"
"""On a ModelEndpoint: what a person asks of its rollout, `<command> <version>`. Another version's command is void."""


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """How a new version takes over: in steps, each of which it must pass beside the version before."""

    steps: Annotated[tuple[StepPercent, ...], Items(minimum=1, maximum=20)] = DEFAULT_STEPS
    """Shares of the traffic that the new version gets one after the other, in percent, rising; then it gets all.
    Default 5, 25, 50."""
    bake_seconds: Annotated[float, Bounds(minimum=0)] = 60.0
    """Shortest time of a step. It lasts longer until enough requests were answered to tell good from bad. Default 60:
    what is scraped, cached or collected once a minute shows."""
    start_seconds: Annotated[float, Bounds(minimum=1)] | None = None
    """Longest wait for the new version's first ready pod, after which it is taken back. Absent: as long as its pods may
    take to start, and a minute."""
    wait_seconds: Annotated[float, Bounds(minimum=1)] | None = None
    """Longest time that `pulumi up` waits for the end of a rollout, which goes on without it. Absent: the time of all
    steps, and ten minutes for each."""
    error_margin_percent: Share = 0.5
    """Percentage points by which the share of failed requests may exceed that of the version before. Default 0.5."""
    slow_margin_percent: Share = 0.5
    """Percentage points by which the share of requests that take longer than the version before takes for all but one
    in a hundred may exceed its. Default 0.5."""
    changed_percent: Annotated[float, Bounds(minimum=0, maximum=50)] | None = None
    """Share of predictions that may differ from those of the version before for the same requests, in percent: labels
    that are not equal, numbers that are not near. Absent: none are compared; a model that was trained anew is meant to
    differ."""


class Phase(StrEnum):
    WAITING = "Waiting"
    """The new version has no ready pod yet; the one before serves."""
    PROGRESSING = "Progressing"
    """The new version has a share of the traffic."""
    PAUSED = "Paused"
    """As Progressing, and a person asked that the share stays. A fault takes the version back all the same."""
    COMPLETED = "Completed"
    """The new version has all of the traffic."""
    ROLLED_BACK = "RolledBack"
    """The version before has all of the traffic again, for good: until another version, or until asked to retry."""

    @property
    def is_final(self) -> bool:
        """Whether nothing happens any more by itself."""
        return self in (Phase.COMPLETED, Phase.ROLLED_BACK)


class Command(StrEnum):
    """What a person asks of a rollout."""

    NONE = ""
    PAUSE = "pause"
    """Keep the share as it is."""
    RESUME = "resume"
    """Go on."""
    ABORT = "abort"
    """Give all traffic back to the version before, now."""
    RETRY = "retry"
    """Begin anew after it was taken back."""


@dataclass(frozen=True, kw_only=True)
class GateStatus:
    """What one gate has seen in the present step."""

    name: str
    """errors, typical latency, slow requests or predictions."""
    verdict: str
    """`Open` while it is too early to say, `Passed` or `Failed`."""
    requests: int
    """Requests of the new version that it judged."""
    percent: float
    """Share of them that were bad."""
    former_requests: int
    """Requests of the version before, beside them."""
    former_percent: float
    """Share of them that were bad."""
    p_value: float
    """Always-valid p-value against "no worse than allowed": it may be looked at any time; small speaks against it."""


@dataclass(frozen=True, kw_only=True)
class RolloutEvent:
    """One change of a rollout."""

    time: Time
    """When."""
    phase: str
    """What it became."""
    weight: int
    """Share of the traffic that the new version got, in percent."""
    reason: str
    """Why, in one word for programs."""
    message: str
    """Why, in a sentence for people."""


EVENTS_KEPT: Final = 20
"""Changes in `status.rollout.events`, newest last."""


@dataclass(frozen=True, kw_only=True)
class RolloutStatus:
    """How far the rollout of the version that the object names has come. Written by the rollout controller."""

    version: str
    """The new version."""
    former: str
    """The version that served before; empty where there was none."""
    phase: Phase
    """Waiting, Progressing, Paused, Completed or RolledBack."""
    weight: Annotated[int, Bounds(minimum=0, maximum=100)]
    """Share of the traffic that the new version has, in percent; the version before has the rest."""
    reason: str
    """Why, in one word for programs."""
    message: str
    """Why, in a sentence for people."""
    settled: str = ""
    """The version whose rollout has ended last, either way: `pulumi up` waits until it is the new one."""
    serving: str = ""
    """The version that all requests went to when no rollout was under way last."""
    started_at: Time | None = None
    """When the rollout began."""
    step_started_at: Time | None = None
    """When its present share was given."""
    gates: Annotated[tuple[GateStatus, ...], Items(key="name")] = ()
    """The evidence of the present step, or of the one that it ended with."""
    events: Annotated[tuple[RolloutEvent, ...], Items(maximum=EVENTS_KEPT)] = ()
    """The last changes, newest last."""
    memory: Mapping[str, Any] | None = None
    """What the controller remembers from look to look, so that another replica can go on. For it alone."""


def steps_fault(steps: tuple[int, ...]) -> str | None:
    """What is wrong with the order of steps, as the rest of a sentence that begins with the field's name."""
    if list(steps) != sorted(set(steps)):
        return f" = {list(steps)}, must rise from each to the next; sort them and give each share once"
    return None


def asked(annotations: Mapping[str, str], version: str) -> Command:
    """What the object's annotations ask of the rollout of `version`; nothing where they cannot be read."""
    command, _, of = annotations.get(COMMAND_ANNOTATION, "").partition(" ")
    return Command(command) if of == version and command in tuple(Command) else Command.NONE
