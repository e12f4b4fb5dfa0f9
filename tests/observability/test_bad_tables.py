"""Tables that cannot be written: what the endpoint's condition says, and that every row is in once it is mended."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from threading import Event, Thread

import pytest
from deltalake import DeltaTable

from headrace.contract.errors import TemporaryError
from headrace.contract.model_endpoint import RECORDED
from headrace.observability.tables.commits import Commits
from headrace.observability.tables.delta import InferenceDeltaTable
from headrace.observability.tables.endpoints import finding_of
from tests.observability.table_rows import batch
from tests.observability.test_delta import expected, found

LARGE = 'a"\U0001f600\u0000' * 40_000
"""A text that a file system of 1 MiB has no room for, several times; Parquet stores repetitions of it once."""


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB of its own."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", tmp_path], check=False).returncode:
        pytest.skip("file systems are mounted by root alone")
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def told_of(volume: Path, *batches: object) -> str:
    """The reason of the condition after a commit of these rows, by the writer as it runs but for its thread."""
    told: list[str] = []
    table = InferenceDeltaTable(str(volume / "fraud"), {}, volume=PurePosixPath(volume))
    commits = Commits(lambda _: table, told=lambda _, failure, *__: told.append(finding_of(failure).reason))
    waiting = [commits.add("fraud", one) for one in batches]  # type: ignore[arg-type]
    commits.look()
    for one in waiting:
        with suppress(TemporaryError):
            one.result(60)
    commits._pool.shutdown()
    return told[0]


def full(volume: Path) -> Callable[[], object]:
    (volume / "of-others").write_bytes(b"x" * 1024 * 1000)
    return (volume / "of-others").unlink


def not_writable(volume: Path) -> Callable[[], object]:
    def remount(how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", volume], check=True)

    remount("ro")
    return lambda: remount("rw")


def a_file(volume: Path) -> Callable[[], object]:
    (volume / "fraud").rename(volume / "aside")
    (volume / "fraud").write_text("a file where a table should be")

    def mend() -> None:
        (volume / "fraud").unlink()
        (volume / "aside").rename(volume / "fraud")

    return mend


def log_torn(volume: Path) -> Callable[[], object]:
    [last] = (volume / "fraud" / "_delta_log").glob("*1.json")
    whole = last.read_bytes()
    last.write_bytes(whole[: len(whole) // 2])
    return lambda: last.write_bytes(whole)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (full, "StoreUnavailable"),
        (not_writable, "AccessDenied"),
        (a_file, "TableUnusable"),
        (log_torn, "TableUnusable"),
    ],
)
def test_the_condition_says_what_is_wrong_and_rows_are_in_once_it_is_mended(
    volume: Path, spoil: Callable[[Path], Callable[[], object]], reason: str
) -> None:
    assert told_of(volume, batch(1, 2)) == "RowsWritten"
    mend = spoil(volume)
    assert told_of(volume, batch(3, 40, request=LARGE), batch(1, 2, "pod-2")) == reason
    assert reason in RECORDED.false

    mend()
    assert told_of(volume, batch(3, 4), batch(1, 4, "pod-2")) == "RowsWritten"
    assert found(volume) == expected(4, "pod-1", "pod-2")


def test_while_its_files_are_joined_and_removed_a_table_takes_rows(tmp_path: Path) -> None:
    table = InferenceDeltaTable(str(tmp_path / "fraud"), {}, volume=PurePosixPath(tmp_path))
    keeper = InferenceDeltaTable(str(tmp_path / "fraud"), {}, volume=PurePosixPath(tmp_path))
    table.append([batch(1, 1)])
    done, rounds = Event(), []

    def look_after() -> None:
        while not done.is_set():
            keeper.maintain(retention_days=30_000)
            rounds.append(1)

    thread = Thread(target=look_after)
    thread.start()
    last = 1
    while len(rounds) < 3 or last < 40:
        last += 1
        table.append([batch(last, last)])
    done.set()
    thread.join(60)
    keeper.maintain(retention_days=30_000)

    assert found(tmp_path) == expected(last, "pod-1")
    assert len(DeltaTable(str(tmp_path / "fraud")).file_uris()) == 1
