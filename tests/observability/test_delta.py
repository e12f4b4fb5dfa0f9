"""Delta tables on a disk: each row once, whoever writes and whatever ends; and what is wrong is said by its kind."""

import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest
from deltalake import DeltaTable, QueryBuilder, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.contract.errors import TemporaryError
from headrace.contract.inference_table import COLUMNS
from headrace.observability.tables.batch import joined
from headrace.observability.tables.delta import (
    AccessDenied,
    InferenceDeltaTable,
    SchemaMismatch,
    StoreUnavailable,
    TableUnusable,
    explained,
)
from tests.observability.table_rows import batch

WRITER = """
import sys
from pathlib import PurePosixPath
from headrace.observability.tables.delta import InferenceDeltaTable
from tests.observability.table_rows import batch

uri, volume, first = sys.argv[1], sys.argv[2], int(sys.argv[3])
table = InferenceDeltaTable(uri, {}, volume=PurePosixPath(volume))
print("ready", flush=True)
for number in range(first, first + 400, 4):
    table.append([batch(number, number + 3), batch(number, number + 3, "pod-2")])
    print(number + 3, flush=True)
"""


def table(folder: Path, name: str = "fraud") -> InferenceDeltaTable:
    return InferenceDeltaTable(str(folder / name), {}, volume=PurePosixPath(folder))


def found(folder: Path, name: str = "fraud") -> list[tuple[str, int]]:
    """Pod and sequence of every row, as a reader of its own sees them."""
    builder = QueryBuilder().register("rows", DeltaTable(str(folder / name)))
    rows = builder.execute("select pod_uid, sequence from rows order by pod_uid, sequence").read_all()
    return list(zip(rows["pod_uid"].to_pylist(), rows["sequence"].to_pylist(), strict=True))


def expected(last: int, *pods: str) -> list[tuple[str, int]]:
    return [(pod, number) for pod in sorted(pods) for number in range(1, last + 1)]


def test_rows_of_many_pods_are_one_commit_and_come_in_once(tmp_path: Path) -> None:
    of = table(tmp_path)

    assert of.append([batch(1, 3), batch(1, 2, "pod-2")]) == 5
    assert of.append([batch(1, 5), batch(1, 2, "pod-2"), batch(3, 3, "pod-2")]) == 3
    assert of.append([batch(2, 4)]) == 0

    assert found(tmp_path) == [*expected(5, "pod-1"), *expected(3, "pod-2")]
    assert DeltaTable(str(tmp_path / "fraud")).version() == 2  # it was made, and two commits


def test_the_table_has_databricks_columns_in_their_order_and_a_folder_a_day(tmp_path: Path) -> None:
    table(tmp_path).append([batch(1, 1)])
    read = DeltaTable(str(tmp_path / "fraud"))

    assert [field.name for field in read.schema().fields] == list(COLUMNS)
    assert read.metadata().partition_columns == ["request_date"]


def test_a_writer_that_begins_anew_knows_what_is_in(tmp_path: Path) -> None:
    table(tmp_path).append([batch(1, 5)])

    assert table(tmp_path).append([batch(1, 7)]) == 2
    assert found(tmp_path) == expected(7, "pod-1")


def test_two_writers_with_the_same_rows_write_them_once(tmp_path: Path) -> None:
    one, other = table(tmp_path), table(tmp_path)
    one.append([batch(1, 2)])
    other.append([batch(1, 2)])
    new = other._new([batch(3, 5)])  # has looked, and is about to commit
    assert one.append([batch(3, 5)]) == 3

    assert new[0].sequences == [3, 4, 5]
    with pytest.raises(Exception, match="Concurrent"):
        other._commit(new)
    assert other.append([batch(3, 6)]) == 1
    assert found(tmp_path) == expected(6, "pod-1")


def test_writers_that_make_the_table_at_once_write_the_same_rows_once(tmp_path: Path) -> None:
    for number in range(10):
        name, ready = f"fraud-{number}", threading.Barrier(4)

        def write(name: str = name, ready: threading.Barrier = ready) -> None:
            of = table(tmp_path, name)
            ready.wait()
            for _ in range(20):
                with suppress(TemporaryError):
                    of.append([batch(1, 4)])
                    return

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

        assert found(tmp_path, name) == expected(4, "pod-1")


def test_writers_of_different_pods_do_not_keep_each_other_out(tmp_path: Path) -> None:
    one, other = table(tmp_path), table(tmp_path)
    one.append([batch(1, 1)])
    other.append([batch(1, 1, "pod-2")])
    new = other._new([batch(2, 2, "pod-2")])
    one.append([batch(2, 2)])
    other._commit(new)

    assert found(tmp_path) == expected(2, "pod-1", "pod-2")


