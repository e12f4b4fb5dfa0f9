"""Shared libraries in layers, without what only a debugger reads, and equal ones once.

Wheels are often not stripped: their libraries carry symbol tables and debugging data, which the loader never maps into
memory (what that weighs: docs/images.md). Debian strips the libraries of its packages in the same way
(`strip --strip-unneeded`). What a program can see, exported symbols included, stays byte for byte.

Rewritten libraries are kept for each distribution, as bytecode is.
"""

import base64
import hashlib
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headrace.runtimes.images.store import Store, key_of

_RECIPE: Final = 1
_LEAST_BYTES: Final = 4096
"""What is not worth a rewritten file."""

_MAGIC: Final = b"\x7fELF\x02\x01\x01"  # 64 bits, little endian
_SHARED: Final = 3  # ET_DYN
_NOBITS: Final = 8  # a section without bytes in the file
_ALLOC: Final = 2  # a section that is mapped into memory
_SECTION: Final = struct.Struct("<IIQQQQIIQQ")
_SEGMENT: Final = struct.Struct("<IIQQQQQQ")
_HEADER: Final = struct.Struct("<16sHHIQQQIHHHHHH")


@dataclass(frozen=True, kw_only=True)
class _Section:
    """A line of the section table (System V ABI, chapter 4)."""

    name: int
    kind: int
    flags: int
    offset: int
    size: int
    link: int

    @property
    def end(self) -> int:
        """Behind its last byte in the file."""
        return self.offset + (0 if self.kind == _NOBITS else self.size)


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
        key = key_of("libraries", _RECIPE, record.parent.name, hashlib.sha256(text).hexdigest())
        kept = store.directory(key, lambda target, record=record: _strip(root, record, target))  # type: ignore[misc]
        for path in kept.rglob("*"):
            if path.is_file():
                replaced = root / path.relative_to(kept)
                replaced.unlink()
                replaced.hardlink_to(path)  # the scratch directory lies in the store, on the same file system
        for name, digest in _libraries(root, record):
            if "=" in digest and (one := first.setdefault(digest, name)) != name:
                equal[name] = one
    return equal


def stripped(data: bytes) -> bytes | None:
    """A shared library without symbol table and debugging data; None where that gains little or is not sure to be safe.

    Left out are sections at the end of the file that no segment maps, where the linker puts them. The indices of the
    sections that stay do not change, since symbols refer to them.
    """
    if data[: len(_MAGIC)] != _MAGIC or len(data) < _HEADER.size:
        return None
    header = list(_HEADER.unpack_from(data))
    kind, segments_at, table_at, segments, sections, names = (header[at] for at in (1, 5, 6, 10, 12, 13))
    if kind != _SHARED or header[9] != _SEGMENT.size or header[11] != _SECTION.size or not sections:
        return None
    table = [_section(data, table_at + at * _SECTION.size) for at in range(sections)]
    last = max((at for at, section in enumerate(table) if section.flags & _ALLOC), default=0)
    stay, leave = table[: last + 1], table[last + 1 :]
    end = max(
        segments_at + segments * _SEGMENT.size,
        *(_mapped_end(data, segments_at + at * _SEGMENT.size) for at in range(segments)),
        *(section.end for section in stay),
    )
    known = max(table_at + sections * _SECTION.size, *(section.end for section in table))
    if (
        names <= last  # their names would lie among what stays
        or table_at < end
        or any(section.offset < end for section in leave if section.kind != _NOBITS and section.size)
        or any(section.link > last for section in stay)
        or known < len(data)  # something was appended, which its owner finds from the end
    ):
        return None
    texts = table[names]
    body = bytearray(data[:end])
    names_at = len(body)
    body += data[texts.offset : texts.end]
    body += bytes(-len(body) % 8)
    header[6], header[12], header[13] = len(body), last + 2, last + 1
    body += data[table_at : table_at + (last + 1) * _SECTION.size]
    line = list(_SECTION.unpack_from(data, table_at + names * _SECTION.size))
    line[4] = names_at
    body += _SECTION.pack(*line)
    _HEADER.pack_into(body, 0, *header)
    return bytes(body) if len(body) + _LEAST_BYTES <= len(data) else None


def _section(data: bytes, at: int) -> _Section:
    name, kind, flags, _, offset, size, link, *_ = _SECTION.unpack_from(data, at)
    return _Section(name=name, kind=kind, flags=flags, offset=offset, size=size, link=link)


def _mapped_end(data: bytes, at: int) -> int:
    _, _, offset, _, _, in_file, *_ = _SEGMENT.unpack_from(data, at)
    return int(offset + in_file)


def _strip(root: Path, record: Path, target: Path) -> None:
    """Writes what changes of one distribution below `target`: libraries, and the RECORD with their new digests."""
    text = record.read_text()
    for path, _ in _libraries(root, record):
        data = stripped((root / path).read_bytes())
        if data is None:
            continue
        made = target / path
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_bytes(data)
        made.chmod((root / path).stat().st_mode & 0o777)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        text = re.sub(rf"^{re.escape(path)},.*$", f"{path},sha256={digest},{len(data)}", text, flags=re.MULTILINE)
    if any(target.iterdir()):
        made = target / record.relative_to(root)
        made.parent.mkdir(exist_ok=True)
        made.write_text(text)


def _libraries(root: Path, record: Path) -> Iterator[tuple[str, str]]:
    """Paths below `root` and digests of a distribution's libraries, sorted by path; names with a comma are left out."""
    for line in sorted(record.read_text().splitlines()):
        name, _, digest = line.partition(",")
        if ".so" not in name or ".so" not in Path(name).suffixes:
            continue
        if (root / name).is_file() and not (root / name).is_symlink():
            yield name, digest
