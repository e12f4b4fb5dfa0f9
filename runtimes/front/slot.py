"""A place for one worker process, and the connection that the worker opens to the front."""

import asyncio
import os
import signal
import subprocess
from dataclasses import dataclass, field
from typing import Protocol, cast

from headrace.runtimes.front import process
from headrace.runtimes.front.dispatch import Batch
from headrace.runtimes.front.lanes import CallUse, Lanes
from headrace.runtimes.worker import frames
from headrace.runtimes.worker.frames import Kind

_READ_BYTES = 1 << 18


@dataclass(eq=False)
class Slot:
    """A place for one worker process."""

    number: int
    pid: int = 0
    """0: empty."""
    popen: "subprocess.Popen[bytes] | None" = None
    """None for a worker adopted from a former front."""
    pidfd: int = -1
    link: "Link | None" = None
    ready: bool = False
    merges: bool = False
    leaving: bool = False
    """No new work: it is being replaced."""
    started: float = 0.0
    beat: float = 0.0
    """When the worker last showed that it schedules threads."""
    seen: process.Sign | None = None
    warm_bytes: int = 0
    """Memory it held after warm-up."""
    calls: dict[int, Batch] = field(default_factory=dict)
    use: CallUse = field(default_factory=CallUse)
    lanes: Lanes = field(default_factory=Lanes)

    def width(self) -> int:
        """Batches it can run at once."""
        return self.lanes.count if self.ready and self.link is not None and not self.leaving else 0

    def free(self) -> int:
        """Batches it can take now."""
        return self.width() - len(self.calls)

    def room(self) -> float:
        """Batches it could run at once if every core were free."""
        if self.width() == 0:
            return 0.0
        demand = process.demand(self.pid)
        found = self.use.at_once(demand, merges=self.merges) if demand is not None else 1.0
        return max(found, float(self.lanes.count))

    def take(self, batch: Batch) -> None:
        """Sends a batch to the worker."""
        if self.link is None:
            raise RuntimeError(f"slot {self.number} has no worker")
        self.link.score(self, batch)

    def cancel(self, batch: Batch) -> None:
        """Tells the worker that nobody listens to a stream any more."""
        for number, running in self.calls.items():
            if running is batch and self.link is not None:
                self.link.send(frames.pack(Kind.CANCEL, {"call": number}))

    def crowded(self, now: float) -> bool:
        """Looks whether the process has CPU to spare while requests wait for it."""
        if self.merges or not self.ready or self.leaving or self.free() > 0:
            return False
        demand = process.demand(self.pid)
        return demand is not None and self.lanes.observe(now, demand)

    def relaxed(self) -> None:
        """Nothing waits."""
        self.lanes.idle()

    def apart(self, reason: str) -> None:
        """Has the worker merge no requests any more."""
        if self.merges and self.link is not None:
            self.link.send(frames.pack(Kind.APART, {"reason": reason}))
        self.merges = False

    def leave(self) -> None:
        """Asks the worker to finish what runs and to exit."""
        self.leaving = True
        if self.link is not None:
            self.link.send(frames.pack(Kind.LEAVE, {}))

    def kill(self) -> None:
        """Ends the process at once."""
        if self.pidfd != -1:
            try:
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            except ProcessLookupError:
                return  # it had ended already

    def clear(self) -> int | None:
        """Forgets the ended process; its exit status, None when it was not our child."""
        os.close(self.pidfd)
        code = self.popen.wait() if self.popen is not None else None
        self.pid, self.popen, self.pidfd, self.ready, self.leaving, self.seen = 0, None, -1, False, False, None
        self.lanes = Lanes()
        self.use = CallUse()
        if self.link is not None:
            self.link.slot = None
            self.link.close()
            self.link = None
        return code


class Listener(Protocol):
    """Who hears of frames: the pool."""

    def received(self, link: "Link", frame: frames.Frame) -> None:
        """One whole frame came."""

    def disconnected(self, link: "Link") -> None:
        """The connection is gone."""


class Link(asyncio.Protocol):
    """The front's end of a connection that a worker opened."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._reader = frames.Reader()
        self._transport: asyncio.Transport | None = None
        self.slot: Slot | None = None
        self._next_call = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A worker dialled in; it says who it is in its first frame."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not derive from asyncio's

    def look(self) -> None:
        """Reads what has come, ahead of its turn in the event loop."""
        if self._transport is None:
            return
        try:
            data = os.read(self._transport.get_extra_info("socket").fileno(), _READ_BYTES)
        except OSError:  # nothing has come, or the connection is gone: the event loop tells
            return
        if data:
            self.data_received(data)

    def data_received(self, data: bytes) -> None:
        """Handles every whole frame that came."""
        self._reader.feed(data)
        while (frame := self._reader.next()) is not None:
            self._listener.received(self, frame)

    def connection_lost(self, exc: Exception | None) -> None:
        """The worker's end is gone; its process follows."""
        self._listener.disconnected(self)

    def score(self, slot: Slot, batch: Batch) -> None:
        """Sends one batch."""
        self._next_call += 1
        slot.calls[self._next_call] = batch
        kind = Kind.SCORE if batch.calls[0].pieces is None else Kind.STREAM
        items = [[call.content_type, len(call.body)] for call in batch.calls]
        head = {"call": self._next_call, "items": items}
        payload = b"".join([call.body for call in batch.calls])
        if self._transport is not None:
            self._transport.writelines((frames.opening(kind, head, len(payload)), payload))  # a large one is not copied

    def send(self, frame: bytes) -> None:
        """Writes one frame."""
        if self._transport is not None:
            self._transport.write(frame)

    def close(self) -> None:
        """Hangs up."""
        if self._transport is not None:
            self._transport.close()
