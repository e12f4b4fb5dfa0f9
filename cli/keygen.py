"""`headrace keygen FILE`: a key with which a stack signs evidence; `--public` prints the public half of one."""

# ruff: noqa: PLC0415 -- `headrace --help` waits for no cryptography.

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from headrace.cli import options
from headrace.contract.errors import InputError, PermanentError

HELP: Final = (
    "Makes a key with which a stack signs evidence, for stacks without a key management service: the private half goes "
    "to FILE, the public one to standard output, for the setting promotion.trusted_keys of the next stack. Of a key "
    "that exists, in AWS KMS for instance, --public prints that half."
)


@options.told
def keygen(
    path: Annotated[Path | None, typer.Argument(metavar="FILE", help="A file that does not exist.")] = None,
    public: Annotated[
        str, typer.Option("--public", metavar="KEY", help="A key that exists, as the setting evidence_key names it.")
    ] = "",
) -> int:
    """The command."""
    from headrace.stacks.promotion.envelope import new_key, public_pem

    if (path is None) == (not public):
        raise InputError("headrace keygen", ["FILE and --public KEY, must be exactly one of them; give one"])
    if path is None:
        print(public_pem(public), end="")
        return options.WELL
    pair = new_key()
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(pair.private)
    except OSError as error:
        raise PermanentError(f"FILE = {str(path)!r} cannot be made: {error.strerror}; name another") from error
    print(pair.public, end="")
    return options.WELL
