"""DriftChecks: has tables looked through for drift now and then, one at a time, by a process of its own.

The process (`python -m headrace.observability.drift`) knows from the table of findings whether a check is due, so that
a writer that is begun anew, or one of several, neither forgets nor repeats one.
"""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from headrace.contract.errors import HeadraceError, TemporaryError
from headrace.contract.inference_table import InferenceTable
from headrace.observability.tables import writer_metrics

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 3600.0
"""Between two questions whether a check of a table is due."""
LONGEST_SECONDS: Final = 900.0
"""Of a check: a thousand times what one of a day with a million small requests takes."""
_COMMAND: Final = (sys.executable, "-m", "headrace.observability.drift")
_FEW_THREADS: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "TOKIO_WORKER_THREADS": "2"}
"""Each thread of a library reserves memory, on a node of many cores more than the process may have."""
KINDS: Final = ("input", "prediction", "quality")
"""Of columns, as the table of findings names them."""


class DriftChecks:
    """Of all endpoints whose table has `drift`."""

    def __init__(
        self,
        known: Callable[[], Sequence[str]],
        table_of: Callable[[str], InferenceTable],
        options: Callable[[], Mapping[str, str]],
        *,
        run: "Callable[[Mapping[str, Any]], Mapping[str, Any] | None] | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`known` are all endpoints with a table; `table_of` says where it is, or raises; `options` are those of
        stores, as they are now. `run` does one check."""
        self._known, self._table_of, self._options, self._clock = known, table_of, options, clock
        self._run_one = run_process if run is None else run
        self._looked: dict[str, float] = {}
        self._told: set[str] = set()
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Begins to check the tables that nobody has asked about for an hour, unless that goes on already."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self.check_due, name="drift", daemon=True)
            self._thread.start()

    def check_due(self) -> None:
        """Checks them, one after the other; forgets endpoints that are gone."""
        known = self._known()
        for endpoint in self._told - {*known}:
            self._forget(endpoint)
        for endpoint in known:
            now = self._clock()
            if now - self._looked.get(endpoint, -LOOK_SECONDS) < LOOK_SECONDS:
                continue
            self._looked[endpoint] = now
            try:
                self._check(endpoint)
            except HeadraceError as error:
                log.warning("the table of %s was not looked through for drift: %s", endpoint, error)

    def _check(self, endpoint: str) -> None:
        table = self._table_of(endpoint)
        if table.drift is None:
            self._forget(endpoint)
            return
        asked = {"uri": table.uri, "options": dict(self._options()), "every_hours": table.drift.every_hours}
        found = self._run_one(asked)
        if found is None:
            return
        self._told.add(endpoint)
        writer_metrics.drift_checked.labels(endpoint).set(found["checked_at"])
        for kind in KINDS:
            writer_metrics.drifted_columns.labels(endpoint, kind).set(found["drifted"].get(kind, 0))

    def _forget(self, endpoint: str) -> None:
        """Tells nothing more of an endpoint, so that no alert stays."""
        if endpoint in self._told:
            self._told.discard(endpoint)
            writer_metrics.drift_checked.remove(endpoint)
            for kind in KINDS:
                writer_metrics.drifted_columns.remove(endpoint, kind)


def run_process(
    asked: Mapping[str, Any], *, command: Sequence[str] = _COMMAND, longest_seconds: float = LONGEST_SECONDS
) -> Mapping[str, Any] | None:
    """One check: when it was, and how many columns have drifted; None where there was nothing to compare.

    Raises TemporaryError where the process says what is wrong, is ended for its memory, or takes too long.
    """
    environment = {**os.environ, **_FEW_THREADS}
    try:
        done = subprocess.run(
            command, input=json.dumps(asked), capture_output=True, text=True, timeout=longest_seconds, check=False,
            env=environment,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TemporaryError(f"a check for drift did not end: {error}") from error
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["without a word"])[-1][:500]
        if done.returncode < 0:
            said = f"it was ended by signal {-done.returncode}, for want of memory where requests are very large"
        raise TemporaryError(f"a check for drift failed: {said}")
    found: Mapping[str, Any] | None = json.loads(done.stdout)
    return found
