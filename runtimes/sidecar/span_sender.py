"""SpanSender: gives the pod's spans to the Collector. What that does not take is lost, and counted."""

import http.client
import logging
from collections.abc import Sequence
from typing import Final

from headrace.contract.telemetry import SPANS_PATH
from headrace.runtimes.records.frame import Frame
from headrace.runtimes.records.spans import export, spans

log = logging.getLogger("headrace.sidecar")

_PATIENCE_SECONDS: Final = 2.0
"""The Collector answers when it has taken spans into its memory; rows do not wait longer for one that is away."""


class SpanSender:
    """One connection, used by one thread."""

    def __init__(self, address: str, *, endpoint: str, version: str, place: str) -> None:
        """`address`: host and port; `place`: the pod's name, which the front knows too."""
        self._connection = http.client.HTTPConnection(address, timeout=_PATIENCE_SECONDS)
        self._endpoint, self._version, self._place = endpoint, version, place
        self.sent = 0
        self.lost = 0
        self._failed = False

    def take(self, frames: Sequence[Frame]) -> None:
        """Sends the spans of these records, once."""
        made = [span for frame in frames for span in spans(frame, place=self._place)]
        if not made:
            return
        body = export(made, endpoint=self._endpoint, version=self._version, place=self._place)
        try:
            self._connection.request("POST", SPANS_PATH, body=body, headers={"content-type": "application/json"})
            with self._connection.getresponse() as response:
                said = f"answered {response.status}: {response.read(500).decode(errors='replace')}"
            is_taken = response.status == 200
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            is_taken, said = False, f"does not answer: {error or type(error).__name__}"
        self.sent += len(made) if is_taken else 0
        self.lost += 0 if is_taken else len(made)
        if not is_taken and not self._failed:  # once, until it takes some again
            log.warning("spans are lost, the Collector %s", said)
        self._failed = not is_taken
