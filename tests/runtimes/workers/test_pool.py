"""Workers that hang, get stuck, leak or talk; and callers that leave."""

import asyncio
import contextlib
import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from patience import eventually

from headrace.runtimes.workers.pool import Pool
from tests.runtimes.http import in_process

pytestmark = pytest.mark.slow

MODEL = """
import ctypes, os, sys, time
kept = []
class Model(PythonModel):
    def predict(self, context, model_input, params=None):
        wish, amount = model_input.iloc[0, 0], float(model_input.iloc[0, 1])
        if wish == "sleep":
            time.sleep(amount)
        if wish.startswith("wait "):
            while not os.path.exists(wish[5:]):
                time.sleep(0.05)
        if wish.startswith("/"):
            open(wish + ".begun", "w").close()
            while not os.path.exists(wish):
                pass
        if wish == "leak":
            kept.append(bytearray(int(amount)))
        if wish == "fork":
            os.fork()
        if wish == "print":
            print("to stdout")
            print("to stderr", file=sys.stderr)
            ctypes.CDLL(None).puts(b"from C")
            ctypes.CDLL(None).fflush(None)
        if wish == "flood":
            for number in range(50_000):
                print("x" * 100, number)
        return [wish]
"""


def living_children(pid: int) -> list[str]:
    """Processes that a process has forked and that still run."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # gone meanwhile
            state, parent = status.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                found.append(status.parent.name)
    return found


def asked(wish: str, amount: float = 0) -> str:
    return json.dumps({"dataframe_split": {"columns": ["wish", "amount"], "data": [[wish, amount]]}})


@pytest.fixture(scope="module")
def model(python_model: Callable[..., Path]) -> Path:
    return python_model(MODEL)


def test_a_stopped_worker_is_replaced_and_what_it_had_begun_is_not_begun_again(
    start_front: Any, model: Path, tmp_path: Path
) -> None:
    never = tmp_path / "never"
    with start_front(model) as front, ThreadPoolExecutor(1) as pool:
        [pid] = front.worker_pids()
        computing = pool.submit(front.post, asked(str(never)))
        eventually((tmp_path / "never.begun").exists)
        os.kill(pid, signal.SIGSTOP)

        assert computing.result().status_code == 500
        eventually(lambda: front.worker_pids() not in ([], [pid]))
        eventually(lambda: front.metric("headrace_workers_ready") == 1)

        assert front.post(asked("hello")).json() == {"predictions": ["hello"]}


def test_what_a_stopped_worker_was_given_and_had_not_begun_is_answered_by_another(
    start_front: Any, model: Path
) -> None:
    with start_front(model, HEADRACE_WORKERS="2") as front:
        eventually(lambda: front.metric("headrace_workers_ready") == 2)
        stopped, _ = front.worker_pids()
        os.kill(stopped, signal.SIGSTOP)
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: front.post(asked("hello")), range(16)))

        assert [answer.status_code for answer in answers] == [200] * 16
        eventually(lambda: stopped not in front.worker_pids())


def test_a_call_past_its_deadline_is_answered_504_and_its_worker_replaced(start_front: Any, model: Path) -> None:
    with start_front(model, HEADRACE_TIMEOUT_SECONDS="1") as front:
        [pid] = front.worker_pids()
        response = front.post(asked("sleep", 60))

        assert response.status_code == 504
        assert response.json()["error_code"] == "DEADLINE_EXCEEDED"
        eventually(lambda: pid not in front.worker_pids())
        eventually(lambda: front.metric("headrace_workers_ready") == 1)
        assert front.post(asked("hello")).status_code == 200


def test_a_model_that_answers_no_call_any_more_is_relieved_and_who_it_keeps_waiting_may_yet_be_answered(
    start_front: Any, model: Path, tmp_path: Path
) -> None:
    """Three calls take all that the pod admits; its health and its worker's beats are as ever."""
    late = tmp_path / "late"

    def patiently(body: str) -> httpx.Response:
        headers = {"content-type": "application/json"}
        return httpx.post(f"{front.url}/invocations", content=body, headers=headers, timeout=200)

    with start_front(model, HEADRACE_CONCURRENCY="3") as front, ThreadPoolExecutor(3) as pool:
        [before] = front.worker_pids()
        kept = [pool.submit(patiently, asked(f"wait {late}")) for _ in range(3)]
        eventually(lambda: front.metric("headrace_requests_executing") == 3)

        assert patiently(asked("hello")).json() == {"predictions": ["hello"]}

        assert not any(each.done() for each in kept)
        assert front.metric("headrace_workers_relieved_total") == 1
        assert len(front.worker_pids()) == 2
        late.touch()
        assert [each.result().status_code for each in kept] == [200] * 3
        eventually(lambda: before not in front.worker_pids())
        assert front.metric("headrace_worker_exits_total") == 0


