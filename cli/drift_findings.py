"""`headrace drift ENDPOINT`: what the last check for drift found, and a picture of all of them."""

# ruff: noqa: PLC0415 -- `headrace --help` waits for no store.

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from headrace.cli import drift_picture
from headrace.cli.table import explained, place, storage_options
from headrace.contract.errors import HeadraceError, PermanentError
from headrace.contract.inference_table import drift_uri

HELP: Final = (
    "Prints what the last check for drift found of an endpoint's requests, and draws all checks. Exit status: 0 no "
    "column has drifted, 1 one has, 2 it cannot be told."
)


def drift(
    endpoint: Annotated[str, typer.Argument(metavar="ENDPOINT", help="Name of the endpoint.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Picture of all checks, of the kind that its name ends in.")
    ] = None,
    uri: Annotated[str, typer.Option(help="Folder of the inference table; else as the demo's volume has it.")] = "",
    option: Annotated[
        list[str] | None, typer.Option(help="A storage option, NAME=VALUE, for example AWS_REGION=eu-west-1.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document a column.")] = False,
) -> None:
    """The command."""
    try:
        rows = read(drift_uri(place(endpoint, uri)), options=storage_options(option or []))
        if out is not None:
            drift_picture.draw(out, endpoint, rows)
    except HeadraceError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None
    last = [row for row in rows if row["checked_at"] == rows[-1]["checked_at"]]
    if as_json:
        for row in last:
            print(json.dumps(row, default=str))
    else:
        _show(endpoint, last)
    raise typer.Exit(1 if any(row["drifted"] for row in last) else 0)


def read(uri: str, *, options: Mapping[str, str]) -> list[dict[str, Any]]:
    """All findings, those of the last check at the end, and in a check those with the largest distance first.

    Raises PermanentError where there are none, and a TemporaryError where their store does not answer.
    """
    from deltalake import DeltaTable, QueryBuilder
    from deltalake.exceptions import TableNotFoundError

    try:
        found = DeltaTable(uri, storage_options=dict(options) or None)
        query = "select * from found order by checked_at, distance desc"
        rows = QueryBuilder().register("found", found).execute(query).read_all()
    except TableNotFoundError:
        remedy = "set inference_table.drift, and wait until a version has served for two checks"
        raise PermanentError(f"{uri} holds no findings yet; {remedy}") from None
    except (OSError, ValueError) as error:
        raise explained(uri, error) from error
    columns = {name: rows[name].to_pylist() for name in rows.column_names}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _show(endpoint: str, rows: list[dict[str, Any]]) -> None:
    begin, end = (f"{rows[0][name]:%Y-%m-%d %H:%M}" for name in ("window_begin", "window_end"))
    shown = Table("version", "", "column", "drifted", "distance", "p", "mean", "before", "rows",
                  title=f"Requests to {endpoint} from {begin} to {end} UTC")  # fmt: skip
    for row in rows:
        column = "".join(letter if letter.isprintable() else "�" for letter in row["column"])
        shown.add_row(
            row["served_entity_id"], row["kind"], escape(column), "yes" if row["drifted"] else "",
            f"{row['distance']:.2f}", f"{row['adjusted_p_value']:.2g}", _number(row["mean"]),
            _number(row["baseline_mean"]), str(row["rows"]),
        )  # fmt: skip
    Console(highlight=False).print(shown)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
