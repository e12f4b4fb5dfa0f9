"""Spool: segments of frames in a folder of the pod, appended by the front and deleted by the sidecar.

A segment is named by the first sequence that it may hold. The front writes the last one; a torn frame at its end is
what a killed writer left, and the next writer goes on in a segment of its own.
"""

import itertools
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from headrace.runtimes.records.frame import Found, frames_in, sequence_of

log = logging.getLogger(__name__)

SEGMENT_BYTES: Final = 4 * 1024 * 1024
"""A segment that has so many is followed by another one."""
_SUFFIX: Final = ".records"


class Segment(NamedTuple):
    """A file of frames."""

    path: Path
    first: int
    """No sequence in it is lower, and none in segments before is as high."""


def segments(directory: Path) -> list[Segment]:
    """Those that there are, in order."""
    found = [(path, path.name.removesuffix(_SUFFIX)) for path in directory.glob(f"*{_SUFFIX}")]
    return sorted((Segment(path, int(name)) for path, name in found if name.isdigit()), key=lambda one: one.first)


def last_sequence(directory: Path) -> int:
    """The highest that is known of the segments: that of the last whole frame, or the one before the last segment."""
    for segment in reversed(segments(directory)):
        frames = list(frames_in(segment.path.read_bytes()))
        if frames:
            return sequence_of(frames[-1].body)
        if segment.first > 1:
            return segment.first - 1
    return 0


class SpoolFull(Exception):
    """The segments have reached their limit."""


class SpoolWriter:
    """Appends frames; used by one thread."""

    def __init__(self, directory: Path, *, limit_bytes: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        """OSError where the folder cannot be made or read."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self._limit, self._segment_bytes = directory, limit_bytes, segment_bytes
        self._descriptor: int | None = None
        self._size = 0
        self._used = self._measured()
        """Bytes of the folder's files, or more: what was deleted since they were measured."""
        self.last_sequence = last_sequence(directory)
        """Of what has been appended, by any process."""

    def append(self, frames: bytes, *, last: int) -> None:
        """Writes whole frames, of which the last has the sequence `last`, or none of them.

        Raises SpoolFull where the limit is reached, and OSError where the disk takes no more.
        """
        if self._used + len(frames) > self._limit:
            self._used = self._measured()  # the sidecar may have deleted segments
            if self._used + len(frames) > self._limit:
                raise SpoolFull
        if self._descriptor is None or self._size >= self._segment_bytes:
            self.close()
            path = self._directory / f"{self.last_sequence + 1:020d}{_SUFFIX}"
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            self._size = 0
        left = memoryview(frames)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            os.lseek(self._descriptor, self._size, os.SEEK_SET)
            raise
        self._size += len(frames)
        self._used += len(frames)
        self.last_sequence = last

    def _measured(self) -> int:
        total = 0
        for entry in os.scandir(self._directory):
            try:
                total += entry.stat().st_size
            except FileNotFoundError:  # the sidecar has just deleted it
                continue
        return total

    def close(self) -> None:
        """The next frame begins a segment."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class SpoolReader:
    """Reads frames that others append, and deletes segments; used by one thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read = (0, "", 0)
        """The last sequence that was returned, the segment that holds it, and where its frame ends."""

    def after(self, sequence: int, *, most_bytes: int, most_frames: int) -> list[bytes]:
        """The bodies of the next whole frames with a higher sequence, in order: one at least where there is one."""
        found: list[bytes] = []
        size = 0
        for number, name, frame in self._frames(sequence):
            if found and (size + len(frame.body) > most_bytes or len(found) == most_frames):
                break
            found.append(frame.body)
            size += len(frame.body)
            self._read = number, name, frame.end
        return found

    def _frames(self, sequence: int) -> Iterator[tuple[int, str, Found]]:
        known = segments(self._directory)
        read, name_read, end_read = self._read
        for segment, following in itertools.zip_longest(known, known[1:]):
            if following is not None and following.first <= sequence + 1:
                continue  # all of it is older
            name = segment.path.name
            begin = end_read if (read, name_read) == (sequence, name) else 0  # no byte is read twice
            try:
                with segment.path.open("rb") as file:
                    file.seek(begin)
                    data = file.read()
            except FileNotFoundError:
                continue
            for frame in frames_in(data):
                number = sequence_of(frame.body)
                if number > sequence:  # a front that was killed may have written a frame twice
                    sequence = number
                    yield number, name, frame._replace(end=begin + frame.end)

    def count(self, sequence: int) -> int:
        """How many frames have a higher sequence."""
        return sum(1 for _ in self._frames(sequence))

    def forget(self, sequence: int) -> None:
        """Deletes the segments in which no frame has a higher sequence, but for the last, which the front may write."""
        known: Sequence[Segment] = segments(self._directory)
        for segment, following in itertools.pairwise(known):
            if following.first <= sequence + 1:
                segment.path.unlink(missing_ok=True)
