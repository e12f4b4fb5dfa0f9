"""Real models and real fronts for the tests of the runtimes."""

# ruff: noqa: PLC0415 -- MLflow and scikit-learn take seconds to import; only tests that need them pay.

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from running_pod import RunningPod, running


class RunningFront(RunningPod):
    """A front with its workers."""

    def post(self, body: bytes | str, content_type: str | None = "application/json", **headers: str) -> httpx.Response:
        """POST /invocations."""
        sent = {} if content_type is None else {"content-type": content_type}
        return httpx.post(f"{self.url}/invocations", content=body, headers={**sent, **headers}, timeout=30)

    def worker_pids(self) -> list[int]:
        """Live workers."""
        pids = []
        for path in self.run_directory.glob("worker-*.pid"):
            with suppress(FileNotFoundError):  # the front forgets a worker between two looks
                pids.append(path.read_text())
        return sorted(int(pid) for pid in pids if pid)


@pytest.fixture(scope="session")
def start_front(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """A context manager that runs a front on a model directory."""

    def start(model: Path, *, wait: bool = True, arguments: tuple[str, ...] = (), **environment: str) -> Any:
        served = ["--model", str(model), "--python", sys.executable, "--failure-hold-seconds", "1", *arguments]
        settings = {"HEADRACE_VERSION": "v7", "HEADRACE_GRACE_SECONDS": "4", "HEADRACE_WORKERS": "1", **environment}
        return running(
            RunningFront, tmp_path_factory.mktemp("front"), served, settings, within_seconds=120 if wait else 0
        )

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
