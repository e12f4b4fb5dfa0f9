"""TableQuery: one SELECT over one inference table, run by a process of its own that ends in seconds.

DuckDB hears an interrupt only between steps, and one call of a function can be a step that takes long, or memory that
its limit does not count. A process can be killed, and the kernel counts all its memory.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final, Self

from headrace.contract.errors import PermanentError, TemporaryError

ROWS_MOST: Final = 200
CHARACTERS_MOST: Final = 200_000
"""Of one answer, as JSON."""
SECONDS_MOST: Final = 20.0
"""From the start of the process, which takes one to two, to its end."""
MEMORY_MOST_MIB: Final = 1024
"""That DuckDB takes for itself; the process may have twice as much, which Linux counts and macOS does not."""
PROGRAM: Final = "headrace.cli.agent.table_process"


@dataclass(frozen=True, kw_only=True)
class TableQuery:
    """What the process reads from its standard input."""

    uri: str
    """Folder of the Delta table."""
    storage_options: Mapping[str, str] = field(default_factory=dict, repr=False)
    requester: str = ""
    """Only rows of this caller are there; empty: all."""
    sql: str
    """One SELECT; the table is `rows`."""

    def to_json(self) -> str:
        """What `from_json` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote."""
        return cls(**json.loads(text))

    def run(self, *, seconds: float = SECONDS_MOST) -> dict[str, Any]:
        """`columns`, `rows` and whether rows were left out (`truncated`).

        Raises PermanentError for what is no SELECT, for one that fails, and for one over a limit; TemporaryError where
        the store does not answer.
        """
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-m", PROGRAM, str(seconds)],
                input=self.to_json(), capture_output=True, text=True, timeout=seconds, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise PermanentError(
                f"sql took longer than {seconds:g} s and was stopped; narrow it, for example by request_date"
            ) from None
        try:
            answer: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise PermanentError(
                f"sql was stopped (exit status {done.returncode}): it wanted more than {2 * MEMORY_MOST_MIB} MiB of "
                "memory, or broke the engine; narrow it, for example by request_date, and choose fewer columns"
            ) from None
        if permanent := answer.get("permanent"):
            raise PermanentError(permanent)
        if temporary := answer.get("temporary"):
            raise TemporaryError(temporary)
        return answer


def errors_sql(since: datetime) -> str:
    """Requests that were not answered well since then, a row a kind, the most frequent first."""
    return (
        "select status_code, served_entity_id as version, path, count(*) as requests, "
        "min(request_time) as first_time, max(request_time) as last_time, "
        "arg_max(databricks_request_id, request_time) as last_request_id, "
        "max_by(trace_id, request_time) as last_trace_id, "
        "max_by(substr(response, 1, 500), request_time) as last_response "
        f"from rows where {_since(since)} and status_code >= 400 group by all order by requests desc, last_time desc"
    )


def slow_sql(since: datetime, last: int) -> str:
    """The requests since then that took longest, the longest first."""
    return (
        "select execution_duration_ms, request_time, databricks_request_id as request_id, trace_id, "
        "served_entity_id as version, status_code, path, requester, input_tokens, output_tokens, "
        "length(request) as request_characters "
        f"from rows where {_since(since)} order by execution_duration_ms desc, request_time desc limit {last}"
    )


def _since(since: datetime) -> str:
    time = since.strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"request_date >= date '{since.date().isoformat()}' and request_time >= timestamptz '{time}'"
