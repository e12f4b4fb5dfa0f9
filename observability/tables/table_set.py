"""TableSet: the tables of all endpoints, opened when rows come, and looked after now and then."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from headrace.contract.errors import HeadraceError, TemporaryError
from headrace.contract.inference_table import InferenceTable
from headrace.observability.tables.delta import InferenceDeltaTable

log = logging.getLogger(__name__)

MAINTAIN_SECONDS: Final = 3600.0
"""Between two looks after a table. At a commit every three seconds, 1,200 small files become a few."""


class TableSet:
    """Tables by endpoint."""

    def __init__(
        self,
        table_of: Callable[[str], InferenceTable],
        options: Callable[[], Mapping[str, str]],
        *,
        known: Callable[[], Iterable[str]] = tuple,
        opened: Callable[[str, Mapping[str, str]], InferenceDeltaTable] = InferenceDeltaTable,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`table_of` says where an endpoint's table is, or raises; `options` are those of stores, as they are now.
        `known` are all endpoints that have a table: days beyond the retention go whether requests come or not."""
        self._known = known
        self._table_of, self._options, self._opened, self._clock = table_of, options, opened, clock
        self._tables: dict[str, tuple[str, Mapping[str, str], InferenceDeltaTable]] = {}
        self._maintained: dict[str, float] = {}
        self._lock = threading.Lock()

    def table(self, endpoint: str) -> InferenceDeltaTable:
        """The table of an endpoint. Raises a HeadraceError where there is none, or its address is none."""
        uri, options = self._table_of(endpoint).uri, dict(self._options())
        with self._lock:
            known = self._tables.get(endpoint)
            if known is None or known[:2] != (uri, options):
                known = self._tables[endpoint] = uri, options, self._opened(uri, options)
                self._maintained.setdefault(endpoint, self._clock())
            return known[2]

    def maintain(self) -> None:
        """Looks after the tables that are due."""
        now = self._clock()
        with self._lock:
            for endpoint in self._known():
                self._maintained.setdefault(endpoint, now)
            due = [name for name, since in self._maintained.items() if now - since >= MAINTAIN_SECONDS]
        for endpoint in due:
            self._maintained[endpoint] = now
            try:
                self.table(endpoint).maintain(retention_days=self._table_of(endpoint).retention_days)
            except TemporaryError as error:
                log.warning("the table of %s was not looked after: %s", endpoint, error)
            except HeadraceError:
                self._maintained.pop(endpoint, None)
