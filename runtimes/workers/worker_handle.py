"""A place for one worker process, and the connection that the worker opens to the front."""

import asyncio
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from headrace.runtimes.calls import Batch
from headrace.runtimes.pod import processes
from headrace.runtimes.pod.log_outlet import Outlet
from headrace.runtimes.pod.model_output import Pipe, named_of
from headrace.runtimes.pod.watched_process import WatchedProcess
from headrace.runtimes.worker import frames
from headrace.runtimes.worker.frames import Kind
from headrace.runtimes.workers.model_context import model_context
from headrace.runtimes.workers.taken import Taken
from headrace.runtimes.workers.worker_concurrency import CallUse, WorkerConcurrency

_READ_BYTES = 1 << 18


@dataclass(eq=False)
class WorkerHandle:
    """A place for one worker process; what the queue sees of the process (`calls.Worker`)."""

    number: int
    pipes: tuple[Pipe, ...] = ()
    """What its processes print to: stdout and stderr."""
    process: WatchedProcess | None = None
    """None: the place is empty."""
    connection: "WorkerConnection | None" = None
    traces: bool = False
    """Whether its model's own spans are exported, so that it is told whose call it makes."""
    ready: bool = False
    merges: bool = False
    leaving: bool = False
    """No new work: it is being replaced."""
    beat: float = 0.0
    """When the worker last showed that it schedules threads, in monotonic seconds."""
    progress: float = 0.0
    """When one of its calls last ended or, if that is later, when the first of those that run began."""
    relieved: bool = False
    """No call ended for long: another worker has taken its place."""
    seen: processes.ProcessSample | None = None
    example: tuple[bytes, bytes] | None = None
    """The model's input example and the answer to it; until it was looked at."""
    proving: dict[str, Any] | None = None
    """How it described itself, while it answers the requests of the proof."""
    warm_bytes: int = 0
    """Memory it held after warm-up."""
    batches: dict[int, Batch] = field(default_factory=dict)
    """What it was sent and has not answered, by number, in order."""
    taken: Taken | None = None
    """How far it has come with them; None for a process that a former front started."""
    use: CallUse = field(default_factory=CallUse)
    concurrency: WorkerConcurrency = field(default_factory=WorkerConcurrency)

    @property
    def pid(self) -> int:
        """The process's number; 0: there is none."""
        return self.process.pid if self.process is not None else 0

    def width(self) -> int:
        """Batches it can run at once."""
        return self.concurrency.count if self.ready and self.connection is not None and not self.leaving else 0

    def free(self) -> int:
        """Batches it can take now without any waiting for another."""
        return self.width() - len(self.batches)

    def given_up(self) -> int:
        """Calls that it was sent and may never end; they take no other call's place."""
        return sum(len(batch.calls) for batch in self.batches.values()) if self.relieved else 0

    def room(self) -> float:
        """Batches it could run at once if every core were free."""
        if self.width() == 0:
            return 0.0
        pressure = processes.cpu_pressure(self.pid)
        found = self.use.at_once(pressure, merges=self.merges) if pressure is not None else 1.0
        return max(found, float(self.concurrency.count))

    def take(self, batch: Batch) -> None:
        """Sends a batch to the worker."""
        if self.connection is None:
            raise RuntimeError(f"place {self.number} has no worker")
        if not self.batches:
            self.progress = time.monotonic()
        self.connection.score(self, batch)

    def cancel(self, batch: Batch) -> None:
        """Tells the worker that nobody listens to a stream any more; a call in one piece runs to its end."""
        if batch.calls[0].pieces is None or self.connection is None:
            return
        for number, running in self.batches.items():
            if running is batch:
                self.connection.send(frames.pack(Kind.CANCEL, {"call": number}))

    def listen(self, outlet: Outlet | None) -> None:
        """Has lines that its processes print written to the log, from now on."""
        for pipe in self.pipes:
            pipe.named = self._named
            pipe.listen(outlet)

    def _hear(self) -> None:
        """Reads what was printed, while it is known in which call."""
        for pipe in self.pipes:
            pipe.look()

    def _named(self, number: int) -> Mapping[str, object]:
        """Fields of a line that was printed in the call of that number."""
        batch = self.batches.get(number)
        return {} if batch is None else named_of([call.asker for call in batch.calls])

    def took(self, number: int) -> bool:
        """Whether the worker may have begun with a batch that it has not answered."""
        return self.taken is None or self.taken.holds(number)

    def answered(self, number: int, *, said: bool = False) -> Batch | None:
        """Takes back a batch that the worker has answered. `said`: it has printed something meanwhile."""
        if said:
            self._hear()
        return self.batches.pop(number, None)

    def crowded(self, now: float) -> bool:
        """Looks whether the process has CPU to spare while requests wait for it."""
        if self.merges or not self.ready or self.leaving or self.free() > 0:
            return False
        pressure = processes.cpu_pressure(self.pid)
        return pressure is not None and self.concurrency.observe(now, pressure)

    def relaxed(self) -> None:
        """Nothing waits."""
        self.concurrency.idle()

    def apart(self, reason: str) -> None:
        """Has the worker merge no requests any more."""
        if self.merges and self.connection is not None:
            self.connection.send(frames.pack(Kind.APART, {"reason": reason}))
        self.merges = False

    def leave(self) -> None:
        """Asks the worker to finish what runs and to exit."""
        self.leaving = True
        if self.connection is not None:
            self.connection.send(frames.pack(Kind.LEAVE, {}))

    def kill(self) -> None:
        """Ends the process at once."""
        if self.process is not None:
            self.process.signal(signal.SIGKILL)

    def clear(self) -> int | None:
        """Forgets the ended process; its exit status, None when it was adopted."""
        for pipe in self.pipes:
            pipe.ended()
        code = self.process.close() if self.process is not None else None
        self.process, self.ready, self.leaving, self.relieved, self.seen = None, False, False, False, None
        self.example = self.proving = None
        self.concurrency = WorkerConcurrency()
        self.use = CallUse()
        if self.connection is not None:
            self.connection.handle = None
            self.connection.close()
            self.connection = None
        return code


