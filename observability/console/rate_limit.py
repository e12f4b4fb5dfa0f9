"""RateLimit: how often one caller may ask for what costs something. A token bucket a caller."""

import threading
import time
from collections.abc import Callable
from typing import Final

_MOST_KNOWN: Final = 10_000
"""Callers; a full bucket that is forgotten is full again."""


class RateLimit:
    """`burst` at once, and `per_second` after that."""

    def __init__(self, *, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._burst, self._clock = per_second, burst, clock
        self._buckets: dict[str, tuple[float, float]] = {}
        """What is left of each, and when that was so."""
        self._lock = threading.Lock()

    def admits(self, caller: str) -> bool:
        """Whether the caller may ask now; counts it."""
        now = self._clock()
        with self._lock:
            left, since = self._buckets.get(caller, (float(self._burst), now))
            left = min(left + (now - since) * self._per_second, self._burst)
            if len(self._buckets) >= _MOST_KNOWN:
                self._buckets.clear()
            self._buckets[caller] = (left - 1 if left >= 1 else left), now
            return left >= 1
