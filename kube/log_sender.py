"""LogSender: sends a controller's lines to the Collector, beside stderr, so that they can be read when its pod is gone.

A line is put into a queue in memory and a thread sends it. The controller waits for nobody: while the Collector is
away lines stay in the queue, and those for which there is no room are dropped and counted.
"""

import atexit
import logging
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge

from headrace.contract import log_line, metrics, telemetry
from headrace.contract.errors import PermanentError, TemporaryError
from headrace.contract.log_export import export
from headrace.contract.log_receiver import BATCH_LINES, LogReceiver

QUEUE_BYTES: Final = 1024 * 1024
"""Of lines that wait, five thousand of 200 bytes; the Collector takes many times as much in one request."""
LINGER_SECONDS: Final = 0.5
"""For lines that come together to go together."""
_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0
"""Between two attempts while the Collector is away, which doubles."""
LAST_LINES_SECONDS: Final = 2.0
"""For the last lines of a program that ends."""

registry = CollectorRegistry()
"""What became of the lines; each controller's page of metrics has it."""
_sent = Counter(metrics.LOG_LINES_SENT, "Lines that were sent on.", registry=registry)
_dropped = Counter(metrics.LOG_LINES_DROPPED, "Lines that were not.", ["reason"], registry=registry)
_pending = Gauge(metrics.LOG_LINES_PENDING, "Lines that wait for being sent on.", registry=registry)

log = logging.getLogger("headrace.logs")


class Receiver(Protocol):
    """Who takes lines; LogReceiver but in tests."""

    def send(self, body: bytes) -> int:
        """How many of the records it refuses. Raises TemporaryError where all may be sent again, and PermanentError
        where it will never take them."""
        ...


class LogSender(logging.Handler):
    """A queue of lines, and the thread that sends them in their order."""

    def __init__(self, fields: Mapping[str, str], receiver: Receiver, *, queue_bytes: int = QUEUE_BYTES) -> None:
        """`fields` of every line, as in LineFormatter."""
        super().__init__()
        self.setFormatter(log_line.LineFormatter(fields))
        self._receiver, self._most = receiver, queue_bytes
        self._queue: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._room = threading.Lock()
        self._news, self._ending = threading.Event(), threading.Event()
        self._is_away = False
        self._thread = threading.Thread(target=self._run, name="lines", daemon=True)

    def start(self) -> None:
        """Has the thread send."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Sends what there is, once, and takes so long at most."""
        self._ending.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def emit(self, record: logging.LogRecord) -> None:
        """Takes a line, or counts it where there is no room."""
        if record.name == log.name:  # on stderr alone: a line about lines that are refused would be refused too
            return
        try:
            text = log_line.encoded(self.format(record))
        except Exception:
            self.handleError(record)
            return
        with self._room:
            is_full = self._waiting_bytes + len(text) > self._most
            if not is_full:
                self._queue.append(text)
                self._waiting_bytes += len(text)
            _pending.set(len(self._queue))
        if is_full:
            _dropped.labels("queue-full").inc()
        self._news.set()

    def send(self) -> bool:
        """Sends one batch; False where there was none. Raises TemporaryError where it is to be sent again."""
        with self._room:
            batch = list(islice(self._queue, BATCH_LINES))
        if not batch:
            return False
        exported = export(batch)
        refused = 0
        try:
            refused = self._receiver.send(exported.body)
        except PermanentError as error:
            log.warning("%d lines of the log are not sent on: %s", len(batch), error)
            refused = exported.records
        lost = min(refused, exported.records) + exported.unreadable
        _sent.inc(len(batch) - lost)
        _dropped.labels("refused").inc(lost)
        self._forget(batch)
        return True

    def _forget(self, batch: Sequence[bytes]) -> None:
        with self._room:
            for text in batch:  # the queue begins with them: nobody else takes any out
                self._queue.popleft()
                self._waiting_bytes -= len(text)
            _pending.set(len(self._queue))

    def _run(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            self._news.wait()
            self._ending.wait(LINGER_SECONDS)
            self._news.clear()
            try:
                while self.send():
                    pause = _FIRST_PAUSE_SECONDS
                self._is_away = False
            except TemporaryError as error:
                if not self._is_away:  # said once, until it takes some again
                    log.warning("lines of the log wait: %s", error)
                self._is_away = True
                self._ending.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                self._news.set()
            if self._ending.is_set():
                return


def configure(component: str, environment: Mapping[str, str], *, level: int | str = logging.INFO) -> None:
    """From now on this controller writes lines as `log_line.configure` has it, and sends them to the Collector that
    telemetry.ENV_LOG_COLLECTOR names, if any; the last ones when the program ends."""
    log_line.configure(component, level=level)
    if address := environment.get(telemetry.ENV_LOG_COLLECTOR, ""):
        sender = LogSender(log_line.identity(component, environment), LogReceiver(address))
        logging.getLogger().addHandler(sender)
        sender.start()
        atexit.register(sender.stop, LAST_LINES_SECONDS)
