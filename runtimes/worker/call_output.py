"""What a model prints, with the model call in which it did: the front knows which requests a call answers.

`sys.stdout` and `sys.stderr` of a worker are of this kind, and so is the handler of its root logger. Each record goes
into the pipe to the front in one write, as one line behind a mark: the number of the call, a level of `logging`, the
logger's name. Whatever is written past these (native code, a child process) comes without a mark, and no request is
known of it. A model that forges a mark deceives about its own calls alone: the front looks the number up among those
that this worker is answering.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
from contextvars import ContextVar, Token

BEGIN, END, NEWLINE = "\x1e", "\x1f", "\x1d"
"""Of a mark (ASCII's record and unit separators), and a line's end within a record."""
LONGEST = 16 * 1024
"""Characters of a record; of a longer one its beginning is kept, and how much is missing."""
TRACE = "Traceback (most recent call last):"
CALL: ContextVar[int] = ContextVar("headrace_call", default=0)
"""The call that is being answered; 0: none. Threads that a model starts have none, tasks of asyncio have their
starter's."""

_said: set[int] = set()
"""Calls in which something was written."""


def marked(text: str, *, level: int = 0, logger: str = "") -> bytes:
    """A record as the front reads it. Of what a carriage return overwrites on a terminal, only the last is kept."""
    call = CALL.get()
    if call:
        _said.add(call)
    text = "\n".join([part.rstrip("\r").rpartition("\r")[2] for part in text.rstrip("\r\n").split("\n")])
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]} … {len(text) - LONGEST} characters more"
    name = "".join([letter for letter in logger[:128] if letter.isprintable()])
    line = f"{BEGIN}{call},{level},{name}{END}{text}".replace("\n", NEWLINE)
    return line.encode("utf-8", "backslashreplace") + b"\n"


class _Begun(threading.local):
    """What a thread has begun to write and not ended."""

    text = ""


class CallOutput(io.TextIOWrapper):
    """A standard stream. What one thread writes is a record when its line has ended, or its trace."""

    def __init__(self, descriptor: int) -> None:
        raw = io.FileIO(descriptor, "w", closefd=False)
        super().__init__(raw, encoding="utf-8", errors="backslashreplace", write_through=True)
        self._descriptor = descriptor
        self._begun = _Begun()

    def write(self, text: str) -> int:
        """Keeps the text until its line has ended."""
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        begun = self._begun.text + text
        if (begun[-1:] == "\n" and not _goes_on(begun)) or len(begun) > LONGEST:
            self._begun.text = ""
            self.record(begun)
        else:
            self._begun.text = begun
        return len(text)

    def settle(self) -> None:
        """Writes what this thread has begun."""
        begun, self._begun.text = self._begun.text, ""
        if begun:
            self.record(begun)

    def record(self, text: str, *, level: int = 0, logger: str = "") -> None:
        """Writes one record; nothing where there is no text. OSError where the model has closed the descriptor."""
        if text.strip():
            data = marked(text, level=level, logger=logger)
            while data:
                data = data[os.write(self._descriptor, data) :]


def _goes_on(text: str) -> bool:
    """Whether a trace, which is written in pieces, has not come to the line that names the exception."""
    if not text.startswith(TRACE):
        return False
    last = text[:-1].rpartition("\n")[2]
    return last == TRACE or last[:1] in ("", " ")


class CallLog(logging.Handler):
    """Writes records of Python's `logging` with their level and their logger."""

    def __init__(self, output: CallOutput) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one."""
        try:
            self._output.record(self.format(record), level=record.levelno, logger=record.name)
        except Exception:
            self.handleError(record)


_outputs: list[CallOutput] = []


def install() -> None:
    """Puts these in the place of the standard streams, and of the root logger's handlers."""
    stdout, stderr = CallOutput(1), CallOutput(2)
    sys.stdout = sys.__stdout__ = stdout  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = stderr  # type: ignore[misc]
    _outputs[:] = [stdout, stderr]
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[CallLog(stderr)])


def begin(call: int) -> Token[int]:
    """What this thread writes from now on belongs to the call."""
    return CALL.set(call)


def end(token: Token[int]) -> bool:
    """It does no longer; whether anything was written in the call."""
    call = CALL.get()
    for output in _outputs:
        if output._begun.text:
            try:
                output.settle()
            except OSError:  # closed by the model
                continue
    CALL.reset(token)
    if call in _said:
        _said.discard(call)
        return True
    return False
