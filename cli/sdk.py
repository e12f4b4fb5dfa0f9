"""`headrace sdk LANGUAGE --out DIR`: the components for programs in TypeScript, Go and Python."""

# ruff: noqa: PLC0415 -- `headrace --help` waits for no builder.

import shlex
from pathlib import Path
from typing import Annotated, Final

import typer

from headrace.cli import options
from headrace.contract.errors import InputError

HELP: Final = (
    "Writes the SDK of the components for programs in another language; YAML needs none. Its first run builds Pulumi's "
    "generators. Exit status: 0 it is written, 2 it cannot be."
)
_LANGUAGES: Final = ("typescript", "go", "python")


@options.told
def sdk(
    language: Annotated[str, typer.Argument(metavar="LANGUAGE", help=f"{', '.join(_LANGUAGES)}.")],
    folder: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Absent, empty, or an SDK written before, which is replaced.")
    ] = Path("sdks/headrace"),
    as_json: options.AsJson = False,
) -> int:
    """The command."""
    if language not in _LANGUAGES:
        raise InputError("headrace sdk", [f"LANGUAGE = {language!r}, must be one of {', '.join(_LANGUAGES)}"])
    from headrace.local.sdk import Language, write_sdk
    from headrace.local.terminal_progress import Progress

    chosen = Language(language)
    write_sdk(chosen, folder, Progress("headrace sdk", steps=1))
    place = shlex.quote(str(folder))
    # npm, go and pip take a path for a path only where it begins with a dot or a slash.
    place = place if folder.is_absolute() or str(folder).startswith(".") else f"./{place}"
    follows = {
        Language.TYPESCRIPT: [f"npm install {place}"],
        Language.GO: [
            f"go mod edit -replace headrace.dev/sdk/go={place}",
            "go get headrace.dev/sdk/go/headrace",
        ],
        Language.PYTHON: [f"pip install {place}"],
    }[chosen]
    if as_json:
        options.print_json({"language": language, "written": str(folder), "next": follows})
    else:
        print(f"Wrote {folder}. In the program's folder:\n")
        print("\n".join(f"  {command}" for command in follows))
    return options.WELL
