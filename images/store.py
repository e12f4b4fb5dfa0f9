"""The builder's cache: blobs by digest, and which blob was made from which recipe.

Everything is written under a temporary name and renamed, so that an interrupted build leaves nothing half-made, and
each recipe is locked while it is made, so that two builds at once do the work once and never disturb each other.
"""

import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from headrace.contract.errors import PermanentError

TAR: Final = "application/vnd.oci.image.layer.v1.tar"
TAR_GZIP: Final = "application/vnd.oci.image.layer.v1.tar+gzip"

_CHUNK: Final = 1 << 20
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_STALE_SECONDS: Final = 24 * 3600  # no build runs for a day: an older temporary file belongs to one that was killed


@dataclass(frozen=True, kw_only=True)
class Blob:
    """One stored layer."""

    digest: str
    """`sha256:…` of the bytes."""
    size: int
    diff_id: str
    """`sha256:…` of the uncompressed tar; equals `digest` for a layer that is not compressed."""
    media_type: str = TAR
    facts: tuple[tuple[str, str], ...] = ()
    """What the making of the layer found out and a later step needs, sorted by name."""

    def fact(self, name: str) -> str:
        """The named fact; empty when there is none."""
        return dict(self.facts).get(name, "")


class HashingWriter:
    """A binary file that knows the digest and size of what was written to it.

    Hashing and writing happen in a thread beside the one that reads: each is about half of what a large layer takes.
    """

    def __init__(self, target: BinaryIO, beside: Executor) -> None:
        self._target = target
        self._hash = hashlib.sha256()
        self._beside = beside
        self._waiting = bytearray()
        self._running: Future[None] | None = None
        self.size = 0

    def write(self, data: bytes) -> int:
        """Takes the data; an error of writing is raised by a later call or by `finish`."""
        self.size += len(data)
        self._waiting += data
        if len(self._waiting) >= _CHUNK:
            self._pass_on()
        return len(data)

    def finish(self) -> str:
        """Digest of everything written; all of it is in the file then."""
        self._pass_on()
        self._wait()
        return f"sha256:{self._hash.hexdigest()}"

    def _pass_on(self) -> None:
        self._wait()  # so that no more than two chunks are in memory
        chunk, self._waiting = self._waiting, bytearray()
        self._running = self._beside.submit(self._store, chunk)

    def _wait(self) -> None:
        if self._running is not None:
            self._running.result()

    def _store(self, chunk: bytearray) -> None:
        self._hash.update(chunk)
        self._target.write(chunk)


def digest_of(data: bytes) -> str:
    """`sha256:…` of `data`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def key_of(*parts: object) -> str:
    """Name of a recipe: 32 hexadecimal digits over its parts as JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def cache_directory() -> Path:
    """`$HEADRACE_CACHE/images`, by default `~/.cache/headrace/images`."""
    root = os.environ.get("HEADRACE_CACHE") or Path.home() / ".cache" / "headrace"
    return Path(root).absolute() / "images"


