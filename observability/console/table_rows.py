"""TableRows: a caller's own last rows, which the table writer reads for the console."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import urllib3

from headrace.contract.errors import TemporaryError
from headrace.contract.inference_table import rows_path
from headrace.contract.telemetry import trace_path

TIMEOUT_SECONDS: Final = 20.0
"""More than a store that answers needs."""

Row = dict[str, Any]


class TableRows:
    """Asks the table writer, with the console's own token."""

    def __init__(self, address: str, token_file: Path) -> None:
        """`address` is host and port."""
        self._address, self._token_file = address, token_file
        self._pool = urllib3.PoolManager(maxsize=4, retries=False)

    def last(self, endpoint: str, *, requester: str, most: int) -> list[Row]:
        """The newest first; empty where no row was ever written. Raises TemporaryError with what is wrong."""
        return self._asked(rows_path(endpoint), "rows", {"requester": requester, "last": most})

    def spans(self, endpoint: str, trace_id: str, *, requester: str) -> list[Row]:
        """Of one of the requester's requests; empty where none are written, or no such request. Raises TemporaryError
        with what is wrong."""
        return self._asked(trace_path(endpoint, trace_id), "spans", {"requester": requester})

    def _asked(self, path: str, what: str, query: Mapping[str, object]) -> list[Row]:
        address = f"http://{self._address}{path}?{urlencode(query)}"
        try:
            headers = {"authorization": f"Bearer {self._token_file.read_text().strip()}"}
            answer = self._pool.request("GET", address, headers=headers, timeout=TIMEOUT_SECONDS)
            document = json.loads(answer.data)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise TemporaryError(f"the table writer cannot be asked: {error}") from error
        if answer.status == 404:
            return []
        if answer.status != 200:
            raise TemporaryError(str(document.get("message", f"the table writer answered {answer.status}")))
        found: list[Row] = document[what]
        return found
