"""TelemetryTables: the platform's tables of spans and logs, in one folder.

Rows may come twice, when the Collector did not hear that they were written; `record_id` of a span is the same then.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

from arro3.core import Table
from deltalake import DeltaTable, Schema, write_deltalake
from deltalake.exceptions import TableNotFoundError

from headrace.contract.errors import HeadraceError
from headrace.contract.telemetry import DATE, LOG_COLUMNS, LOGS, SPAN_COLUMNS, SPANS
from headrace.observability.tables.delta import VOLUME, explained, look_after, storage_options
from headrace.observability.tables.otlp import OtlpBatch, schema
from headrace.observability.tables.table_set import MAINTAIN_SECONDS

log = logging.getLogger(__name__)

COLUMNS: Final[Mapping[str, Mapping[str, str]]] = {SPANS: SPAN_COLUMNS, LOGS: LOG_COLUMNS}
RETENTION_DAYS: Final = 30
"""Days for which spans and logs are kept; rows of requests have a retention of their own."""


class TelemetryDeltaTable:
    """One table, written by one thread at a time."""

    def __init__(self, uri: str, columns: Mapping[str, str], options: Mapping[str, str], volume: PurePosixPath) -> None:
        self._uri, self._columns = uri, columns
        self._options = storage_options(uri, options, volume=volume)

    def append(self, batches: Sequence[OtlpBatch]) -> int:
        """Makes one commit of all rows; returns how many. Raises a TemporaryError that says what is wrong."""
        known = schema(self._columns)
        try:
            rows = Table.from_batches([part for batch in batches for part in batch.rows.to_batches()], schema=known)
            write_deltalake(self._open(), rows, mode="append", schema_mode="merge")
            return sum(batch.last for batch in batches)
        except HeadraceError:
            raise
        except Exception as error:  # as delta.py has it: each layer below raises its own
            raise explained(self._uri, error) from error

    def maintain(self) -> None:
        """Joins small files, and deletes days beyond the retention."""
        look_after(self._uri, self._options, day_column=DATE, retention_days=RETENTION_DAYS)

    def _open(self) -> DeltaTable:
        try:
            return DeltaTable(self._uri, storage_options=self._options or None)
        except TableNotFoundError:
            return DeltaTable.create(
                self._uri, Schema.from_arrow(schema(self._columns)), mode="ignore", partition_by=[DATE],
                storage_options=self._options or None, description="OpenTelemetry of a Headrace platform",
            )  # fmt: skip


class TelemetryTables:
    """Both tables, by their names SPANS and LOGS."""

    def __init__(
        self,
        folder: str,
        options: Callable[[], Mapping[str, str]],
        *,
        volume: PurePosixPath = VOLUME,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`options` are those of stores, as they are now."""
        self._folder, self._options, self._volume, self._clock = folder.rstrip("/"), options, volume, clock
        self._maintained = clock()

    def uri(self, name: str) -> str:
        """Of a table."""
        return f"{self._folder}/{name}"

    def table(self, name: str) -> TelemetryDeltaTable:
        """One of both. Raises TableUnusable where the folder is outside of the volume."""
        return TelemetryDeltaTable(self.uri(name), COLUMNS[name], self._options(), self._volume)

    def maintain(self) -> None:
        """Looks after both tables, when they are due."""
        if self._clock() - self._maintained < MAINTAIN_SECONDS:
            return
        self._maintained = self._clock()
        for name in COLUMNS:
            try:
                self.table(name).maintain()
            except HeadraceError as error:
                log.warning("the table %s was not looked after: %s", name, error)
