"""What a model or an engine writes to its standard streams, line by line, with the requests it belongs to."""

import asyncio
import contextlib
import os
import re
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from headrace.contract import log_line
from headrace.runtimes.pod.log_outlet import Outlet
from headrace.runtimes.worker.call_output import NEWLINE, TRACE

LONGEST_LINE: Final = log_line.LONGEST
"""Bytes; a longer line of a model is cut into several."""
LAST_LINES: Final = 200
SETTLE_SECONDS: Final = 0.2
"""How long a trace may wait for its next line: whoever prints one does so at once."""
_KEPT_LINES: Final = 20
"""Of a read whose lines are left out."""
_READ_BYTES: Final = 65536
_MOST_READS: Final = 16
"""Of one look: what a pipe holds, and what came meanwhile."""
_MARK: Final = re.compile(rb"\x1e(\d{1,20}),(\d{1,3}),([^\x1d\x1e\x1f]{0,512})\x1f")
_TRACE: Final = TRACE.encode()
_MOST_OF_A_TRACE: Final = LONGEST_LINE

Named = Callable[[int], Mapping[str, object]]
"""Fields of a line that was written in the call of that number."""


class Pipe:
    """Carries what one worker prints. Made in the parent, so that it outlives the serving process."""

    def __init__(self, slot: int, stream: str) -> None:
        self._attributes: Mapping[str, object] = {"worker": slot, "stream": stream}
        self._read, self.write = os.pipe()
        os.set_blocking(self._read, False)
        self._rest = b""
        self._trace: list[bytes] = []
        """Lines of a trace that has begun and came without a mark."""
        self._outlet: Outlet | None = None
        self._settling: asyncio.TimerHandle | None = None
        self.named: Named = lambda call: {}
        """Who knows the requests of a call."""
        self.last: deque[str] = deque(maxlen=LAST_LINES)
        """What came last, for the reason of an end."""

    def listen(self, outlet: Outlet | None) -> None:
        """Takes lines as they come, on the running loop; without an outlet they are kept in `last` alone."""
        self._outlet = outlet
        asyncio.get_running_loop().add_reader(self._read, self._readable)

    def look(self) -> None:
        """Reads all that has come, ahead of its turn in the event loop."""
        for _ in range(_MOST_READS):
            if not self._readable():
                return

    def ended(self) -> None:
        """The process is gone: what it has begun to write is a line."""
        self.look()
        rest, self._rest = self._rest, b""
        if rest:
            self._take(rest)
        self._settle()

    def _readable(self) -> bool:
        """Whether anything had come."""
        try:
            data = os.read(self._read, _READ_BYTES)
        except BlockingIOError:
            return False
        *lines, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) > LONGEST_LINE and not self._rest.startswith(b"\x1e"):
            lines.append(self._rest[:LONGEST_LINE])
            self._rest = self._rest[LONGEST_LINE:]
        if len(self._rest) > 8 * LONGEST_LINE:  # no mark of ours is so long
            lines.append(self._rest)
            self._rest = b""
        outlet = self._outlet
        for at, line in enumerate(lines):
            if outlet is not None and outlet.closed:
                self._leave_out(outlet, lines[at:])
                break
            self._take(line)
        return True

    def _leave_out(self, outlet: Outlet, lines: list[bytes]) -> None:
        """Counts lines; the last of them may still be the reason of an end."""
        outlet.leave_out(len(lines))
        self._trace.clear()
        self.last.extend(_MARK.sub(b"", line, count=1).decode(errors="replace") for line in lines[-_KEPT_LINES:])

    def _take(self, line: bytes) -> None:
        if line.startswith(b"\x1e") and (mark := _MARK.match(line)) is not None:
            self._settle()
            text = line[mark.end() :].decode(errors="replace").replace(NEWLINE, "\n")
            self._tell(text, call=int(mark[1]), level=int(mark[2]), logger=mark[3].decode(errors="replace"))
        elif self._trace:
            self._trace.append(line)
            if line[:1] not in (b" ", b"") or sum(map(len, self._trace)) > _MOST_OF_A_TRACE:
                self._settle()
        elif line.rstrip() == _TRACE:
            self._trace = [line]
            self._settling = asyncio.get_running_loop().call_later(SETTLE_SECONDS, self._settle)
        elif line.strip():
            for begin in range(0, len(line), LONGEST_LINE):
                self._tell(line[begin : begin + LONGEST_LINE].decode(errors="replace").rstrip("\r"))

    def _settle(self) -> None:
        """What there is of a trace is one line."""
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        trace, self._trace = self._trace, []
        if trace:
            self._tell(b"\n".join(trace).decode(errors="replace").rstrip())

    def _tell(self, text: str, *, call: int = 0, level: int = 0, logger: str = "") -> None:
        self.last.extend(text.split("\n"))
        outlet = self._outlet
        if outlet is None or not outlet.allows(len(text)):
            return
        body, trace = told_apart(text)
        severity = log_line.severity_of(level) if level else "ERROR" if trace else "INFO"
        attributes = {**self._attributes, "logger": logger} if logger else self._attributes
        fields: dict[str, Any] = {
            log_line.COMPONENT: log_line.MODEL, log_line.SCOPE: log_line.MODEL, log_line.ATTRIBUTES: attributes,
        }  # fmt: skip
        if trace:
            fields[log_line.EXCEPTION] = trace
        if call:
            with contextlib.suppress(LookupError):
                fields.update(self.named(call))
        outlet.put(len(text), severity, body, fields)


def told_apart(text: str) -> tuple[str, str]:
    """What is said, and the trace behind it; of a text that is a trace alone, what was raised is what is said."""
    if text.startswith(TRACE):
        return text.rstrip().rpartition("\n")[2], text
    said, found, trace = text.partition(f"\n{TRACE}")
    return (said, TRACE + trace) if found else (text, "")


def named_of(askers: "list[Callable[[], Mapping[str, object]] | None]") -> Mapping[str, object]:
    """Fields of a line that belongs to the requests that these name: the one's own, or the ids of several."""
    known = [asker() for asker in askers[: log_line.MOST_REQUESTS] if asker is not None]
    if len(askers) == 1:
        return known[0] if known else {}
    ids = [each[log_line.REQUEST_ID] for each in known if each.get(log_line.REQUEST_ID)]
    return {log_line.REQUEST_IDS: ids, log_line.REQUESTS: len(askers)} if ids else {}


def pipes(workers: int) -> list[tuple[Pipe, Pipe]]:
    """stdout and stderr for each worker."""
    return [(Pipe(slot, "stdout"), Pipe(slot, "stderr")) for slot in range(workers)]
