"""`headrace keygen FILE`: a key with which a stack signs evidence."""

# ruff: noqa: PLC0415 -- `headrace --help` waits for no cryptography.

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from headrace.cli import options
from headrace.contract.errors import PermanentError

HELP: Final = (
    "Makes a key with which a stack signs evidence, for stacks without a key management service: the private half goes "
    "to FILE, the public one to standard output, for the setting promotion.trusted_keys of the next stack."
)


@options.told
def keygen(path: Annotated[Path, typer.Argument(metavar="FILE", help="A file that does not exist.")]) -> int:
    """The command."""
    from headrace.stacks.promotion.envelope import new_key

    pair = new_key()
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(pair.private)
    except OSError as error:
        raise PermanentError(f"FILE = {str(path)!r} cannot be made: {error.strerror}; name another") from error
    print(pair.public, end="")
    return options.WELL
