"""Limits: how many requests a minute an endpoint takes, of each caller and of all together."""

from dataclasses import dataclass
from typing import Annotated, Final

from headrace.contract.declaration import Bounds

WINDOW_SECONDS: Final = 60
"""Of the counts: the only window of the reference platform, long enough that a client may send its minute's share at
once."""
RequestCount = Annotated[int, Bounds(minimum=1)]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How many requests a minute are let in; more are refused with 429 and when to come again."""

    caller_requests_per_minute: RequestCount | None = None
    """Requests of one caller, which is one token subject. Absent: not bounded."""
    requests_per_minute: RequestCount | None = None
    """Requests of all callers together. Absent: not bounded."""
