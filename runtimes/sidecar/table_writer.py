"""TableWriter: the service that puts rows into tables, as the sidecar sees it."""

import http.client
import json
from pathlib import Path
from typing import Final

from headrace.contract.errors import PermanentError, TemporaryError
from headrace.contract.inference_table import BATCH_PATH

_PATIENCE_SECONDS: Final = 60.0
"""An answer comes after the commit, which comes every few seconds; a store that hangs is the table writer's affair."""


class Refused(PermanentError):
    """The table writer will never take these rows."""


class TableWriter:
    """One connection, used by one thread."""

    def __init__(self, address: str, token_file: Path) -> None:
        """`address`: host and port. `token_file` is read for each batch, since the kubelet renews it."""
        self._connection = http.client.HTTPConnection(address, timeout=_PATIENCE_SECONDS)
        self._token_file = token_file

    def write(self, lines: bytes) -> int:
        """The sequence up to which the pod's rows are in the table, those of `lines` included.

        Raises Refused for rows that it will never take, and TemporaryError where they may be sent again.
        """
        try:
            headers = {"authorization": f"Bearer {self._token_file.read_text().strip()}"}
            self._connection.request("POST", BATCH_PATH, body=lines, headers=headers)
            with self._connection.getresponse() as response:
                text = response.read(65536)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise TemporaryError(f"the table writer does not answer: {error or type(error).__name__}") from error
        said = text[:500].decode(errors="replace")
        if response.status in (400, 413, 422):
            raise Refused(f"the table writer refuses rows: {said}")
        try:
            if response.status == 200:
                return int(json.loads(text)["sequence"])
        except (ValueError, TypeError, KeyError) as error:
            raise TemporaryError(f"the table writer answered what is no acknowledgement: {said}") from error
        raise TemporaryError(f"the table writer answered {response.status}: {said}")

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()
