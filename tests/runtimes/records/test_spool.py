"""The spool: segments appended by one process and read by another, through kills and full disks."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.runtimes.records import spool
from headrace.runtimes.records.frame import encoded, sequence_of
from headrace.runtimes.records.spool import SpoolFull, SpoolReader, SpoolWriter, segments
from tests.runtimes.records.record_frames import frame


def write(writer: SpoolWriter, first: int, last: int, size: int = 10) -> None:
    frames = b"".join(encoded(frame(number, b"x" * size)) for number in range(first, last + 1))
    writer.append(frames, last=last)


def read(reader: SpoolReader, after: int, most_frames: int = 1000) -> list[int]:
    return [sequence_of(body) for body in reader.after(after, most_bytes=1 << 20, most_frames=most_frames)]


def test_frames_are_read_once_in_order_over_segments_and_what_is_settled_is_deleted(tmp_path: Path) -> None:
    writer, reader = SpoolWriter(tmp_path, limit_bytes=1 << 20, segment_bytes=500), SpoolReader(tmp_path)
    for first in range(1, 31, 3):
        write(writer, first, first + 2)
    assert len(segments(tmp_path)) > 3

    assert read(reader, 0, most_frames=4) == [1, 2, 3, 4]
    assert read(reader, 4) == list(range(5, 31))
    reader.forget(30)
    assert len(segments(tmp_path)) == 1  # the front may write to it
    write(writer, 31, 31)
    assert read(reader, 30) == [31]
    assert read(SpoolReader(tmp_path), 30) == [31]


def test_a_writer_goes_on_after_one_that_was_killed_in_the_middle_of_a_frame(tmp_path: Path) -> None:
    write(SpoolWriter(tmp_path, limit_bytes=1 << 20), 1, 2)
    [segment] = segments(tmp_path)
    with segment.path.open("ab") as file:
        file.write(encoded(frame(3))[:-4])
    writer, reader = SpoolWriter(tmp_path, limit_bytes=1 << 20), SpoolReader(tmp_path)

    assert writer.last_sequence == 2
    write(writer, 3, 4)
    assert read(reader, 0) == [1, 2, 3, 4]
    reader.forget(2)
    assert read(reader, 2) == [3, 4]


def test_a_frame_that_was_written_twice_is_read_once(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, limit_bytes=1 << 20)
    write(writer, 1, 3)
    write(writer, 2, 5)

    assert read(SpoolReader(tmp_path), 0) == [1, 2, 3, 4, 5]


def test_a_writer_knows_the_last_sequence_of_segments_that_are_gone(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, limit_bytes=1 << 20, segment_bytes=1)
    write(writer, 1, 3)
    write(writer, 4, 6)
    SpoolReader(tmp_path).forget(6)
    assert SpoolWriter(tmp_path, limit_bytes=1 << 20).last_sequence == 6


def test_a_full_spool_takes_nothing_and_keeps_what_it_has(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, limit_bytes=3000, segment_bytes=500)
    write(writer, 1, 3, size=500)

    with pytest.raises(SpoolFull):
        write(writer, 4, 8, size=500)

    assert read(SpoolReader(tmp_path), 0) == [1, 2, 3]


def test_a_disk_that_takes_half_a_frame_leaves_none_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = SpoolWriter(tmp_path, limit_bytes=1 << 20)
    write(writer, 1, 1)
    real, calls = spool.os.write, []

    def full(descriptor: int, data: memoryview) -> int:
        calls.append(len(data))
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[: len(data) // 2])

    monkeypatch.setattr(spool.os, "write", full)
    with pytest.raises(OSError, match="No space"):
        write(writer, 2, 4)
    monkeypatch.undo()
    write(writer, 5, 5)

    assert read(SpoolReader(tmp_path), 0) == [1, 5]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=20), st.integers(1, 7), st.integers(60, 2000))
def test_any_batches_settled_at_any_time_lose_and_double_nothing(
    appended: list[int], most_frames: int, segment_bytes: int
) -> None:
    import tempfile  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        writer = SpoolWriter(Path(folder), limit_bytes=1 << 20, segment_bytes=segment_bytes)
        reader, found, last = SpoolReader(Path(folder)), list[int](), 0
        for count in appended:
            write(writer, last + 1, last + count)
            last += count
            batch = read(reader, found[-1] if found else 0, most_frames)
            assert len(batch) <= most_frames
            found += batch
            reader.forget(found[-1])
            if len(found) % 3 == 0:
                reader = SpoolReader(Path(folder))  # one that begins anew
        while batch := read(reader, found[-1], most_frames):
            found += batch

        assert found == list(range(1, last + 1))
        assert reader.count(0) <= last
