"""Hashes that a model's author gave: what is installed has one of them, as with pip."""

import re
from collections.abc import Iterator
from typing import Final

from headrace.contract.errors import InputError
from headrace.images import uv_lock
from headrace.images.requirements import Requirement, Requirements, parse
from headrace.images.uv_lock import UvLock

_NO_LOCK: Final = UvLock()
_HASH: Final = re.compile(r"--hash=(\S+)")


def held(lock: str, wanted: Requirements, locked: UvLock = _NO_LOCK) -> str:
    """The lock with, of each package's hashes, those that were given for it, or that the model's uv.lock has.

    Raises InputError naming every package whose files have none of them.
    """
    lines, faults = [], []
    for package, found in _entries(lock):
        given, place = _given(package, wanted)
        if not given:
            given, place = [*locked.hashes.get(package.text, ())], uv_lock.FILE
        kept = [one for one in found if one in given] if given else found
        kinds = {one.partition(":")[0] for one in found}
        unknown = [one for one in given if one.partition(":")[0] not in kinds]
        if given and not kept and not unknown:
            faults.append(
                f"{place}: {package.text} has the hash {' or '.join(found)}, must be {' or '.join(given)}; see who "
                "changed the file, or log the model with the new hash"
            )
        lines.append(" \\\n    ".join([package.text, *(f"--hash={one}" for one in dict.fromkeys([*kept, *unknown]))]))
    if faults:
        raise InputError("requirements", faults)
    return "\n".join(lines) + "\n" if lines else ""


def require(lock: str, wanted: Requirements) -> None:
    """Raises InputError where a package of the lock was given no hash: one hash asks for all, as with pip."""
    without = [package.text for package, _ in _entries(lock) if not _given(package, wanted)[0]]
    if without:
        raise InputError(
            "requirements",
            [
                f"{', '.join(without)} without a hash, and where one package has a hash, or --require-hashes is set, "
                "each must have one; log the model with the hashes of all packages, or with none"
            ],
        )


def _given(package: Requirement, wanted: Requirements) -> tuple[list[str], str]:
    """The hashes that were given for a package of the lock, and where."""
    found = [
        one
        for one in (*wanted.packages, *wanted.constraints)
        if one.hashes and (one.name == package.name if one.name else one.text == package.text)
    ]
    return [digest for one in found for digest in one.hashes], ", ".join(one.place for one in found)


def _entries(lock: str) -> Iterator[tuple[Requirement, list[str]]]:
    for block in re.split(r"\n(?=\S)", lock.strip()):
        head = block.partition(" \\\n")[0].strip()
        if head:
            (package,) = parse([head], [], lambda _: None).packages
            yield package, _HASH.findall(block)
