"""The line of a log: one JSON object a line, of the same form from every program, and the formatter that makes it.

Fields are named after OpenTelemetry's data model of logs, so that a line is an OTLP log record by renaming alone:
https://opentelemetry.io/docs/specs/otel/logs/data-model/. What a model printed is the text of `body` and nothing else:
no text can claim a field of its line.
"""

import contextlib
import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import IO, Any, Final

TIMESTAMP: Final = "timestamp"
"""RFC 3339 in UTC with milliseconds: when the line was written or, of a model's output, read."""
SEVERITY: Final = "severity_text"
"""One of SEVERITIES."""
BODY: Final = "body"
"""What is said, at most LONGEST characters."""
COMPONENT: Final = "component"
"""The program: `front`, `model`, `sidecar`, `weights`, or the value of names.COMPONENT_LABEL of a platform's pod."""
SCOPE: Final = "scope"
"""The logger, as OpenTelemetry's instrumentation scope."""
ENDPOINT: Final = "endpoint"
VERSION: Final = "version"
"""Of which the line tells; absent where it tells of none."""
POD: Final = "pod"
REQUEST_ID: Final = "request_id"
"""The request that the line belongs to, as the header x-request-id of its answer has it."""
REQUEST_IDS: Final = "request_ids"
"""Instead of REQUEST_ID, of a line that belongs to a model call which answered several: MOST_REQUESTS at most."""
REQUESTS: Final = "requests"
"""Beside REQUEST_IDS: how many requests there were."""
TRACE_ID: Final = "trace_id"
SPAN_ID: Final = "span_id"
EXCEPTION: Final = "exception"
"""The trace of what was raised, at most LONGEST characters, its end."""
ATTRIBUTES: Final = "attributes"
"""Whatever else is known, by name."""
FIELDS: Final = (
    TIMESTAMP, SEVERITY, BODY, COMPONENT, SCOPE, ENDPOINT, VERSION, POD, REQUEST_ID, REQUEST_IDS, REQUESTS, TRACE_ID,
    SPAN_ID, EXCEPTION, ATTRIBUTES,
)  # fmt: skip
"""All fields, in the order in which a line has them; those that are not known are absent."""

SEVERITIES: Final[Mapping[str, int]] = {"TRACE": 1, "DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17, "FATAL": 21}
"""Severity texts with the numbers that OpenTelemetry gives them."""

FRONT: Final = "front"
MODEL: Final = "model"
SIDECAR: Final = "sidecar"
WEIGHTS: Final = "weights"
"""Components of a model pod: the server, what the model or its engine writes, and the programs beside them."""

LONGEST: Final = 16 * 1024
"""Characters of a body and of a trace: container runtimes cut lines into parts of 16 KiB."""
MOST_REQUESTS: Final = 16
"""Request ids of one line: a full batch answers 64, and a reader who asks for one of them asks the others' lines."""

SPOOL_DIRECTORY: Final = "/var/lib/headrace/records/logs"
"""In a pod with a sidecar: lines that wait for being sent on, written by the front and deleted by the sidecar."""
ENV_LOG_SPOOL: Final = "HEADRACE_LOG_SPOOL"
"""Of a front: folder in which lines wait for the sidecar; absent: none do."""

ABOUT: ContextVar[Callable[[], Mapping[str, object]] | None] = ContextVar("about", default=None)
"""What is being worked on, as fields of the lines that are written meanwhile. Asked for a line alone, so that work that
writes none costs no text."""


@contextlib.contextmanager
def about(**fields: str) -> Iterator[None]:
    """Lines that are written within have these fields."""
    token = ABOUT.set(lambda: fields)
    try:
        yield
    finally:
        ABOUT.reset(token)


def severity_of(level: int) -> str:
    """Of a level of Python's `logging`: the text of the next lower severity."""
    if level >= logging.CRITICAL:
        return "FATAL"
    if level >= logging.ERROR:
        return "ERROR"
    if level >= logging.WARNING:
        return "WARN"
    return "INFO" if level >= logging.INFO else "DEBUG"


def line(seconds: float, severity: str, body: str, fields: Mapping[str, object]) -> str:
    """One line, without its end. `seconds` since the epoch; fields that are empty are left out, unknown ones become
    attributes."""
    moment = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    document: dict[str, Any] = {TIMESTAMP: f"{moment[:-6]}Z", SEVERITY: severity, BODY: shortened(body)}
    given = fields.get(ATTRIBUTES)
    attributes: dict[str, object] = dict(given) if isinstance(given, Mapping) else {}
    for name in FIELDS[3:-1]:
        if (value := fields.get(name)) not in (None, ""):
            document[name] = value
    attributes.update({name: value for name, value in fields.items() if name not in FIELDS})
    if attributes:
        document[ATTRIBUTES] = attributes
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=str)


def shortened(text: str) -> str:
    """The text, or its beginning and how much of it is left out."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} … {len(text) - LONGEST} characters more"


def the_end(text: str) -> str:
    """The text, or its last LONGEST characters: what was raised is at the end of a trace."""
    return text if len(text) <= LONGEST else f"… {text[-LONGEST:]}"


def encoded(text: str) -> bytes:
    """A line as it is written, whatever its text holds."""
    return text.encode("utf-8", "backslashreplace") + b"\n"


class LineFormatter(logging.Formatter):
    """Makes lines of records. A record's own fields are those of `extra={"fields": {…}}`."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        """`fields` of every line: COMPONENT at least."""
        super().__init__()
        self._fields = dict(fields)

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        asked = ABOUT.get()
        fields: dict[str, object] = {**self._fields, SCOPE: record.name}
        if asked is not None:
            fields.update(asked())
        fields.update(getattr(record, "fields", {}))
        if record.exc_info:
            fields[EXCEPTION] = the_end(self.formatException(record.exc_info))
        try:
            body = record.getMessage()
        except (TypeError, ValueError):  # arguments that do not fit; the line is worth more than its form
            body = f"{record.msg} {record.args!r}"
        return line(record.created, severity_of(record.levelno), body, fields)


class LineHandler(logging.StreamHandler[IO[str]]):
    """Writes lines to a stream, whatever characters they hold."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one."""
        try:
            self.stream.write(encoded(self.format(record)).decode())
            self.flush()
        except Exception:
            self.handleError(record)


def identity(component: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The fields of every line of a program in a pod. Kubernetes gives a container its pod's name as HOSTNAME."""
    return {COMPONENT: component, POD: environment.get("HOSTNAME", "")}


def configure(
    component: str,
    *,
    level: int | str = logging.INFO,
    fields: Mapping[str, str] | None = None,
    stream: IO[str] | None = None,
) -> None:
    """From now on this process writes lines, to stderr or `stream`: of its loggers, of Python's warnings, and of
    exceptions that nobody caught."""
    handler = LineHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(LineFormatter({**identity(component, os.environ), **({} if fields is None else fields)}))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    log = logging.getLogger("headrace")

    def uncaught(kind: Any, error: Any, trace: Any) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        else:
            log.critical("the program ends", exc_info=(kind, error, trace))

    def in_thread(given: threading.ExceptHookArgs) -> None:
        if given.exc_type is not SystemExit:
            name = given.thread.name if given.thread is not None else "unknown"
            log.critical("thread %s ends", name, exc_info=(given.exc_type, given.exc_value, given.exc_traceback))  # type: ignore[arg-type]

    sys.excepthook = uncaught
    threading.excepthook = in_thread
