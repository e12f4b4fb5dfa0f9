"""Which step a build is at, for people who wait: told at each step, and again while a step goes on."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

Report = Callable[[str], None]
"""Called with what the builder begins to do."""

AGAIN_SECONDS: Final = 10.0
"""A download of many gigabytes, or an environment of CUDA libraries, is one step that takes minutes."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """Where a build is."""

    number: int
    """From 1; 0 before the first."""
    of: int
    what: str
    elapsed_seconds: float
    """Since the build began."""
    unfinished_bytes: int = 0
    """What is written of files and layers that are not finished."""

    def __str__(self) -> str:
        size = f", {self.unfinished_bytes / 1e6:,.0f} MB so far" if self.unfinished_bytes else ""
        return f"step {self.number} of {self.of}, {self.what} ({self.elapsed_seconds:.0f} s{size})"


@contextmanager
def reported(
    log: Path,
    total: int,
    tell: Callable[[Step], object],
    unfinished: Callable[[], int],
    *,
    again_seconds: float = AGAIN_SECONDS,
) -> Iterator[Report]:
    """A reporter of `total` steps, each of which is logged and told.

    While a step goes on it is told again every `again_seconds`, with the bytes that are `unfinished` by then.
    """
    started = time.monotonic()
    now = Step(number=0, of=total, what="", elapsed_seconds=0.0)
    over, lock = threading.Event(), threading.Lock()

    def report(what: str) -> None:
        nonlocal now
        with lock:
            now = Step(number=now.number + 1, of=total, what=what, elapsed_seconds=time.monotonic() - started)
            tell(now)
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{now}\n")

    def repeat() -> None:
        while not over.wait(again_seconds):
            size = unfinished()
            with lock:
                if now.number and not over.is_set():
                    tell(replace(now, elapsed_seconds=time.monotonic() - started, unfinished_bytes=size))

    beside = threading.Thread(target=repeat, daemon=True)
    beside.start()
    try:
        yield report
    finally:
        over.set()
        beside.join()
