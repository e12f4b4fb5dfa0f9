"""PID 1 of a model pod: replaces the serving process should it ever end, and reaps what is orphaned to it.

Listeners and the pipes of what models print are made here and inherited, so that connections wait in the kernel, and
nothing printed is lost, while the serving process is replaced; workers and engines outlive it (docs/decisions/0302).
"""

import logging
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from headrace.runtimes.pod.processes import ProcessSample
from headrace.runtimes.pod.restarts import BackOff
from headrace.runtimes.pod.watched_process import ending

log = logging.getLogger("headrace.front")

FATAL: Final = 3
"""Exit status of a serving process that is not to be replaced: the model cannot be served."""
HUNG_SECONDS: Final = 30.0
"""A serving process that gives no sign of life for so long is ended, and replaced. It gives one every second."""

STOPPED_LOOKS: Final = 3
"""Looks in a row, a second apart, that find the parent stopped before the pod says so."""


class Heartbeat:
    """The serving process's end of a pipe to its parent."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def beat(self) -> bool:
        """Gives a sign of life; False when the parent is gone."""
        try:
            os.write(self._descriptor, b".")
        except BlockingIOError:
            return True  # a parent that is behind has signs enough to read
        except OSError:
            return False
        return True


class Guard:
    """What the serving process sees of its parent, once a second. Pure.

    A parent that is stopped replaces nobody. The pod then answers its probes with 503, and the kubelet starts it anew.
    """

    def __init__(self) -> None:
        self._stopped_looks = 0

    def look(self, seen: ProcessSample | None) -> None:
        """Takes in what it looks like; None: it is gone."""
        self._stopped_looks = self._stopped_looks + 1 if seen is not None and seen.stopped else 0

    @property
    def stopped(self) -> bool:
        """Whether it stays stopped: longer than a debugger's glance."""
        return self._stopped_looks >= STOPPED_LOOKS


class Parent:
    """Keeps one serving process running until SIGTERM."""

    def __init__(self, serve: Callable[[Heartbeat], int], listeners: list[socket.socket]) -> None:
        """`serve` runs in a process of its own and returns its exit status."""
        self._serve = serve
        self._listeners = listeners
        self._stopping = False
        self._child = 0
        self._wake, self._waker = os.pipe()

    def run(self) -> int:
        """The pod's exit status: 0 after SIGTERM, else that of a serving process that is not to be replaced."""
        os.set_blocking(self._waker, False)
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # wakes the wait below, so that orphans are reaped
        back_off = BackOff()
        while True:
            started = time.monotonic()
            code = self._run_once()
            if self._stopping or code == FATAL:
                return code
            log.error("the serving process ended (%s): it is replaced", ending(code))
            delay = time.monotonic() + back_off.delay(time.monotonic() - started)
            while not self._stopping and (left := delay - time.monotonic()) > 0:
                self._wait([], left)
            if self._stopping:
                return 0

    def _stop(self, *_: object) -> None:
        self._stopping = True
        for listening in self._listeners:
            listening.close()  # the serving process has its own: when that closes it, nobody listens
        if self._child:
            os.kill(self._child, signal.SIGTERM)

    def _run_once(self) -> int:
        read, write = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            os.close(read)
            os._exit(self._serving(write))
        os.close(write)
        os.set_blocking(read, False)
        if self._stopping:
            os.kill(self._child, signal.SIGTERM)
        heard = time.monotonic()
        try:
            while (code := self._reap()) is None:
                if read in self._wait([read], HUNG_SECONDS):
                    heard = time.monotonic()
                    with suppress(BlockingIOError):
                        if not os.read(read, 4096):
                            time.sleep(0.01)  # its end is about to be told
                elif time.monotonic() - heard >= HUNG_SECONDS:
                    log.error("the serving process hangs: no sign of life for %.0f s", HUNG_SECONDS)
                    os.kill(self._child, signal.SIGKILL)
                    heard = time.monotonic()
        finally:
            os.close(read)
            self._child = 0
        return code

    def _serving(self, write: int) -> int:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        for descriptor in (self._wake, self._waker):
            os.close(descriptor)
        os.set_blocking(write, False)
        try:
            return self._serve(Heartbeat(write))
        except BaseException:
            log.exception("the serving process failed")
            return 1

    def _wait(self, descriptors: list[int], seconds: float) -> list[int]:
        ready, _, _ = select.select([*descriptors, self._wake], [], [], seconds)
        if self._wake in ready:
            with suppress(BlockingIOError):
                os.read(self._wake, 4096)
        return ready

    def _reap(self) -> int | None:
        """Takes the ends of children, orphans included; the exit status of the serving process once it has ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return 1  # nobody's child: cannot be, and nothing would ever be told
            if pid == 0:
                return None
            if pid == self._child:
                return os.waitstatus_to_exitcode(status)
