"""Windows: samples of an endpoint's requests, read from its inference table."""

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import TableNotFoundError

from headrace.contract.inference_table import PARTITION, labels_uri
from headrace.observability.drift.payload_values import Column, Value, values

ROWS_MOST: Final = 4_000
"""Of a sample, drawn from all rows of its window: the tests see a distance of 0.05 with them."""
TEXT_MOST: Final = 65_536
"""Bytes of a request or an answer that is read; longer ones are left out."""


@dataclass(frozen=True)
class Window:
    """From `begin` until before `end`."""

    begin: datetime
    end: datetime


class Reader:
    """Reads one inference table, with its labels where it has some."""

    def __init__(self, uri: str, options: Mapping[str, str]) -> None:
        """Raises what deltalake raises; TableNotFoundError where no row was ever written."""
        given = dict(options) or None
        self._engine = QueryBuilder().register("rows", DeltaTable(uri, storage_options=given))
        self._engine.execute("set datafusion.execution.batch_size = 64").read_all()  # of texts up to 1 MiB each
        try:
            self._engine.register("labels", DeltaTable(labels_uri(uri), storage_options=given))
            self._label = "labels.label", "left join labels on rows.client_request_id = labels.client_request_id"
        except TableNotFoundError:
            self._label = "null", ""

    def first_requests(self) -> dict[str, datetime]:
        """Time of the first request that is in the table, by version."""
        found = self._rows("select served_entity_id, min(request_time) as first from rows group by served_entity_id")
        return {row["served_entity_id"]: row["first"] for row in found if row["served_entity_id"]}

    def samples(self, window: Window, versions: Mapping[str, Any]) -> dict[str, list[dict[Column, Value]]]:
        """At most ROWS_MOST rows of each of the versions, drawn from those that were answered in the window."""
        label, join = self._label
        short = " and ".join(f"octet_length({name}) <= {TEXT_MOST}" for name in ("request", "response"))
        query = (
            f"select served_entity_id as version, request, response, {label} as label from rows {join} "
            f"where {PARTITION} >= '{window.begin.date()}' and {PARTITION} <= '{window.end.date()}' "
            f"and request_time >= '{_text(window.begin)}' and request_time < '{_text(window.end)}' "
            f"and status_code = 200 and {short}"
        )
        chance = random.Random(str(window))
        drawn: dict[str, list[dict[Column, Value]]] = defaultdict(list)
        seen: dict[str, int] = defaultdict(int)
        for row in self._rows(query):
            version = row["version"]
            if version not in versions:
                continue
            seen[version] += 1
            place = seen[version] - 1  # Vitter's algorithm R
            if place >= ROWS_MOST and (place := chance.randrange(seen[version])) >= ROWS_MOST:
                continue
            if not (found := values(row["request"], row["response"], row["label"], chance=chance)):
                seen[version] -= 1
            elif place < len(drawn[version]):
                drawn[version][place] = found
            else:
                drawn[version].append(found)
        return dict(drawn)

    def _rows(self, query: str) -> Iterator[dict[str, Any]]:
        for batch in self._engine.execute(query):
            names = batch.schema.names
            for row in zip(*(batch[name].to_pylist() for name in names), strict=True):
                yield dict(zip(names, row, strict=True))


def _text(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
