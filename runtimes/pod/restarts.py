"""When a process that ended may be started again: at once, and later and later while it ends soon after its start."""

from typing import Final

STABLE_SECONDS: Final = 10.0
"""A process that ends sooner than this after its start is replaced with growing delay."""
LONGEST_DELAY_SECONDS: Final = 30.0


class BackOff:
    """The delay before the next start. Pure: times come in as numbers."""

    def __init__(self) -> None:
        self._quick_ends = 0

    def delay(self, lived_seconds: float) -> float:
        """Seconds to wait after a process that lived so long: none, or 0.5, 1, 2, … 30 after ends that were quick."""
        self._quick_ends = self._quick_ends + 1 if lived_seconds < STABLE_SECONDS else 0
        return 0.0 if self._quick_ends == 0 else min(LONGEST_DELAY_SECONDS, 0.25 * 2.0**self._quick_ends)
