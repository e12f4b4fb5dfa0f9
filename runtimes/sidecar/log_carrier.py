"""LogCarrier: sends the front's and the model's lines from the pod's disk to the Collector, and forgets them then."""

import logging
from collections.abc import Sequence
from pathlib import Path

from headrace.contract.errors import PermanentError
from headrace.contract.log_export import export
from headrace.contract.log_receiver import BATCH_BYTES, BATCH_LINES, LogReceiver
from headrace.runtimes.records.frame import sequence_of, unwrapped
from headrace.runtimes.sidecar.carrier import Carrier
from headrace.runtimes.sidecar.settlement import Settlement

log = logging.getLogger("headrace.sidecar")


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
