"""SpanRecorder: has a thread write what spans are made of, for endpoints with an inference table and without one.

It goes the way of records, in files of its own: neither what a table samples, nor a table writer that is away, costs a
span. No body, no caller and no header but the trace's is kept.
"""

from pathlib import Path
from typing import Final

from headrace.contract import trace_context
from headrace.contract.inference_table import Recording, Redaction
from headrace.runtimes.http.exchange import Record
from headrace.runtimes.http.recorder import Recorder
from headrace.runtimes.records import spans

RING_FILE: Final = "spans.ring"
SPOOL_BYTES: Final = 16 * 1024 * 1024
"""On the disk: 40,000 requests of 400 bytes. The sidecar waits for no Collector, so that there are few."""
_TRACE: Final = trace_context.HEADER.encode()


class SpanRecorder(Recorder):
    """What spans of one front are made of."""

    def __init__(self, directory: Path, run_directory: Path, *, redact: Redaction | None = None) -> None:
        """`redact`: its patterns are looked for in the ids of requests. OSError where there is no place."""
        patterns = None if redact is None else Redaction(patterns=redact.patterns)
        recording = Recording(directory=str(directory), limit_bytes=SPOOL_BYTES, redact=patterns)
        super().__init__(recording, run_directory, ring=RING_FILE)

    def take(self, record: Record) -> None:
        """Keeps what the spans of an exchange are made of, if it has any, or counts why not."""
        if not record.predicts:
            return
        header = next((value for name, value in record.headers if name == _TRACE), None)
        context = None if header is None else trace_context.read(header.decode("latin-1"))
        if header is not None and spans.are_made(context, status=record.status, seconds=record.seconds):
            super().take(record._replace(headers=((_TRACE, header),), body=b"", answer=b""))