class FrameListener(Protocol):
    """Who hears of frames: the pool."""

    def received(self, connection: "WorkerConnection", frame: frames.Frame) -> None:
        """One whole frame came."""

    def disconnected(self, connection: "WorkerConnection") -> None:
        """The connection is gone."""


class WorkerConnection(asyncio.Protocol):
    """The front's end of a connection that a worker opened."""

    def __init__(self, listener: FrameListener) -> None:
        self._listener = listener
        self._reader = frames.Reader()
        self._transport: asyncio.Transport | None = None
        self.handle: WorkerHandle | None = None
        """The place of the worker at the other end; None until it has said who it is."""
        self._last_number = 0

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

    def score(self, handle: WorkerHandle, batch: Batch) -> None:
        """Sends one batch."""
        self._last_number += 1
        handle.batches[self._last_number] = batch
        kind = Kind.SCORE if batch.calls[0].pieces is None else Kind.STREAM
        items = [[call.work.content_type, call.size] for call in batch.calls]
        head: dict[str, Any] = {"call": self._last_number, "items": items}
        if handle.traces and len(batch.calls) == 1 and (told := model_context(batch.calls[0].trace)) is not None:
            head["trace"] = told
        payload = b"".join([call.work.body for call in batch.calls])
        if self._transport is not None:
            self._transport.writelines((frames.opening(kind, head, len(payload)), payload))  # a large one is not copied

    def prove(self, works: Sequence[Any]) -> None:
        """Has the worker answer requests that were made of its model's example."""
        items = [[work.content_type, len(work.body)] for work in works]
        self.send(frames.pack(Kind.PROVE, {"items": items}, b"".join([work.body for work in works])))

    def send(self, frame: bytes) -> None:
        """Writes one frame."""
        if self._transport is not None:
            self._transport.write(frame)

    def close(self) -> None:
        """Hangs up."""
        if self._transport is not None:
            self._transport.close()
