"""Whether processes compete for CPU here: how long the front was ready to run and had to wait for a core."""

import os
from pathlib import Path

SHARE = 0.1
"""Waiting for more than this share of time is competition."""
INTERVAL_SECONDS = 0.05


class Contention:
    """Judges over intervals of at least INTERVAL_SECONDS; where the kernel keeps no such account, there is none."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = Path(f"/proc/{os.getpid()}/schedstat") if path is None else path
        self._seen: tuple[float, int] | None = None
        self.present = False

    def observe(self, now: float) -> bool:
        """Updates and returns `present`."""
        if self._seen is not None and now - self._seen[0] < INTERVAL_SECONDS:
            return self.present
        try:
            waited = int(self._path.read_text().split()[1])  # nanoseconds on a run queue, of the main thread
        except (OSError, IndexError, ValueError):
            return False
        if self._seen is not None:
            self.present = (waited - self._seen[1]) / 1e9 > SHARE * (now - self._seen[0])
        self._seen = (now, waited)
        return self.present
