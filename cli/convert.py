"""`headrace convert FILE`: a program from what KServe, Databricks or SageMaker serve."""

# ruff: noqa: PLC0415 -- `headrace --help` waits for no Pulumi.

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from headrace.cli import options
from headrace.contract.errors import InputError, PermanentError

if TYPE_CHECKING:
    from headrace.stacks.conversion import Converted

HELP: Final = (
    "Writes a program from what KServe, Databricks or SageMaker serve, to standard output, and says on standard error "
    "what became of every value. Exit status: 0 every value is mapped, or ignored with a reason; 1 some are not; 2 it "
    "is not converted."
)
_FORMATS: Final = ("kserve", "databricks", "sagemaker")


@options.told
def convert(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="YAML or JSON; - is standard input.")],
    source: Annotated[
        str | None, typer.Option("--from", metavar="FORMAT", help=f"{', '.join(_FORMATS)}; else by its content.")
    ] = None,
    model_uris: Annotated[
        list[str] | None,
        typer.Option(
            "--model-uri",
            metavar="[NAME=]URI",
            help="MLflow model in place of what the source has, for the endpoint or version NAME; several times.",
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> int:
    """The command."""
    from headrace.stacks import conversion

    if source is not None and source not in _FORMATS:
        raise InputError("headrace convert", [f"--from = {source!r}, must be one of {', '.join(_FORMATS)}"])
    found = conversion.converted(
        _read(path),
        subject="standard input" if str(path) == "-" else str(path),
        source=None if source is None else conversion.Format(source),
        model_uris=_by_name(model_uris or ()),
    )
    if as_json:
        options.print_json(found.document())
    else:
        _show(found, options.console(stderr=True))
        print(found.program, end="", flush=True)
    return options.WELL if found.is_whole else options.NOT_WELL


def _read(path: Path) -> str:
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise PermanentError(f"FILE = {str(path)!r} is no text, must be YAML or JSON in UTF-8; name another") from error
    except OSError as error:
        raise PermanentError(f"FILE = {str(path)!r} cannot be read: {error.strerror}; name another") from error


def _by_name(given: Sequence[str]) -> dict[str, str]:
    """NAME=URI, where no NAME has what every URI with a `=` has before it: a colon or a slash."""
    pairs = (text.partition("=") for text in given)
    return {
        name if is_named else "": uri if is_named else f"{name}{equals}{uri}"
        for name, equals, uri in pairs
        for is_named in [bool(equals) and not set(":/") & set(name)]
    }


def _show(found: "Converted", console: Console) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("ENDPOINT", "SOURCE", "", "INPUT", "WHY"):
        table.add_column(column, overflow="fold")
    told = [(draft.name, finding.document()) for draft in found.endpoints for finding in draft.findings]
    told += [("", finding.document()) for finding in found.beside]
    for name, each in told:
        cells = (name, each["source"], each["outcome"], each.get("input", ""), each["reason"])
        table.add_row(*map(_escaped, cells), style="red" if each["outcome"] == "not mapped" else None)
    console.print(table)


def _escaped(cell: str) -> str:
    """Of a file that others may have written: without markup and control characters."""
    from rich.markup import escape

    return escape("".join(letter if letter.isprintable() else "?" for letter in cell))
