"""The admin port: names the autoscaler reads, and a limit it sets."""

import asyncio
import json
from pathlib import Path

import pytest

from headrace.contract import metrics
from headrace.runtimes.http.front import Front
from headrace.runtimes.workers.worker_handle import WorkerHandle
from tests.runtimes.http import in_process


@pytest.fixture
def front(tmp_path: Path) -> Front:
    return in_process.make_front(tmp_path, endpoint="fraud", version="v7", cores=2.0)


def ask(front: Front, method: str, path: str, body: bytes = b"") -> in_process.Answered:
    return asyncio.run(in_process.ask(front, path, body, method=method, admin=True))


def test_every_metric_the_contract_names_is_there_when_it_is_known(front: Front) -> None:
    front.dispatcher.batch_size.observe(1, 100, 0.001)
    text = ask(front, "GET", metrics.METRICS_PATH).body.decode()
    always = [getattr(metrics, name) for name in dir(metrics) if name.startswith("FRONT_") and "RATIO" not in name]
    # Answers are there since the first one, by its status; the others where the machine has a cgroup that tells them.
    by_cgroup = (metrics.FRONT_CPU_SECONDS, metrics.FRONT_MEMORY_BYTES, metrics.FRONT_CPU_THROTTLED_SECONDS)
    for later in (*by_cgroup, metrics.FRONT_START_SECONDS, metrics.FRONT_ANSWERS):
        always.remove(later)

    for name in always:
        assert f'{name}{{endpoint="fraud",version="v7"}} ' in text
    assert len([line for line in text.splitlines() if line.startswith("# TYPE")]) == len(set(text.split("# TYPE")[1:]))


def test_what_a_call_costs_is_absent_until_there_was_one(front: Front) -> None:
    text = ask(front, "GET", metrics.METRICS_PATH).body.decode()

    assert metrics.FRONT_CALLS in text
    assert metrics.FRONT_CALLS_AT_ONCE not in text
    assert metrics.FRONT_CALL_REQUEST_SECONDS not in text
    assert metrics.FRONT_CPU_SECONDS not in text


def test_the_limit_of_the_runtime_is_told_whatever_was_set(front: Front) -> None:
    ask(front, "PUT", metrics.CONCURRENCY_PATH, b'{"limit": 4}')

    text = ask(front, "GET", metrics.METRICS_PATH).body.decode()
    assert f'{metrics.FRONT_DEFAULT_LIMIT}{{endpoint="fraud",version="v7"}} 512\n' in text
    assert f'{metrics.FRONT_CONCURRENCY_LIMIT}{{endpoint="fraud",version="v7"}} 4\n' in text


def test_a_worker_that_leaves_is_not_counted_as_ready(front: Front) -> None:
    stays, goes = WorkerHandle(0, ready=True), WorkerHandle(1, ready=True)
    front.backend.workers = [stays, goes, WorkerHandle(2)]  # type: ignore[misc] # the pool's own list
    goes.leave()

    assert (
        'headrace_workers_ready{endpoint="fraud",version="v7"} 1\n'
        in ask(front, "GET", metrics.METRICS_PATH).body.decode()
    )


def test_the_limit_starts_from_the_cores_and_is_set_by_put(front: Front) -> None:
    assert json.loads(ask(front, "GET", metrics.CONCURRENCY_PATH).body) == {"limit": 512}
    assert json.loads(ask(front, "PUT", metrics.CONCURRENCY_PATH, b'{"limit": 4}').body) == {"limit": 4}
    assert front.dispatcher.admission.limit == 4


@pytest.mark.parametrize(
    "body", [b"", b"4", b"[]", b'{"limit": 0}', b'{"limit": true}', b'{"limit": 1.5}', b'{"limit": "4"}']
)
def test_a_limit_that_is_no_number_changes_nothing(front: Front, body: bytes) -> None:
    answer = ask(front, "PUT", metrics.CONCURRENCY_PATH, body)

    assert answer.status == 400
    assert front.dispatcher.admission.limit == 512


@pytest.mark.parametrize(
    ("host", "caller", "status"),
    [
        ("0.0.0.0", "127.0.0.1", 403),
        ("0.0.0.0", "127.0.0.53", 403),
        ("0.0.0.0", "192.0.2.1", 200),
        ("127.0.0.1", "127.0.0.1", 200),
    ],
    ids=["model", "model by another name", "autoscaler", "by hand"],
)
def test_a_model_cannot_set_the_limit_of_its_pod(tmp_path: Path, host: str, caller: str, status: int) -> None:
    front = in_process.make_front(tmp_path, host=host)
    before = front.dispatcher.admission.limit

    async def put() -> in_process.Answered:
        connection, transport = in_process.connect(front, admin=True)
        transport._extra["peername"] = (caller, 40000)
        connection.data_received(in_process.request(metrics.CONCURRENCY_PATH, b'{"limit": 4}', method="PUT"))
        connection.data_received(in_process.request(metrics.METRICS_PATH, method="GET"))
        [answer, measured] = in_process.answers_in(transport.written)
        assert measured.status == 200
        return answer

    assert asyncio.run(put()).status == status
    assert front.dispatcher.admission.limit == (4 if status == 200 else before)


def test_nothing_else_is_there(front: Front) -> None:
    assert ask(front, "GET", "/invocations").status == 404
    assert ask(front, "POST", metrics.CONCURRENCY_PATH).status == 405
