"""`headrace table ENDPOINT`: the last rows of an endpoint's inference table, for people or as JSON."""

# ruff: noqa: PLC0415 -- `headrace --help` waits for no store.

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from headrace.contract.errors import HeadraceError, PermanentError, TemporaryError
from headrace.contract.inference_table import labels_uri

HELP: Final = (
    "Prints the last rows of an endpoint's inference table. Exit status: 0 they are printed, 2 they cannot be."
)
_SHOWN: Final = ("request_time", "status_code", "execution_duration_ms", "requester", "request", "response")
_WIDTH: Final = 60
"""Characters of a cell for people."""
_VOLUME: Final = Path("/tables")


def table(  # noqa: PLR0917 -- arguments of a command line
    endpoint: Annotated[str, typer.Argument(metavar="ENDPOINT", help="Name of the endpoint.")],
    last: Annotated[int, typer.Option("--last", "-n", min=1, max=10_000, help="Number of rows.")] = 10,
    uri: Annotated[
        str, typer.Option(help="Folder of the table, or of all tables; else as the demo's volume has it.")
    ] = "",
    option: Annotated[
        list[str] | None, typer.Option(help="A storage option, NAME=VALUE, for example AWS_REGION=eu-west-1.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document a row.")] = False,
    with_labels: Annotated[
        bool, typer.Option("--with-labels", help="Join the labels that `headrace labels` keeps.")
    ] = False,
) -> None:
    """The command."""
    try:
        options = storage_options(option or [])
        rows = read(place(endpoint, uri), last=last, options=options, with_labels=with_labels)
    except HeadraceError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None
    if as_json:
        for row in rows:
            print(json.dumps(row, default=_as_text))
    else:
        _show(endpoint, rows, (*_SHOWN, "label") if with_labels else _SHOWN)


def place(endpoint: str, uri: str) -> str:
    """Where the table is: the address that is given, or the folder of that name in the demo's volume."""
    from headrace.local import cluster_layout

    if "://" in uri:
        return uri
    folder = Path(uri) if uri else cluster_layout.folders().tables
    if _VOLUME in folder.parents and not folder.exists():  # as the endpoint's input names it, in the writer's pod
        folder = cluster_layout.folders().tables / folder.relative_to(_VOLUME)
    return str(folder if (folder / "_delta_log").is_dir() else folder / endpoint)


def read(uri: str, *, last: int, options: Mapping[str, str], with_labels: bool = False) -> list[dict[str, Any]]:
    """The last rows, the newest at the end; with the columns label and labelled_at where they are asked for.

    Raises PermanentError where there is no table, and TemporaryError where its store does not answer.
    """
    from deltalake import DeltaTable, QueryBuilder
    from deltalake.exceptions import TableNotFoundError

    def opened(folder: str) -> DeltaTable:
        return DeltaTable(folder, storage_options=dict(options) or None)

    order = "order by request_time desc, sequence desc"
    query = f"select * from rows {order} limit {last}"
    at = uri
    try:
        engine = QueryBuilder().register("rows", opened(at))
        if with_labels:
            at = labels_uri(uri)
            engine = engine.register("labels", opened(at))
            query = (
                f"select newest.*, labels.label, labels.labelled_at from ({query}) as newest "
                f"left join labels on newest.client_request_id = labels.client_request_id {order}"
            )
        rows = engine.execute(query).read_all()
    except TableNotFoundError:
        remedy = "keep some with `headrace labels`" if at != uri else "send a request, or give the right --uri"
        raise PermanentError(f"{at} holds no table yet; {remedy}") from None
    except (OSError, ValueError) as error:
        raise explained(at, error) from error
    columns = {name: rows[name].to_pylist() for name in rows.column_names}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)][::-1]


def explained(uri: str, error: BaseException) -> TemporaryError:
    """Why a table cannot be read or written now."""
    return TemporaryError(f"{uri} cannot be used: {' '.join(str(error).split())[:500]}")


def storage_options(given: list[str]) -> dict[str, str]:
    """Those that the options name; raises PermanentError for one that is no NAME=VALUE."""
    faults = [text for text in given if "=" not in text]
    if faults:
        raise PermanentError(f"--option {faults[0]!r}, must be NAME=VALUE, for example AWS_REGION=eu-west-1")
    return dict(text.split("=", 1) for text in given)


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def _show(endpoint: str, rows: list[dict[str, Any]], columns: Sequence[str]) -> None:
    shown = Table(*columns, title=f"Last requests to {endpoint}")
    for row in rows:
        shown.add_row(*(_cell(row.get(name)) for name in columns))
    Console(highlight=False).print(shown)


def _cell(value: object) -> str:
    text = "" if value is None else _as_text(value)
    clean = "".join(letter if letter.isprintable() else "�" for letter in text)
    return (clean if len(clean) <= _WIDTH else clean[: _WIDTH - 1] + "…").replace("[", r"\[")
