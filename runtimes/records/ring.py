"""Ring: the queue between the event loop and the thread that writes files, in shared memory.

It is a file in the pod's memory (tmpfs), mapped: what has been put into it survives the process, so that a front which
is killed loses no record of an answer that has left. The event loop never waits for it: a ring without room drops the
record. Counters lie beside it and survive likewise.
"""

import mmap
import os
import threading
from pathlib import Path
from typing import Final

from headrace.runtimes.records.frame import frames_in, sequence_of

CAPACITY: Final = 8 * 1024 * 1024
"""Bytes of frames: four of the largest. The thread empties it every some milliseconds; pages that are never needed
take no memory."""
_MAGIC: Final = 0x31474E4952524448  # "HDRRING1"
_HEADER: Final = 4096
_MAGIC_SLOT, _HEAD, _TAIL, _WRAP, _SEQUENCE, _ATTEMPTED, _SAMPLED_OUT = range(7)
_DROPS: Final = 8
DROP_REASONS: Final = ("queue-full", "spool-full", "disk", "interrupted", "failed")
"""Why a record is not kept: the ring has no room; the segments have reached their limit; the disk takes no more; the
front ended between counting a request and keeping its record; a fault of ours."""


class Ring:
    """Frames on their way, and what became of records so far. One thread puts, one takes."""

    def __init__(self, path: Path, capacity: int = CAPACITY) -> None:
        """Opens the ring at `path`, with what a process before left in it, or makes it. OSError where it cannot."""
        self._capacity = capacity
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(descriptor, _HEADER + capacity)
            self._map = mmap.mmap(descriptor, _HEADER + capacity)
        finally:
            os.close(descriptor)
        self._slots = memoryview(self._map)[:_HEADER].cast("Q")
        self._lock = threading.Lock()
        slots = self._slots
        if slots[_MAGIC_SLOT] != _MAGIC or max(slots[_HEAD], slots[_TAIL], slots[_WRAP]) > capacity:
            for slot in range(_HEADER // 8):
                slots[slot] = 0
            slots[_MAGIC_SLOT] = _MAGIC
        if slots[_WRAP] and slots[_HEAD] >= slots[_TAIL]:  # ended while it went on at the beginning
            slots[_WRAP] = 0
        for data in (self._map[_HEADER + begin : _HEADER + end] for begin, end in self._parts()):
            for frame in frames_in(data):
                slots[_SEQUENCE] = max(slots[_SEQUENCE], sequence_of(frame.body))
        accounted = self.published + self.sampled_out + sum(self.dropped[name] for name in DROP_REASONS[:1])
        accounted += self.dropped["interrupted"] + self.dropped["failed"]
        if self.attempted > accounted:
            self.drop("interrupted", self.attempted - accounted)

    def _parts(self) -> list[tuple[int, int]]:
        """Where the bytes are that wait."""
        head, tail, wrap = self._slots[_HEAD], self._slots[_TAIL], self._slots[_WRAP]
        return [(tail, wrap), (0, head)] if wrap else [(tail, head)]

    @property
    def attempted(self) -> int:
        """Requests of which a record was to be taken."""
        return self._slots[_ATTEMPTED]

    @property
    def sampled_out(self) -> int:
        """Of those, the ones that chance left out."""
        return self._slots[_SAMPLED_OUT]

    @property
    def published(self) -> int:
        """Of those, the ones whose record was put here: the last sequence."""
        return self._slots[_SEQUENCE]

    @property
    def dropped(self) -> dict[str, int]:
        """Of those, the ones whose record is lost, by reason."""
        return {reason: self._slots[_DROPS + at] for at, reason in enumerate(DROP_REASONS)}

    def attempt(self) -> None:
        """Counts a request."""
        self._slots[_ATTEMPTED] += 1

    def sample_out(self) -> None:
        """Counts one that chance leaves out."""
        self._slots[_SAMPLED_OUT] += 1

    def drop(self, reason: str, count: int = 1) -> None:
        """Counts lost records."""
        self._slots[_DROPS + DROP_REASONS.index(reason)] += count

    def begin_after(self, sequence: int) -> None:
        """Sequences are greater than this one from now on: the files know of it, and the ring is new."""
        if self._slots[_SEQUENCE] < sequence:
            self._slots[_ATTEMPTED] += sequence - self._slots[_SEQUENCE]
            self._slots[_SEQUENCE] = sequence

    @property
    def next_sequence(self) -> int:
        """Of the frame to be put next."""
        return self._slots[_SEQUENCE] + 1

    @property
    def first_waiting(self) -> int:
        """Of the first frame that waits; `next_sequence` where none does."""
        data, _ = self.waiting()
        return next((sequence_of(frame.body) for frame in frames_in(data)), self.next_sequence)

    def put(self, frame: bytes) -> bool:
        """Keeps the frame of `next_sequence`; False where it has no room."""
        slots, length = self._slots, len(frame)
        with self._lock:
            head, tail, wrap = slots[_HEAD], slots[_TAIL], slots[_WRAP]
            if head == tail and not wrap:  # empty: from the beginning again, so that few pages are touched
                slots[_TAIL] = slots[_HEAD] = head = tail = 0
            begin = head
            if wrap or head + length > self._capacity:
                begin = head if wrap else 0
                if begin + length >= tail:  # the end of what waits: equal would look like empty
                    return False
                wrap = wrap if wrap else head
            self._map[_HEADER + begin : _HEADER + begin + length] = frame
            slots[_WRAP] = wrap
            slots[_HEAD] = begin + length
            slots[_SEQUENCE] += 1  # the last: a front that is killed before it has left a frame, which tells its number
        return True

    @property
    def goes_on(self) -> bool:
        """Whether what waits is more than one look finds: half of the ring is in use, or it is at its end."""
        return self._slots[_WRAP] != 0 or 2 * self.waiting_bytes > self._capacity

    def waiting(self) -> tuple[bytes, int]:
        """Bytes that were put and not taken yet, from the first on, and the last sequence in them. What went on at the
        beginning comes with the next call."""
        slots = self._slots
        with self._lock:
            begin, end, wrap, last = slots[_TAIL], slots[_HEAD], slots[_WRAP], slots[_SEQUENCE]
        data = self._map[_HEADER + begin : _HEADER + (wrap if wrap else end)]
        if wrap and data:
            last = max((sequence_of(frame.body) for frame in frames_in(data)), default=0)
        return data, last

    def take(self, length: int) -> None:
        """Forgets so many bytes of what waits: their frames are in a file, or counted."""
        slots = self._slots
        with self._lock:
            slots[_TAIL] += length
            if slots[_WRAP] and slots[_TAIL] >= slots[_WRAP]:
                slots[_TAIL] = 0
                slots[_WRAP] = 0

    @property
    def waiting_bytes(self) -> int:
        """Of the frames that wait."""
        head, tail, wrap = self._slots[_HEAD], self._slots[_TAIL], self._slots[_WRAP]
        return wrap - tail + head if wrap else head - tail

    def close(self) -> None:
        """Unmaps it."""
        self._slots.release()
        self._map.close()
