"""A daemon is found again by its pid file, and never mistaken for a stranger that got its pid."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from patience import eventually

from headrace.local.processes import Daemon, start_time


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(
        name="sleeper",
        command=[sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"],
        folder=tmp_path,
        environment={},
    )
    yield daemon
    daemon.stop(grace_seconds=1)


def test_starting_twice_starts_one_process(sleeper: Daemon) -> None:
    assert sleeper.start() is True
    first = sleeper.pid()

    assert sleeper.start() is False

    assert first is not None
    assert sleeper.pid() == first


def test_stopping_ends_the_process_and_forgets_it(sleeper: Daemon) -> None:
    sleeper.start()
    pid = sleeper.pid()
    assert pid is not None

    sleeper.stop(grace_seconds=1)

    assert start_time(pid) is None
    assert sleeper.pid() is None
    sleeper.stop()  # again is no fault


def test_a_reused_pid_is_not_taken_for_the_daemon(sleeper: Daemon, tmp_path: Path) -> None:
    (tmp_path / "sleeper.pid").write_text(f"{os.getpid()} 1")  # this test's pid, another start time

    assert sleeper.pid() is None
    sleeper.stop()  # must not end the test itself


def test_a_torn_pid_file_reads_as_not_running(sleeper: Daemon, tmp_path: Path) -> None:
    (tmp_path / "sleeper.pid").write_text("")

    assert sleeper.pid() is None


def test_what_a_private_program_writes_and_logs_is_its_owners_alone(tmp_path: Path) -> None:
    daemon = Daemon(
        name="writer",
        command=["sh", "-c", f"echo secret > {tmp_path}/run/file; mkdir {tmp_path}/run/folder; sleep 60"],
        folder=tmp_path / "run",
        environment={},
        umask=0o077,
    )
    daemon.start()
    eventually((tmp_path / "run" / "folder").exists)
    daemon.stop(grace_seconds=1)

    assert {path.name: path.stat().st_mode & 0o077 for path in tmp_path.rglob("*")} == {
        name: 0 for name in ("run", "writer.log", "file", "folder")
    }


def test_the_end_of_the_log_is_there_for_an_error_message(tmp_path: Path) -> None:
    (tmp_path / "talker.log").write_text("\n".join(f"line {number}" for number in range(100)))
    talker = Daemon(name="talker", command=["true"], folder=tmp_path, environment={})

    assert talker.tail(2) == "line 98\nline 99"