@settings(max_examples=15)
@given(st.lists(st.tuples(st.sampled_from(["pod-1", "pod-2"]), st.integers(0, 6), st.booleans()), max_size=8))
def test_any_repetition_of_batches_comes_in_once(steps: list[tuple[str, int, bool]]) -> None:
    import tempfile  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as name:
        folder, last = Path(name), {"pod-1": 0, "pod-2": 0}
        of = table(folder)
        for pod, more, anew in steps:
            of = table(folder) if anew else of
            begin = max(1, last[pod] - 2)  # the last two again
            last[pod] += more
            if last[pod] >= begin:
                of.append([batch(begin, last[pod], pod)])
        seen = [(pod, number) for pod in sorted(last) for number in range(1, last[pod] + 1)]

        assert not seen or found(folder) == seen


@pytest.mark.slow
def test_a_writer_that_is_killed_at_any_moment_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Twenty kills: between two commits, while files are written, while the log is, and before anybody hears of it."""
    acknowledged = 0
    root = Path(__file__).parents[2]
    for kill in range(20):
        command = [sys.executable, "-c", WRITER, str(tmp_path / "fraud"), str(tmp_path), str(acknowledged + 1)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for _ in range(kill % 3):
            acknowledged = int(process.stdout.readline())
        time.sleep(0.003 * kill)
        process.send_signal(signal.SIGKILL)
        told = [int(line) for line in process.stdout.read().split()]
        acknowledged = max([acknowledged, *told])
        process.wait()
    table(tmp_path).append(
        [batch(acknowledged + 1, acknowledged + 8), batch(acknowledged + 1, acknowledged + 8, "pod-2")]
    )

    rows = found(tmp_path)
    assert rows == expected(rows[-1][1], "pod-1", "pod-2")
    assert rows[-1][1] >= acknowledged + 8


def test_small_files_are_joined_and_days_beyond_the_retention_deleted(tmp_path: Path) -> None:
    of = table(tmp_path)
    for number in range(1, 6):
        of.append([batch(number, number, request_date=20787 - (number == 1) * 10)])
    of.maintain(retention_days=3, now=datetime(2026, 11, 30, tzinfo=UTC))

    assert len(DeltaTable(str(tmp_path / "fraud")).file_uris()) == 1
    assert found(tmp_path) == [("pod-1", number) for number in range(2, 6)]
    assert of.append([batch(1, 6)]) == 1  # what was deleted does not come in again


def test_a_table_without_our_columns_is_left_alone(tmp_path: Path) -> None:
    strange = joined([batch(1, 1)]).select(["request_date", "request"])
    write_deltalake(str(tmp_path / "fraud"), strange)

    with pytest.raises(SchemaMismatch, match="status_code is missing, must be integer"):
        table(tmp_path).append([batch(1, 1)])
    assert DeltaTable(str(tmp_path / "fraud")).version() == 0


def test_columns_that_others_have_added_are_null(tmp_path: Path) -> None:
    table(tmp_path).append([batch(1, 1)])
    from deltalake import Field  # noqa: PLC0415
    from deltalake.schema import PrimitiveType  # noqa: PLC0415

    DeltaTable(str(tmp_path / "fraud")).alter.add_columns([Field("label", PrimitiveType("string"))])

    assert table(tmp_path).append([batch(1, 2)]) == 1
    assert found(tmp_path) == expected(2, "pod-1")


def test_a_place_that_is_no_folder_is_said_to_be_unusable(tmp_path: Path) -> None:
    (tmp_path / "fraud").write_text("a file")

    with pytest.raises(TableUnusable):
        table(tmp_path).append([batch(1, 1)])


@pytest.mark.parametrize("uri", ["/etc/fraud", "/tables", "/tables/../etc/x", "fraud", "file:///etc/x"])
def test_a_path_outside_of_the_volume_is_refused(uri: str) -> None:
    with pytest.raises(TableUnusable, match="below /tables"):
        InferenceDeltaTable(uri, {})


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError("Generic S3 error: ... 403 Forbidden: InvalidAccessKeyId"), AccessDenied),
        (PermissionError("Permission denied (os error 13)"), AccessDenied),
        (OSError("error sending request for url (http://s3): connection refused"), StoreUnavailable),
        (OSError("operation timed out"), StoreUnavailable),
        (OSError("No space left on device"), StoreUnavailable),
        (OSError("Generic S3 error: 404 NoSuchBucket"), TableUnusable),
    ],
)
def test_what_a_store_says_is_told_by_its_kind(error: OSError, kind: type[Exception]) -> None:
    told = explained("s3://bucket/fraud", error)

    assert type(told) is kind
    assert str(error) in str(told)
