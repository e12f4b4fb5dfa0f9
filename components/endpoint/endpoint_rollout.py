"""EndpointRollout: how a new version takes over, as inputs, rules and what `pulumi up` says of it.

During the update the version before stays, because Pulumi deletes what is no longer in the program last. So the program
waits for the end of the rollout: it reads the object's status again and again, through the provider. The update fails
when the version was taken back, and Pulumi deletes nothing then.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, NotRequired, TypedDict

from headrace.components.kubernetes.checks import ArgsError
from headrace.contract.codec import read
from headrace.contract.declaration import Style
from headrace.contract.rollout import Phase, Rollout, RolloutStatus, steps_fault

_FIRST_SECONDS: Final = 2.0
_LONGEST_SECONDS: Final = 15.0
"""Between two readings; each is a line of the update, so that they become rarer."""
_EVIDENCE_SECONDS: Final = 600
"""Granted to each step beyond its time, for requests to come."""


class EndpointRollout(TypedDict):
    """How a new version takes over: in steps, each of which it must pass beside the version before."""

    steps: NotRequired[list[int]]
    """Shares of the traffic that the new version gets one after the other, in percent, rising; then it gets all.
    Default 5, 25, 50."""
    bake_seconds: NotRequired[float]
    """Shortest time of a step. It lasts longer until enough requests were answered to tell good from bad. Default 60:
    what is scraped, cached or collected once a minute shows."""
    start_seconds: NotRequired[float]
    """Longest wait for the new version's first ready pod, after which it is taken back. Absent: as long as its pods may
    take to start, and a minute."""
    wait_seconds: NotRequired[float]
    """Longest time that `pulumi up` waits for the end of a rollout, which goes on without it. Absent: the time of all
    steps, and ten minutes for each."""
    error_margin_percent: NotRequired[float]
    """Percentage points by which the share of failed requests may exceed that of the version before. Default 0.5."""
    slow_margin_percent: NotRequired[float]
    """Percentage points by which the share of requests that take longer than the version before takes for all but one
    in a hundred may exceed its. Default 0.5."""
    changed_percent: NotRequired[float]
    """Share of predictions that may differ from those of the version before for the same requests, in percent: labels
    that are not equal, numbers that are not near. Absent: none are compared; a model that was trained anew is meant to
    differ."""


def rollout_faults(rollout: Any) -> Iterator[str]:
    """What is wrong with the inputs beyond the types and rules of their fields."""
    steps = rollout.get("steps") if isinstance(rollout, Mapping) else None
    if isinstance(steps, list | tuple) and all(isinstance(step, int) for step in steps):
        fault = steps_fault(tuple(steps))
        if fault is not None:
            yield f"rollout.steps{fault}"


def settled_rollout(rollout: Rollout, *, start_seconds: int) -> Rollout:
    """The rollout of a version whose pods may take so long to start, with nothing left open."""
    start = rollout.start_seconds if rollout.start_seconds is not None else start_seconds + 60.0
    whole = start + len(rollout.steps) * (rollout.bake_seconds + _EVIDENCE_SECONDS)
    return replace(
        rollout, start_seconds=start, wait_seconds=rollout.wait_seconds if rollout.wait_seconds is not None else whole
    )


async def when_over(
    status: Any, read_again: Callable[[int], Awaitable[Any]], *, version: str, wait_seconds: float
) -> Any:
    """The status of the object once the rollout of `version` is over, or after `wait_seconds` as it is then.

    `status` was read just now; `read_again` is given the number of the reading. One that nobody has written (None) is
    not waited for.
    """
    end, pause, number = time.monotonic() + wait_seconds, _FIRST_SECONDS, 0
    while status is not None and not _is_over(status, version) and time.monotonic() < end:
        await asyncio.sleep(pause)
        pause, number = min(1.3 * pause, _LONGEST_SECONDS), number + 1
        status = await read_again(number)
    return status


def _is_over(status: Any, version: str) -> bool:
    told = status.get("rollout") if isinstance(status, Mapping) else None
    return isinstance(told, Mapping) and told.get("version") == version and told.get("settled") == version


def require_rolled_out(status: Any, *, endpoint: str, version: str) -> str:
    """What to tell of the rollout of `version`. Raises ArgsError, which fails the update, unless it ended well.

    `status` is the whole object's, None where nobody has written any: then there is no rollout that could have failed.
    """
    if status is None:
        return f"nothing is known of the rollout of {version} yet"
    subject = f"ModelEndpoint '{endpoint}'"
    told = status.get("rollout") if isinstance(status, Mapping) else None
    found, _ = read(RolloutStatus, told, Style.KUBERNETES) if told else (None, [])
    look = f"headrace rollout {endpoint} shows it"
    if found is None or found.version != version or not found.phase.is_final:
        said = "has not begun" if found is None or found.version != version else f"goes on ({found.message})"
        remedy = f"what served before is kept; run pulumi up again later, {look}"
        raise ArgsError(subject, [f"the rollout of version {version} {said}: {remedy}"])
    if found.phase is Phase.ROLLED_BACK:
        serving = f"version {found.former} serves" if found.former else "no other version serves"
        remedy = f"name another model_uri, or try again with headrace rollout {endpoint} retry"
        raise ArgsError(
            subject, [f"version {version} was taken back, {found.reason}: {found.message}; {serving}; {remedy}"]
        )
    return f"Rolled out: {version} has all requests ({found.message})"
