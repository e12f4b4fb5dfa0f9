"""A process that the front started, or adopted from a front before it: told apart by nothing but who waits for it.

Processes outlive the front: when the parent replaces the serving process, the new one adopts them with their loaded
models. Ends are watched through pidfds, which work for processes that are nobody's children.
"""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable


class WatchedProcess:
    """A running process, until `close`."""

    def __init__(self, pid: int, on_end: Callable[[], None], popen: "subprocess.Popen[bytes] | None" = None) -> None:
        """Watches on the running event loop. `popen` is None for a process that is adopted.

        Raises ProcessLookupError if there is no such process.
        """
        self.pid = pid
        self.popen = popen
        self.started = time.monotonic()
        """When it was started or adopted."""
        self._pidfd = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._pidfd, on_end)

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to this process, unless it has ended: never to another one of its number."""
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            return

    def close(self) -> int | None:
        """Forgets the process, which has ended; its exit status, None when it was adopted."""
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        return self.popen.wait() if self.popen is not None else None


def ending(code: int | None) -> str:
    """How a process ended, in words."""
    if code is None:
        return "it ended under a former front"
    if code >= 0:
        return f"exit status {code}"
    name = signal.Signals(-code).name
    hint = " (usually the kernel, out of memory)" if -code == signal.SIGKILL else ""
    return f"killed by {name}{hint}"
