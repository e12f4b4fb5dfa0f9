"""The pod's first process, with serving processes that do as the test says."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from patience import eventually

from headrace.runtimes.http.parent import Guard
from headrace.runtimes.pod.processes import ProcessSample

PROGRAM = """
import os, signal, sys, time
from headrace.runtimes.http import parent

def serve(heartbeat):
    with open(sys.argv[1], "a") as lives:
        lives.write(f"{os.getpid()}\\n")
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
    while not stopped:
        SERVE
        heartbeat.beat()
        time.sleep(0.02)
    return 0

parent.HUNG_SECONDS = 1.0
sys.exit(parent.Parent(serve, []).run())
"""


@contextmanager
def started(directory: Path, serve: str = "pass") -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    lives = directory / "lives"
    lives.touch()
    process = subprocess.Popen([sys.executable, "-c", PROGRAM.replace("SERVE", serve), str(lives)])
    try:
        yield process, lives
    finally:
        process.kill()
        process.wait()
        for pid in pids(lives):  # those that outlive their parent
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def pids(lives: Path) -> list[int]:
    return [int(line) for line in lives.read_text().split()]


def test_a_serving_process_that_is_killed_is_replaced_and_sigterm_ends_both(tmp_path: Path) -> None:
    with started(tmp_path) as (process, lives):
        eventually(lambda: len(pids(lives)) == 1)
        os.kill(pids(lives)[0], signal.SIGKILL)
        eventually(lambda: len(pids(lives)) == 2)
        process.send_signal(signal.SIGTERM)

        assert process.wait(20) == 0
        assert not Path(f"/proc/{pids(lives)[1]}").exists()


def test_a_serving_process_that_gives_no_sign_of_life_is_replaced(tmp_path: Path) -> None:
    with started(tmp_path) as (_, lives):
        eventually(lambda: len(pids(lives)) == 1)
        os.kill(pids(lives)[0], signal.SIGSTOP)
        eventually(lambda: len(pids(lives)) == 2)

        assert not Path(f"/proc/{pids(lives)[0]}").exists()


def test_a_model_that_cannot_be_served_ends_the_pod(tmp_path: Path) -> None:
    with started(tmp_path, "os._exit(parent.FATAL)") as (process, lives):
        assert process.wait(20) == 3
        assert len(pids(lives)) == 1


def test_a_serving_process_whose_parent_is_gone_hears_of_it(tmp_path: Path) -> None:
    told = tmp_path / "told"
    with started(tmp_path, f"heartbeat.beat() or (open({str(told)!r}, 'w').close(), os._exit(0))") as (process, lives):
        eventually(lambda: len(pids(lives)) == 1)
        process.kill()
        eventually(told.exists)


def test_a_parent_that_stays_stopped_is_told_from_one_that_a_debugger_looked_at() -> None:
    guard, found = Guard(), []
    for stopped in (True, True, False, True, True, True, True, False):
        guard.look(ProcessSample(0.0, 0.0, stopped))
        found.append(guard.stopped)
    guard.look(None)

    assert found == [False, False, False, False, False, True, True, False]
    assert not guard.stopped
