"""The ring: first in, first out, over any number of rounds; what was put survives its process; all is counted."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.runtimes.records.frame import encoded, frames_in, sequence_of
from headrace.runtimes.records.ring import Ring
from tests.runtimes.records.record_frames import frame

CAPACITY = 4096


def put(ring: Ring, size: int) -> bool:
    return ring.put(encoded(frame(ring.next_sequence, b"x" * size)))


def taken(ring: Ring) -> list[int]:
    """The sequences that one look takes."""
    data, last = ring.waiting()
    found = [sequence_of(one.body) for one in frames_in(data)]
    assert not found or found[-1] == last
    ring.take(len(data))
    return found


@given(st.lists(st.one_of(st.integers(0, 1500), st.none()), max_size=60))
def test_what_is_put_is_taken_in_order_and_what_has_no_room_is_told(steps: list[int | None]) -> None:
    import tempfile  # noqa: PLC0415 -- a fixture would be shared by all examples

    with tempfile.TemporaryDirectory() as folder:
        ring = Ring(Path(folder) / "ring", CAPACITY)
        expected: list[int] = []
        found: list[int] = []
        for size in steps:
            if size is None:
                found += taken(ring)
            elif put(ring, size):
                expected.append(ring.published)
        for _ in range(3):
            found += taken(ring)

        assert found == expected == list(range(1, len(expected) + 1))
        assert ring.waiting_bytes == 0
        ring.close()


@given(st.lists(st.integers(0, 900), min_size=1, max_size=30), st.integers(0, 29))
def test_what_was_put_and_not_taken_survives_the_process(sizes: list[int], reopened_at: int) -> None:
    import tempfile  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ring"
        ring, found, expected = Ring(path, CAPACITY), list[int](), 0
        for at, size in enumerate(sizes):
            if at == reopened_at:
                ring.close()
                ring = Ring(path, CAPACITY)
            if not put(ring, size):
                found += taken(ring) + taken(ring)
                assert put(ring, size)
            expected += 1
        found += taken(ring) + taken(ring)

        assert found == list(range(1, expected + 1))
        ring.close()


def test_counters_survive_too_and_a_request_that_was_counted_and_not_kept_is_accounted_for(tmp_path: Path) -> None:
    ring = Ring(tmp_path / "ring", CAPACITY)
    for _ in range(5):
        ring.attempt()
    put(ring, 10)
    ring.sample_out()
    ring.drop("queue-full")
    ring.close()

    again = Ring(tmp_path / "ring", CAPACITY)  # two were counted, and their process ended

    assert (again.attempted, again.sampled_out, again.published) == (5, 1, 1)
    assert {reason: count for reason, count in again.dropped.items() if count} == {"queue-full": 1, "interrupted": 2}
    assert again.first_waiting == 1


class Killed(Exception):
    """In place of a signal."""


class Dying:
    """Slots of a ring whose process ends before the write that `left` counts down to."""

    def __init__(self, slots: Any, left: int) -> None:
        self._slots, self._left = slots, left

    def __getitem__(self, at: int) -> int:
        return int(self._slots[at])

    def __setitem__(self, at: int, value: int) -> None:
        if self._left == 0:
            raise Killed
        self._left -= 1
        self._slots[at] = value


@pytest.mark.parametrize("goes_on_at_the_beginning", [False, True])
@pytest.mark.parametrize("left", range(5))
def test_a_process_killed_between_any_two_writes_of_a_put_leaves_frames_and_counters_that_agree(
    tmp_path: Path, goes_on_at_the_beginning: bool, left: int
) -> None:
    ring = Ring(tmp_path / "ring", CAPACITY)
    if goes_on_at_the_beginning:
        ring.attempt()
        assert put(ring, 2400)
        length = ring.waiting_bytes
        ring.attempt()
        assert put(ring, 500)
        ring.take(length)
    before = ring.attempted
    ring.attempt()
    ring._slots = Dying(ring._slots, left)  # type: ignore[assignment]
    with suppress(Killed):
        put(ring, 1500)

    again = Ring(tmp_path / "ring", CAPACITY)
    assert again.attempted == before + 1 == again.published + again.dropped["interrupted"]
    again.attempt()
    assert put(again, 10)
    found = taken(again) + taken(again)
    assert found == [*range(max(1, before), again.published + 1)]


def test_a_file_that_is_no_ring_is_made_one(tmp_path: Path) -> None:
    (tmp_path / "ring").write_bytes(b"\xff" * 9000)
    ring = Ring(tmp_path / "ring", CAPACITY)

    assert (ring.attempted, ring.published, ring.waiting_bytes) == (0, 0, 0)
    assert put(ring, 100)
    assert taken(ring) == [1]


def test_a_ring_that_is_emptied_in_time_touches_few_pages(tmp_path: Path) -> None:
    ring = Ring(tmp_path / "ring", 1 << 20)
    for _ in range(200):
        assert put(ring, 1000)
        taken(ring)

    assert (tmp_path / "ring").stat().st_blocks * 512 <= 16384
