"""The carrier: every record that is on the disk gets to the table writer, and is forgotten when it is in the table."""

import errno
import threading
from pathlib import Path

import orjson
import pytest

from headrace.contract.errors import TemporaryError
from headrace.contract.inference_table import COLUMNS, REQUEST_TOO_LARGE
from headrace.runtimes.records.frame import encoded
from headrace.runtimes.records.spool import SpoolWriter, segments
from headrace.runtimes.sidecar.carrier import Carrier
from headrace.runtimes.sidecar.settlement import Settlement
from headrace.runtimes.sidecar.table_writer import Refused
from tests.runtimes.records.record_frames import frame

SEQUENCE = list(COLUMNS).index("sequence")


class Writer:
    """A table in memory that takes each row once, as the real one does, and fails when told to."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.failures: list[Exception] = []
        self.lost_answers = 0

    def write(self, lines: bytes) -> int:
        if self.failures:
            raise self.failures.pop(0)
        sequences = [orjson.loads(line)[SEQUENCE] for line in lines.split(b"\n")]
        last = self.rows[-1] if self.rows else 0
        self.rows += [number for number in sequences if number > last]
        if self.lost_answers:
            self.lost_answers -= 1
            raise TemporaryError("the answer was lost")
        return sequences[-1]


def spool(directory: Path, first: int, last: int, **changed: object) -> None:
    writer = SpoolWriter(directory, limit_bytes=1 << 20, segment_bytes=600)
    for number in range(first, last + 1):
        writer.append(encoded(frame(number, **changed)), last=number)  # type: ignore[arg-type]


def test_records_are_carried_in_order_and_their_segments_deleted(tmp_path: Path) -> None:
    writer = Writer()
    spool(tmp_path, 1, 20)
    carrier = Carrier(tmp_path, writer, pod_uid="pod")

    assert carrier.carry()
    assert not carrier.carry()
    assert writer.rows == list(range(1, 21))
    assert len(segments(tmp_path)) == 1
    assert carrier.settlement == Settlement(sequence=20, written=20)
    assert carrier.pending() == 0


def test_on_a_full_disk_segments_of_what_is_in_the_table_make_room_for_saying_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool(tmp_path, 1, 20)
    write, many = Settlement.write, len(segments(tmp_path))

    def as_the_disk_has_room(settled: Settlement, directory: Path) -> None:
        if len(segments(directory)) == many:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(settled, directory)

    monkeypatch.setattr(Settlement, "write", as_the_disk_has_room)
    carrier = Carrier(tmp_path, Writer(), pod_uid="pod")

    assert carrier.carry()
    assert Settlement.read(tmp_path) == Settlement(sequence=20, written=20)
    assert len(segments(tmp_path)) == 1


def test_before_the_first_record_there_is_nothing_to_carry(tmp_path: Path) -> None:
    carrier = Carrier(tmp_path, Writer(), pod_uid="pod")

    assert not carrier.carry()
    assert carrier.pending() == 0


def test_a_sidecar_that_ends_before_it_hears_sends_again_and_the_sum_is_right(tmp_path: Path) -> None:
    writer = Writer()
    writer.lost_answers = 1
    spool(tmp_path, 1, 5)
    with pytest.raises(TemporaryError):
        Carrier(tmp_path, writer, pod_uid="pod").carry()
    spool(tmp_path, 6, 8)
    again = Carrier(tmp_path, writer, pod_uid="pod")

    assert again.settlement.sequence == 0
    assert again.carry()
    assert writer.rows == list(range(1, 9))
    assert again.settlement == Settlement(sequence=8, written=8)


def test_while_the_table_writer_is_away_records_wait_and_nothing_is_lost(tmp_path: Path) -> None:
    writer, stopping, pauses = Writer(), threading.Event(), list[float]()
    writer.failures = [TemporaryError("away")] * 5
    spool(tmp_path, 1, 3)
    carrier = Carrier(tmp_path, writer, pod_uid="pod")

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if writer.rows:
            stopping.set()

    carrier.run(stopping, pause=pause)

    assert writer.rows == [1, 2, 3]
    assert len(pauses) == 6
    assert max(pauses) <= 10


def test_what_is_refused_for_good_is_dropped_and_counted_and_later_records_are_carried(tmp_path: Path) -> None:
    writer = Writer()
    writer.failures = [Refused("no rows")]
    spool(tmp_path, 1, 3)
    carrier = Carrier(tmp_path, writer, pod_uid="pod")
    assert carrier.carry()
    spool(tmp_path, 4, 5, error_codes=[REQUEST_TOO_LARGE])
    assert carrier.carry()

    assert writer.rows == [4, 5]
    assert carrier.settlement == Settlement(sequence=5, too_large=2, dropped=3)


def test_told_to_stop_it_carries_what_is_left_first(tmp_path: Path) -> None:
    writer, stopping = Writer(), threading.Event()
    spool(tmp_path, 1, 50)
    stopping.set()
    Carrier(tmp_path, writer, pod_uid="pod").run(stopping)

    assert writer.rows == list(range(1, 51))


def test_a_frame_of_another_release_is_dropped_and_counted(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, limit_bytes=1 << 20)
    strange = encoded(frame(1)._replace(meta=(1, 2)))  # type: ignore[arg-type]
    writer.append(strange + encoded(frame(2)), last=2)
    table = Writer()
    carrier = Carrier(tmp_path, table, pod_uid="pod")
    carrier.carry()

    assert table.rows == [2]
    assert carrier.settlement == Settlement(sequence=2, written=1, dropped=1)


def test_a_settlement_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    (tmp_path / "acknowledged.json").write_text('{"sequence": 3, "wri')

    assert Settlement.read(tmp_path) == Settlement()
