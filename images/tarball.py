"""Layers as tar archives that depend on nothing but their content.

Entries are sorted by path, owned by root, dated alike and stripped of set-user-id bits; two machines that put the same
files in get the same bytes out.
"""

import os
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from headrace.contract.errors import TemporaryError
from headrace.images.store import Blob, HashingWriter, Store

EPOCH: Final = 315_532_800
"""Date of every file, 1980-01-01: the earliest that a zip archive can hold, since programs zip files they find."""


_CHUNK: Final = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One path in a layer: exactly one of `data`, `source`, `link`, `same_as`, or a directory when all are None."""

    path: str
    """Without a leading slash."""
    mode: int = 0o644
    data: bytes | None = None
    source: Path | None = None
    """File whose content it has."""
    link: str | None = None
    """Target of a symbolic link."""
    same_as: str | None = None
    """Path in the same layer of the file that it is another name of (a hard link)."""


def write_layer(store: Store, entries: Iterable[Entry], *, facts: Mapping[str, str] | None = None) -> Blob:
    """Stores the entries, with their parent directories, as an uncompressed layer."""

    def write(out: HashingWriter) -> None:
        for entry in with_parents(entries):
            _add(out, entry)
        out.write(bytes(2 * tarfile.BLOCKSIZE))  # the end of the archive

    digest, size = store.put_stream(write)
    return Blob(digest=digest, size=size, diff_id=digest, facts=tuple(sorted((facts or {}).items())))


def with_parents(entries: Iterable[Entry]) -> list[Entry]:
    """The entries sorted by path, each after the directories it lies in, and names of files after all files.

    The last of two with one path wins.
    """
    by_path = {entry.path: entry for entry in entries}
    for path in list(by_path):
        parent = path.rpartition("/")[0]
        while parent and parent not in by_path:
            by_path[parent] = Entry(path=parent, mode=0o755)
            parent = parent.rpartition("/")[0]
    return [by_path[path] for path in sorted(by_path, key=lambda path: (by_path[path].same_as is not None, path))]


def tree(source: Path, prefix: str, *, keep: Callable[[PurePosixPath], bool] | None = None) -> Iterator[Entry]:
    """Everything below `source`, placed at `prefix`; `keep` judges paths relative to `source`.

    Modes become 0755 for directories and executables and 0644 for the rest, whatever the umask was.
    """
    for relative, found in _below(str(source), ""):
        if keep is not None and not keep(PurePosixPath(relative)):
            continue
        target = f"{prefix}/{relative}"
        if found.is_symlink():
            yield Entry(path=target, mode=0o777, link=utf8_name(os.readlink(found.path)))
        elif found.is_dir():
            yield Entry(path=target, mode=0o755)
        elif found.is_file():
            yield Entry(path=target, mode=0o755 if found.stat().st_mode & 0o100 else 0o644, source=Path(found.path))


def utf8_name(name: str) -> str:
    """A file's name as whoever wrote it in UTF-8 meant it, whatever the locale here makes of its bytes."""
    return os.fsencode(name).decode("utf-8", "surrogateescape")


def _below(folder: str, prefix: str) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    """Relative paths and entries, sorted; scandir knows what is a directory without asking for each file."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: os.fsencode(entry.name))
    for entry in entries:
        relative = prefix + utf8_name(entry.name)
        yield relative, entry
        if entry.is_dir(follow_symlinks=False):
            yield from _below(entry.path, f"{relative}/")


def _add(out: HashingWriter, entry: Entry) -> None:
    """Header and content; tarfile makes the headers, and its own way of copying files is several times slower."""
    info = tarfile.TarInfo(entry.path)
    info.mtime = EPOCH
    info.mode = entry.mode & 0o1777
    if entry.link is not None:
        info.type, info.linkname = tarfile.SYMTYPE, entry.link
    elif entry.same_as is not None:
        info.type, info.linkname = tarfile.LNKTYPE, entry.same_as
    elif entry.data is not None:
        info.size = len(entry.data)
    elif entry.source is not None:
        info.size = entry.source.stat().st_size
    else:
        info.type = tarfile.DIRTYPE
    out.write(_header(info))
    if entry.data is not None:
        out.write(entry.data)
    elif entry.source is not None:
        _copy(entry.source, out, info.size)
    out.write(bytes(-info.size % tarfile.BLOCKSIZE))


def _header(info: tarfile.TarInfo) -> bytes:
    """The header as tarfile writes it; most need none of what its way of finding that out takes time for."""
    if max(len(info.name), len(info.linkname)) < tarfile.LENGTH_NAME and (info.name + info.linkname).isascii():
        return info.create_ustar_header(info.get_info(), "ascii", "strict")
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8")


def _copy(source: Path, out: HashingWriter, size: int) -> None:
    left = size
    with source.open("rb") as file:
        while left:
            chunk = file.read(min(left, _CHUNK))
            if not chunk:
                raise TemporaryError(f"The file {source} became shorter while it was read; run the build again")
            out.write(chunk)
            left -= len(chunk)
