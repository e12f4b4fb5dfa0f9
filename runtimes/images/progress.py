"""What a build is doing, for people who wait: a line at each step, and again while a step goes on."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

Report = Callable[[str], None]
"""Told what the builder begins to do."""

AGAIN_SECONDS: Final = 10.0
"""A download of many gigabytes, or an environment of CUDA libraries, is one step that takes minutes."""


@contextmanager
def progress(
    log: Path,
    total: int,
    write: Callable[[str], object],
    unfinished: Callable[[], int],
    *,
    again_seconds: float = AGAIN_SECONDS,
) -> Iterator[Report]:
    """A reporter of `total` steps that writes JSON lines to the log and to `write`.

    While a step goes on, `write` gets its line again, with the bytes that are `unfinished` by then.
    """
    started = time.monotonic()
    now: dict[str, Any] = {"step": 0, "of": total, "what": ""}
    over, lock = threading.Event(), threading.Lock()

    def line(**more: int) -> str:
        return json.dumps({**now, "elapsed_seconds": round(time.monotonic() - started, 1), **more})

    def report(what: str) -> None:
        with lock:
            now.update(step=now["step"] + 1, what=what)
            told = line()
            write(told)
        with log.open("a") as file:
            file.write(told + "\n")

    def repeat() -> None:
        while not over.wait(again_seconds):
            size = unfinished()
            with lock:
                if now["step"] and not over.is_set():
                    write(line(unfinished_bytes=size))

    beside = threading.Thread(target=repeat, daemon=True)
    beside.start()
    try:
        yield report
    finally:
        over.set()
        beside.join()
