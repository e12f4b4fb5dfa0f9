"""Starts workers, listens to them and replaces the ones that end, hang or grow.

Workers dial in to a Unix socket and outlive the front: when the parent replaces the serving process, the workers dial
the new one and keep their loaded models (docs/decisions/0302).
"""

import asyncio
import contextlib
import logging
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from headrace.runtimes import worker as worker_package
from headrace.runtimes.calls import Listener, Prover
from headrace.runtimes.pod import processes
from headrace.runtimes.pod.log_outlet import Outlet
from headrace.runtimes.pod.model_output import Pipe
from headrace.runtimes.pod.restarts import BackOff
from headrace.runtimes.pod.settings import Settings
from headrace.runtimes.pod.watched_process import WatchedProcess, ending
from headrace.runtimes.protocols.errors import Failure, Reason
from headrace.runtimes.worker import frames
from headrace.runtimes.worker.frames import Kind
from headrace.runtimes.workers.answered_frames import outcomes, proven_outcomes
from headrace.runtimes.workers.merging import Merging
from headrace.runtimes.workers.taken import Taken
from headrace.runtimes.workers.worker_handle import WorkerConnection, WorkerHandle
from headrace.runtimes.workers.worker_health import WorkerHealth, check_pulse, free_the_stuck

log = logging.getLogger("headrace.front")

ADOPTION_SECONDS = 2.0
"""How long a new front waits for the workers of the one before it."""

LOST = Failure(
    Reason.INTERNAL,
    "The model's process ended while it evaluated this request. It has been replaced; other requests are not affected.",
)

NOT_BEGUN = Failure(
    Reason.UNAVAILABLE,
    "The model's process ended before it began with this request, and is being replaced.",
    retry_after_seconds=1,
)


