"""Carrier: sends what is on the pod's disk, batch after batch, and forgets a batch when it is in the table."""

import logging
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import orjson

from headrace.contract.errors import PermanentError, TemporaryError
from headrace.runtimes.records.frame import Frame, decoded, sequence_of
from headrace.runtimes.records.row import TOO_LARGE, row
from headrace.runtimes.records.spool import SpoolReader
from headrace.runtimes.sidecar.settlement import Settlement

log = logging.getLogger("headrace.sidecar")

BATCH_BYTES: Final = 4 * 1024 * 1024
"""Of frames in one batch: what a pod of 1,000 requests/s and 1 KB each leaves in the few seconds of a commit. The
sidecar holds a batch three times: as frames, as rows and as text."""
BATCH_FRAMES: Final = 10_000
LOOK_SECONDS: Final = 0.5
"""Between two looks at a disk on which nothing is new."""
_LONGEST_PAUSE_SECONDS: Final = 10.0
"""Between two tries while the table writer is away; they begin at LOOK_SECONDS and double."""


class Writer(Protocol):
    """Who puts rows into the table."""

    def write(self, lines: bytes) -> int:
        """The sequence up to which the pod's rows are in the table."""


class Carrier:
    """All records of one pod, in order."""

    def __init__(self, directory: Path, writer: Writer, *, pod_uid: str) -> None:
        self._directory, self._writer, self._pod_uid = directory, writer, pod_uid
        self._reader = SpoolReader(directory)
        self.settlement = Settlement.read(directory)
        self.failures = 0
        """Tries in a row that failed."""
        self.seen = self.settlement.sequence
        """The highest sequence that was read."""

    def run(self, stopping: threading.Event, *, pause: Callable[[float], object] | None = None) -> None:
        """Carries until it is told to stop and nothing is left; `pause` waits, and returns early when told to stop."""
        wait = stopping.wait if pause is None else pause
        while True:
            try:
                carried = self.carry()
                self.failures = 0
                if carried:
                    continue
                if stopping.is_set():
                    return
                wait(LOOK_SECONDS)
            except (TemporaryError, OSError) as error:
                self.failures += 1
                longest = min(_LONGEST_PAUSE_SECONDS, LOOK_SECONDS * 2 ** min(self.failures, 10))
                if self.failures in (1, 10) or self.failures % 100 == 0:
                    log.warning("records wait on the pod's disk: %s", error)
                if stopping.is_set():
                    threading.Event().wait(LOOK_SECONDS)  # until the grace ends
                else:
                    wait(random.uniform(LOOK_SECONDS, longest))

    def carry(self) -> bool:
        """Carries one batch; False where there was none. Raises TemporaryError where it is to be tried again."""
        settled = self.settlement
        bodies = self._reader.after(settled.sequence, most_bytes=BATCH_BYTES, most_frames=BATCH_FRAMES)
        if not bodies:
            return False
        last = sequence_of(bodies[-1])
        frames, unreadable = frames_of(bodies)
        self.seen = max(self.seen, last)
        lines = [orjson.dumps(row(frame, self._pod_uid)) for frame in frames]
        try:
            acknowledged = self._writer.write(b"\n".join(lines)) if lines else last
        except PermanentError as error:
            log.error("%d records are dropped: %s", len(bodies), error)
            self._settle(settled.settled(last, dropped=len(bodies)))
            return True
        if acknowledged < last:
            raise TemporaryError(f"the table writer acknowledged {acknowledged}, {last} was sent")
        bare = sum(1 for frame in frames if not TOO_LARGE.isdisjoint(frame.meta.error_codes))
        self._settle(settled.settled(last, written=len(frames) - bare, too_large=bare, dropped=unreadable))
        return True

    def _settle(self, settled: Settlement) -> None:
        try:
            settled.write(self._directory)
        except OSError:  # a full disk: the room that is needed is that of segments whose rows are in the table
            self._reader.forget(settled.sequence)
            settled.write(self._directory)
        self.settlement = settled
        self._reader.forget(settled.sequence)

    def pending(self) -> int:
        """Records on the disk that are not known to be in the table."""
        return SpoolReader(self._directory).count(self.settlement.sequence)


def frames_of(bodies: list[bytes]) -> tuple[list[Frame], int]:
    """The frames, and how many bodies are none: a front of another release wrote them."""
    frames, unreadable = [], 0
    for body in bodies:
        try:
            frames.append(decoded(body))
        except (ValueError, TypeError, LookupError):
            unreadable += 1
    return frames, unreadable
