"""Starts workers, listens to them and replaces the ones that end.

Workers dial in to a Unix socket and outlive the front: when gunicorn replaces the front's process, the workers dial
the new one and keep their loaded models. Their ends are watched through pidfds, which work for adopted processes too.
"""

import asyncio
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from headrace.runtimes import worker as worker_package
from headrace.runtimes.front.answers import refusal
from headrace.runtimes.front.dispatch import Batch, Dispatcher
from headrace.runtimes.front.lanes import Lanes
from headrace.runtimes.front.settings import Settings
from headrace.runtimes.worker import frames
from headrace.runtimes.worker.frames import Kind

log = logging.getLogger("headrace.front")

ADOPTION_SECONDS = 2.0
"""How long a new front waits for the workers of the one before it."""
STABLE_SECONDS = 10.0
"""A worker that ends sooner than this after its start is replaced with growing delay."""
LONGEST_DELAY_SECONDS = 30.0

LOST = refusal(
    500,
    "INTERNAL_ERROR",
    "The model's process ended while it evaluated this request. It has been replaced; other requests are not affected.",
)


@dataclass(eq=False)
class Slot:
    """A place for one worker process."""

    number: int
    pid: int = 0
    popen: "subprocess.Popen[bytes] | None" = None
    pidfd: int = -1
    link: "Link | None" = None
    ready: bool = False
    started: float = 0.0
    quick_ends: int = 0
    merges: bool = False
    calls: dict[int, Batch] = field(default_factory=dict)
    lanes: Lanes = field(default_factory=Lanes)

    def free(self) -> int:
        """Batches it can take now."""
        return self.lanes.count - len(self.calls) if self.ready and self.link is not None else 0

    def crowded(self, now: float) -> bool:
        """Looks whether the process has CPU to spare while requests wait for it."""
        if self.merges or not self.ready or self.free() > 0:
            return False
        try:
            return self.lanes.observe(now, time.clock_gettime(_cpu_clock(self.pid)))
        except OSError:
            return False  # it just ended

    def relaxed(self) -> None:
        """Nothing waits."""
        self.lanes.idle()

    def take(self, batch: Batch) -> None:
        """Sends a batch to the worker."""
        if self.link is None:
            raise RuntimeError(f"slot {self.number} has no worker")
        self.link.score(self, batch)


def _cpu_clock(pid: int) -> int:
    # The kernel's number for "CPU time of that process" (clock_getcpuclockid(3), which Python does not export).
    return (~pid << 3) | 2


class Link(asyncio.Protocol):
    """The front's end of a connection that a worker opened."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._reader = frames.Reader()
        self._transport: asyncio.Transport | None = None
        self.slot: Slot | None = None
        self._next_call = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A worker dialled in; it says who it is in its first frame."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not derive from asyncio's

    def data_received(self, data: bytes) -> None:
        """Handles every whole frame that came."""
        self._reader.feed(data)
        while (frame := self._reader.next()) is not None:
            self._pool.received(self, frame)

    def connection_lost(self, exc: Exception | None) -> None:
        """The worker's end is gone; its process follows, see `Pool.ended`."""
        self._pool.disconnected(self)

    def score(self, slot: Slot, batch: Batch) -> None:
        """Sends one batch."""
        self._next_call += 1
        slot.calls[self._next_call] = batch
        items = [[call.content_type, len(call.body)] for call in batch.calls]
        head = {"call": self._next_call, "items": items}
        self.send(frames.pack(Kind.SCORE, head, b"".join([call.body for call in batch.calls])))

    def send(self, frame: bytes) -> None:
        """Writes one frame."""
        if self._transport is not None:
            self._transport.write(frame)

    def close(self) -> None:
        """Hangs up."""
        if self._transport is not None:
            self._transport.close()


