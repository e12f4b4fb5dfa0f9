"""`headrace try` from outside: what it prints, and how it ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from patience import eventually

HEADRACE = (sys.executable, "-m", "headrace.cli", "try")
LOG = """
import mlflow, pandas as pd
from mlflow.models import infer_signature
from mlflow.pyfunc import PythonModel

class Model(PythonModel):
    def predict(self, context, model_input, params=None):
        {body}

rows = pd.DataFrame({{"a": [1.5, 2.5], "b": [1.0, 2.0]}})
signature = infer_signature(rows, [1.0, 2.0])
mlflow.pyfunc.log_model(
    name="model", python_model=Model(), signature=signature, registered_model_name={name!r},
    pip_requirements=["mlflow=={version}", "cloudpickle"], {example}
)
"""
SUM = "return [float(value) for value in model_input.sum(axis=1)]"
MOODY = "if model_input['a'].iloc[0] < 9: raise ValueError('the moon is not full')\n        return [1.0, 2.0]"


@dataclass(frozen=True)
class Store:
    """A local store of MLflow's, and how models come into it."""

    folder: Path

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.folder}/mlflow.db"

    def log(self, name: str, body: str, *, example: bool = True) -> str:
        """Logs and registers a model as people do; its URI."""
        import mlflow  # noqa: PLC0415

        script = self.folder / f"{name}.py"
        text = "input_example=rows" if example else ""
        script.write_text(LOG.format(name=name, body=body, version=mlflow.__version__, example=text))
        environment = {**os.environ, "MLFLOW_TRACKING_URI": self.uri}
        subprocess.run([sys.executable, script], cwd=self.folder, env=environment, check=True, capture_output=True)
        return f"models:/{name}/1"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where environments are kept between the tests of this file."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def tried(cache: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command to its end."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "HEADRACE_CACHE": str(cache)}
        return subprocess.run([*HEADRACE, *arguments], env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.mark.slow
def test_a_model_of_a_registry_is_proven_and_its_deployment_told(
    store: Store, tried: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = tried(store.log("adder", SUM), "--tracking-uri", store.uri, "--json")

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["proven"] is True
    assert told["reason"] == ""
    assert told["proof"]["version"] == "v1"
    assert told["proof"]["protocols"] == ["invocations", "Open Inference REST", "Open Inference gRPC"]
    assert told["proof"]["has_example"] is True
    assert told["call"]["calls"] >= 1
    assert told["call"]["memory_mib"] > 50
    deployed = told["would_deploy"]
    assert deployed["runtime"] == "mlflow"
    assert deployed["cpu"] == 1
    assert deployed["memory_mib"] >= 768
    assert [layer["name"] for layer in deployed["layers"]] == ["base and front", "environment", "model"]
    assert deployed["layers"][1]["mib"] > 50
    assert '"$URL/invocations"' in told["requests"]["invocations"]
    assert '"$URL/v2/models/$ENDPOINT/infer"' in told["requests"]["open-inference"]
    assert "starting the model" in done.stderr


@pytest.mark.slow
def test_a_model_that_fails_on_its_own_example_is_not_proven_and_says_why_in_one_sentence(
    store: Store, tried: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = tried(store.log("moody", MOODY), "--tracking-uri", store.uri)

    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("The model fails on its own input example: ")
    assert "Traceback" not in done.stderr
    assert "not proven" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr, "no colours but on terminals"


@pytest.mark.slow
def test_a_request_of_ones_own_stands_in_for_the_example(
    store: Store, tried: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    uri = store.log("bare", MOODY, example=False)
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text('{"dataframe_split": {"columns": ["a", "b"], "data": [[10, 2], [3, 4]]}}')
    bad.write_text('{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}}')

    without = json.loads(tried(uri, "--tracking-uri", store.uri, "--json").stdout)
    answered = tried(uri, "--tracking-uri", store.uri, "--json", "--input", str(good))
    failed = tried(uri, "--tracking-uri", store.uri, "--json", "--input", str(bad))

    assert without["proven"] is True
    assert without["proof"]["has_example"] is False
    assert without["call"] is None
    assert json.loads(answered.stdout)["proof"]["protocols"][1:] == ["Open Inference REST", "Open Inference gRPC"]
    assert failed.returncode == 1
    assert json.loads(failed.stdout)["reason"].startswith("The model fails on the request of --input: ")


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=lambda ending: ending.name)
def test_the_model_serves_until_it_is_interrupted(
    store: Store, cache: Path, tried: Callable[..., subprocess.CompletedProcess[str]], ending: signal.Signals
) -> None:
    tried(uri := store.log(f"served-{ending.name.lower()}", SUM), "--tracking-uri", store.uri)
    environment = {**os.environ, "HEADRACE_CACHE": str(cache)}
    arguments = [*HEADRACE, uri, "--tracking-uri", store.uri, "--serve"]
    with subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as serving:
        try:
            assert serving.stderr is not None
            line = next(line for line in serving.stderr if line.startswith(b"Serving until Ctrl-C"))
            url = line.decode().partition("URL=")[2].split()[0]
            body = {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}}
            assert httpx.post(f"{url}/invocations", json=body, timeout=60).json() == {"predictions": [3.0]}
        finally:
            serving.send_signal(ending)

    assert serving.returncode == 0
    with pytest.raises(httpx.TransportError):
        eventually(lambda: httpx.get(f"{url}/ping") is None, seconds=30)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere/at/all"], "nowhere/at/all"),
        (["--input", "no-such-file.json", "."], "--input = no-such-file.json, cannot be read"),
        (["models:/fraud/7"], "needs a tracking server"),
        (["--port", "70000", "."], "'--port'"),
        ([], "MODEL_URI"),
    ],
    ids=["no directory", "no input", "no server", "no port", "no model"],
)
def test_what_cannot_be_tried_ends_with_2_and_says_why(
    tried: Callable[..., subprocess.CompletedProcess[str]],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    done = tried(*arguments)

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_input_that_is_no_request_is_refused_before_anything_is_made(
    tried: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")

    done = tried(".", "--json", "--input", str(tmp_path / "rows.csv"))

    assert done.returncode == 2
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["proven"] is False
    assert "must hold a JSON request" in told["reason"]
