"""`headrace labels ENDPOINT FILE`: keeps what turned out to be right for requests, beside their inference table."""

# ruff: noqa: PLC0415 -- `headrace --help` waits for no store.

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from headrace.cli import options
from headrace.cli.table import explained, place, storage_options
from headrace.contract.errors import HeadraceError, InputError, TemporaryError
from headrace.contract.inference_table import LABEL_COLUMNS, labels_uri

HELP: Final = (
    "Keeps labels of requests beside the endpoint's inference table, by the ids that clients gave. A label that comes "
    "again replaces the one before. Exit status: 0 they are kept, 2 they are not."
)
_ID, _LABEL, _TIME = LABEL_COLUMNS
_TRIES: Final = 5
"""Of a commit, against others who write labels at the same moment."""
_FAULTS_MOST: Final = 10


def labels(
    endpoint: Annotated[str, typer.Argument(metavar="ENDPOINT", help="Name of the endpoint.")],
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help=f"CSV with the columns {_ID} and {_LABEL}, or JSON lines with these keys (.jsonl)."
        ),
    ],
    uri: Annotated[str, typer.Option(help="Folder of the inference table; else as the demo's volume has it.")] = "",
    option: Annotated[
        list[str] | None, typer.Option(help="A storage option, NAME=VALUE, for example AWS_REGION=eu-west-1.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """The command."""
    try:
        found, where = read(file), labels_uri(place(endpoint, uri))
        keep(where, found, options=storage_options(option or []), now=datetime.now(UTC))
    except HeadraceError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None
    if as_json:
        options.print_json({"endpoint": endpoint, "kept": len(found), "table": where})
        return
    print(f"{len(found)} labels of requests to {endpoint} are kept; see `headrace table {endpoint} --with-labels`.")


def read(file: Path) -> dict[str, str]:
    """Labels by client request id; of one that is there twice, the last. A label that is no text in JSON is its JSON.

    Raises InputError with the faulty lines.
    """
    found: dict[str, str] = {}
    faults: list[str] = []
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            for number, entry in enumerate(_entries(lines, file.suffix), start=1):
                identity, label = entry.get(_ID), entry.get(_LABEL)
                if not isinstance(identity, str) or not identity or label is None or label == "":
                    faults.append(f"entry {number} of {file} must have a {_ID}, which is a text, and a {_LABEL}")
                else:
                    found[identity] = label if isinstance(label, str) else json.dumps(label)
    except (OSError, ValueError, csv.Error) as error:
        faults.append(f"{file} cannot be read: {error}; give CSV, or JSON lines in a file that ends in .jsonl")
    if not found and not faults:
        faults.append(f"{file} holds no label; its first line must be {_ID},{_LABEL}")
    if faults:
        raise InputError("labels", faults[:_FAULTS_MOST])
    return found


def _entries(lines: Any, suffix: str) -> Iterator[Mapping[str, Any]]:
    if suffix not in (".jsonl", ".ndjson"):
        yield from csv.DictReader(lines)
        return
    for line in lines:
        if line.strip():
            entry = json.loads(line)
            yield entry if isinstance(entry, dict) else {}


def keep(uri: str, found: Mapping[str, str], *, options: Mapping[str, str], now: datetime) -> None:
    """Adds labels to the table at `uri`, which is made where there is none, in one commit.

    Raises a TemporaryError where its store takes none.
    """
    from arro3.core import Array, DataType, Field, Schema, Table
    from deltalake import DeltaTable
    from deltalake import Schema as DeltaSchema
    from deltalake.exceptions import CommitFailedError

    moment = DataType.timestamp("us", tz="UTC")
    schema = Schema([Field(name, moment if name == _TIME else DataType.string()) for name in LABEL_COLUMNS])
    times = Array([round(now.timestamp() * 1e6)] * len(found), DataType.int64()).cast(moment)
    texts = (Array(list(values), DataType.string()) for values in (found.keys(), found.values()))
    rows = Table.from_arrays([*texts, times], schema=schema)
    given = dict(options) or None
    try:
        DeltaTable.create(
            uri, DeltaSchema.from_arrow(schema), mode="ignore", storage_options=given,
            description="What turned out to be right for requests to an endpoint",
        )  # fmt: skip
        for _ in range(_TRIES):
            try:
                merged = DeltaTable(uri, storage_options=given).merge(
                    rows, f"kept.{_ID} = new.{_ID}", source_alias="new", target_alias="kept"
                )
                merged.when_matched_update_all().when_not_matched_insert_all().execute()
                return
            except CommitFailedError:
                continue
    except Exception as error:  # deltalake's, and object_store's through OSError
        raise explained(uri, error) from error
    raise TemporaryError(f"{uri}: others wrote labels {_TRIES} times meanwhile; try again")
