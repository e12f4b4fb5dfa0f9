"""A pod's start: how long each of its phases took, and who waits for its end.

The phases follow each other and add up to the time from the start of the pod's first process to the first worker that
can answer. The worker reads the same clock as the front (CLOCK_MONOTONIC is the machine's), and says when it was where.
"""

import asyncio
import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from typing import Final

from headrace.runtimes.pod import processes

log = logging.getLogger("headrace.front")

PHASES: Final = ("front", "import", "load", "warm", "prove", "tell")
"""The front's own imports until it starts a worker; the worker's interpreter and MLflow; the model with its libraries;
the prediction of its input example; what may be merged; the way of the news to the front."""
LONGEST_WAIT_SECONDS: Final = 5.0
_WAIT: Final = re.compile(rb"(?:^|&)wait=(\d{1,3}(?:\.\d{1,3})?)(?:&|$)")


class Start:
    """One start: of the pod, or of a front whose first worker has begun anew."""

    def __init__(self, began: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        """`began`: when the pod's first process started, by `clock`; None where that is not known."""
        self._began = began
        self._clock = clock
        self._over = asyncio.Event()
        self.seconds: dict[str, float] = {}
        """Seconds of each phase; empty until a worker is ready, and for a front that found one."""
        self.cpu_seconds: float | None = None
        """CPU time of the pod's processes until then."""

    def finished(self, pid: int, spawned: float, marks: Mapping[str, float]) -> None:
        """The first worker, `pid`, started at `spawned`, says when its phases ended."""
        self._over.set()
        if self._began is None or not set(PHASES[1:-1]) <= set(marks):  # marks: a worker of an older front
            return
        last = self._began
        ends = {"front": spawned, **{name: marks[name] for name in PHASES[1:-1]}, "tell": self._clock()}
        for name in PHASES:
            self.seconds[name], last = ends[name] - last, ends[name]
        spent = [processes.cpu_seconds(each) for each in (os.getppid(), os.getpid(), pid)]
        self.cpu_seconds = sum(seconds for seconds in spent if seconds is not None)
        phases = ", ".join(f"{name} {seconds:.2f}" for name, seconds in self.seconds.items())
        log.info("started in %.2f s with %.2f s of CPU: %s", last - self._began, self.cpu_seconds, phases)

    def over(self) -> None:
        """The start has ended, well or not: nobody waits any longer."""
        self._over.set()

    async def awaited(self, query: bytes) -> None:
        """Waits for the end of the start, as long as the query (`wait=SECONDS`) says; without one, not at all."""
        found = _WAIT.search(query)
        if found is None:
            return
        try:
            await asyncio.wait_for(self._over.wait(), min(LONGEST_WAIT_SECONDS, float(found[1])))
        except TimeoutError:
            return


def exposition(start: Start | None, labels: str) -> list[str]:
    """The phases in Prometheus' text format; no line where there is no start to tell of."""
    if start is None or not start.seconds:
        return []
    lines = ["# TYPE headrace_start_seconds gauge"]
    lines += [f'headrace_start_seconds{{{labels},phase="{name}"}} {value:.6f}' for name, value in start.seconds.items()]
    if start.cpu_seconds is not None:
        lines.append("# TYPE headrace_start_cpu_seconds gauge")
        lines.append(f"headrace_start_cpu_seconds{{{labels}}} {start.cpu_seconds:.6f}")
    return lines
