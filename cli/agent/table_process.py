"""`python -m headrace.cli.agent.table_process SECONDS`: answers a TableQuery from standard input.

The SQL reads no file and no address: DuckDB's external access is off before it is read, and its settings are locked.
The table comes as an Arrow dataset, which deltalake opened; DuckDB's extension for Delta would need a download, and
external access.
"""

import json
import resource
import signal
import sys
from typing import Any, Final

import duckdb
import pyarrow.compute
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from headrace.cli.agent import untrusted
from headrace.cli.agent.table_query import CHARACTERS_MOST, MEMORY_MOST_MIB, ROWS_MOST, TableQuery
from headrace.contract.errors import HeadraceError, PermanentError, TemporaryError

_MIB: Final = 1024 * 1024
_SETTINGS: Final[dict[str, str | bool | int | float | list[str]]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",  # a Python variable is no table
    "memory_limit": f"{MEMORY_MOST_MIB}MiB",
    "temp_directory": "",
    "threads": "2",
}


def main() -> None:
    """Answers one query."""
    most = 2 * MEMORY_MOST_MIB * _MIB
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.setitimer(signal.ITIMER_REAL, float(sys.argv[1]) + 1.0)  # ends also where nobody waits for it any more
    try:
        answer = answered(TableQuery.from_json(sys.stdin.read()))
    except HeadraceError as error:
        answer = {"temporary" if isinstance(error, TemporaryError) else "permanent": str(error)}
    json.dump(answer, sys.stdout)


def answered(query: TableQuery) -> dict[str, Any]:
    """As TableQuery.run has it, with its errors."""
    require_one_select(query.sql)
    rows = _dataset(query)
    with duckdb.connect(config=_SETTINGS) as engine:
        engine.execute("set timezone = 'UTC'")
        engine.register("rows", rows)
        engine.execute("set lock_configuration = true")
        try:
            return _fetched(engine.execute(query.sql))
        except (duckdb.OutOfMemoryException, MemoryError):
            raise PermanentError(
                f"sql wanted more than {MEMORY_MOST_MIB} MiB of memory; narrow it, for example by request_date"
            ) from None
        except (duckdb.Error, pyarrow.ArrowException) as error:
            raise PermanentError(f"sql failed: {_said(error)}; `describe rows` tells the columns") from None


def require_one_select(sql: str) -> None:
    """Raises PermanentError for what is not one statement that reads."""
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise PermanentError(f"sql cannot be read: {_said(error)}") from None
    kinds = [statement.type.name for statement in statements]
    if kinds != ["SELECT"]:
        raise PermanentError(f"sql is {', '.join(kinds) or 'empty'}, must be one SELECT over `rows`")


def _dataset(query: TableQuery) -> Any:
    try:
        found = DeltaTable(query.uri, storage_options=dict(query.storage_options) or None).to_pyarrow_dataset()
    except TableNotFoundError:
        raise PermanentError(f"{query.uri} holds no table yet; send a request, or give the right --uri") from None
    except Exception as error:  # each layer below raises its own
        raise TemporaryError(f"{query.uri} cannot be read: {_said(error)}") from error
    return found.filter(pyarrow.compute.field("requester") == query.requester) if query.requester else found


def _fetched(found: Any) -> dict[str, Any]:
    columns = [untrusted.clean_text(name) for name, *_ in found.description]
    rows: list[list[Any]] = []
    total = 0
    while (row := found.fetchone()) is not None:
        values = [_cell(value) for value in row]
        total += untrusted.characters(values)
        if len(rows) == ROWS_MOST or total > CHARACTERS_MOST:
            return {"columns": columns, "rows": rows, "truncated": True}
        rows.append(values)
    return {"columns": columns, "rows": rows, "truncated": False}


def _cell(value: Any) -> Any:
    """Lists and structures as one text, which is cut as one."""
    if isinstance(value, list | tuple | dict):
        value = json.dumps(value, default=str, ensure_ascii=False)
    return untrusted.clean(value)


def _said(error: BaseException) -> str:
    return untrusted.clean_text(" ".join(str(error).split())[:500])


if __name__ == "__main__":
    main()