class Pool:
    """All workers of the pod."""

    def __init__(self, settings: Settings, dispatcher: Dispatcher, on_failed: Callable[[str], None]) -> None:
        self._settings = settings
        self._dispatcher = dispatcher
        self._on_failed = on_failed
        self._socket = settings.run_directory / "front.sock"
        self._server: asyncio.AbstractServer | None = None
        self._stopping = False
        self.slots: list[Slot] = []
        self.description: dict[str, Any] | None = None
        """What the first ready worker said about the model; None until then."""

    @property
    def ready(self) -> bool:
        """Whether any worker can answer."""
        return any(slot.ready for slot in self.slots)

    async def start(self, count: int) -> None:
        """Listens, adopts workers of a former front, and starts the missing ones."""
        self._settings.run_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._socket.unlink(missing_ok=True)
        self.slots = [Slot(number) for number in range(count)]
        self._dispatcher.seats = list(self.slots)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: Link(self), str(self._socket))
        if any(self._survives(slot) for slot in self.slots):
            await asyncio.sleep(ADOPTION_SECONDS)
        for slot in self.slots:
            if slot.pid == 0:
                self._start(slot)

    async def stop(self) -> None:
        """Tells every worker to leave and waits for it, two seconds at most."""
        self._stopping = True
        for slot in self.slots:
            if slot.link is not None:
                slot.link.send(frames.pack(Kind.LEAVE, {}))
        for _ in range(40):
            if not any(slot.pid for slot in self.slots):
                break
            await asyncio.sleep(0.05)
        self.kill()
        if self._server is not None:
            self._server.close()
        self._socket.unlink(missing_ok=True)

    def kill(self) -> None:
        """Ends every worker at once."""
        for slot in self.slots:
            self._kill(slot)
            self._pid_file(slot).unlink(missing_ok=True)

    def received(self, link: Link, frame: frames.Frame) -> None:
        """Handles one frame of a worker."""
        slot = link.slot
        if frame.kind == Kind.HELLO:
            self._greet(link, frame)
        elif slot is None:
            link.close()
        elif frame.kind == Kind.READY:
            slot.ready = True
            slot.merges = bool(frame.head["merges"])
            if self.description is None:
                self.description = frame.head
            log.info("worker %d (pid %d) is ready: %s", slot.number, slot.pid, frame.head)
            self._dispatcher.pump()
        elif frame.kind == Kind.FAILED:
            self._failed(slot, str(frame.head["reason"]))
        elif frame.kind == Kind.SCORED:
            batch = slot.calls.pop(frame.head["call"], None)
            if batch is not None:
                items = frame.head["items"]
                bodies = frames.split(frame.payload, [length for _, length in items])
                self._dispatcher.finished(
                    batch, [(status, body) for (status, _), body in zip(items, bodies, strict=True)]
                )

    def disconnected(self, link: Link) -> None:
        """A worker's connection closed."""
        slot = link.slot
        if slot is not None and slot.link is link:
            slot.link = None
            slot.ready = False
            self._lose_calls(slot)
            self._kill(slot)  # without its connection it is of no use

    def _greet(self, link: Link, frame: frames.Frame) -> None:
        number, pid = int(frame.head["slot"]), int(frame.head["pid"])
        slot = next((slot for slot in self.slots if slot.number == number), None)
        if slot is None or slot.pid not in (0, pid):
            link.send(frames.pack(Kind.LEAVE, {}))
            return
        link.slot = slot
        slot.link = link
        if slot.pid == 0:
            log.info("adopted worker %d (pid %d) of the former front", number, pid)
            self._watch(slot, pid)

    def _pid_file(self, slot: Slot) -> Path:
        return self._settings.run_directory / f"worker-{slot.number}.pid"

    def _survives(self, slot: Slot) -> bool:
        # The run directory outlives a container, process numbers do not: the number alone proves nothing.
        try:
            pid = int(self._pid_file(slot).read_text())
            return str(self._socket).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return False

    def _start(self, slot: Slot) -> None:
        if self._stopping:
            return
        settings = self._settings
        command = [
            str(settings.python),
            "-I",
            "-u",
            str(Path(worker_package.__file__).with_name("__main__.py")),
            *("--socket", str(self._socket), "--model", str(settings.model), "--slot", str(slot.number)),
        ]
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        environment.setdefault("HOME", str(settings.run_directory))
        slot.popen = subprocess.Popen(
            command, env=environment, cwd=settings.run_directory, stdin=subprocess.DEVNULL, start_new_session=True
        )
        self._watch(slot, slot.popen.pid)

    def _watch(self, slot: Slot, pid: int) -> None:
        loop = asyncio.get_running_loop()
        slot.pid = pid
        slot.started = loop.time()
        slot.pidfd = os.pidfd_open(pid)
        self._pid_file(slot).write_text(str(pid))
        loop.add_reader(slot.pidfd, self._ended, slot)

    def _ended(self, slot: Slot) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(slot.pidfd)
        os.close(slot.pidfd)
        code = slot.popen.wait() if slot.popen is not None else None
        lived = loop.time() - slot.started
        was_ready = slot.ready
        slot.pid, slot.popen, slot.pidfd, slot.ready = 0, None, -1, False
        slot.lanes = Lanes()
        if slot.link is not None:
            slot.link.slot = None
            slot.link.close()
            slot.link = None
        self._lose_calls(slot)
        if self._stopping:
            return
        self._dispatcher.load.worker_exits += 1
        log.warning("worker %d ended after %.1f s: %s", slot.number, lived, ending(code))
        if not was_ready and self.description is None:
            self._on_failed(f"the model's process ended while it loaded: {ending(code)}")
            return
        slot.quick_ends = slot.quick_ends + 1 if lived < STABLE_SECONDS else 0
        delay = 0.0 if slot.quick_ends == 0 else min(LONGEST_DELAY_SECONDS, 0.25 * 2.0**slot.quick_ends)
        loop.call_later(delay, self._start, slot)

    def _failed(self, slot: Slot, reason: str) -> None:
        if self.description is None:
            self._on_failed(reason)
        else:
            log.error("worker %d cannot load the model that another one serves: %s", slot.number, reason)
        if slot.link is not None:
            slot.link.send(frames.pack(Kind.LEAVE, {}))

    def _lose_calls(self, slot: Slot) -> None:
        calls, slot.calls = slot.calls, {}
        for batch in calls.values():
            self._dispatcher.lost(batch, LOST)

    def _kill(self, slot: Slot) -> None:
        if slot.pidfd != -1:
            try:
                signal.pidfd_send_signal(slot.pidfd, signal.SIGKILL)
            except ProcessLookupError:
                log.debug("worker %d had ended already", slot.number)


def ending(code: int | None) -> str:
    """How a process ended, in words."""
    if code is None:
        return "it ended under a former front"
    if code >= 0:
        return f"exit status {code}"
    name = signal.Signals(-code).name
    hint = " (usually the kernel, out of memory)" if -code == signal.SIGKILL else ""
    return f"killed by {name}{hint}"
