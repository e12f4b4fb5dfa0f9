"""A real tritonserver with real MLflow models in its Python backend, on a CPU, through our front."""

# ruff: noqa: PLC0415 -- MLflow takes seconds to import; only tests that need it pay.

import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.runtimes.grpc_proxy import grpc_proxy

pytestmark = pytest.mark.slow

COLUMNS = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
ROWS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]
SPLIT = {"dataframe_split": {"columns": COLUMNS, "data": ROWS}}

WORDS_MODEL = """
import pandas as pd
class Model(PythonModel):
    def predict(self, context, model_input, params=None):
        if (model_input["count"] < 0).any():
            raise ValueError(f"secret {model_input}")
        return pd.DataFrame({"text": model_input["word"] * model_input["count"], "even": model_input["count"] % 2 == 0})
"""


@pytest.fixture(scope="module")
def triton_python(engine_python: Callable[[str], Path]) -> Path:
    """Triton's environment."""
    try:
        ctypes.CDLL("libpython3.11.so.1.0")
    except OSError:
        pytest.skip("Triton's Python backend needs libpython3.11.so.1.0 (Debian: libpython3.11), which is not here")
    return engine_python("triton")


@pytest.fixture(scope="module")
def iris(start_engine: Callable[..., Any], iris_model: Path, triton_python: Path) -> Iterator[Any]:
    """A scikit-learn model on Triton."""
    with start_engine(iris_model, {"kind": "triton"}, python=str(triton_python)) as engine:
        yield engine


def test_invocations_answer_what_our_own_workers_answer(iris: Any) -> None:
    records = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]
    named = {name: [row[at] for row in ROWS] for at, name in enumerate(COLUMNS)}

    for document in (SPLIT, {"dataframe_records": records}, {"instances": records}, {"inputs": named}):
        answer = iris.post("/invocations", document)
        assert (answer.status_code, answer.json()) == (200, {"predictions": [0, 2]}), answer.text
    assert iris.post("/invocations", SPLIT).headers["served-model-name"] == "v7"


def test_bad_input_is_refused_in_the_callers_dialect(iris: Any) -> None:
    wrong = {"dataframe_split": {"columns": COLUMNS, "data": [[*ROWS[0][:3], "wrong"]]}}
    missing = {"dataframe_split": {"columns": COLUMNS[:3], "data": [ROWS[0][:3]]}}

    for document in (wrong, missing, {"other": 1}, {"inputs": {}}):
        answer = iris.post("/invocations", document)
        assert (answer.status_code, answer.json()["error_code"]) == (400, "BAD_REQUEST"), answer.text
    assert "error" in iris.post("/v2/models/fraud/infer", {"inputs": []}).json()
    assert iris.post("/v2/models/other/infer", {}).status_code == 404
    assert iris.post("/v2/repository/index", {}).status_code == 404


def test_tritonclient_is_served_with_binary_tensors(iris: Any) -> None:
    import tritonclient.http as triton

    client = triton.InferenceServerClient(iris.url.removeprefix("http://"))
    inputs = []
    for at, name in enumerate(COLUMNS):
        one = triton.InferInput(name, [2], "FP64")
        one.set_data_from_numpy(np.array([row[at] for row in ROWS]))
        inputs.append(one)

    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("fraud", "v7")
    assert [one["name"] for one in client.get_model_metadata("fraud")["inputs"]] == COLUMNS
    assert client.infer("fraud", inputs, model_version="v7").as_numpy("predictions").tolist() == [0, 2]


def test_tritonclient_is_served_over_grpc(iris: Any) -> None:
    import tritonclient.grpc as triton
    from tritonclient.utils import InferenceServerException

    columns = np.array(ROWS)
    inputs = [
        triton.InferInput(name, [2], "FP64").set_data_from_numpy(columns[:, at].copy())
        for at, name in enumerate(COLUMNS)
    ]
    with grpc_proxy(iris.log.parent, iris.port) as address, triton.InferenceServerClient(address) as client:
        described = client.get_model_metadata("fraud", as_json=True)
        result = client.infer("fraud", inputs, request_id="7", model_version="v7")
        with pytest.raises(InferenceServerException) as caught:
            client.infer("fraud", inputs[:2])

    assert [one["name"] for one in described["inputs"]] == COLUMNS
    assert described["versions"] == ["v7"]
    assert result.as_numpy("predictions").tolist() == [0, 2]
    assert (result.get_response().id, result.get_response().model_version) == ("7", "v7")
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_tritons_metrics_come_with_ours(iris: Any) -> None:
    iris.post("/invocations", SPLIT)

    assert iris.metric("nv_inference_request_success") > 0
    assert iris.metric("headrace_requests_completed_total") > 0