def test_a_pod_answers_its_probes_and_is_measured_while_its_model_computes(
    start_front: Any, model: Path, tmp_path: Path
) -> None:
    """The call ends when the test says so, which is after the answers: no loop waits for it."""
    enough = tmp_path / "enough"
    with start_front(model) as front, ThreadPoolExecutor(1) as pool:
        computing = pool.submit(front.post, asked(str(enough)))
        try:
            eventually(lambda: front.metric("headrace_requests_executing") == 1)
            probes = [f"{front.url}{path}" for path in ("/ping", "/v2/health/ready") * 10]
            probed = [httpx.get(probe, timeout=10).status_code for probe in probes]
            measured = front.metric("headrace_requests_executing")
        finally:
            enough.touch()  # also where no answer came, so that the call ends

        assert computing.result().json() == {"predictions": [str(enough)]}
        assert set(probed) == {200}
        assert measured == 1


def test_what_the_model_prints_becomes_structured_logs(start_front: Any, model: Path) -> None:
    with start_front(model) as front:
        front.post(asked("print"), **{"x-request-id": "asked-1", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
        known = ("asked-1", "a" * 32)
        wanted = {("to stdout", "stdout", *known), ("to stderr", "stderr", *known), ("from C", "stdout", None, None)}

        def said() -> set[tuple[str, str, str | None, str | None]]:
            lines = [json.loads(line) for line in front.log.read_text().splitlines()]
            printed = [line for line in lines if line["component"] == "model"]
            ids = [(line.get("request_id"), line.get("trace_id")) for line in printed]
            return {(line["body"], line["attributes"]["stream"], *of) for line, of in zip(printed, ids, strict=True)}

        eventually(lambda: wanted <= said())

        assert front.post(asked("flood")).json() == {"predictions": ["flood"]}
        left_out = re.compile(r"lines left out of the log: (\d+); since the start, by reason: rate \d+")
        eventually(lambda: left_out.search(front.log.read_text()))
        assert front.log.stat().st_size < 2 * 1024 * 1024, "of 5 MB that it printed"


def test_a_process_that_a_model_forks_and_forgets_ends_with_the_call(start_front: Any, model: Path) -> None:
    with start_front(model) as front:
        [worker] = front.worker_pids()
        forked = [front.post(asked("fork")).json() for _ in range(3)]

        assert forked == [{"predictions": ["fork"]}] * 3
        eventually(lambda: not living_children(worker), seconds=20)
        assert front.worker_pids() == [worker]


def test_a_leaking_worker_is_replaced_without_a_failed_request(start_front: Any, model: Path) -> None:
    with start_front(model, HEADRACE_WORKERS="2") as front:
        eventually(lambda: front.metric("headrace_workers_ready") == 2)
        before = front.worker_pids()
        statuses = []
        fewest = 2.0
        for _ in range(28):
            statuses.append(front.post(asked("leak", 64 * 1024 * 1024)).status_code)
            fewest = min(fewest, front.metric("headrace_workers_ready"))
            time.sleep(0.15)
        eventually(lambda: front.worker_pids() != before)
        statuses.append(front.post(asked("hello")).status_code)

        assert set(statuses) == {200}
        assert fewest >= 1


def test_callers_that_leave_free_their_places(start_front: Any, model: Path) -> None:
    with start_front(model, HEADRACE_CONCURRENCY="1") as front:
        holder = threading.Thread(target=lambda: front.post(asked("sleep", 3)))
        holder.start()
        eventually(lambda: front.metric("headrace_requests_executing") == 1)

        def leave(_: int) -> None:
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(
                    front.url + "/invocations",
                    content=asked("hello"),
                    headers={"content-type": "application/json"},
                    timeout=0.5,
                )

        with ThreadPoolExecutor(20) as pool:
            list(pool.map(leave, range(20)))
        eventually(lambda: front.metric("headrace_requests_queued") == 0)
        holder.join()

        assert front.metric("headrace_requests_completed_total") == 1
        assert front.post(asked("hello")).status_code == 200


def test_a_full_pod_refuses_at_once_and_says_when_to_come_back(start_front: Any, model: Path) -> None:
    with start_front(model, HEADRACE_CONCURRENCY="1") as front, ThreadPoolExecutor(120) as pool:
        responses = list(pool.map(lambda _: front.post(asked("sleep", 0.3)), range(120)))
        refused = [response for response in responses if response.status_code != 200]

        assert 0 < len(refused) < 120
        for response in refused:
            assert response.status_code == 429
            assert response.json()["error_code"] == "RESOURCE_EXHAUSTED"
            assert 1 <= int(response.headers["retry-after"]) <= 120
        assert front.metric("headrace_requests_refused_total") == len(refused)
        assert front.metric("headrace_requests_arrived_total") == 120


def test_waiting_models_run_many_requests_at_once(start_front: Any, model: Path) -> None:
    with start_front(model) as front, ThreadPoolExecutor(24) as pool:
        started = time.monotonic()
        responses = list(pool.map(lambda _: front.post(asked("sleep", 0.5)), range(24)))
        spent = time.monotonic() - started

        assert {response.status_code for response in responses} == {200}
        assert spent < 24 * 0.5 / 2, "one after the other"


def test_a_worker_is_looked_after_although_the_disk_is_full(tmp_path: Path) -> None:
    (tmp_path / "worker-0.pid").symlink_to("/dev/full")
    pool = in_process.make_front(tmp_path).backend
    assert isinstance(pool, Pool)
    pool.workers[0].pipes = ()

    async def watch() -> None:
        pool._watch(pool.workers[0], os.getpid())
        assert pool.workers[0].pid == os.getpid()
        pool.workers[0].clear()

    asyncio.run(watch())
