"""Results: the table of what checks found, beside the inference table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from arro3.core import Array, DataType, Field, Schema, Table
from deltalake import DeltaTable, QueryBuilder, write_deltalake
from deltalake.exceptions import TableNotFoundError

from headrace.contract.inference_table import DRIFT_COLUMNS, drift_uri
from headrace.observability.drift.comparison import Finding
from headrace.observability.drift.windows import Window

_TYPES: Final = {
    "string": DataType.string(),
    "long": DataType.int64(),
    "double": DataType.float64(),
    "boolean": DataType.bool(),
    "timestamp": DataType.timestamp("us", tz="UTC"),
}
_SCHEMA: Final = Schema([Field(name, _TYPES[kind], nullable=True) for name, kind in DRIFT_COLUMNS.items()])


@dataclass(frozen=True)
class Outcome:
    """Of one check."""

    checked_at: datetime
    columns: int
    """That were compared."""
    drifted: Mapping[str, int]
    """Columns that have drifted, by kind: input, prediction, quality."""


class Results:
    """The results of one inference table."""

    def __init__(self, uri: str, options: Mapping[str, str]) -> None:
        self._uri, self._options = drift_uri(uri), dict(options) or None

    def last(self) -> Outcome | None:
        """Of the last check that found something to compare; None before it. Raises what deltalake raises."""
        try:
            table = DeltaTable(self._uri, storage_options=self._options)
        except TableNotFoundError:
            return None
        query = (
            "select checked_at, kind, count(*) as columns, sum(case when drifted then 1 else 0 end) as drifted "
            "from found where checked_at = (select max(checked_at) from found) group by checked_at, kind"
        )
        found = QueryBuilder().register("found", table).execute(query).read_all()
        told = [found[name].to_pylist() for name in ("checked_at", "kind", "columns", "drifted")]
        if not told[0]:
            return None
        return Outcome(told[0][0], sum(told[2]), dict(zip(told[1], told[3], strict=True)))

    def add(self, now: datetime, checks: Sequence[tuple[str, Window, Window, Sequence[Finding]]]) -> None:
        """Adds the findings of a check: the version, its baseline and its window, and what was found of each column."""
        rows: list[dict[str, Any]] = [
            {
                "checked_at": now, "window_begin": window.begin, "window_end": window.end,
                "baseline_begin": baseline.begin, "baseline_end": baseline.end, "served_entity_id": version,
                "kind": one.column.kind, "column": one.column.name, "test": one.test, "rows": one.rows,
                "baseline_rows": one.baseline_rows, "mean": one.mean, "baseline_mean": one.baseline_mean,
                "distance": one.distance, "p_value": one.p_value, "adjusted_p_value": one.adjusted_p_value,
                "drifted": one.drifted,
            }
            for version, baseline, window, findings in checks
            for one in findings
        ]  # fmt: skip
        made = [_array(kind, [row[name] for row in rows]) for name, kind in DRIFT_COLUMNS.items()]
        write_deltalake(
            self._uri, Table.from_arrays(made, schema=_SCHEMA), mode="append", storage_options=self._options,
            description="What checks for drift found of an endpoint's requests",
        )  # fmt: skip


def _array(kind: str, values: Sequence[Any]) -> Array:
    if kind != "timestamp":
        return Array(list(values), _TYPES[kind])
    return Array([round(value.timestamp() * 1e6) for value in values], DataType.int64()).cast(_TYPES[kind])
