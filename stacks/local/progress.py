"""Progress of long work: step n of m, what, elapsed. One live line on a terminal, plain lines elsewhere."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class Progress:
    """Announces the steps of one piece of work on a text stream; safe to use from one thread at a time."""

    def __init__(self, title: str, *, steps: int, stream: TextIO | None = None) -> None:
        self._title = title
        self._steps = steps
        self._stream = stream if stream is not None else sys.stderr
        self._done = 0

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Runs the body as the next step; the line says how long it took, also when it fails."""
        self._done += 1
        label = f"{self._title} [{self._done}/{self._steps}] {what}"
        started = time.monotonic()
        finished = threading.Event()
        live = self._stream.isatty()
        ticker = threading.Thread(target=self._tick, args=(label, started, finished), daemon=True)
        if live:
            ticker.start()
        else:
            self._write(f"{label} …\n")
        outcome = "failed after"
        try:
            yield
            outcome = "done in"
        finally:
            finished.set()
            if live:
                ticker.join()
                self._write("\r\x1b[2K")
            self._write(f"{label}: {outcome} {time.monotonic() - started:.1f} s\n")

    def note(self, text: str) -> None:
        """A plain line between steps."""
        self._write(f"{text}\n")

    def _tick(self, label: str, started: float, finished: threading.Event) -> None:
        while not finished.wait(0.5):
            self._write(f"\r\x1b[2K{label} … {time.monotonic() - started:.0f} s")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