class Store:
    """A directory of blobs and recipes; safe under concurrent builds."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = root / "blobs"
        self._recipes = root / "recipes"
        self._directories = root / "directories"
        self._temporary = root / "temporary"
        self._own: set[Path] = set()
        self._streams: list[list[int]] = []
        try:
            for directory in (self.blobs / "sha256", self._recipes, self._directories, self._temporary, root / "logs"):
                directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PermanentError(
                f"The image cache {root} cannot be written: {error.strerror}; "
                "set HEADRACE_CACHE to a directory that can"
            ) from error
        self._sweep()

    def path(self, digest: str) -> Path:
        """Where the blob of that digest is, present or not."""
        if not _DIGEST.fullmatch(digest):
            raise PermanentError(f"digest = {digest!r}, must be sha256: and 64 hexadecimal digits")
        return self.blobs / "sha256" / digest.removeprefix("sha256:")

    def has(self, digest: str, size: int) -> bool:
        """Whether that blob is stored whole."""
        try:
            return self.path(digest).stat().st_size == size
        except FileNotFoundError:
            return False

    def put_bytes(self, data: bytes) -> str:
        """Stores a small blob and returns its digest."""
        digest = digest_of(data)
        if not self.has(digest, len(data)):
            self._write(self.path(digest), data)
        return digest

    def put_stream(self, write: Callable[[HashingWriter], None]) -> tuple[str, int]:
        """Stores what `write` produces; returns its digest and size."""
        with self._new_file() as (path, out), ThreadPoolExecutor(max_workers=1) as beside:
            hashing = HashingWriter(out, beside)
            write(hashing)
            digest = hashing.finish()
        path.replace(self.path(digest))
        return digest, hashing.size

    def put_file(self, source: Path) -> tuple[str, int]:
        """Stores a copy of a file; returns its digest and size."""

        def copy(out: HashingWriter) -> None:
            with source.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    out.write(chunk)

        return self.put_stream(copy)

    def layer(self, key: str, make: Callable[[Path], Blob]) -> tuple[Blob, bool]:
        """The layer made from recipe `key`, and whether this call made it.

        `make` gets an empty scratch directory. A recipe whose blob is gone is made again.
        """
        record = self._recipes / f"{key}.json"
        with self.locked(key):
            known = self._known(record)
            if known is not None:
                os.utime(record)  # pruning goes by last use
                return known, False
            with self.scratch() as directory:
                blob = make(directory)
            self._write(record, json.dumps(asdict(blob), sort_keys=True).encode())
            return blob, True

    def document(
        self, key: str, make: Callable[[Path], str], *, usable: Callable[[str], bool] = bool
    ) -> tuple[str, bool]:
        """The text made from recipe `key`, for example a lock, and whether this call made it.

        One that is not `usable` any more is made again.
        """
        record = self._recipes / f"{key}.txt"
        with self.locked(key):
            if record.exists() and usable(text := record.read_text("utf-8")):
                os.utime(record)
                return text, False
            with self.scratch() as directory:
                text = make(directory)
            self._write(record, text.encode())
            return text, True

    def directory(self, key: str, make: Callable[[Path], None]) -> Path:
        """The read-only directory made from recipe `key`; `make` fills an empty one."""
        kept = self._directories / key
        with self.locked(key):
            if not kept.is_dir():
                with self.scratch() as scratch:
                    made = scratch / "made"
                    made.mkdir()
                    make(made)
                    made.rename(kept)
            else:
                os.utime(kept)
            return kept

    @contextmanager
    def locked(self, key: str) -> Iterator[None]:
        """Holds the recipe's lock; the kernel frees it when the process dies."""
        with (self._recipes / f"{key}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """An empty directory that is gone afterwards.

        Removing the files of an environment takes seconds, for which nobody waits who goes on with what was made.
        """
        directory = Path(tempfile.mkdtemp(dir=self._temporary))
        self._own.add(directory)
        try:
            yield directory
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
        finally:
            self._own.discard(directory)
        # the process ends only after this thread
        threading.Thread(target=shutil.rmtree, args=(directory,), kwargs={"ignore_errors": True}).start()

    @contextmanager
    def streaming(self) -> Iterator[Callable[[Iterable[bytes]], Iterator[bytes]]]:
        """A filter for what is read and kept nowhere: it is `unfinished` until the end."""
        passed = [0]
        self._streams.append(passed)

        def count(chunks: Iterable[bytes]) -> Iterator[bytes]:
            for chunk in chunks:
                passed[0] += len(chunk)
                yield chunk

        try:
            yield count
        finally:
            self._streams.remove(passed)

    def unfinished(self) -> int:
        """Bytes in what this build is writing or reading and has not finished. Safe to ask from another thread."""
        total = sum(passed[0] for passed in tuple(self._streams))
        for path in tuple(self._own):
            for file in (path, *path.rglob("*")):
                with suppress(FileNotFoundError):  # it was finished, or moved, meanwhile
                    found = file.lstat()
                    total += found.st_size if stat.S_ISREG(found.st_mode) else 0
        return total

    def new_log(self, name: str) -> Path:
        """Path of a new build log; the oldest of the same name are dropped so that twenty remain."""
        stem = re.sub(r"[^a-z0-9.-]+", "-", name.lower())
        logs = self.root / "logs"
        for old in sorted(logs.glob(f"{stem}.*.log"))[:-19]:
            old.unlink(missing_ok=True)
        return logs / f"{stem}.{time.strftime('%Y%m%dT%H%M%S')}.{secrets.token_hex(4)}.log"

    def _known(self, record: Path) -> Blob | None:
        try:
            value: dict[str, Any] = json.loads(record.read_text())
            facts = tuple((str(name), str(fact)) for name, fact in value.pop("facts", ()))
            blob = Blob(**value, facts=facts)
        except (FileNotFoundError, ValueError, TypeError):
            return None  # a record from another release or a damaged one: made again
        return blob if self.has(blob.digest, blob.size) else None

    def _write(self, target: Path, data: bytes) -> None:
        with self._new_file() as (path, out):
            out.write(data)
        path.replace(target)

    @contextmanager
    def _new_file(self) -> Iterator[tuple[Path, BinaryIO]]:
        handle, name = tempfile.mkstemp(dir=self._temporary)
        path = Path(name)
        self._own.add(path)
        try:
            with os.fdopen(handle, "wb") as out:
                yield path, out
                out.flush()
                os.fchmod(out.fileno(), 0o644)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            self._own.discard(path)

    def _sweep(self) -> None:
        """Drops what killed builds left behind."""
        now = time.time()
        for path in self._temporary.iterdir():
            with suppress(FileNotFoundError):  # another build swept it
                if now - path.stat().st_mtime > _STALE_SECONDS:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
