"""Recorder: takes a record of each request for a prediction, and has a thread write it to a file.

The event loop puts a frame into the ring before the last bytes of the answer are handed to the kernel, and never waits.
The thread moves what is in the ring to the segments that the sidecar reads; where something is to be redacted, there.
"""

import logging
import random
import threading
from pathlib import Path
from typing import Final

from headrace.contract import names, trace_context
from headrace.contract.inference_table import PAYLOAD_LIMIT_BYTES, REQUEST_TOO_LARGE, RESPONSE_TOO_LARGE, Recording
from headrace.runtimes.http.exchange import Record
from headrace.runtimes.protocols.open_inference import JSON_LENGTH_HEADER
from headrace.runtimes.records import row
from headrace.runtimes.records.frame import Frame, Meta, decoded, encoded, frames_in
from headrace.runtimes.records.redaction import Redactor
from headrace.runtimes.records.ring import Ring
from headrace.runtimes.records.spool import SpoolFull, SpoolWriter

log = logging.getLogger("headrace.front")

RING_FILE: Final = "records.ring"
"""In the run directory, which is in the pod's memory."""
_LOOK_SECONDS: Final = 0.02
"""How often the thread looks: 8 MiB of room last for that at 400 MB/s."""
_SUBJECT, _CLIENT_ID = names.SUBJECT_HEADER.encode(), b"x-client-request-id"
_JSON_LENGTH: Final = JSON_LENGTH_HEADER.encode()
_TOLD_EVERY: Final = 30 / _LOOK_SECONDS
"""Looks between two lines in the log about records that are dropped."""


class Recorder:
    """Records of one front."""

    def __init__(self, recording: Recording, run_directory: Path, *, ring: str = RING_FILE) -> None:
        """Takes up what a front before this one left. OSError where there is no place. `ring`: a file's name."""
        self._fraction = recording.sampling_fraction
        run_directory.mkdir(parents=True, exist_ok=True)
        self.ring = Ring(run_directory / ring)
        self._spool = SpoolWriter(Path(recording.directory), limit_bytes=recording.limit_bytes)
        self._redactor = None if recording.redact is None or recording.redact.is_empty else Redactor(recording.redact)
        self.ring.begin_after(self._spool.last_sequence)
        self._drained = max(self._spool.last_sequence, self.ring.first_waiting - 1)
        self._left_behind = True
        """Whether the ring may hold frames that a front before this one has written to a segment."""
        self._quiet_looks = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="records", daemon=True)

    def start(self) -> None:
        """Has the thread write."""
        self._thread.start()

    def stop(self) -> None:
        """Writes what there is, and ends the thread."""
        self._stop.set()
        self._thread.join(timeout=5.0)

    def take(self, record: Record) -> None:
        """Keeps the record of an exchange, or counts why not."""
        if not record.predicts:
            return
        ring = self.ring
        ring.attempt()
        if self._fraction < 1.0 and random.random() >= self._fraction:
            ring.sample_out()
            return
        try:
            frame = encoded(self._frame(record, ring.next_sequence))
        except Exception:
            ring.drop("failed")
            raise
        if not ring.put(frame):
            ring.drop("queue-full")

    def _frame(self, record: Record, sequence: int) -> Frame:
        fields = dict(record.headers)
        errors = []
        request: bytes | None = record.body
        response: bytes | None = record.answer
        if len(record.body) > PAYLOAD_LIMIT_BYTES:
            errors.append(REQUEST_TOO_LARGE)
            request = None
        if len(record.answer) > PAYLOAD_LIMIT_BYTES:
            errors.append(RESPONSE_TOO_LARGE)
            response = None
        context = trace_context.read(_text(fields.get(b"traceparent")))
        length = fields.get(_JSON_LENGTH)
        meta = Meta(
            identity=record.identity,
            path=record.path,
            status=record.status,
            arrived=record.arrived,
            seconds=record.seconds,
            version=record.version,
            requester=_text(fields.get(_SUBJECT)),
            client_request_id=_text(fields.get(_CLIENT_ID)),
            trace_id=None if context is None else context.trace_id,
            content_type=_text(fields.get(b"content-type")) or "",
            json_length=int(length) if length is not None and length.isdigit() and len(length) < 10 else None,
            sampling_fraction=self._fraction,
            error_codes=errors,
            is_text=False,
            parent_span=None if context is None else context.span_id,
            is_sampled=context is not None and context.is_sampled,
            call=record.call,
        )
        return Frame(sequence, meta, request, response)

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            self._drain()
        for _ in range(3):  # to the ring's end, from its beginning, and what came meanwhile
            self._drain()
        self._spool.close()

    def _drain(self) -> None:
        """Moves what waits to the segments."""
        try:
            while self._drain_once() and self.ring.goes_on:
                pass
        except Exception:  # the thread must not end: the ring would fill, and every later record be dropped
            log.exception("records could not be written")

    def _drain_once(self) -> bool:
        """Moves what one look finds; False where there is nothing."""
        ring = self.ring
        data, last = ring.waiting()
        if not data:
            self._left_behind = False
            return False
        frames = data if self._redactor is None and not self._left_behind else self._prepared(data)
        reason = None
        try:
            if frames:
                self._spool.append(frames, last=last)
        except SpoolFull:
            reason = "spool-full"
        except OSError as error:
            reason = "disk"
            self._tell(error)
        count, self._drained = max(0, last - self._drained), max(last, self._drained)
        ring.take(len(data))
        if reason is not None:
            ring.drop(reason, count)
        return True

    def _prepared(self, data: bytes) -> bytes:
        """The frames that no segment has, redacted."""
        made = []
        for found in frames_in(data):
            frame = decoded(found.body)
            if frame.sequence > self._drained:
                made.append(encoded(row.redacted(frame, self._redactor) if self._redactor is not None else frame))
        return b"".join(made)

    def _tell(self, error: OSError) -> None:
        """Says that the disk takes no more, once in a while."""
        self._quiet_looks -= 1
        if self._quiet_looks <= 0:
            self._quiet_looks = _TOLD_EVERY
            log.error("records are dropped, their disk takes no more: %s", error)

    @property
    def spooled(self) -> int:
        """Records that were written to segments."""
        lost = self.ring.dropped
        return self._drained - lost["spool-full"] - lost["disk"]


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")[:1024]