def test_a_model_of_texts_and_several_outputs_is_served(
    start_engine: Callable[..., Any], python_model: Callable[..., Path], triton_python: Path
) -> None:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    inputs = Schema([ColSpec("string", "word"), ColSpec("long", "count"), ColSpec("double", "more", required=False)])
    outputs = Schema([ColSpec("string", "text"), ColSpec("boolean", "even")])
    model = python_model(WORDS_MODEL, signature=ModelSignature(inputs, outputs))
    with start_engine(model, {"kind": "triton"}, python=str(triton_python)) as engine:
        good = engine.post(
            "/invocations", {"dataframe_records": [{"word": "aé", "count": 2}, {"word": "b", "count": 1}]}
        )
        bad = engine.post("/invocations", {"dataframe_records": [{"word": "x", "count": -1}]})

    assert good.json() == {"predictions": [{"text": "aéaé", "even": True}, {"text": "b", "even": False}]}
    assert bad.status_code == 400
    assert "ValueError" in bad.json()["message"]
    assert "secret" not in bad.text


def test_a_model_of_texts_without_a_name_is_served(
    start_engine: Callable[..., Any], python_model: Callable[..., Path], triton_python: Path
) -> None:
    source = """
class Model(PythonModel):
    def predict(self, model_input: list[str], params=None) -> list[str]:
        return [text.upper() for text in model_input]
"""
    with start_engine(python_model(source), {"kind": "triton"}, python=str(triton_python)) as engine:
        forms = ({"inputs": ["a", "b"]}, {"dataframe_split": {"columns": ["text"], "data": [["a"], ["b"]]}})
        answers = [engine.post("/invocations", form) for form in forms]
        tensor = {"name": "input", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]}
        inferred = engine.post("/v2/models/fraud/infer", {"inputs": [tensor]}).json()

    assert [answer.json() for answer in answers] == [{"predictions": ["A", "B"]}] * 2
    assert inferred["outputs"][0]["data"] == ["A", "B"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ('raise OSError("the weights are missing")', "OSError: the weights are missing"),
        ("import os; os._exit(3)", "failed to load 'fraud' version 1: Internal: Stub process"),
    ],
)
def test_a_model_that_does_not_load_says_why(
    start_engine: Callable[..., Any],
    python_model: Callable[..., Path],
    triton_python: Path,
    fault: str,
    reason: str,
) -> None:
    """An exception of the model's, and a process that is gone without a word, of which Triton's own words remain."""
    source = f"""
class Model(PythonModel):
    def load_context(self, context):
        if "HEADRACE_ENGINE_HOME" in __import__("os").environ:  # saving the model loads it too
            {fault}
    def predict(self, context, model_input: list[str], params=None):
        return model_input
"""
    with start_engine(python_model(source), {"kind": "triton"}, python=str(triton_python), wait=False) as engine:
        code = engine.process.wait(300)
        said = engine.log.read_text()

    assert code != 0
    assert "the model cannot be served: the engine triton ended while it started" in said
    assert reason in said.split("the model cannot be served", 1)[1]


def test_a_pod_that_is_told_to_leave_ends_with_its_engine(
    start_engine: Callable[..., Any], iris_model: Path, triton_python: Path
) -> None:
    with start_engine(iris_model, {"kind": "triton"}, python=str(triton_python)) as engine:
        pid = engine.engine_pid()
        engine.process.terminate()

        assert engine.process.wait(30) == 0
        assert not Path(f"/proc/{pid}").exists()
        with pytest.raises(httpx.TransportError):
            httpx.get(engine.url + "/ping")
