"""How a pod starts: what it imports, who waits for it, and what it says about its phases."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.runtimes.http.front import Front
from headrace.runtimes.pod import processes, start
from headrace.runtimes.pod.start import Start
from tests.runtimes.http import in_process

MARKS = {"import": 101.25, "load": 102.0, "warm": 102.125, "prove": 102.25}


def modules_after(program: str) -> set[str]:
    """What a Python process has imported once it ran the program."""
    told = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport json, sys\nprint(json.dumps(list(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(told.stdout.splitlines()[-1]))


def test_the_front_starts_its_worker_before_it_imports_protobuf_and_never_imports_engines() -> None:
    imported = modules_after("import headrace.runtimes.__main__, headrace.runtimes.http.serving")

    assert "headrace.runtimes.workers.pool" in imported
    assert not {"grpc", "google.protobuf", "prometheus_client"} & imported
    assert not {name for name in imported if name.startswith("headrace.runtimes.engines")}


def test_phases_follow_each_other_and_add_up(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    told = Start(100.0, clock=lambda: 102.5)

    told.finished(os.getpid(), 100.5, MARKS)

    assert told.seconds == {"front": 0.5, "import": 0.75, "load": 0.75, "warm": 0.125, "prove": 0.125, "tell": 0.25}
    assert sum(told.seconds.values()) == 102.5 - 100.0
    assert told.cpu_seconds is not None
    assert caplog.messages[0].startswith("started in 2.50 s with ")
    assert caplog.messages[0].endswith(": front 0.50, import 0.75, load 0.75, warm 0.12, prove 0.12, tell 0.25")


def test_every_phase_is_a_series_of_the_admin_port() -> None:
    told = Start(100.0, clock=lambda: 102.5)
    told.finished(os.getpid(), 100.5, MARKS)

    lines = start.exposition(told, 'endpoint="fraud"')

    assert [line for line in lines if 'phase="load"' in line] == [
        'headrace_start_seconds{endpoint="fraud",phase="load"} 0.750000'
    ]
    assert sum('phase="' in line for line in lines) == len(start.PHASES)


@pytest.mark.parametrize(
    ("told", "marks"),
    [(None, {}), (Start(None), MARKS), (Start(100.0), {})],
    ids=["an engine", "begun at no known time", "a worker of an older front"],
)
def test_a_start_of_which_nothing_is_known_is_no_series(told: Start | None, marks: dict[str, float]) -> None:
    if told is not None:
        told.finished(os.getpid(), 100.5, marks)

    assert start.exposition(told, "") == []


def test_a_process_knows_when_it_started() -> None:
    before, mine = processes.started(os.getppid()), processes.started(os.getpid())

    assert before is not None
    assert mine is not None
    assert before <= mine + 0.02  # two ticks of the clock that the kernel counts starts in
    assert processes.started(2**22 + 1) is None


async def asked(front: Front, query: str) -> int:
    """Status of GET /ping."""
    return (await in_process.ask(front, f"/ping{query}", b"", method="GET")).status


@pytest.fixture
def front(tmp_path: Path) -> Front:
    return in_process.make_front(tmp_path)


def test_who_waits_for_a_pod_hears_of_it_when_its_first_worker_is_ready(front: Front) -> None:
    async def story() -> list[int]:
        waiting = asyncio.create_task(asked(front, "?wait=5"))
        at_once = await asked(front, "")
        assert not waiting.done()
        front.backend.workers[0].ready = True  # type: ignore[attr-defined] # a WorkerHandle
        front.served.start.finished(os.getpid(), 0.0, {})
        return [at_once, await waiting]

    assert asyncio.run(story()) == [503, 200]


def test_who_waits_for_a_pod_that_cannot_start_hears_of_that(front: Front) -> None:
    async def story() -> int:
        waiting = asyncio.create_task(asked(front, "?wait=5"))
        await asyncio.sleep(0)
        front.served.failed("the model does not load")
        return await waiting

    assert asyncio.run(story()) == 503


@pytest.mark.parametrize("query", ["?wait=0", "?wait=", "?wait=-1", "?wait=soon", "?await=5", "?wait=99999"])
def test_a_wait_that_is_none_is_answered_at_once(front: Front, query: str) -> None:
    assert asyncio.run(asked(front, query)) == 503
