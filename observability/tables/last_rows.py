"""LastRows: what the console is told of a table: a caller's own last requests to an endpoint.

It reads beside the writer, in the writer's memory, so it touches few bytes: it looks back only as far as the files of
that time are small together, and long payloads are cut.
"""

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import TableNotFoundError

from headrace.contract import names
from headrace.contract.errors import PermanentError, TemporaryError
from headrace.contract.inference_table import InferenceTable, rows_path
from headrace.observability.tables.delta import VOLUME, explained, storage_options
from headrace.observability.tables.reception import Response, bearer, refusal

MOST_ROWS: Final = 100
TEXT_MOST: Final = 4096
"""Characters that are told of a request or an answer."""
BYTES_MOST: Final = 32 * 1024 * 1024
"""Of the files that one look touches; unpacked they may be several times as much."""
WINDOWS: Final = tuple(timedelta(seconds=seconds) for seconds in (86_400, 3_600, 300, 30))
"""How far back a look may go, the farthest first."""
BUSY_SECONDS: Final = 5.0
"""Longest wait for the look before this one: one at a time bounds the memory."""
_PATH: Final = re.compile(rows_path(rf"({names.DNS_LABEL.pattern})"))
_SHOWN: Final = (
    "databricks_request_id", "client_request_id", "request_time", "status_code", "execution_duration_ms",
    "served_entity_id", "trace_id", "path", "requester",
)  # fmt: skip


class LastRows:
    """Rows for whoever `require_reader` lets in."""

    def __init__(
        self,
        require_reader: Callable[[str], None],
        table_of: Callable[[str], InferenceTable],
        options: Callable[[], Mapping[str, str]],
        *,
        volume: PurePosixPath = VOLUME,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`require_reader` raises a PermanentError for a token that is no reader's; `table_of` says where an endpoint's
        table is, or raises; `options` are those of stores, as they are now."""
        self._require_reader, self._table_of, self._options = require_reader, table_of, options
        self._volume, self._now = volume, now
        self._one = threading.Lock()

    def respond(self, authorization: str, target: str) -> Response:
        """To GET of /rows/<endpoint>?requester=…&last=…: 200 with `rows`, the newest first; 400 for a query without a
        requester; 401 for other readers; 404 where there is no table; 503 where it cannot be read now."""
        parts = urlsplit(target)
        asked, query = _PATH.fullmatch(parts.path), parse_qs(parts.query)
        requester, last = query.get("requester", [""])[0], query.get("last", ["20"])[0]
        try:
            self._require_reader(bearer(authorization))
            if asked is None or not requester or not last.isdigit():
                return refusal(400, f"path = {target!r}, must be {rows_path('ENDPOINT')}?requester=SUBJECT&last=20")
            found = self.read(asked.group(1), requester=requester, last=min(int(last), MOST_ROWS))
            return Response(200, {"rows": found})
        except PermanentError as error:
            return refusal(401, str(error))
        except FileNotFoundError as error:
            return refusal(404, str(error))
        except TemporaryError as error:
            return refusal(503, str(error))

    def row_time(self, endpoint: str, requester: str, trace_id: str) -> datetime | None:
        """When the request of this requester with that trace came; None where no row of the last day has it.

        Raises as `read` does.
        """
        quoted = trace_id.replace("'", "''")
        found = self._read(endpoint, lambda since: _one_query(requester, quoted, since))
        return found[0]["request_time"] if found else None

    def read(self, endpoint: str, *, requester: str, last: int) -> list[dict[str, Any]]:
        """The last rows of this requester, the newest first.

        Raises FileNotFoundError where no row was ever written, and a TemporaryError that says why it cannot be read.
        """
        return [_plain(row) for row in self._read(endpoint, lambda since: _query(requester, since, last))]

    def _read(self, endpoint: str, query: Callable[[datetime], str]) -> list[dict[str, Any]]:
        uri = self._table_of(endpoint).uri
        options = storage_options(uri, self._options(), volume=self._volume)
        if not self._one.acquire(timeout=BUSY_SECONDS):
            raise TemporaryError("other tables are being read; try again")
        try:
            table = DeltaTable(uri, storage_options=options or None)
            since = self._now() - window(_files(table), self._now())
            found = QueryBuilder().register("rows", table).execute(query(since)).read_all()
            columns = {name: found[name].to_pylist() for name in found.column_names}
            return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        except TableNotFoundError:
            raise FileNotFoundError(f"the table of {endpoint} has no row yet") from None
        except Exception as error:  # as delta.py has it: each layer below raises its own
            raise explained(uri, error) from error
        finally:
            self._one.release()


def window(files: Iterable[tuple[datetime, int]], now: datetime) -> timedelta:
    """How far back to look: the farthest of WINDOWS in which the files, each with the time of its newest row and its
    bytes, are small enough together; the nearest where none is."""
    known = list(files)
    for back in WINDOWS:
        if sum(size for newest, size in known if newest >= now - back) <= BYTES_MOST:
            return back
    return WINDOWS[-1]


def _files(table: DeltaTable) -> list[tuple[datetime, int]]:
    """The newest row and the bytes of each file; one without statistics may hold rows of now."""
    added = table.get_add_actions(flatten=True)
    sizes = added["size_bytes"].to_pylist()
    newest = added["max.request_time"].to_pylist() if "max.request_time" in added.column_names else [None] * len(sizes)
    latest = datetime.max.replace(tzinfo=UTC)
    return [(latest if time is None else time, size) for time, size in zip(newest, sizes, strict=True)]


def _query(requester: str, since: datetime, last: int) -> str:
    texts = (f"substr({name}, 1, {TEXT_MOST}) as {name}" for name in ("request", "response"))
    time = since.strftime("%Y-%m-%dT%H:%M:%SZ")
    quoted = requester.replace("'", "''")  # SQL's only escape in a text
    return (
        f"select {', '.join((*_SHOWN, *texts))} from rows where requester = '{quoted}' "
        f"and request_date >= '{since.date().isoformat()}' and request_time >= '{time}' "
        f"order by request_time desc, sequence desc limit {last}"
    )


def _one_query(requester: str, trace_id: str, since: datetime) -> str:
    quoted, time = requester.replace("'", "''"), since.strftime("%Y-%m-%dT%H:%M:%SZ")
    return (
        f"select request_time from rows where requester = '{quoted}' and trace_id = '{trace_id}' "
        f"and request_date >= '{since.date().isoformat()}' and request_time >= '{time}' limit 1"
    )


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
