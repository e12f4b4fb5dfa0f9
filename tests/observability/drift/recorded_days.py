"""Days of requests in an inference table, whose inputs and predictions may change."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path, PurePosixPath

import numpy as np
import orjson

from headrace.observability.tables.batch import Batch
from headrace.observability.tables.delta import InferenceDeltaTable
from tests.observability.table_rows import row

FIRST = datetime(2026, 11, 1, tzinfo=UTC)


class RecordedDays:
    """A table in a folder, or in a store."""

    def __init__(self, folder: Path, *, uri: str = "", options: Mapping[str, str] | None = None) -> None:
        self.uri = uri or str(folder / "fraud")
        self._table = InferenceDeltaTable(self.uri, options or {}, volume=PurePosixPath(folder))
        self._random, self._sequence = np.random.default_rng(3), 0

    def add(self, day: int, *, rows: int = 300, shift: float = 0.0, version: str = "v7", status: int = 200) -> None:
        """So many requests of one row, evenly over a day, with x and a prediction that are greater by `shift`."""
        lines = []
        for place, x in enumerate(self._random.normal(shift, size=rows)):
            self._sequence += 1
            time = FIRST + timedelta(days=day) + timedelta(days=1) * place / rows
            told = row(
                self._sequence, request_time=round(time.timestamp() * 1e6), status_code=status,
                request_date=(time.date() - date(1970, 1, 1)).days, served_entity_id=version,
                client_request_id=f"{self._sequence}", request=json.dumps({"inputs": [{"x": x, "colour": "red"}]}),
                response=json.dumps({"predictions": [2 * x]}),
            )  # fmt: skip
            lines.append(orjson.dumps(told))
        self._table.append([Batch.read(b"\n".join(lines), pod_uid="pod-1")])
