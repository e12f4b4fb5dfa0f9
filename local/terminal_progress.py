"""Progress of long work: number of the step, its name, elapsed time; one live line on a terminal, else plain lines."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TextIO

_CLEAR_LINE: Final = "\r\x1b[2K"
_REFRESH_SECONDS: Final = 0.5


class Progress:
    """Announces the steps of one piece of work on a text stream; steps may run at once in several threads."""

    def __init__(self, title: str, *, steps: int, stream: TextIO | None = None) -> None:
        self._title = title
        self._steps = steps
        self._stream = stream if stream is not None else sys.stderr
        self._begun = 0
        self._running: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Runs the body as the next step; the line says how long it took, also when it fails."""
        started = time.monotonic()
        with self._lock:
            self._begun += 1
            label = f"{self._title} [{self._begun}/{max(self._steps, self._begun)}] {what}"
            first = not self._running
            self._running[label] = started
            if not self._stream.isatty():
                self._write(f"{label} …\n")
            elif first:
                threading.Thread(target=self._keep_live, daemon=True).start()
        outcome = "failed after"
        try:
            yield
            outcome = "done in"
        finally:
            with self._lock:
                del self._running[label]
                self._line(f"{label}: {outcome} {time.monotonic() - started:.1f} s")

    def note(self, text: str) -> None:
        """A plain line between steps."""
        with self._lock:
            self._line(text)

    def _keep_live(self) -> None:
        while True:
            with self._lock:
                if not self._running:
                    return
                now = time.monotonic()
                shown = " · ".join(f"{label} … {now - started:.0f} s" for label, started in self._running.items())
                self._write(f"{_CLEAR_LINE}{shown}")
            time.sleep(_REFRESH_SECONDS)

    def _line(self, text: str) -> None:
        self._write(f"{_CLEAR_LINE if self._stream.isatty() else ''}{text}\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
