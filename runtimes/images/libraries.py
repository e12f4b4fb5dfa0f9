"""Shared libraries in layers, without what only a debugger reads, and equal ones once.

Wheels are often not stripped: their libraries carry symbol tables and debugging data, which the loader never maps into
memory (what that weighs: docs/images.md). GNU strip removes them, as Debian's packages have it done; where this machine
has none, libraries stay as they are. Stripped libraries are kept for each distribution, as bytecode is.
"""

import base64
import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from headrace.runtimes.images.store import Store, key_of

_RECIPE: Final = 2
_LEAST_BYTES: Final = 4096
"""What is not worth another file."""
_COMMAND: Final = ("strip", "--strip-unneeded")
_SEGMENTS: Final = ("readelf", "--segments", "--wide")
_SECTIONS_FOLLOW: Final = "Section to Segment mapping"
"""readelf says here which sections lie in which segment; sections are what strip removes."""


@cache
def stripper() -> str:
    """Which GNU strip this machine has, or an empty text: part of the name of everything that it made.

    Programs of the same name on other systems write libraries of other systems.
    """
    if not all(map(shutil.which, ("strip", "readelf"))):
        return ""
    said = subprocess.run(["strip", "--version"], capture_output=True, text=True, check=False).stdout
    return said.partition("\n")[0] if said.startswith("GNU strip") else ""


def lighten(store: Store, root: Path) -> dict[str, str]:
    """Strips the shared libraries of the distributions installed at `root`, and returns which paths hold an equal one.

    Each such path leads to the one that stands for it: wheels have no links, so some hold a library three times.
    RECORD says what a library is afterwards. A file is replaced and never written to: it may be a link into a cache.
    """
    first: dict[str, str] = {}
    equal: dict[str, str] = {}
    for record in sorted(root.glob("*.dist-info/RECORD")):
        text = record.read_bytes()
        if b".so" not in text:
            continue
        if stripper():
            key = key_of("libraries", _RECIPE, stripper(), record.parent.name, hashlib.sha256(text).hexdigest())
            _replace(root, store.directory(key, lambda target, record=record: _strip(root, record, target)))  # type: ignore[misc]
        for name, digest in _libraries(root, record):
            if "=" in digest and (one := first.setdefault(digest, name)) != name:
                equal[name] = one
    return equal


def strip_to(library: Path, made: Path) -> bool:
    """Writes the library without symbol table and debugging data to `made`; False where it stays as it is.

    It stays where that gains little, and where strip would move what the loader maps: libraries that a tool has
    rewritten for a wheel (patchelf) have come out of it unloadable.
    """
    before = library.stat().st_size
    done = subprocess.run([*_COMMAND, "-o", str(made), str(library)], capture_output=True, check=False)
    if done.returncode == 0 and made.stat().st_size + _LEAST_BYTES <= before and _mapped(made) == _mapped(library):
        return True
    made.unlink(missing_ok=True)
    return False


def _mapped(library: Path) -> str:
    """Where each segment lies in the file and in memory, as a text."""
    said = subprocess.run([*_SEGMENTS, str(library)], capture_output=True, text=True, check=False)
    return said.stdout.partition(_SECTIONS_FOLLOW)[0]


def _strip(root: Path, record: Path, target: Path) -> None:
    """Writes what changes of one distribution below `target`: libraries, and the RECORD with their new digests."""
    text = record.read_text()
    for path, _ in _libraries(root, record):
        made = target / path
        made.parent.mkdir(parents=True, exist_ok=True)
        if not strip_to(root / path, made):
            continue
        made.chmod((root / path).stat().st_mode & 0o777)
        data = made.read_bytes()
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        text = re.sub(rf"^{re.escape(path)},.*$", f"{path},sha256={digest},{len(data)}", text, flags=re.MULTILINE)
    if any(path.is_file() for path in target.rglob("*")):
        made = target / record.relative_to(root)
        made.parent.mkdir(exist_ok=True)
        made.write_text(text)


def _replace(root: Path, kept: Path) -> None:
    for path in kept.rglob("*"):
        if path.is_file():
            replaced = root / path.relative_to(kept)
            replaced.unlink()
            replaced.hardlink_to(path)  # the scratch directory lies in the store, on the same file system


def _libraries(root: Path, record: Path) -> Iterator[tuple[str, str]]:
    """Paths below `root` and digests of a distribution's libraries, sorted by path; names with a comma are left out."""
    for line in sorted(record.read_text().splitlines()):
        name, _, digest = line.partition(",")
        if ".so" not in name or ".so" not in Path(name).suffixes:
            continue
        if (root / name).is_file() and not (root / name).is_symlink():
            yield name, digest
