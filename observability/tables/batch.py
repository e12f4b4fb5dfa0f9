"""Batch: rows that one pod has sent, as an Arrow table. Pure."""

import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
from arro3.core import Array, DataType, Field, Schema, Table, list_array

from headrace.contract.errors import InputError
from headrace.contract.inference_table import COLUMNS

_NAMES: Final = tuple(COLUMNS)
_SEQUENCE: Final = _NAMES.index("sequence")
_POD_UID: Final = _NAMES.index("pod_uid")
_TYPES: Final = {
    "string": (DataType.string(), None),
    "double": (DataType.float64(), None),
    "integer": (DataType.int32(), None),
    "long": (DataType.int64(), None),
    "date": (DataType.int32(), DataType.date32()),
    "timestamp": (DataType.int64(), DataType.timestamp("us", tz="UTC")),
}
"""Arrow's type of the values that come, and what they are made into; by Delta's type."""
_CODES: Final = DataType.list(Field("element", DataType.string(), nullable=True))
SCHEMA: Final = Schema(
    [
        Field(name, _CODES if kind.startswith("array") else (_TYPES[kind][1] or _TYPES[kind][0]), nullable=True)
        for name, kind in COLUMNS.items()
    ]
)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rows of one pod, in ascending sequence."""

    pod_uid: str
    sequences: Sequence[int]
    rows: Table

    @property
    def last(self) -> int:
        """The highest sequence."""
        return self.sequences[-1]

    @classmethod
    def read(cls, lines: bytes, *, pod_uid: str) -> "Batch":
        """The rows of a body with one JSON array a line; they are that pod's, whatever they say.

        Raises InputError where they are no rows of the inference table, or their sequences do not ascend.
        """
        rows: list[list[Any]] = []
        sequences: list[int] = []
        for number, line in enumerate(lines.split(b"\n"), start=1):
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError:
                raise InputError("batch", [f"line {number} is no JSON; send one array a line"]) from None
            if not isinstance(row, list) or len(row) != len(_NAMES):
                raise InputError("batch", [f"line {number} is no array of {len(_NAMES)} values, one a column"])
            sequence, before = row[_SEQUENCE], sequences[-1] if sequences else 0
            if type(sequence) is not int or sequence <= before:
                raise InputError("batch", [f"line {number} has the sequence {sequence!r}, must be above {before}"])
            row[_POD_UID] = pod_uid
            rows.append(row)
            sequences.append(sequence)
        return cls(pod_uid=pod_uid, sequences=sequences, rows=_arrow(rows))

    def after(self, sequence: int) -> "Batch | None":
        """The rows with a higher sequence; None where there are none."""
        at = bisect.bisect_right(self.sequences, sequence)
        if at == len(self.sequences):
            return None
        return self if at == 0 else replace(self, sequences=self.sequences[at:], rows=self.rows.slice(at))


def joined(batches: Iterable[Batch]) -> Table:
    """All rows as one table."""
    return Table.from_batches([part for batch in batches for part in batch.rows.to_batches()], schema=SCHEMA)


def _arrow(rows: Sequence[Sequence[Any]]) -> Table:
    made = []
    for (name, kind), values in zip(COLUMNS.items(), zip(*rows, strict=True), strict=True):
        try:
            made.append(_codes(values) if kind.startswith("array") else _column(kind, values))
        except Exception as error:  # arro3's own, of which it has one a kind of fault
            raise InputError("batch", [f"{name} holds what is no {kind}: {error}"]) from error
    return Table.from_arrays(made, schema=SCHEMA)


def _column(kind: str, values: Sequence[Any]) -> Array:
    given, wanted = _TYPES[kind]
    array = Array(list(values), given)
    return array if wanted is None else array.cast(wanted)


def _codes(values: Sequence[Any]) -> Array:
    offsets, flat = [0], []
    for codes in values:
        flat += codes
        offsets.append(len(flat))
    return list_array(Array(offsets, DataType.int32()), Array(flat, DataType.string()), type=_CODES)
