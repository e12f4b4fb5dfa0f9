"""Learns how many calls a worker should run at once. Pure: times and CPU seconds come in as numbers.

A model that computes gains nothing from a second call in the same interpreter; one that waits (for a database, for a
language model) can run hundreds. The difference shows in the CPU time of the worker's process while calls wait: below
a full core, there is room. Time in which its threads were ready and no core was free counts as used, and while one is
ready nothing is concluded: on a busy machine a model that computes gets less than a core, and hundreds of calls would
fight for it.
"""

import math

from headrace.runtimes.front.process import Demand

ROOM = 0.7
"""CPU cores in use or wanted below which another call finds room."""
FULL = 0.95
"""CPU cores in use or wanted above which calls only get into each other's way."""
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
        self._had = math.nan
        """CPU time, and time without a core, up to then."""

    def idle(self) -> None:
        """Nothing waits: how much CPU is used now says nothing about room."""
        self._time = math.nan

    def observe(self, now: float, demand: Demand) -> bool:
        """Called while requests wait and all lanes are taken; times only grow. True when `count` grew."""
        had = demand.cpu_seconds + demand.starved_seconds
        if math.isnan(self._time):
            self._time, self._had = now, had
            return False
        passed = now - self._time
        if passed < INTERVAL_SECONDS:
            return False
        wanted = (had - self._had) / passed
        if wanted < ROOM and demand.ready:
            return False  # how long it has been ready is told when it runs
        self._time, self._had = now, had
        before = self.count
        if wanted < ROOM:
            # Straight to where the CPU would be well used; at most 8 times as many, as the first calls may mislead.
            self.count = min(MOST, max(before + 1, min(8 * before, int(before * AIM / max(wanted, 0.001)))))
        elif wanted > FULL and before > 1:
            self.count = before - 1
        return self.count > before