class Pool:
    """All workers of the pod: places that serve, and one more for the successor of a worker that is replaced."""

    schedules = False

    def __init__(
        self,
        settings: Settings,
        listener: Listener,
        *,
        pipes: Sequence[tuple[Pipe, Pipe]],
        on_exit: Callable[[], None],
        on_failed: Callable[[str], None],
        on_first: Callable[[int, float, dict[str, float]], None],
        memory_ratio: Callable[[], float | None],
        outlet: Outlet | None = None,
    ) -> None:
        """`on_first` hears of the first worker that is ready: its process, when it started, and its start's phases."""
        self._settings = settings
        self._listener = listener
        self._on_exit = on_exit
        self._on_failed = on_failed
        self._on_first = on_first
        self._memory_ratio = memory_ratio
        self._outlet = outlet
        self._socket = settings.run_directory / "front.sock"
        self._server: asyncio.AbstractServer | None = None
        self._stopping = False
        self._earliest = 0.0
        """When the next worker may start."""
        self._back_off = BackOff()
        self.wanted = max(1, len(pipes) - 1)
        """Workers that should be ready."""
        count, of = self.wanted + 1, len(pipes)
        self.workers = [WorkerHandle(number, pipes[number] if number < of else ()) for number in range(count)]
        self.description: dict[str, Any] | None = None
        """What the first ready worker said about the model; None until then."""
        self.merging = Merging()
        self._health = WorkerHealth()
        self.prover: Prover | None = None
        """Who looks at the model before it takes requests; None: it takes them at once."""

    @property
    def ready(self) -> bool:
        """Whether any worker can answer."""
        for handle in self.workers:  # noqa: SIM110 -- asked for each request, and a generator takes five times as long
            if handle.ready:
                return True
        return False

    @property
    def ready_workers(self) -> int:
        """Workers that take new work."""
        return sum(handle.ready and not handle.leaving for handle in self.workers)

    def figures(self) -> Sequence[tuple[str, str, float | None]]:
        """Metrics of merging, of relieved workers, and of whether the model has answered its own input example."""
        warmed = None if self.description is None else float(bool(self.description.get("warmed_up")))
        relieved = ("headrace_workers_relieved_total", "counter", float(self._health.relieved))
        return [("headrace_warmed_up", "gauge", warmed), relieved, *self.merging.figures()]

    async def start(self) -> None:
        """Listens, adopts workers of a former front, and starts a first one; the others follow when it is ready."""
        self._settings.run_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._socket.unlink(missing_ok=True)
        loop = asyncio.get_running_loop()
        for handle in self.workers:
            handle.listen(self._outlet)
        self._server = await loop.create_unix_server(lambda: WorkerConnection(self), str(self._socket))
        if any(self._survives(handle) for handle in self.workers):
            await asyncio.sleep(ADOPTION_SECONDS)
        if not any(handle.process for handle in self.workers):
            self._start(self.workers[0])

    async def stop(self) -> None:
        """Tells every worker to leave and waits for it, two seconds at most."""
        self._stopping = True
        for handle in self.workers:
            handle.leave()
        for _ in range(40):
            if not any(handle.process for handle in self.workers):
                break
            await asyncio.sleep(0.05)
        self.kill()
        if self._server is not None:
            self._server.close()
        self._socket.unlink(missing_ok=True)

    def kill(self) -> None:
        """Ends every worker at once."""
        for handle in self.workers:
            handle.kill()
            self._pid_file(handle).unlink(missing_ok=True)

    def leaving(self, grace_seconds: float) -> None:
        """The pod ends: workers serve until they are told to leave."""

    def tend(self, now: float) -> None:
        """Looks after the workers; to be called about once a second."""
        if self._stopping:
            return
        for handle in self.workers:
            if handle.process is not None:
                check_pulse(handle, now)
        free_the_stuck(self.workers, now)
        if self.description is None:
            return
        self._health.relieve(self.workers, now, used=self._memory_ratio(), memory=self._settings.memory_bytes)
        alive = [handle for handle in self.workers if handle.process is not None and not handle.leaving]
        if not all(handle.ready for handle in alive):
            return  # one at a time
        if len(alive) < self.wanted:
            self._start_spare(now)
        elif len(alive) > self.wanted:
            self._retire(max(alive, key=lambda one: processes.resident_bytes(one.pid) / max(1, one.warm_bytes)))
        else:
            ratio = self._memory_ratio()
            if any(
                processes.overgrown(processes.resident_bytes(handle.pid), handle.warm_bytes, ratio) for handle in alive
            ):
                log.info("a worker has grown: starting its successor before it leaves")
                self._start_spare(now)

    def look(self) -> None:
        """Reads the workers' answers now, however many callers the event loop has to read first."""
        for handle in self.workers:
            if handle.connection is not None:
                handle.connection.look()

    def received(self, connection: WorkerConnection, frame: frames.Frame) -> None:
        """Handles one frame of a worker."""
        handle = connection.handle
        if frame.kind == Kind.HELLO:
            self._greet(connection, frame)
        elif handle is None:
            connection.close()
        elif frame.kind == Kind.SCORED:
            self._answered(handle, frame)
        elif frame.kind == Kind.CHUNK:
            handle.beat = handle.progress = time.monotonic()
            batch = handle.batches.get(frame.head["call"])
            pieces = batch.calls[0].pieces if batch is not None else None
            if pieces is not None:
                pieces.put_nowait(frame.payload)
        elif frame.kind == Kind.BEAT:
            handle.beat = time.monotonic()
        elif frame.kind == Kind.EXAMPLE:
            body, answer = frames.split(frame.payload, frame.head["lengths"])
            handle.example = body, answer
        elif frame.kind == Kind.READY:
            self._welcome(handle, frame.head)
        elif frame.kind == Kind.PROVED:
            self._proved(handle, frame)
        elif frame.kind == Kind.FAILED:
            self._failed(handle, str(frame.head["reason"]))

    def disconnected(self, connection: WorkerConnection) -> None:
        """A worker's connection closed."""
        handle = connection.handle
        if handle is not None and handle.connection is connection:
            handle.connection = None
            handle.ready = False
            self._lose_batches(handle)
            handle.kill()  # without its connection it is of no use

    def _answered(self, handle: WorkerHandle, frame: frames.Frame) -> None:
        handle.beat = handle.progress = time.monotonic()
        batch = handle.answered(frame.head["call"], said="said" in frame.head)
        if batch is None:
            return
        seconds = frame.head.get("seconds")
        if seconds is not None:
            handle.use.called(seconds)
            self._health.called(seconds)
        self.merging.count(frame.head)
        self._listener.finished(batch, outcomes(frame), seconds)

    def _greet(self, connection: WorkerConnection, frame: frames.Frame) -> None:
        number, pid = int(frame.head["slot"]), int(frame.head["pid"])
        handle = next((handle for handle in self.workers if handle.number == number), None)
        if handle is None or handle.pid not in (0, pid):
            connection.send(frames.pack(Kind.LEAVE, {}))
            return
        connection.handle = handle
        handle.connection = connection
        if handle.process is None:
            log.info("adopted worker %d (pid %d) of the former front", number, pid)
            handle.taken = None
            self._watch(handle, pid)

    def _welcome(self, handle: WorkerHandle, described: dict[str, Any]) -> None:
        self._settle_merging(handle, described)
        if handle.ready or handle.process is None or handle.proving is not None:
            return  # it said anew whether it merges
        given, handle.example = handle.example, None
        adopted = handle.process.popen is None
        if self.description is None and self.prover is not None and handle.connection is not None and not adopted:
            works = self.prover.requests(described, given)
            if works:
                handle.proving = described
                handle.connection.prove(works)
                return
        self._begin(handle, described)

    def _proved(self, handle: WorkerHandle, frame: frames.Frame) -> None:
        described, handle.proving = handle.proving, None
        if described is None or self.prover is None:
            return
        self.prover.answered(proven_outcomes(frame))
        self._begin(handle, described)

    def _begin(self, handle: WorkerHandle, described: dict[str, Any]) -> None:
        """The worker takes calls from now on."""
        assert handle.process is not None
        handle.ready = True
        handle.warm_bytes = processes.resident_bytes(handle.pid)
        handle.use.begin(processes.cpu_pressure(handle.pid))
        log.info("worker %d (pid %d) is ready", handle.number, handle.pid, extra={"fields": {"model": described}})
        if self.description is None:
            adopted = handle.process.popen is None
            self._on_first(handle.pid, handle.process.started, {} if adopted else described.get("marks", {}))
            self.description = described
            wanted = processes.affordable(self.wanted, handle.warm_bytes, self._settings.memory_bytes)
            if wanted < self.wanted:
                log.info("memory has room for %d workers of %d bytes", wanted, handle.warm_bytes)
            self.wanted = wanted
            self.tend(time.monotonic())
        self._listener.pump()

    def _settle_merging(self, handle: WorkerHandle, described: dict[str, Any]) -> None:
        """Lets a worker merge as it says it may, unless one of the workers has seen that it must not."""
        handle.merges, handle.traces = bool(described["merges"]), bool(described.get("traces"))
        self.merging.heard(described)
        if self.merging.ended:
            for other in self.workers:
                other.apart(self.merging.reason)

    def _start_spare(self, now: float) -> None:
        spare = next((handle for handle in self.workers if handle.process is None), None)
        if spare is not None and now >= self._earliest:
            self._start(spare)

    def _retire(self, handle: WorkerHandle) -> None:
        log.info("worker %d (pid %d) leaves: its successor is ready", handle.number, handle.pid)
        handle.leave()

    def _pid_file(self, handle: WorkerHandle) -> Path:
        return self._settings.run_directory / f"worker-{handle.number}.pid"

    def _survives(self, handle: WorkerHandle) -> bool:
        # The run directory outlives a container, process numbers do not: the number alone proves nothing.
        try:
            pid = int(self._pid_file(handle).read_text())
            return str(self._socket).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return False

    def _start(self, handle: WorkerHandle) -> None:
        if self._stopping or handle.process is not None:
            return
        settings = self._settings
        command = [
            str(settings.python),
            *("-I", "-u"),
            str(Path(worker_package.__file__).with_name("__main__.py")),
            *("--socket", str(self._socket), "--model", str(settings.model), "--slot", str(handle.number)),
        ]
        stdout, stderr = handle.pipes
        handle.taken = Taken()
        command += ["--taken", str(handle.taken.descriptor)]
        with contextlib.closing(handle.taken):
            popen = subprocess.Popen(
                command,
                env=processes.environment(
                    dict(os.environ),
                    threads=max(1, int(settings.cores / self.wanted)),
                    home=settings.run_directory,
                    programs=settings.python.parent if settings.python.is_absolute() else None,
                ),
                cwd=settings.run_directory,
                stdin=subprocess.DEVNULL,
                stdout=stdout.write,
                stderr=stderr.write,
                pass_fds=(handle.taken.descriptor,),
                # No new session: the kernel shares cores out by session first, and by niceness within one.
                process_group=0,
            )
        self._watch(handle, popen.pid, popen)

    def _watch(self, handle: WorkerHandle, pid: int, popen: "subprocess.Popen[bytes] | None" = None) -> None:
        handle.process = WatchedProcess(pid, lambda: self._ended(handle), popen)
        handle.beat = handle.process.started
        try:
            self._pid_file(handle).write_text(str(pid))
        except OSError as error:  # /tmp is full: a front that is replaced starts workers of its own
            log.warning("cannot note the number of worker %d: %s", handle.number, error)

    def _ended(self, handle: WorkerHandle) -> None:
        assert handle.process is not None
        lived = time.monotonic() - handle.process.started
        retired = handle.leaving and not handle.batches
        code = handle.clear()
        self._pid_file(handle).unlink(missing_ok=True)
        self._lose_batches(handle)
        if self._stopping:
            return
        if retired and code in (0, None):
            log.info("worker %d left", handle.number)
            return
        self._on_exit()
        log.warning("worker %d ended after %.1f s: %s", handle.number, lived, ending(code))
        if self.description is None:
            self._on_failed(f"the model's process ended while it loaded: {ending(code)}")
            return
        delay = self._back_off.delay(lived)
        self._earliest = time.monotonic() + delay
        asyncio.get_running_loop().call_later(delay, lambda: self.tend(time.monotonic()))

    def _failed(self, handle: WorkerHandle, reason: str) -> None:
        if self.description is None:
            self._on_failed(reason)
        else:
            log.error("worker %d cannot load the model that another one serves: %s", handle.number, reason)
        handle.leave()

    def _lose_batches(self, handle: WorkerHandle) -> None:
        batches, handle.batches = handle.batches, {}
        for number, batch in reversed(batches.items()):  # the first of them shall wait in front
            if handle.took(number):
                self._listener.lost(batch, LOST)
            else:
                self._listener.returned(batch, NOT_BEGUN)
