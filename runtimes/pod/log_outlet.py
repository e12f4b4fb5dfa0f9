"""Outlet: the lines of the serving process and of its model, on their way out of the pod.

A thread writes them to stderr and, where a sidecar sends them on, to a folder that it reads. The event loop puts a line
into a queue and never waits: a container runtime that reads no more, or a disk that is full, costs lines, which are
counted, and no request.
"""

import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from headrace.contract import log_line
from headrace.runtimes.pod.logs import fields_of
from headrace.runtimes.records.frame import wrapped
from headrace.runtimes.records.spool import SpoolFull, SpoolWriter

QUEUE_BYTES: Final = 4 * 1024 * 1024
"""Of lines that wait for the thread: what a runtime that stands still for seconds leaves of a talkative model."""
RATE_BYTES: Final = 256 * 1024
"""A second, of lines that callers and models cause. The kubelet keeps 50 MiB of a container's log: three minutes of it.
A line of 200 characters takes the front some 10 µs of a core: a hundredth of one at this rate."""
BURST_BYTES: Final = 512 * 1024
LINE_BYTES: Final = 256
"""What a line takes besides its text: its other fields, and work."""
SPOOL_BYTES: Final = 16 * 1024 * 1024
"""Lines that wait for the sidecar: a minute at the rate above."""
REASONS: Final = ("rate", "queue-full", "spool-full")
"""Why a line is left out: it came too fast; it waited for stderr; it is on stderr and was not sent on."""
_RESUME_BYTES: Final = BURST_BYTES // 8
"""A budget that was used up is one again at so many bytes; until then, what comes is counted without a look at it."""
_TELL_SECONDS: Final = 5.0
"""Between two lines about lines that are left out."""

log = logging.getLogger("headrace.front")

Made = Callable[[], str]
"""Makes the text of a line, in the thread that writes it."""


class Budget:
    """How much callers and the model may still write. Pure but for its clock."""

    def __init__(self, clock: Callable[[], float], *, rate: int = RATE_BYTES, burst: int = BURST_BYTES) -> None:
        self._clock, self._rate, self._burst = clock, rate, burst
        self._left, self._seen = float(burst), clock()
        self._resume = float("-inf")

    @property
    def used_up(self) -> bool:
        """Whether nothing may be written now."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._seen) * self._rate)
        self._seen = now
        if self._left <= max(0.0, self._resume):
            return True
        self._resume = float("-inf")
        return False

    def take(self, size: int) -> bool:
        """Takes that for a text of so many bytes; False where it is not there."""
        if self.used_up:
            return False
        self._left -= size + LINE_BYTES
        if self._left <= 0:
            self._resume = float(min(_RESUME_BYTES, self._burst // 2))
        return True


class Outlet(logging.Handler):
    """A queue and the thread that empties it."""

    def __init__(
        self,
        fields: Mapping[str, str],
        *,
        descriptor: int = 2,
        spool: SpoolWriter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`fields` of every line; `spool`: where lines wait for the sidecar, None without one."""
        super().__init__()
        self.setFormatter(log_line.LineFormatter(fields))
        self._fields, self._descriptor, self._spool = dict(fields), descriptor, spool
        self._budget = Budget(clock)
        self._clock = clock
        self._queue: deque[tuple[int, Made]] = deque()
        self._waiting = 0
        self._room = threading.Lock()
        self._news = threading.Event()
        self._ending = False
        self._sequence = 0 if spool is None else spool.last_sequence
        self._told_at = float("-inf")
        self._told = 0
        self.written = 0
        """Lines that were written to stderr."""
        self.dropped = dict.fromkeys(REASONS, 0)
        """Lines that were left out, by reason."""
        self._thread = threading.Thread(target=self._run, name="logs", daemon=True)

    def start(self) -> None:
        """Has the thread write, for all loggers of this process."""
        root = logging.getLogger()
        root.handlers[:] = [self]
        self._thread.start()

    def stop(self, seconds: float = 1.0) -> None:
        """Writes what there is, for so long at most. Loggers write by themselves from then on."""
        root = logging.getLogger()
        if self in root.handlers:
            direct = log_line.LineHandler(sys.stderr)
            direct.setFormatter(self.formatter)
            root.handlers[:] = [direct]
        self._ending = True
        self._news.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def emit(self, record: logging.LogRecord) -> None:
        """Takes a record of this process's own loggers: they are few, and none is left out for coming too fast."""
        try:
            text = self.format(record)
        except Exception:
            self.handleError(record)
            return
        self._put(len(text), lambda: text)

    @property
    def closed(self) -> bool:
        """Whether no line that a caller or the model causes may be written now."""
        return self._budget.used_up

    def allows(self, size: int) -> bool:
        """Whether a line of so many bytes that a caller or the model caused may be written now; counts it if not."""
        if self._budget.take(size):
            return True
        self.leave_out(1)
        return False

    def leave_out(self, count: int) -> None:
        """Counts lines that came too fast."""
        self.dropped["rate"] += count

    def put(self, size: int, severity: str, body: str, fields: Mapping[str, object]) -> None:
        """Takes a line that was allowed."""
        seconds, known = time.time(), self._fields
        self._put(size + LINE_BYTES, lambda: log_line.line(seconds, severity, body, {**known, **fields}))

    def _put(self, size: int, made: Made) -> None:
        with self._room:
            full = self._waiting + size > QUEUE_BYTES
            if not full:
                self._waiting += size
                self._queue.append((size, made))
        if full:
            self.dropped["queue-full"] += 1
        elif not self._news.is_set():
            self._news.set()

    def _run(self) -> None:
        while True:
            self._news.wait(1.0)
            self._news.clear()
            while self._queue:
                size, made = self._queue.popleft()
                try:
                    self._write(log_line.encoded(made()))
                except Exception:  # a line that cannot be made is lost; the thread must not be
                    self.dropped["queue-full"] += 1
                with self._room:
                    self._waiting -= size
            self._tell()
            if self._ending and not self._queue:
                if self._spool is not None:
                    self._spool.close()
                return

    def _write(self, data: bytes) -> None:
        left = data
        while left:
            left = left[os.write(self._descriptor, left) :]
        self.written += 1
        if self._spool is None:
            return
        try:
            self._spool.append(wrapped(self._sequence + 1, data[:-1]), last=self._sequence + 1)
            self._sequence += 1
        except (SpoolFull, OSError):
            self.dropped["spool-full"] += 1

    def _tell(self) -> None:
        """Says how many lines were left out since it last did."""
        lost, now = sum(self.dropped.values()), self._clock()
        if lost > self._told and (self._ending or now - self._told_at >= _TELL_SECONDS):
            reasons = ", ".join(f"{reason} {count}" for reason, count in self.dropped.items() if count)
            body = f"lines left out of the log: {lost - self._told}; since the start, by reason: {reasons}"
            fields = {**self._fields, log_line.SCOPE: "headrace.front"}
            self._write(log_line.encoded(log_line.line(time.time(), "WARN", body, fields)))
            self._told, self._told_at = sum(self.dropped.values()), now


def of_pod(environment: Mapping[str, str]) -> Outlet:
    """That of a serving process, which is not started yet."""
    fields = {**log_line.identity(log_line.FRONT, environment), **fields_of(environment)}
    folder, spool = environment.get(log_line.ENV_LOG_SPOOL, ""), None
    if folder:
        try:
            spool = SpoolWriter(Path(folder), limit_bytes=SPOOL_BYTES)
        except OSError as error:
            log.error("no lines are sent on, there is no place for them: %s", error)
    return Outlet(fields, spool=spool)
