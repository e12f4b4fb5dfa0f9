"""A real front with a real model: what callers, Kubernetes and the autoscaler see."""

# ruff: noqa: PLC0415 -- MLflow and scikit-learn take seconds to import; only tests that need them pay.

import contextlib
import http.client
import json
import os
import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from patience import eventually

pytestmark = pytest.mark.slow

COLUMNS = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
ROW = [5.1, 3.5, 1.4, 0.2]


def split(row: list[Any]) -> str:
    return json.dumps({"dataframe_split": {"columns": COLUMNS, "data": [row]}})


SPLIT = split(ROW)

SLOW_MODEL = """
import time
class Model(PythonModel):
    def predict(self, context, model_input, params=None):
        time.sleep(float(model_input.iloc[0, 0]))
        return model_input.iloc[:, 0]
"""


def test_a_prediction_comes_back_with_the_version_and_the_request_id(iris_front: Any) -> None:
    response = iris_front.post(SPLIT, **{"x-request-id": "abc-1"})

    assert response.status_code == 200
    assert response.json() == {"predictions": [0]}
    assert response.headers["served-model-name"] == "v7"
    assert response.headers["x-request-id"] == "abc-1"


def test_a_request_without_an_id_gets_one(iris_front: Any) -> None:
    assert len(iris_front.post(SPLIT).headers["x-request-id"]) == 32


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": COLUMNS, "data": [ROW, ROW]}},
        {"dataframe_records": [dict(zip(COLUMNS, ROW, strict=True))] * 2},
        {"inputs": {name: [value] * 2 for name, value in zip(COLUMNS, ROW, strict=True)}},
        {"instances": [dict(zip(COLUMNS, ROW, strict=True))] * 2},
    ],
    ids=["split", "records", "inputs", "instances"],
)
def test_all_four_json_forms_are_answered(iris_front: Any, body: dict[str, Any]) -> None:
    assert iris_front.post(json.dumps(body)).json() == {"predictions": [0, 0]}


def test_csv_is_answered(iris_front: Any) -> None:
    text = ",".join(COLUMNS) + "\n" + ",".join(map(str, ROW)) + "\n"

    assert iris_front.post(text, "text/csv").json() == {"predictions": [0]}


def test_ping_health_and_version_answer_as_mlflow_does(iris_front: Any) -> None:
    import mlflow

    for path in ("/ping", "/health"):
        response = httpx.get(iris_front.url + path)
        assert (response.status_code, response.text) == (200, "\n")
        assert response.headers["content-type"] == "application/json"
    assert httpx.get(iris_front.url + "/version").text == mlflow.__version__


def test_mlflows_own_client_is_served(iris_front: Any) -> None:
    import pandas as pd
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    host, port = iris_front.url.removeprefix("http://").split(":")
    client = ScoringServerClient(host, int(port))

    assert client.get_version()
    assert client.invoke(pd.DataFrame([ROW], columns=COLUMNS)).get_predictions().iloc[0, 0] == 0


def test_one_bad_row_among_merged_requests_fails_alone(iris_front: Any) -> None:
    calls = iris_front.metric("headrace_model_calls_total")

    def ask(index: int) -> tuple[int, int]:
        body = (
            split([*ROW[:3], "wrong"]) if index % 8 == 0 else split([*ROW[:2], float(index % 3 * 2.5), index % 3 * 1.0])
        )
        response = iris_front.post(body)
        return response.status_code, response.json().get("predictions", [-1])[0]

    with ThreadPoolExecutor(32) as pool:
        together = list(pool.map(ask, range(96)))
    alone = [ask(index) for index in range(24)]

    assert together == alone * 4
    assert {status for status, _ in together[::8]} == {400}
    assert iris_front.metric("headrace_model_calls_total") - calls <= 96 + 24


def test_the_concurrency_limit_is_read_and_set_through_the_admin_port(iris_front: Any) -> None:
    address = iris_front.admin_url + "/concurrency"
    before = httpx.get(address).json()["limit"]

    assert httpx.put(address, json={"limit": 3}).json() == {"limit": 3}
    assert httpx.put(address, json={"limit": 3}).json() == {"limit": 3}
    assert iris_front.metric("headrace_concurrency_limit") == 3
    assert httpx.put(address, json={"limit": 0}).status_code == 400
    assert httpx.put(address, json={"limit": before}).json() == {"limit": before}


def test_counters_grow_with_requests(iris_front: Any) -> None:
    before = iris_front.metric("headrace_requests_completed_total")

    iris_front.post(SPLIT)

    assert iris_front.metric("headrace_requests_completed_total") == before + 1
    assert iris_front.metric("headrace_request_executing_seconds_total") > 0
    assert iris_front.metric("headrace_requests_executing") == 0


def test_the_admin_interface_is_not_on_the_serving_port(iris_front: Any) -> None:
    for path in ("/metrics", "/concurrency", "/docs", "/openapi.json"):
        assert httpx.get(iris_front.url + path).status_code == 404


def test_a_killed_worker_is_replaced(start_front: Any, iris_model: Path) -> None:
    with start_front(iris_model) as front:
        [pid] = front.worker_pids()

        os.kill(pid, signal.SIGKILL)
        eventually(lambda: front.worker_pids() not in ([], [pid]))
        eventually(lambda: httpx.get(front.url + "/ping").status_code == 200)

        assert front.post(SPLIT).json() == {"predictions": [0]}
        assert front.metric("headrace_worker_exits_total") == 1


