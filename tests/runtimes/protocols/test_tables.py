"""Tensors of an inference request as what MLflow hands to the model, for every kind of signature."""

# ruff: noqa: PLC0415 -- MLflow and clients take seconds to import; only tests that need them pay.

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from headrace.contract.errors import InputError
from headrace.contract.signature import Signature
from headrace.runtimes.protocols.open_inference import read_request
from headrace.runtimes.protocols.tables import scoring_request
from tests.runtimes.grpc_proxy import grpc_proxy


def signature(*columns: dict[str, Any], hinted: bool = False) -> Signature:
    return Signature.of({"inputs": json.dumps(columns)}, hinted=hinted)


DOUBLE, TEXT = {"type": "double"}, {"type": "string"}
TABLE = signature({**DOUBLE, "name": "a"}, {**TEXT, "name": "b"})
TENSOR = signature({"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}})
VECTOR = {"type": "array", "items": DOUBLE}
POINT = {"type": "object", "properties": {"x": {**DOUBLE, "required": True}}}


def tensor(name: str, datatype: str, shape: list[int], data: list[Any]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


def meaning(model: Signature, *inputs: dict[str, Any]) -> Any:
    return scoring_request(read_request({"inputs": list(inputs)}, b""), model)


def test_columns_become_rows() -> None:
    assert meaning(TABLE, tensor("a", "FP64", [2], [1.5, 2.5]), tensor("b", "BYTES", [2, 1], ["x", "y"])) == {
        "dataframe_split": {"columns": ["a", "b"], "data": [[1.5, "x"], [2.5, "y"]]}
    }


def test_a_matrix_becomes_rows_of_the_signatures_columns() -> None:
    assert meaning(TABLE, tensor("rows", "FP64", [1, 2], [[1, 2]])) == {
        "dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}
    }


def test_a_tensor_stays_a_tensor() -> None:
    assert meaning(TENSOR, tensor("x", "FP32", [2, 2], [1, 2, 3, 4])) == {"inputs": [[1, 2], [3, 4]]}


def test_whole_numbers_of_a_tensor_of_floats_are_floats() -> None:
    assert json.dumps(meaning(Signature(), tensor("x", "FP64", [1, 2], [1, 2]))) == '{"inputs": [[1.0, 2.0]]}'


def test_a_column_without_a_name_is_called_input_and_takes_a_tensor_of_any_name() -> None:
    model = signature(TEXT)

    assert model.metadata("m", "")["inputs"] == [{"name": "input", "datatype": "BYTES", "shape": [-1]}]
    for name in ("input", "x"):
        assert meaning(model, tensor(name, "BYTES", [2], ["x", "y"])) == {"dataframe_split": {"data": [["x"], ["y"]]}}


def test_columns_without_names_are_taken_in_order_by_their_given_names_or_as_a_matrix() -> None:
    model = signature(DOUBLE, DOUBLE)
    rows = {"dataframe_split": {"data": [[1.0, 2.0]]}}

    assert [column["name"] for column in model.metadata("m", "")["inputs"]] == ["input", "input_1"]
    assert meaning(model, tensor("x", "FP64", [1, 2], [1, 2])) == rows
    assert meaning(model, tensor("p", "FP64", [1], [1]), tensor("q", "FP64", [1], [2])) == rows
    assert meaning(model, tensor("input_1", "FP64", [1], [2]), tensor("input", "FP64", [1], [1])) == rows


def test_a_model_with_type_hints_gets_the_items_themselves() -> None:
    model = signature(TEXT, hinted=True)

    assert meaning(model, tensor("input", "BYTES", [2, 1], ["x", "y"])) == {"inputs": ["x", "y"]}
    objects = signature(POINT, hinted=True)
    assert meaning(objects, tensor("input", "BYTES", [1], ['{"x": 1.5}'])) == {"inputs": [{"x": 1.5}]}


def test_an_array_is_one_more_dimension_or_json() -> None:
    model = signature({**VECTOR, "name": "v"}, {**TEXT, "name": "t"})
    text = tensor("t", "BYTES", [2], ["x", "y"])
    rows = {"dataframe_split": {"columns": ["v", "t"], "data": [[[1.0, 2.0], "x"], [[3.0, 4.0], "y"]]}}

    assert model.metadata("m", "")["inputs"][0] == {"name": "v", "datatype": "FP64", "shape": [-1, -1]}
    assert meaning(model, tensor("v", "FP64", [2, 2], [1, 2, 3, 4]), text) == rows
    assert meaning(model, tensor("v", "BYTES", [2], ["[1.0, 2.0]", "[3.0, 4.0]"]), text) == rows


def test_a_lone_array_is_no_matrix_of_columns() -> None:
    model = signature({**VECTOR, "name": "v"})

    assert meaning(model, tensor("v", "FP64", [1, 2], [1, 2])) == {
        "dataframe_split": {"columns": ["v"], "data": [[[1.0, 2.0]]]}
    }


@pytest.mark.parametrize(
    ("model", "inputs", "word"),
    [
        (TENSOR, [tensor("a", "FP32", [1], [1]), tensor("b", "FP32", [1], [1])], "one tensor, 2 inputs"),
        (TABLE, [tensor("x", "FP64", [1, 3], [1, 2, 3])], "3 columns, the model has 2"),
        (TABLE, [tensor("a", "FP64", [1], [1]), tensor("b", "FP64", [2], [1, 2])], "2 rows"),
        (signature(DOUBLE, DOUBLE), [tensor("x", "FP64", [1], [1])], "takes 2 inputs"),
        (signature(DOUBLE, DOUBLE), [tensor("x", "FP64", [1, 3], [1, 2, 3])], "3 columns, the model has 2"),
        (signature({**VECTOR, "name": "v"}), [tensor("v", "FP64", [2], [1, 2])], "1 dimensions, must have 2"),
        (signature({**POINT, "name": "o"}), [tensor("o", "BYTES", [1], ["4111 canary"])], "JSON texts"),
        (signature({**POINT, "name": "o"}), [tensor("o", "FP64", [1], [4111])], "JSON texts"),
    ],
)
def test_what_is_wrong_is_named_and_not_repeated(model: Signature, inputs: list[dict[str, Any]], word: str) -> None:
    with pytest.raises(InputError, match=word) as caught:
        meaning(model, *inputs)

    assert "4111" not in str(caught.value)


POINTS_MODEL = """
import pydantic
class Point(pydantic.BaseModel):
    x: float
    label: str = "none"
class Model(PythonModel):
    def predict(self, model_input: list[Point]) -> list[str]:
        return [f"{point.label} {point.x}" for point in model_input]
"""
VECTORS_MODEL = """
class Model(PythonModel):
    def predict(self, context, model_input):
        return [f"{type(v).__name__} {list(v)} {o} {m['k']}" for v, o, m in model_input.itertuples(index=False)]
"""


@pytest.fixture(scope="module")
def points_front(start_front: Any, python_model: Callable[..., Path]) -> Iterator[Any]:
    with start_front(python_model(POINTS_MODEL)) as front:
        yield front


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_tritonclient_asks_a_model_with_type_hints(points_front: Any, protocol: str) -> None:
    triton = pytest.importorskip(f"tritonclient.{protocol}")
    texts = np.array(['{"x": 1.5, "label": "a"}', '{"x": 2}'], dtype=object)
    with contextlib.ExitStack() as stack:
        address = points_front.url.removeprefix("http://")
        if protocol == "grpc":
            address = stack.enter_context(grpc_proxy(points_front.log.parent, points_front.port))
        client = stack.enter_context(triton.InferenceServerClient(address))
        described = client.get_model_metadata("model", **({"as_json": True} if protocol == "grpc" else {}))
        [column] = described["inputs"]
        given = triton.InferInput(column["name"], [2], column["datatype"])
        given.set_data_from_numpy(texts)
        answer = client.infer("model", [given]).as_numpy("predictions").tolist()

    assert answer == [b"a 1.5", b"none 2.0"]


@pytest.mark.slow
def test_json_in_a_tensor_that_is_nested_too_deep_is_refused(points_front: Any) -> None:
    deep = tensor("input", "BYTES", [1], ['{"x": ' + "[" * 300 + "]" * 300 + "}"])
    answer = httpx.post(f"{points_front.url}/v2/models/model/infer", json={"inputs": [deep]}, timeout=30)

    assert (answer.status_code, list(answer.json())) == (400, ["error"]), answer.text


@pytest.mark.slow
def test_mlflow_takes_what_nested_columns_become(python_model: Callable[..., Path]) -> None:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import Array, Map, Object, Property

    from headrace.runtimes.worker import loading
    from headrace.runtimes.worker.scoring import JSON, Scorer

    columns = [
        ColSpec(Array(DataType.double), "v"),
        ColSpec(Object([Property("x", DataType.string)]), "o"),
        ColSpec(Map(DataType.double), "m"),
    ]
    scorer = Scorer(loading.load(str(python_model(VECTORS_MODEL, signature=ModelSignature(inputs=Schema(columns))))))
    described = loading.description(scorer.model, load_seconds=0, warm_up_seconds=0)
    document = meaning(
        Signature.of(described["signature"], hinted=described["hinted"]),
        tensor("v", "FP64", [1, 2], [1, 2]),
        tensor("o", "BYTES", [1], ['{"x": "y"}']),
        tensor("m", "BYTES", [1], ['{"k": 0.5}']),
    )
    answer = scorer.score(JSON, json.dumps(document).encode())

    assert answer.status == 200, answer.body
    assert json.loads(answer.body) == {"predictions": ["list [1.0, 2.0] {'x': 'y'} 0.5"]}
