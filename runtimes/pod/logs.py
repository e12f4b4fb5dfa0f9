"""Structured logs: one JSON object a line on stderr, for what the front says and for what the model prints."""

import asyncio
import contextlib
import json
import logging
import os
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

LONGEST_LINE = 16 * 1024
"""A longer line of a model is cut into several."""
LAST_LINES = 200
TERMINATION_MESSAGE_LENGTH: Final = 4000
"""Characters of a reason that are left for the kubelet, which keeps 4096 bytes of it."""

log = logging.getLogger("headrace.front")


class JsonFormatter(logging.Formatter):
    """Time, level, logger, message, and the trace when there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        document: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        document.update(getattr(record, "fields", {}))
        if record.exc_info:
            document["trace"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=False)


def configuration() -> dict[str, Any]:
    """For logging.config.dictConfig."""
    handlers = {"console": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter}},
        "handlers": handlers,
        "root": {"level": "INFO", "handlers": ["console"]},
    }


class Pipe:
    """Carries what one worker prints. Made in the parent, so that it outlives the serving process."""

    def __init__(self, slot: int, stream: str) -> None:
        self._fields = {"worker": slot, "stream": stream}
        self._read, self.write = os.pipe()
        os.set_blocking(self._read, False)
        self._rest = b""
        self._log = logging.getLogger("model")
        self.last: deque[str] = deque(maxlen=LAST_LINES)
        """What came last, for the reason of an end."""

    def listen(self) -> None:
        """Logs lines as they come, on the running loop."""
        asyncio.get_running_loop().add_reader(self._read, self._readable)

    def _readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            *lines, self._rest = (self._rest + os.read(self._read, 65536)).split(b"\n")
            while len(self._rest) > LONGEST_LINE:
                lines.append(self._rest[:LONGEST_LINE])
                self._rest = self._rest[LONGEST_LINE:]
            for line in lines:
                if line.strip():
                    text = line.decode(errors="replace")
                    self.last.append(text)
                    self._log.info("%s", text, extra={"fields": self._fields})


def tell_reason(reason: str, termination_log: Path) -> None:
    """Logs why the model cannot be served, and leaves it where the kubelet reads it, if there is such a file."""
    log.error("the model cannot be served: %s", reason)
    if termination_log.exists():
        try:
            termination_log.write_text(reason[:TERMINATION_MESSAGE_LENGTH], errors="backslashreplace")
        except OSError as error:
            log.warning("cannot write %s: %s", termination_log, error)


def pipes(workers: int) -> list[tuple[Pipe, Pipe]]:
    """stdout and stderr for each worker."""
    return [(Pipe(slot, "stdout"), Pipe(slot, "stderr")) for slot in range(workers)]
