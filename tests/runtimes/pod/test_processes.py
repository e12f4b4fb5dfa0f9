"""Rules about worker processes, on signs that the test makes up; and the signs of a real processes."""

import inspect
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headrace.runtimes.pod import processes
from headrace.runtimes.pod.processes import ProcessSample

GIB = 1 << 30


def test_a_busy_worker_that_does_not_beat_is_left_alone() -> None:
    assert not processes.hung(0.0, ProcessSample(0.0, 5.0, False), ProcessSample(20.0, 25.0, False), ready=True)


def test_a_worker_that_neither_beats_nor_computes_is_hung() -> None:
    assert processes.hung(0.0, ProcessSample(0.0, 5.0, False), ProcessSample(6.0, 5.0, False), ready=True)
    assert not processes.hung(0.0, ProcessSample(0.0, 5.0, False), ProcessSample(4.0, 5.0, False), ready=True)


def test_a_worker_that_is_stopped_in_two_looks_is_hung_unless_it_has_beaten_between_them() -> None:
    running = ProcessSample(1.0, 5.0, False)
    first, second = ProcessSample(2.0, 5.0, True), ProcessSample(3.0, 5.0, True)

    assert processes.hung(1.5, first, second, ready=True)
    assert processes.hung(1.5, first, second, ready=False)
    assert not processes.hung(2.5, first, second, ready=True)
    assert not processes.hung(1.5, running, first, ready=True)


def test_a_loading_worker_may_wait_for_its_disk() -> None:
    assert not processes.hung(0.0, ProcessSample(0.0, 5.0, False), ProcessSample(30.0, 5.0, False), ready=False)


def test_growth_is_judged_by_the_limit_where_there_is_one() -> None:
    assert processes.overgrown(2 * GIB, GIB, 0.9)
    assert not processes.overgrown(2 * GIB, GIB, 0.5)
    assert not processes.overgrown(GIB, GIB, 0.99)
    assert processes.overgrown(3 * GIB, GIB, None)
    assert not processes.overgrown(2 * GIB, GIB, None)


def test_memory_decides_how_many_workers_there_can_be() -> None:
    assert processes.affordable(4, GIB, 4 * GIB) == 3
    assert processes.affordable(4, 10 * GIB, 4 * GIB) == 1
    assert processes.affordable(4, GIB, None) == 4


def test_workers_get_their_share_of_threads_and_none_of_our_packages() -> None:
    made = processes.environment({"PYTHONPATH": "/x", "MKL_NUM_THREADS": "7"}, threads=2, home=Path("/h"))

    assert (made["OMP_NUM_THREADS"], made["MKL_NUM_THREADS"], made["HOME"]) == ("2", "7", "/h")
    assert "PYTHONPATH" not in made


def test_programs_of_the_models_packages_are_found_before_others() -> None:
    """MLflow activates the environment that it serves a model in, and models start what conda or a wheel brought."""
    found = processes.environment({"PATH": "/usr/bin"}, threads=1, home=Path("/h"), programs=Path("/opt/model/env/bin"))

    assert found["PATH"] == "/opt/model/env/bin:/usr/bin"
    assert processes.environment({"PATH": "/usr/bin"}, threads=1, home=Path("/h"))["PATH"] == "/usr/bin"


def test_signs_of_a_real_process() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"])
    try:
        os.kill(child.pid, signal.SIGSTOP)
        deadline = time.monotonic() + 10
        while (seen := processes.sample(child.pid)) is None or not seen.stopped:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert processes.resident_bytes(child.pid) > 0
    finally:
        child.kill()
        child.wait()
    assert processes.sample(child.pid) is None
    assert processes.resident_bytes(child.pid) == 0


def test_a_thread_without_a_core_is_seen() -> None:
    core = {min(os.sched_getaffinity(0))}
    spin = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])}); print(flush=True)\nwhile True: pass"
    children = [subprocess.Popen([sys.executable, "-c", spin, str(*core)], stdout=subprocess.PIPE) for _ in range(2)]
    pids = [child.pid for child in children]
    try:
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()
        deadline = time.monotonic() + 10
        while not all(
            seen is not None and seen.ready and seen.starved_seconds > 0.02
            for seen in map(processes.cpu_pressure, pids)
        ):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        for child in children:
            child.kill()
            child.communicate()
    assert processes.cpu_pressure(pids[0]) is None


OTHER_USER = """
import ctypes, os, sys, time
os.setgroups([]); os.setgid(65532); os.setuid(65532)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as after an exec, which the change of user has undone
"""
LISTENING = """
if sys.argv[1] == "withheld":
    exec(sys.argv[2])
    withhold()
print("ready", flush=True)
time.sleep(60)
"""
READING = """
for name in ("environ", "mem", "maps"):
    try:
        open(f"/proc/{sys.argv[1]}/{name}", "rb").close()
        print(name, "open")
    except PermissionError:
        print(name, "shut")
"""


@pytest.mark.skipif(os.getuid() != 0, reason="tries it as another user")
@pytest.mark.parametrize(("kind", "found"), [("withheld", "shut"), ("ordinary", "open")])
def test_a_process_that_withholds_itself_is_shut_to_others_of_its_user(kind: str, found: str) -> None:
    source = f"_PR_SET_DUMPABLE = {processes._PR_SET_DUMPABLE}\n" + inspect.getsource(processes.withhold)
    listening = [sys.executable, "-c", OTHER_USER + LISTENING, kind, source]
    with subprocess.Popen(listening, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            reading = [sys.executable, "-c", OTHER_USER + READING, str(process.pid)]
            read = subprocess.run(reading, capture_output=True, check=True)
        finally:
            process.kill()

    assert read.stdout.decode().split() == ["environ", found, "mem", found, "maps", found]
