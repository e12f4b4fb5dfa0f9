"""Cache: the directory with the weights, which pods of a node share where their volume is one.

A file is there whole or not at all: it is written beside its place, flushed, and renamed. Who writes one holds its
lock, so that two pods that start at once copy it once. Who uses one holds it, too (`holding`), and what is held, or was
used a short while ago, is not removed for the room that another needs. The kernel frees the locks of those that die.
"""

import fcntl
import os
import re
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headrace.contract.errors import PermanentError, TemporaryError
from headrace.contract.weights import WeightsFile, WeightsManifest

RECENT_SECONDS: Final = 900.0
"""How long a file is kept after a pod asked for it: until its server holds it, it has a container to start."""
_PARTIAL: Final = ".partial"
_LOCK: Final = ".lock"
_DIGEST: Final = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Kept:
    """One whole file."""

    digest: str
    size: int
    used: float
    """When a pod last asked for it, in seconds since the epoch."""


class Cache:
    """Files by their digests, in one directory."""

    def __init__(self, root: Path, limit: int | None = None) -> None:
        """`limit`: bytes that all files may take together; None: as many as the volume has."""
        self.root = root
        self._limit = limit

    def holds(self, file: WeightsFile) -> bool:
        """Whether the file is there; what is there is whole, and was checked as it was written."""
        return self._path(file.digest).exists()

    @contextmanager
    def writing(self, file: WeightsFile) -> Iterator[int | None]:
        """A descriptor to write the file to, once no other pod writes it; None when it is there by then.

        What an earlier writer left is in it. On leaving without an error the file is there, for good.
        """
        with self._locked(file.digest):
            if self.holds(file):
                yield None
                return
            partial = self.root / f"{file.digest}{_PARTIAL}"
            descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                os.ftruncate(descriptor, file.size)
                yield descriptor
                os.fchmod(descriptor, 0o444)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            partial.rename(self._path(file.digest))
            self._flush()

    def used(self, files: Iterable[WeightsFile]) -> None:
        """Notes that a pod asked for these."""
        for file in files:
            with suppress(FileNotFoundError):
                os.utime(self._path(file.digest))

    def require_room(self, manifest: WeightsManifest) -> None:
        """Removes what was not used for the longest time until the missing files fit; raises PermanentError where they
        cannot, TemporaryError where files that others use are in the way."""
        own = {file.digest: file.size for file in manifest.files}
        kept = self.kept()
        there = {file.digest for file in kept}
        begun = sum(self._allocated(digest) for digest in own if digest not in there)
        missing = sum(size for digest, size in own.items() if digest not in there) - begun
        if missing > self._room(kept):
            self._sweep(own)
        others = [file for file in kept if file.digest not in own]
        lacks = missing - self._room(kept)
        for file in evictable(others, now=time.time()):
            if lacks <= 0:
                return
            lacks -= file.size if self._evict(file.digest) else 0
        if lacks <= 0:
            return
        bound = "" if self._limit is None else f" (of at most {_size(self._limit)}, as weights.cache says)"
        said = f"The weights take {_size(manifest.size)}, of which {_size(missing)} are not on this node yet, and "
        said += f"their volume{bound} has room for {_size(max(0, missing - lacks))}"
        left = sum(file.size for file in self.kept() if file.digest not in own)
        if lacks <= left:
            raise TemporaryError(f"{said}: {_size(left)} are of models that other pods of the node use; give it more")
        raise PermanentError(f"{said}; give it more, or choose nodes with larger disks by node_selector")

    def kept(self) -> list[Kept]:
        """All whole files."""
        found = []
        for path in self.root.iterdir():
            if _DIGEST.fullmatch(path.name):
                with suppress(FileNotFoundError):  # another pod removed it
                    status = path.stat()
                    found.append(Kept(digest=path.name, size=status.st_size, used=status.st_mtime))
        return found

    def _path(self, digest: str) -> Path:
        return self.root / digest

    def _allocated(self, digest: str) -> int:
        try:
            return (self.root / f"{digest}{_PARTIAL}").stat().st_blocks * 512
        except FileNotFoundError:
            return 0

    def _room(self, kept: Iterable[Kept]) -> int:
        volume = os.statvfs(self.root)
        free = volume.f_bavail * volume.f_frsize
        return free if self._limit is None else min(free, self._limit - sum(file.size for file in kept))

    def _evict(self, digest: str) -> bool:
        """Whether nobody held the file, which is gone then."""
        try:
            with self._path(digest).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._path(digest).unlink()
        except (BlockingIOError, FileNotFoundError):
            return False
        (self.root / f"{digest}{_LOCK}").unlink(missing_ok=True)
        return True

    def _sweep(self, own: Collection[str]) -> None:
        """Removes what killed pods left half-written and none goes on with."""
        for partial in self.root.glob(f"*{_PARTIAL}"):
            with suppress(FileNotFoundError, BlockingIOError):
                if partial.stem not in own and time.time() - partial.stat().st_mtime > RECENT_SECONDS:
                    with (self.root / f"{partial.stem}{_LOCK}").open("w") as lock:
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        partial.unlink()

    @contextmanager
    def _locked(self, digest: str) -> Iterator[None]:
        path = self.root / f"{digest}{_LOCK}"
        while True:
            with path.open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                try:
                    ours = os.path.samestat(path.stat(), os.fstat(lock.fileno()))
                except FileNotFoundError:
                    ours = False
                if ours:  # else it was removed, with the file that it is of, while we waited for it
                    yield
                    return

    def _flush(self) -> None:
        """Makes names last, as `fsync` does content."""
        directory = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def evictable(kept: Iterable[Kept], *, now: float) -> list[Kept]:
    """Those that may go, the one that was not used for the longest time first."""
    return sorted((file for file in kept if now - file.used > RECENT_SECONDS), key=lambda file: file.used)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
