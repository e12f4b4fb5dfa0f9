"""Long-running programs that outlive the command that started them: one pid file and one log file each.

A pid alone may be reused by the kernel, so the pid file also holds the process's start time (proc(5), field 22).
"""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_STOP_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Daemon:
    """One program of the embedded default."""

    name: str
    command: Sequence[str]
    folder: Path
    """Holds `<name>.pid` and `<name>.log`."""
    environment: Mapping[str, str]
    umask: int = -1
    """Of the files that the program makes; -1: as this process has it."""

    @property
    def log(self) -> Path:
        """Standard output and standard error."""
        return self.folder / f"{self.name}.log"

    @property
    def _pid_file(self) -> Path:
        return self.folder / f"{self.name}.pid"

    def pid(self) -> int | None:
        """The process id while the program runs, else None."""
        try:
            pid, started = self._pid_file.read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        return int(pid) if start_time(int(pid)) == started else None

    def start(self) -> bool:
        """Starts the program unless it runs; returns whether it had to."""
        if self.pid() is not None:
            return False
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.log.touch(mode=0o600)
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
                start_new_session=True,  # a Ctrl-C on the terminal is not for it
                umask=self.umask,
            )
        self._pid_file.write_text(f"{process.pid} {start_time(process.pid)}")
        return True

    def stop(self, *, grace_seconds: float = _STOP_SECONDS) -> None:
        """Ends the program with SIGTERM, and with SIGKILL after the grace period. Does nothing when it does not run."""
        pid = self.pid()
        if pid is not None:
            end(pid, grace_seconds=grace_seconds)
        self._pid_file.unlink(missing_ok=True)

    def tail(self, lines: int = 12) -> str:
        """The end of the log, for an error message."""
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def start_time(pid: int) -> str | None:
    """Start time of a live process in clock ticks since boot, as text; None for no process or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]


def end(pid: int, *, grace_seconds: float) -> None:
    """SIGTERM, wait, SIGKILL, wait."""
    identity = start_time(pid)
    for number, seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, _STOP_SECONDS)):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with suppress(ChildProcessError):  # a child of ours would stay a zombie until it is waited for
                os.waitpid(pid, os.WNOHANG)
            if start_time(pid) != identity:
                return
            time.sleep(0.05)
