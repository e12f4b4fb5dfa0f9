"""Copying: one file's parts from a Source into the cache, side by side, each believed once its checksum holds."""

import hashlib
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, wait
from functools import partial
from typing import Final

from headrace.contract.errors import PermanentError, TemporaryError
from headrace.contract.weights import PART_BYTES, WeightsFile
from headrace.runtimes.weights.cache import Cache
from headrace.runtimes.weights.source import NoRangesError, Source

_TRIES: Final = 5
"""Of a part, or of a server's whole file, that breaks off; whatever the store's client tries by itself."""
_PAUSE_SECONDS: Final = 1.0
"""Before the second try, twice as long before each further one: 15 s in all."""


class Tally:
    """Bytes so far; safe to count from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.read = 0
        """From the source."""
        self.found = 0
        """On the node already, whole or as parts of a file that an earlier pod began."""

    def count(self, *, read: int = 0, found: int = 0) -> None:
        with self._lock:
            self.read += read
            self.found += found


class ChangedError(PermanentError):
    """The source has other bytes than those that the image lists."""

    def __init__(self, file: WeightsFile, how: str) -> None:
        super().__init__(
            f"The weights {file.path} changed since the image was built ({how}); log the model again instead of "
            "overwriting its artifacts, and serve that version"
        )


def copy(
    file: WeightsFile,
    source: Source,
    cache: Cache,
    pool: Executor,
    tally: Tally,
    *,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Brings the file into the cache unless it is there; parts are read in the threads of `pool`.

    Raises ChangedError, and what `source` raises once it has been tried often enough.
    """
    with cache.writing(file) as descriptor:
        if descriptor is None:
            tally.count(found=file.size)
            return
        missing = []
        for number in range(len(file.parts)):
            if _intact(descriptor, file, number):
                tally.count(found=file.part_size(number))
            else:
                missing.append(number)
        if not missing:
            return
        try:
            # The first alone: a server that knows no ranges would send the whole file for each.
            _retried(partial(_part, descriptor, file, missing[0], source, tally), sleep)
        except NoRangesError:
            _retried(partial(_whole, descriptor, file, source, tally), sleep)
            return
        parts = [partial(_part, descriptor, file, number, source, tally) for number in missing[1:]]
        waiting = [pool.submit(_retried, part, sleep) for part in parts]
        try:
            for each in waiting:
                each.result()
        finally:  # nobody writes to the descriptor after it is closed
            for each in waiting:
                each.cancel()
            wait(waiting)


def _retried(read: Callable[[], None], sleep: Callable[[float], object]) -> None:
    for number in range(1, _TRIES + 1):
        try:
            return read()
        except TemporaryError:
            if number == _TRIES:
                raise
            sleep(_PAUSE_SECONDS * 2 ** (number - 1))


def _part(descriptor: int, file: WeightsFile, number: int, source: Source, tally: Tally) -> None:
    start = number * PART_BYTES
    data, size = source.part(file.path, start, start + file.part_size(number))
    if size != file.size:
        raise ChangedError(file, f"{size} bytes, were {file.size}")
    _write(descriptor, file, number, data)
    tally.count(read=len(data))


def _whole(descriptor: int, file: WeightsFile, source: Source, tally: Tally) -> None:
    """Reads the whole file and keeps the parts that are missing."""
    part, number = bytearray(), 0
    for chunk in source.whole(file.path):
        tally.count(read=len(chunk))
        part += chunk
        while number < len(file.parts) and len(part) >= file.part_size(number):
            size = file.part_size(number)
            if not _intact(descriptor, file, number):
                _write(descriptor, file, number, bytes(part[:size]))
            del part[:size]
            number += 1
        if number == len(file.parts) and part:
            raise ChangedError(file, f"more than {file.size} bytes, were {file.size}")
    if number < len(file.parts):
        raise TemporaryError(f"The weights {file.path} broke off after {number * PART_BYTES + len(part)} bytes")


def _write(descriptor: int, file: WeightsFile, number: int, data: bytes | memoryview) -> None:
    if len(data) != file.part_size(number):
        raise TemporaryError(f"The weights {file.path} broke off in part {number}; the store sent less than it said")
    if hashlib.sha256(data).hexdigest() != file.parts[number]:
        raise ChangedError(file, f"the SHA-256 of part {number} is another")
    view, offset = memoryview(data), number * PART_BYTES
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
    # Begins to write the part to the disk; left alone, the kernel lets gigabytes pile up for the flush at the end. What
    # is being written stays in memory, where the model finds it.
    os.posix_fadvise(descriptor, number * PART_BYTES, file.part_size(number), os.POSIX_FADV_DONTNEED)


def _intact(descriptor: int, file: WeightsFile, number: int) -> bool:
    """Whether an earlier writer left this part whole; one that was never written is a hole of the file."""
    start, size = number * PART_BYTES, file.part_size(number)
    try:
        if os.lseek(descriptor, start, os.SEEK_DATA) >= start + size:
            return False
    except OSError:  # there is no data up to the end
        return False
    return hashlib.sha256(os.pread(descriptor, size, start)).hexdigest() == file.parts[number]
