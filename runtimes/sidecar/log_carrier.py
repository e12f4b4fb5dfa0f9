"""LogCarrier: sends the front's and the model's lines from the pod's disk to the Collector, and forgets them then."""

import http.client
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import orjson

from headrace.contract.errors import PermanentError, TemporaryError
from headrace.contract.telemetry import LOGS_PATH
from headrace.runtimes.records.frame import sequence_of, unwrapped
from headrace.runtimes.records.log_export import export
from headrace.runtimes.sidecar.carrier import Carrier
from headrace.runtimes.sidecar.settlement import Settlement

log = logging.getLogger("headrace.sidecar")

BATCH_BYTES: Final = 512 * 1024
"""Of lines in one request: a quarter of what the Collector takes by default, and three times in memory here."""
BATCH_LINES: Final = 2000
_PATIENCE_SECONDS: Final = 10.0
_RETRYABLE: Final = (429, 502, 503, 504)
"""Statuses upon which OTLP has a client try again."""


class LogReceiver:
    """OTLP over HTTP at one address; one connection, used by one thread."""

    def __init__(self, address: str) -> None:
        """`address`: host and port."""
        self._connection = http.client.HTTPConnection(address, timeout=_PATIENCE_SECONDS)

    def send(self, body: bytes) -> int:
        """How many of the records it refuses. Raises TemporaryError where all may be sent again, and PermanentError
        where it will never take them."""
        try:
            self._connection.request("POST", LOGS_PATH, body=body, headers={"content-type": "application/json"})
            with self._connection.getresponse() as response:
                text = response.read(65536)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise TemporaryError(f"the Collector does not answer: {error or type(error).__name__}") from error
        said = text[:300].decode(errors="replace")
        if response.status in _RETRYABLE:
            raise TemporaryError(f"the Collector answered {response.status}: {said}")
        if response.status != 200:
            raise PermanentError(f"the Collector refuses them with {response.status}: {said}")
        try:
            return int(orjson.loads(text)["partialSuccess"]["rejectedLogRecords"])
        except (ValueError, TypeError, LookupError):  # it has taken all
            return 0


class LogCarrier(Carrier):
    """All lines of one pod's serving processes, in order. Twice where the Collector's answer was lost."""

    def __init__(self, directory: Path, receiver: LogReceiver) -> None:
        super().__init__(directory, _NoTable(), pod_uid="")
        self._receiver = receiver

    def carry(self) -> bool:
        """Sends one batch; False where there was none. Raises TemporaryError where it is to be tried again."""
        settled = self.settlement
        bodies = self._reader.after(settled.sequence, most_bytes=BATCH_BYTES, most_frames=BATCH_LINES)
        if not bodies:
            return False
        last = sequence_of(bodies[-1])
        self.seen = max(self.seen, last)
        self._settle(self._sent(bodies, last))
        return True

    def _sent(self, bodies: Sequence[bytes], last: int) -> Settlement:
        exported = export(map(unwrapped, bodies))
        try:
            refused = self._receiver.send(exported.body) if exported.records else 0
        except PermanentError as error:
            log.error("%d lines of the log are not sent on: %s", len(bodies), error)
            return self.settlement.settled(last, dropped=len(bodies))
        lost = min(refused, exported.records)
        return self.settlement.settled(last, written=exported.records - lost, dropped=lost + exported.unreadable)


class _NoTable:
    """Lines of the log are no rows."""

    def write(self, lines: bytes) -> int:
        raise PermanentError(f"{len(lines)} bytes of rows in a folder of lines, where none may be; delete the folder")
