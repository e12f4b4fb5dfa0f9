"""Rows as sidecars send them."""

from typing import Any

import orjson

from headrace.contract.inference_table import COLUMNS
from headrace.observability.tables.batch import Batch


def row(sequence: int, pod: str = "pod-1", /, **changed: Any) -> list[Any]:
    """The values of one row."""
    known: dict[str, Any] = {
        "databricks_request_id": f"{pod}-{sequence}", "request_date": 20787, "client_request_id": None,
        "request_time": 1_796_000_000_250_000 + sequence, "status_code": 200, "sampling_fraction": 1.0,
        "execution_duration_ms": 12, "request": f'{{"inputs": [{sequence}]}}', "response": '{"predictions": [1]}',
        "logging_error_codes": [], "served_entity_id": "v7", "requester": "alice", "trace_id": None,
        "path": "/invocations", "input_tokens": None, "output_tokens": None, "pod_uid": pod, "sequence": sequence,
    }  # fmt: skip
    return [{**known, **changed}[name] for name in COLUMNS]


def lines(first: int, last: int, pod: str = "pod-1", **changed: Any) -> bytes:
    """The body of a batch."""
    return b"\n".join(orjson.dumps(row(number, pod, **changed)) for number in range(first, last + 1))


def batch(first: int, last: int, pod: str = "pod-1", **changed: Any) -> Batch:
    """A batch that was read."""
    return Batch.read(lines(first, last, pod, **changed), pod_uid=pod)