def test_workers_outlive_a_front_that_dies(start_front: Any, iris_model: Path) -> None:
    with start_front(iris_model) as front:
        workers = front.worker_pids()
        serving = int(Path(f"/proc/{front.process.pid}/task/{front.process.pid}/children").read_text().split()[0])

        os.kill(serving, signal.SIGKILL)
        eventually(lambda: _status(front.url + "/ping") == 200)

        assert front.post(SPLIT).json() == {"predictions": [0]}
        assert front.worker_pids() == workers


def test_only_the_killed_workers_requests_fail(start_front: Any, python_model: Callable[..., Path]) -> None:
    with start_front(python_model(SLOW_MODEL)) as front:
        statuses: list[int] = []
        body = json.dumps({"dataframe_split": {"columns": ["seconds"], "data": [[30]]}})
        caller = threading.Thread(target=lambda: statuses.append(front.post(body).status_code))
        caller.start()
        eventually(lambda: front.metric("headrace_requests_executing") == 1)

        os.kill(front.worker_pids()[0], signal.SIGKILL)
        caller.join()

        assert statuses == [500]


def test_sigterm_takes_the_pod_out_and_finishes_what_runs(start_front: Any, python_model: Callable[..., Path]) -> None:
    with start_front(python_model(SLOW_MODEL), HEADRACE_GRACE_SECONDS="12") as front:
        responses: list[httpx.Response] = []
        body = json.dumps({"dataframe_split": {"columns": ["seconds"], "data": [[4]]}})
        caller = threading.Thread(target=lambda: responses.append(front.post(body)))
        caller.start()
        eventually(lambda: front.metric("headrace_requests_executing") == 1)

        front.process.send_signal(signal.SIGTERM)
        eventually(lambda: _status(front.url + "/ping") == 503)
        caller.join()

        assert [response.status_code for response in responses] == [200]
        assert front.process.wait(60) == 0
        assert not list(front.run_directory.glob("worker-*.pid"))


def test_sigterm_under_load_loses_no_request(start_front: Any, iris_model: Path) -> None:
    with start_front(iris_model, HEADRACE_GRACE_SECONDS="8") as front:
        host, port = front.url.removeprefix("http://").split(":")
        answered, lost = [], []

        def call_until_refused() -> None:
            while True:
                connection = http.client.HTTPConnection(host, int(port), timeout=60)
                try:
                    connection.connect()
                except ConnectionRefusedError:
                    return
                try:
                    closing = False
                    while not closing:  # a client keeps to "Connection: close"
                        connection.request("POST", "/invocations", SPLIT, {"content-type": "application/json"})
                        response = connection.getresponse()
                        response.read()
                        answered.append(response.status)
                        closing = response.will_close
                except (http.client.HTTPException, OSError) as error:
                    lost.append(error)
                    return
                finally:
                    connection.close()

        with ThreadPoolExecutor(8) as pool:
            callers = [pool.submit(call_until_refused) for _ in range(8)]
            eventually(lambda: len(answered) > 50)
            front.process.send_signal(signal.SIGTERM)
            for caller in callers:
                caller.result()

        assert lost == []
        assert set(answered) == {200}
        assert front.process.wait(60) == 0


def test_a_model_that_does_not_load_says_why_and_ends_the_pod(
    start_front: Any, python_model: Callable[..., Path]
) -> None:
    path = python_model("class Model(PythonModel):\n    def predict(self, context, model_input):\n        return 1")
    (path / "model.py").write_text("raise RuntimeError('the licence file is missing')")
    with start_front(path, wait=False) as front:
        eventually(lambda: _status(front.url + "/ping") == 503)
        eventually(lambda: "licence" in _text(front.url + "/ping"))

        assert "the licence file is missing" in _text(front.url + "/ping")
        assert front.process.wait(60) != 0


def test_a_model_that_fails_on_its_own_example_is_never_ready(
    start_front: Any, python_model: Callable[..., Path]
) -> None:
    path = python_model(
        "class Model(PythonModel):\n    def predict(self, context, model_input):\n        return model_input",
        input_example={"a": [1]},
    )
    (path / "model.py").write_text(
        "import mlflow\nfrom mlflow.pyfunc import PythonModel\nclass Model(PythonModel):\n"
        "    def predict(self, context, model_input):\n        raise ValueError('secret')\n"
        "mlflow.models.set_model(Model())\n"
    )
    with start_front(path, wait=False) as front:
        eventually(lambda: "own input example" in _text(front.url + "/ping"))

        assert front.process.wait(60) != 0


def _status(url: str) -> int:
    try:
        return httpx.get(url, timeout=2).status_code
    except httpx.TransportError:
        return 0


def _text(url: str) -> str:
    try:
        return httpx.get(url, timeout=2).text
    except httpx.TransportError:
        return ""


def test_connections_are_accepted_while_the_front_is_busy(iris_front: Any) -> None:
    """More at once than asyncio's backlog of 100, to a process that does not get to accept them."""
    parent = iris_front.process.pid
    serving = int(Path(f"/proc/{parent}/task/{parent}/children").read_text().split()[0])
    address = ("127.0.0.1", int(iris_front.url.rpartition(":")[2]))
    with contextlib.ExitStack() as opened:
        os.kill(serving, signal.SIGSTOP)
        opened.callback(os.kill, serving, signal.SIGCONT)
        for _ in range(400):  # each would fail, as the kernel would not accept it before the process goes on
            opened.enter_context(socket.create_connection(address, timeout=10))
