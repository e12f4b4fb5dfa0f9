"""Learns how many calls a worker should run at once. Pure: times and CPU seconds come in as numbers.

A model that computes gains nothing from a second call in the same interpreter; one that waits (for a database, for a
language model) can run hundreds. The difference shows in the CPU time of the worker's process while calls wait: below
a full core, there is room. Time in which its threads were ready and no core was free counts as used, and while one is
ready nothing is concluded: on a busy machine a model that computes gets less than a core, and hundreds of calls would
fight for it.
"""

import math

from headrace.runtimes.pod.processes import CpuPressure

ROOM = 0.7
"""CPU cores in use or wanted below which another call finds room."""
FULL = 0.95
"""CPU cores in use or wanted above which calls only get into each other's way."""
AIM = 0.85
INTERVAL_SECONDS = 0.02
"""Shortest time over which CPU use is judged."""
MOST = 512
"""Threads of one worker."""


class WorkerConcurrency:
    """The current number of calls at once, at least one."""

    def __init__(self) -> None:
        self.count = 1
        self._time = math.nan
        self._had = math.nan
        """CPU time, and time without a core, up to then."""

    def idle(self) -> None:
        """Nothing waits: how much CPU is used now says nothing about room."""
        self._time = math.nan

    def observe(self, now: float, pressure: CpuPressure) -> bool:
        """Called while requests wait and all of them are taken; times only grow. True when `count` grew."""
        had = pressure.cpu_seconds + pressure.starved_seconds
        if math.isnan(self._time):
            self._time, self._had = now, had
            return False
        passed = now - self._time
        if passed < INTERVAL_SECONDS:
            return False
        wanted = (had - self._had) / passed
        if wanted < ROOM and pressure.ready:
            return False  # how long it has been ready is told when it runs
        self._time, self._had = now, had
        before = self.count
        if wanted < ROOM:
            # Straight to where the CPU would be well used; at most 8 times as many, as the first calls may mislead.
            self.count = min(MOST, max(before + 1, min(8 * before, int(before * AIM / max(wanted, 0.001)))))
        elif wanted > FULL and before > 1:
            self.count = before - 1
        return self.count > before


class CallUse:
    """What calls use of their worker's core, and hence how many could run side by side if every core were free.

    On a crowded node a call takes longer and uses no more: time in which its threads were ready and had no core is told
    apart from time in which it waited for something else.
    """

    REMEMBERED_SECONDS = 10.0
    """Call-seconds after which half of what was seen is forgotten: a model may change."""

    def __init__(self) -> None:
        self._called = 0.0
        self._cpu = self._starved = 0.0
        """What the process had used, and had waited for a core, before the calls that count."""

    def begin(self, pressure: CpuPressure | None) -> None:
        """Leaves out what the process has used so far: its start."""
        self._called = 0.0
        self._cpu = self._starved = 0.0
        if pressure is not None:
            self._cpu, self._starved = pressure.cpu_seconds, pressure.starved_seconds

    def called(self, seconds: float) -> None:
        """Takes in that a call ended which took so long in the worker."""
        self._called += seconds

    def at_once(self, pressure: CpuPressure, *, merges: bool) -> float:
        """Calls that the worker could run side by side, 1 to MOST. A worker that merges runs one at a time, which is
        worth more than one where it lacked a core."""
        called = self._called
        if called <= 0.0:
            return 1.0
        used, starved = pressure.cpu_seconds - self._cpu, pressure.starved_seconds - self._starved
        if called > self.REMEMBERED_SECONDS:
            self._called /= 2.0
            self._cpu += used / 2.0
            self._starved += starved / 2.0
        if merges:
            return max(1.0, called / max(called - starved, used, 0.05 * called))
        return min(float(MOST), max(1.0, AIM * called / max(used, 1e-9)))
