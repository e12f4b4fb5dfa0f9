"""LogReceiver: who takes lines of the log as OTLP over HTTP, the platform's Collector: for sidecars and controllers."""

import http.client
import json
from typing import Final

from headrace.contract.errors import PermanentError, TemporaryError
from headrace.contract.telemetry import LOGS_PATH

BATCH_BYTES: Final = 512 * 1024
"""Of lines in one request: a quarter of what the Collector takes by default, and three times in its sender's memory."""
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
            return int(json.loads(text)["partialSuccess"]["rejectedLogRecords"])
        except (ValueError, TypeError, LookupError):  # it has taken all
            return 0
