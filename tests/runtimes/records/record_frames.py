"""Frames as tests want them."""

from typing import Any

from headrace.runtimes.records.frame import Frame, Meta


def meta(**changed: Any) -> Meta:
    """Of a scoring request that was answered."""
    known: dict[str, Any] = {
        "identity": "id-1", "path": "/invocations", "status": 200, "arrived": 1_796_000_000.25, "seconds": 0.0125,
        "version": "v7", "requester": "alice", "client_request_id": None, "trace_id": None,
        "content_type": "application/json", "json_length": None, "sampling_fraction": 1.0, "error_codes": [],
        "is_text": False,
    }  # fmt: skip
    return Meta(**{**known, **changed})


def frame(sequence: int = 1, request: bytes | None = b"{}", response: bytes | None = b"{}", **changed: Any) -> Frame:
    """One record."""
    return Frame(sequence, meta(**changed), request, response)
