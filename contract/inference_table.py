"""The inference table: the rows that requests to an endpoint become, what of them is kept, and how they travel.

front → files in the pod → sidecar → table writer → Delta table. The columns up to `requester` are those of Databricks'
inference tables, in their order; those after it are ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from headrace.contract.codec import decode, encode
from headrace.contract.declaration import Bounds, NotEmpty

COLUMNS: Final[Mapping[str, str]] = {
    "databricks_request_id": "string",
    "request_date": "date",
    "client_request_id": "string",
    "request_time": "timestamp",
    "status_code": "integer",
    "sampling_fraction": "double",
    "execution_duration_ms": "long",
    "request": "string",
    "response": "string",
    "logging_error_codes": "array<string>",
    "served_entity_id": "string",
    "requester": "string",
    "trace_id": "string",
    "path": "string",
    "input_tokens": "long",
    "output_tokens": "long",
    "pod_uid": "string",
    "sequence": "long",
}
"""Delta type of each column. (pod_uid, sequence) is unique."""
PARTITION: Final = "request_date"
"""The column by which files are grouped into folders. Databricks clusters by it, which other writers cannot."""

PAYLOAD_LIMIT_BYTES: Final = 1024 * 1024
"""Of a request or an answer, as in the reference system: a longer one is null in its row, with an error code."""
REQUEST_TOO_LARGE: Final = "MAX_REQUEST_SIZE_EXCEEDED"
RESPONSE_TOO_LARGE: Final = "MAX_RESPONSE_SIZE_EXCEEDED"
NOT_REDACTABLE: Final = "PAYLOAD_NOT_REDACTABLE"
"""Of a payload in which columns or paths are to be redacted and which is no JSON: it is null in its row."""
REDACTED: Final = "[REDACTED]"

ENV_RECORDING: Final = "HEADRACE_RECORDING"
"""Of the front: the Recording as JSON. Absent: nothing is recorded."""
ENV_TABLE_WRITER: Final = "HEADRACE_TABLE_WRITER"
"""Of the sidecar: host and port of the table writer."""
ENV_POD_UID: Final = "HEADRACE_POD_UID"
RECORDS_DIRECTORY: Final = "/var/lib/headrace/records"
"""In the pod: segments of records, written by the front and deleted by the sidecar."""
TOKEN_DIRECTORY: Final = "/var/run/secrets/headrace"
TOKEN_FILE: Final = f"{TOKEN_DIRECTORY}/token"
"""In the sidecar alone: a token of the pod's account, by which the table writer knows the pod."""
TOKEN_AUDIENCE: Final = "headrace-tables"
BATCH_PATH: Final = "/records"
"""Of the table writer: POST of rows, each a JSON array in the order of COLUMNS, one a line, of ascending sequence.
Answered 200 when they are in the table."""


def rows_path(endpoint: str) -> str:
    """Of the table writer, for the console: GET with `requester`, a token's subject, and `last`, a number."""
    return f"/rows/{endpoint}"


LABEL_COLUMNS: Final[Mapping[str, str]] = {"client_request_id": "string", "label": "string", "labelled_at": "timestamp"}
"""Delta type of each column of a table of labels: what turned out to be right for a request, as JSON or as text."""


def labels_uri(uri: str) -> str:
    """Folder of the labels that belong to the inference table at `uri`: beside it."""
    return uri.rstrip("/") + "_labels"


DRIFT_COLUMNS: Final[Mapping[str, str]] = {
    "checked_at": "timestamp",
    "window_begin": "timestamp",
    "window_end": "timestamp",
    "baseline_begin": "timestamp",
    "baseline_end": "timestamp",
    "served_entity_id": "string",
    "kind": "string",
    "column": "string",
    "test": "string",
    "rows": "long",
    "baseline_rows": "long",
    "mean": "double",
    "baseline_mean": "double",
    "distance": "double",
    "p_value": "double",
    "adjusted_p_value": "double",
    "drifted": "boolean",
}
"""Delta type of each column of a table of drift: a row a column of the model in each check."""


def drift_uri(uri: str) -> str:
    """Folder of what checks found of the inference table at `uri`: beside it."""
    return uri.rstrip("/") + "_drift"


SIDECAR: Final = "sidecar"
"""The argument by which an image's entrypoint starts the sidecar."""

Fraction = Annotated[float, Bounds(minimum=0, maximum=1)]


@dataclass(frozen=True, kw_only=True)
class Redaction:
    """What is replaced by `[REDACTED]` before a record touches a disk."""

    columns: tuple[NotEmpty, ...] = ()
    """Columns and tensors of the model's input and output, by name."""
    json_paths: tuple[NotEmpty, ...] = ()
    """Places in request and response, for example $.messages[*].content; `$` is all of it."""
    patterns: tuple[NotEmpty, ...] = ()
    """Regular expressions, looked for in every text and number of request and response, and in the ids of both."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is replaced."""
        return not (self.columns or self.json_paths or self.patterns)


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How recent requests, predictions and labels are compared with those of a version's first ones."""

    every_hours: Annotated[int, Bounds(minimum=1, maximum=8760)] = 24
    """Between two checks; each looks at the requests since the one before. Default 24: most load repeats by days."""


@dataclass(frozen=True, kw_only=True)
class InferenceTable:
    """Where requests to an endpoint are recorded, and which."""

    uri: NotEmpty
    """Folder of the Delta table: s3://…, gs://…, abfss://… or, on the table writer's volume, /tables/…"""
    sampling_fraction: Fraction = 1.0
    """Share of the requests that are recorded. Default 1."""
    redact: Redaction | None = None
    """What is replaced before a record touches a disk. Absent: nothing."""
    retention_days: Annotated[int, Bounds(minimum=1)] | None = None
    """Rows of older days are deleted. Absent: none is."""
    drift: Drift | None = None
    """How often the table is looked through for drift. Absent: never."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What a pod's front is told."""

    sampling_fraction: Fraction = 1.0
    redact: Redaction | None = None
    directory: NotEmpty = RECORDS_DIRECTORY
    limit_bytes: Annotated[int, Bounds(minimum=1)] = 256 * 1024 * 1024
    """Of all segments; records beyond are dropped, and counted."""

    def to_json(self) -> dict[str, Any]:
        """What ENV_RECORDING holds."""
        return dict(encode(self))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Recording":
        """Reads what `to_json` wrote; raises InputError with every fault."""
        return decode(cls, value)
