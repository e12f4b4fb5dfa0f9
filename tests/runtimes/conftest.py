"""Real models and real fronts for the tests of the runtimes."""

# ruff: noqa: PLC0415 -- MLflow and scikit-learn take seconds to import; only tests that need them pay.

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

REPOSITORY = Path(__file__).parents[2]


@dataclass
class RunningFront:
    """A front with its workers, as a pod runs them."""

    process: subprocess.Popen[bytes]
    url: str
    admin_url: str
    log: Path
    run_directory: Path
    grpc_address: str
    """Host and port of gRPC."""

    def post(self, body: bytes | str, content_type: str | None = "application/json", **headers: str) -> httpx.Response:
        """POST /invocations."""
        sent = {} if content_type is None else {"content-type": content_type}
        return httpx.post(f"{self.url}/invocations", content=body, headers={**sent, **headers}, timeout=30)

    def worker_pids(self) -> list[int]:
        """Live workers."""
        return sorted(int(path.read_text()) for path in self.run_directory.glob("worker-*.pid"))

    def metric(self, name: str) -> float:
        """One metric's value, summed over its labels."""
        lines = httpx.get(f"{self.admin_url}/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + "{"))


def eventually(condition: Callable[[], bool], *, within_seconds: float = 120.0) -> None:
    """Waits until the world is in a state."""
    deadline = time.monotonic() + within_seconds
    while not condition():
        assert time.monotonic() < deadline, "the expected state did not come"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> int:
    """Status of a GET, 0 when nobody listens."""
    try:
        return httpx.get(url, timeout=5).status_code
    except httpx.TransportError:
        return 0


@pytest.fixture(scope="session")
def start_front(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """A context manager that runs a front on a model directory."""

    @contextmanager
    def start(model: Path, *, wait: bool = True, arguments: tuple[str, ...] = (), **environment: str) -> Iterator[Any]:
        directory = tmp_path_factory.mktemp("front")
        run_directory = Path(f"/tmp/hr-{os.getpid()}-{free_port()}")  # a socket's path is limited to 108 bytes
        port, grpc_port, admin_port = free_port(), free_port(), free_port()
        log = directory / "log"
        command = [sys.executable, "-m", "headrace.runtimes.front", "--model", str(model), "--python", sys.executable]
        command += ["--host", "127.0.0.1", "--port", str(port)]
        command += ["--grpc-port", str(grpc_port), "--admin-port", str(admin_port)]
        command += ["--run-directory", str(run_directory), "--failure-hold-seconds", "1", *arguments]
        settings = {"HEADRACE_VERSION": "v7", "HEADRACE_GRACE_SECONDS": "4", "HEADRACE_WORKERS": "1", **environment}
        with log.open("wb") as output:
            process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=output, stderr=output)
        url, admin_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin_port}"
        front = RunningFront(process, url, admin_url, log, run_directory, f"127.0.0.1:{grpc_port}")
        try:
            if wait:
                eventually(lambda: process.poll() is not None or answers(front.url + "/ping") == 200)
                assert process.poll() is None, log.read_text()
            yield front
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()

    return start


@pytest.fixture(scope="session")
def iris_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A logistic regression with signature and input example."""
    import mlflow
    from mlflow.models import infer_signature
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    rows, labels = load_iris(return_X_y=True, as_frame=True)
    model = LogisticRegression(max_iter=500).fit(rows, labels)
    path = tmp_path_factory.mktemp("models") / "iris"
    mlflow.sklearn.save_model(
        model,
        str(path),
        signature=infer_signature(rows, model.predict(rows)),
        input_example=rows.iloc[:2],
        pip_requirements=["mlflow"],
    )
    return path


@pytest.fixture(scope="session")
def python_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Saves the source of a `mlflow.pyfunc.PythonModel` subclass called Model as an MLflow model."""
    import mlflow

    def save(source: str, **keywords: Any) -> Path:
        directory = tmp_path_factory.mktemp("models")
        script = directory / "model.py"
        script.write_text(
            "import mlflow\nfrom mlflow.pyfunc import PythonModel\n" + source + "\nmlflow.models.set_model(Model())\n"
        )
        mlflow.pyfunc.save_model(
            str(directory / "saved"), python_model=str(script), pip_requirements=["mlflow"], **keywords
        )
        return directory / "saved"

    return save


@pytest.fixture(scope="session")
def iris_front(start_front: Callable[..., Any], iris_model: Path) -> Iterator[RunningFront]:
    """One front for all tests that leave it as they found it."""
    with start_front(iris_model) as front:
        yield front
