"""What the worker itself says in the pod's log, above all why a model raised.

A model may configure logging as it likes, replace `sys.stderr` or put a file in the place of descriptor 2: here nothing
of that is used. A descriptor of the worker's own leads to where stderr led before the model was loaded.
"""

from __future__ import annotations

import contextlib
import os
import threading
import traceback
from collections.abc import Iterator

from .call_output import LONGEST, marked

STDERR = 2
_LEVELS = {"ERROR": 40, "WARNING": 30, "INFO": 20}
"""As `logging` numbers them."""


class Diagnostics:
    """Lines for whoever runs the model."""

    def __init__(self) -> None:
        self.descriptor = STDERR
        """Where they go."""
        self._lock = threading.Lock()
        self._quiet = False
        self._marked = False

    def keep(self, *, marked: bool = False) -> None:
        """Takes a descriptor of its own to where stderr leads now; to be called before the model is loaded.

        `marked`: a front is at its other end, which reads marks.
        """
        self.descriptor = os.dup(STDERR)
        self._marked = marked

    def error(self, text: str, error: BaseException | None = None) -> None:
        """Something failed; with the trace of `error`."""
        self._write("ERROR", text, error)

    def warning(self, text: str, error: BaseException | None = None) -> None:
        """Something is not as it should be."""
        if not self._quiet:
            self._write("WARNING", text, error)

    def info(self, text: str) -> None:
        """Something that may be of use."""
        if not self._quiet:
            self._write("INFO", text, None)

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Errors alone are told within: trial requests are none of the reader's business."""
        self._quiet = True
        try:
            yield
        finally:
            self._quiet = False

    def _write(self, level: str, text: str, error: BaseException | None) -> None:
        trace = "" if error is None else _trace(error)
        if self._marked:
            if len(text) + len(trace) >= LONGEST:  # what was raised is at the end
                trace = "…" + trace[len(text) + 2 - LONGEST :]
            data = marked(f"{text}\n{trace}", level=_LEVELS[level], logger="headrace.worker")
        else:
            data = f"{level} headrace.worker: {text}\n{trace}".encode("utf-8", "backslashreplace")
        with self._lock:
            try:
                _write_all(self.descriptor, data)
            except OSError:  # closed by the model, as a daemon closes all that it did not open
                with contextlib.suppress(OSError):
                    _write_all(STDERR, data)


def _trace(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except Exception as unprintable:  # an exception's own methods may raise
        return f"{type(error).__name__}, whose trace cannot be written ({type(unprintable).__name__})\n"


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


log = Diagnostics()
"""The worker's."""
