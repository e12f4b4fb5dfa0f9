"""Starts workers, listens to them and replaces the ones that end, hang or grow.

Workers dial in to a Unix socket and outlive the front: when gunicorn replaces the front's process, the workers dial
the new one and keep their loaded models. Their ends are watched through pidfds, which work for adopted processes too.
"""

import asyncio
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from headrace.runtimes import worker as worker_package
from headrace.runtimes.front import process
from headrace.runtimes.front.answers import refusal
from headrace.runtimes.front.dispatch import Dispatcher
from headrace.runtimes.front.logs import Pipe
from headrace.runtimes.front.merging import Merging
from headrace.runtimes.front.settings import Settings
from headrace.runtimes.front.slot import Link, Slot
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


class Pool:
    """All workers of the pod: `count` slots that serve and one for the successor of a worker that is replaced."""

    def __init__(
        self,
        settings: Settings,
        dispatcher: Dispatcher,
        *,
        pipes: Sequence[tuple[Pipe, Pipe]],
        on_failed: Callable[[str], None],
        on_first: Callable[[int, float, dict[str, float]], None],
        memory_ratio: Callable[[], float | None],
    ) -> None:
        self._settings = settings
        self._dispatcher = dispatcher
        self._pipes = pipes
        self._on_failed = on_failed
        self._on_first = on_first
        self._memory_ratio = memory_ratio
        self._socket = settings.run_directory / "front.sock"
        self._server: asyncio.AbstractServer | None = None
        self._stopping = False
        self._earliest = 0.0
        """When the next worker may start: later and later while they end soon after they start."""
        self._quick_ends = 0
        self.wanted = max(1, len(pipes) - 1)
        """Workers that should be ready."""
        self.slots = [Slot(number) for number in range(self.wanted + 1)]
        dispatcher.seats = list(self.slots)
        self.description: dict[str, Any] | None = None
        """What the first ready worker said about the model; None until then."""
        self.merging = Merging()

    @property
    def ready(self) -> bool:
        """Whether any worker can answer."""
        for slot in self.slots:  # noqa: SIM110 -- asked for each request, and a generator takes five times as long
            if slot.ready:
                return True
        return False

    @property
    def ready_workers(self) -> int:
        """Workers that take new work."""
        return sum(slot.ready and not slot.leaving for slot in self.slots)

    async def start(self) -> None:
        """Listens, adopts workers of a former front, and starts a first one; the others follow when it is ready."""
        self._settings.run_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._socket.unlink(missing_ok=True)
        loop = asyncio.get_running_loop()
        for pair in self._pipes:
            for pipe in pair:
                pipe.listen()
        self._server = await loop.create_unix_server(lambda: Link(self), str(self._socket))
        if any(self._survives(slot) for slot in self.slots):
            await asyncio.sleep(ADOPTION_SECONDS)
        if not any(slot.pid for slot in self.slots):
            self._start(self.slots[0])

    async def stop(self) -> None:
        """Tells every worker to leave and waits for it, two seconds at most."""
        self._stopping = True
        for slot in self.slots:
            slot.leave()
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
            slot.kill()
            self._pid_file(slot).unlink(missing_ok=True)

    def tend(self, now: float) -> None:
        """Looks after the workers; to be called about once a second."""
        if self._stopping:
            return
        for slot in self.slots:
            if slot.pid:
                self._check_pulse(slot, now)
        self._free_the_stuck(now)
        if self.description is None:
            return
        alive = [slot for slot in self.slots if slot.pid and not slot.leaving]
        if not all(slot.ready for slot in alive):
            return  # one at a time
        if len(alive) < self.wanted:
            self._start_spare(now)
        elif len(alive) > self.wanted:
            self._retire(max(alive, key=lambda slot: process.resident_bytes(slot.pid) / max(1, slot.warm_bytes)))
        else:
            ratio = self._memory_ratio()
            if any(process.overgrown(process.resident_bytes(slot.pid), slot.warm_bytes, ratio) for slot in alive):
                log.info("a worker has grown: starting its successor before it leaves")
                self._start_spare(now)

    def look(self) -> None:
        """Reads the workers' answers now, however many callers the event loop has to read first."""
        for slot in self.slots:
            if slot.link is not None:
                slot.link.look()

    def received(self, link: Link, frame: frames.Frame) -> None:
        """Handles one frame of a worker."""
        slot = link.slot
        if frame.kind == Kind.HELLO:
            self._greet(link, frame)
        elif slot is None:
            link.close()
        elif frame.kind == Kind.SCORED:
            slot.beat = time.monotonic()
            batch = slot.calls.pop(frame.head["call"], None)
            if batch is not None:
                items = frame.head["items"]
                bodies = frames.split(frame.payload, [length for _, length in items])
                seconds = frame.head.get("seconds")
                if seconds is not None:
                    slot.use.called(seconds)
                results = [(status, body) for (status, _), body in zip(items, bodies, strict=True)]
                self.merging.count(frame.head)
                self._dispatcher.finished(batch, results, seconds)
        elif frame.kind == Kind.CHUNK:
            slot.beat = time.monotonic()
            streaming = slot.calls.get(frame.head["call"])
            if streaming is not None and (pieces := streaming.calls[0].pieces) is not None:
                pieces.put_nowait(frame.payload)
        elif frame.kind == Kind.BEAT:
            slot.beat = time.monotonic()
        elif frame.kind == Kind.READY:
            self._welcome(slot, frame.head)
        elif frame.kind == Kind.FAILED:
            self._failed(slot, str(frame.head["reason"]))

    def disconnected(self, link: Link) -> None:
        """A worker's connection closed."""
        slot = link.slot
        if slot is not None and slot.link is link:
            slot.link = None
            slot.ready = False
            self._lose_calls(slot)
            slot.kill()  # without its connection it is of no use

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

    def _welcome(self, slot: Slot, described: dict[str, Any]) -> None:
        self._settle_merging(slot, described)
        if slot.ready:
            return  # it said anew whether it merges
        slot.ready = True
        slot.warm_bytes = process.resident_bytes(slot.pid)
        slot.use.begin(process.demand(slot.pid))
        log.info("worker %d (pid %d) is ready", slot.number, slot.pid, extra={"fields": {"model": described}})
        if self.description is None:
            self._on_first(slot.pid, slot.started, described.get("marks", {}) if slot.popen is not None else {})
            self.description = described
            wanted = process.affordable(self.wanted, slot.warm_bytes, self._settings.memory_bytes)
            if wanted < self.wanted:
                log.info("memory has room for %d workers of %d bytes", wanted, slot.warm_bytes)
            self.wanted = wanted
            self.tend(time.monotonic())
        self._dispatcher.pump()

    def _settle_merging(self, slot: Slot, described: dict[str, Any]) -> None:
        """Lets a worker merge as it says it may, unless one of the workers has seen that it must not."""
        slot.merges = bool(described["merges"])
        self.merging.heard(described)
        if self.merging.ended:
            for other in self.slots:
                other.apart(self.merging.reason)

    def _check_pulse(self, slot: Slot, now: float) -> None:
        seen = process.sign(slot.pid)
        if seen is None or now - slot.beat < process.SILENT_SECONDS / 2:
            slot.seen = seen
            return
        if slot.seen is None:
            slot.seen = seen
        elif process.hung(slot.beat, slot.seen, seen, ready=slot.ready):
            log.error("worker %d (pid %d) hangs: no beat for %.0f s", slot.number, slot.pid, now - slot.beat)
            slot.kill()

    def _free_the_stuck(self, now: float) -> None:
        """A call past its deadline keeps a lane for good: its worker gets no more work, and ends when no other runs."""
        for slot in self.slots:
            overdue = [batch for batch in slot.calls.values() if all(call.answer.done() for call in batch.calls)]
            late = [batch for batch in overdue if batch.calls[0].deadline + 1.0 < now]
            if late:
                slot.leaving = True
                if len(overdue) == len(slot.calls):
                    log.error("worker %d (pid %d) is stuck in a call past its deadline", slot.number, slot.pid)
                    slot.kill()

    def _start_spare(self, now: float) -> None:
        spare = next((slot for slot in self.slots if slot.pid == 0), None)
        if spare is not None and now >= self._earliest:
            self._start(spare)

    def _retire(self, slot: Slot) -> None:
        log.info("worker %d (pid %d) leaves: its successor is ready", slot.number, slot.pid)
        slot.leave()

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
        if self._stopping or slot.pid:
            return
        settings = self._settings
        command = [
            str(settings.python),
            *("-I", "-u"),
            str(Path(worker_package.__file__).with_name("__main__.py")),
            *("--socket", str(self._socket), "--model", str(settings.model), "--slot", str(slot.number)),
        ]
        stdout, stderr = self._pipes[slot.number]
        slot.popen = subprocess.Popen(
            command,
            env=process.environment(
                dict(os.environ), threads=max(1, int(settings.cores / self.wanted)), home=settings.run_directory
            ),
            cwd=settings.run_directory,
            stdin=subprocess.DEVNULL,
            stdout=stdout.write,
            stderr=stderr.write,
            process_group=0,  # no new session: the kernel shares cores out by session first, and by niceness within one
        )
        self._watch(slot, slot.popen.pid)

    def _watch(self, slot: Slot, pid: int) -> None:
        slot.pid = pid
        slot.started = slot.beat = time.monotonic()
        slot.pidfd = os.pidfd_open(pid)
        self._pid_file(slot).write_text(str(pid))
        asyncio.get_running_loop().add_reader(slot.pidfd, self._ended, slot)

    def _ended(self, slot: Slot) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(slot.pidfd)
        lived = time.monotonic() - slot.started
        retired = slot.leaving and not slot.calls
        code = slot.clear()
        self._pid_file(slot).unlink(missing_ok=True)
        self._lose_calls(slot)
        if self._stopping:
            return
        if retired and code in (0, None):
            log.info("worker %d left", slot.number)
            return
        self._dispatcher.load.worker_exits += 1
        log.warning("worker %d ended after %.1f s: %s", slot.number, lived, ending(code))
        if self.description is None:
            self._on_failed(f"the model's process ended while it loaded: {ending(code)}")
            return
        self._quick_ends = self._quick_ends + 1 if lived < STABLE_SECONDS else 0
        delay = 0.0 if self._quick_ends == 0 else min(LONGEST_DELAY_SECONDS, 0.25 * 2.0**self._quick_ends)
        self._earliest = time.monotonic() + delay
        loop.call_later(delay, lambda: self.tend(time.monotonic()))

    def _failed(self, slot: Slot, reason: str) -> None:
        if self.description is None:
            self._on_failed(reason)
        else:
            log.error("worker %d cannot load the model that another one serves: %s", slot.number, reason)
        slot.leave()

    def _lose_calls(self, slot: Slot) -> None:
        calls, slot.calls = slot.calls, {}
        for batch in calls.values():
            self._dispatcher.lost(batch, LOST)


def ending(code: int | None) -> str:
    """How a process ended, in words."""
    if code is None:
        return "it ended under a former front"
    if code >= 0:
        return f"exit status {code}"
    name = signal.Signals(-code).name
    hint = " (usually the kernel, out of memory)" if -code == signal.SIGKILL else ""
    return f"killed by {name}{hint}"
