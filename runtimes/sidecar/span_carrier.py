"""SpanCarrier: makes spans of what the front left on the pod's disk, sends them to the Collector, and forgets it."""

from collections.abc import Callable, Sequence
from pathlib import Path

from headrace.contract.errors import PermanentError
from headrace.runtimes.records.frame import Frame, sequence_of
from headrace.runtimes.sidecar.carrier import BATCH_FRAMES, Carrier, frames_of

BATCH_BYTES = 512 * 1024
"""Of frames: a thousand requests, whose spans are a megabyte."""


class SpanCarrier(Carrier):
    """All spans of one pod. What the Collector does not take is lost, and counted by who sends it."""

    def __init__(self, directory: Path, take: Callable[[Sequence[Frame]], None]) -> None:
        """`take` sends the spans of these, and raises nothing."""
        super().__init__(directory, _NoTable(), pod_uid="")
        self._take = take

    def carry(self) -> bool:
        """Sends one batch; False where there was none."""
        settled = self.settlement
        bodies = self._reader.after(settled.sequence, most_bytes=BATCH_BYTES, most_frames=BATCH_FRAMES)
        if not bodies:
            return False
        last = sequence_of(bodies[-1])
        frames, unreadable = frames_of(bodies)
        self._take(frames)
        self.seen = max(self.seen, last)
        self._settle(settled.settled(last, written=len(frames), dropped=unreadable))
        return True


class _NoTable:
    """Spans are no rows."""

    def write(self, lines: bytes) -> int:
        raise PermanentError(f"{len(lines)} bytes of rows in a folder of spans, where none may be; delete the folder")
