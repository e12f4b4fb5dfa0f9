"""Progress of long work, on stderr: a live line on a terminal, else a plain line a step."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


class Progress:
    """Steps that follow each other."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Runs the body as the next step; its line stays, with the time it took."""
        begun = time.monotonic()
        if self._console.is_terminal:
            with self._console.status(what):
                yield
        else:
            self.note(f"{what} …")
            yield
        self.note(f"{what}: {time.monotonic() - begun:.1f} s")

    def note(self, text: str) -> None:
        """A line between steps."""
        self._console.print(text, markup=False, soft_wrap=True)
