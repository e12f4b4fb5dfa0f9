"""TraceRows: what the console is told of a trace: the spans of a caller's own request to an endpoint.

Whose trace it is, the endpoint's row says. Other endpoints' spans of the same trace are left out: their callers are
others, and so are their rows.
"""

import json
import re
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import TableNotFoundError

from headrace.contract import names
from headrace.contract.errors import PermanentError, TemporaryError
from headrace.contract.telemetry import ENDPOINT_ATTRIBUTE, trace_path
from headrace.observability.tables.delta import VOLUME, explained, storage_options
from headrace.observability.tables.last_rows import BUSY_SECONDS
from headrace.observability.tables.reception import Response, bearer, refusal

MOST_SPANS: Final = 500
AROUND: Final = timedelta(hours=1)
"""How long before and after its row spans of a trace are looked for: longer than a request may take."""
PATH: Final = re.compile(trace_path(rf"({names.DNS_LABEL.pattern})", "([0-9a-f]{32})"))
_SHOWN: Final = (
    "service_name", "span_id", "parent_span_id", "name", "kind", "start_time_unix_nano", "end_time_unix_nano",
    "attributes",
)  # fmt: skip

RowTime = Callable[[str, str, str], datetime | None]
"""When the request came that an endpoint's row with this requester and trace is of; None where there is none."""


class TraceRows:
    """Spans for whoever `require_reader` lets in."""

    def __init__(
        self,
        require_reader: Callable[[str], None],
        row_time: RowTime,
        uri: str,
        options: Callable[[], Mapping[str, str]],
        *,
        volume: PurePosixPath = VOLUME,
    ) -> None:
        """`require_reader` raises a PermanentError for a token that is no reader's; `uri` is of the table of spans."""
        self._require_reader, self._row_time, self._uri = require_reader, row_time, uri
        self._options, self._volume = options, volume
        self._one = threading.Lock()

    def respond(self, authorization: str, target: str) -> Response:
        """To GET of /traces/<endpoint>/<trace id>?requester=…: 200 with `spans`, by their beginning; 400 for another
        path; 401 for other readers; 404 where that requester has no such row; 503 where it cannot be read now."""
        parts = urlsplit(target)
        asked, requester = PATH.fullmatch(parts.path), parse_qs(parts.query).get("requester", [""])[0]
        try:
            self._require_reader(bearer(authorization))
            if asked is None or not requester:
                return refusal(400, f"path = {target!r}, must be {trace_path('ENDPOINT', 'TRACE')}?requester=SUBJECT")
            endpoint, trace_id = asked.group(1), asked.group(asked.re.groups)
            came = self._row_time(endpoint, requester, trace_id)
            if came is None:
                return refusal(404, f"{requester} has no row with the trace {trace_id} at {endpoint}")
            return Response(200, {"spans": self.read(endpoint, trace_id, came)})
        except PermanentError as error:
            return refusal(401, str(error))
        except FileNotFoundError as error:
            return refusal(404, str(error))
        except TemporaryError as error:
            return refusal(503, str(error))

    def read(self, endpoint: str, trace_id: str, came: datetime) -> list[dict[str, Any]]:
        """The endpoint's spans of a trace around a time; empty where none are written yet.

        Raises a TemporaryError that says why they cannot be read.
        """
        options = storage_options(self._uri, self._options(), volume=self._volume)
        if not self._one.acquire(timeout=BUSY_SECONDS):
            raise TemporaryError("other traces are being read; try again")
        try:
            table = DeltaTable(self._uri, storage_options=options or None)
            found = QueryBuilder().register("spans", table).execute(_query(trace_id, came)).read_all()
        except TableNotFoundError:
            return []
        except Exception as error:  # as delta.py has it: each layer below raises its own
            raise explained(self._uri, error) from error
        finally:
            self._one.release()
        columns = {name: found[name].to_pylist() for name in found.column_names}
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return [_shown(row) for row in _of_endpoint(endpoint, {row["span_id"]: row for row in rows})]


def _query(trace_id: str, came: datetime) -> str:
    since, until = (moment.astimezone(UTC) for moment in (came - AROUND, came + AROUND))
    form = "%Y-%m-%dT%H:%M:%SZ"
    columns = (*_SHOWN, "status['code'] as status", "status['message'] as message", "resource['attributes'] as origin")
    return (
        f"select {', '.join(columns)} from spans where trace_id = '{trace_id}' "
        f"and date >= '{since.date().isoformat()}' and date <= '{until.date().isoformat()}' "
        f"and time >= '{since.strftime(form)}' and time <= '{until.strftime(form)}' "
        f"order by start_time_unix_nano limit {MOST_SPANS}"
    )


def _of_endpoint(endpoint: str, rows: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Spans that say they are of the endpoint; and of those that name none, what a model began below such a span."""

    def named(row: Mapping[str, Any]) -> Any:
        return {**json.loads(row["origin"] or "{}"), **json.loads(row["attributes"] or "{}")}.get(ENDPOINT_ATTRIBUTE)

    found = {identity for identity, row in rows.items() if named(row) == endpoint}
    nameless = {identity: row["parent_span_id"] for identity, row in rows.items() if named(row) is None}
    while more := {identity for identity, parent in nameless.items() if parent in found} - found:
        found |= more
    return [row for identity, row in rows.items() if identity in found]


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in row.items() if name != "origin"}
    return {**shown, "attributes": json.loads(row["attributes"] or "{}")}
