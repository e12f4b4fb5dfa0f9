"""Learns how many calls a worker should run at once. Pure: times and CPU seconds come in as numbers.

A model that computes gains nothing from a second call in the same interpreter; one that waits (for a database, for a
language model) can run hundreds. The difference shows in the CPU time of the worker's process while calls wait: below
a full core, there is room.
"""

import math

ROOM = 0.7
"""CPU cores in use below which another call finds room."""
FULL = 0.95
"""CPU cores in use above which calls only get into each other's way."""
AIM = 0.85
INTERVAL_SECONDS = 0.02
"""Shortest time over which CPU use is judged."""
MOST = 512
"""Threads of one worker."""


class Lanes:
    """The current number of calls at once, at least one."""

    def __init__(self) -> None:
        self.count = 1
        self._time = math.nan
        self._cpu = math.nan

    def idle(self) -> None:
        """Nothing waits: how much CPU is used now says nothing about room."""
        self._time = math.nan

    def observe(self, now: float, cpu_seconds: float) -> bool:
        """Called while requests wait and all lanes are taken; both values only grow. True when `count` grew."""
        if math.isnan(self._time):
            self._time, self._cpu = now, cpu_seconds
            return False
        passed = now - self._time
        if passed < INTERVAL_SECONDS:
            return False
        used = (cpu_seconds - self._cpu) / passed
        self._time, self._cpu = now, cpu_seconds
        before = self.count
        if used < ROOM:
            # Straight to where the CPU would be well used; at most 8 times as many, as the first calls may mislead.
            self.count = min(MOST, max(before + 1, min(8 * before, int(before * AIM / max(used, 0.001)))))
        elif used > FULL and before > 1:
            self.count = before - 1
        return self.count > before
