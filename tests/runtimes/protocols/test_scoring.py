"""MLflow's scoring requests in front of tensors and of OpenAI's protocol."""

import json
from typing import Any

import pytest

from headrace.components.endpoint.selection import triton_repository
from headrace.contract.errors import InputError
from headrace.runtimes.protocols import scoring

INPUTS = [{"name": "a", "datatype": "FP64", "shape": [-1]}, {"name": "b", "datatype": "INT64", "shape": [-1]}]
TABLE = {"dataframe_split": {"columns": ["b", "a"], "data": [[1, 0.5], [2, 1.5]]}}


def sent(document: Any, inputs: Any = INPUTS, columns: tuple[str, ...] = ("a", "b"), **options: Any) -> Any:
    given = {"columns": columns, "optional": (), "binary": False, **options}
    text, _ = scoring.infer_request(scoring.read_table(document), inputs, **given)
    return {one["name"]: (one["shape"], one.get("data")) for one in json.loads(text)["inputs"]}


def test_columns_become_tensors_whatever_their_order() -> None:
    records = {"dataframe_records": [{"a": 0.5, "b": 1}, {"a": 1.5, "b": 2}]}

    assert sent(TABLE) == sent(records) == {"a": ([2], [0.5, 1.5]), "b": ([2], [1, 2])}


def test_an_engine_that_takes_one_tensor_gets_the_columns_in_the_signatures_order() -> None:
    one = [{"name": "X", "datatype": "FP32", "shape": [-1, 2]}]

    assert sent(TABLE, one) == {"X": ([2, 2], [0.5, 1.0, 1.5, 2.0])}
    assert sent({"instances": [[0.5, 1], [1.5, 2]]}, one) == {"X": ([2, 2], [0.5, 1.0, 1.5, 2.0])}


def test_an_engine_that_batches_gets_columns_with_a_batch_dimension() -> None:
    assert sent(TABLE, [{**one, "shape": [-1, 1]} for one in INPUTS])["a"][0] == [2, 1]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"dataframe_split": {"columns": ["a"], "data": [[1]]}}, "missing inputs"),
        ({"inputs": {"a": ["x"], "b": [1]}}, "Failed to convert column a"),
        ({"inputs": {"a": [1], "b": [1.5]}}, "Failed to convert column b"),
        ({"inputs": {"a": [None], "b": [1]}}, "missing value"),
        ({"inputs": {"a": [[1], [1, 2]], "b": [1]}}, "ragged"),
        ({"inputs": 1, "instances": 2}, "exactly one"),
        ([1], "exactly one"),
    ],
)
def test_what_no_tensor_can_hold_is_refused_with_the_reason(document: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        sent(document)


def test_a_missing_number_is_nan_in_raw_tensors() -> None:
    table = scoring.read_table({"inputs": {"a": [None], "b": [7]}})
    text, raw = scoring.infer_request(table, INPUTS, columns=("a", "b"), optional=(), binary=True)

    assert [one["parameters"] for one in json.loads(text)["inputs"]] == [{"binary_data_size": 8}] * 2
    assert raw.hex() == "000000000000f87f" + "0700000000000000"


def test_a_missing_text_is_refused_even_there() -> None:
    inputs = [{"name": "t", "datatype": "BYTES", "shape": [-1]}]
    with pytest.raises(InputError, match="missing text"):
        sent({"inputs": {"t": [None]}}, inputs, columns=("t",), binary=True)


def test_outputs_become_what_mlflow_would_answer() -> None:
    named = {"outputs": json.dumps([{"type": "string", "name": "label"}, {"type": "double", "name": "score"}])}
    label = {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["1", "no"]}
    score = {"name": "score", "datatype": "FP64", "shape": [2], "data": [0.5, float("nan")]}

    assert scoring.predictions([label, score], b"", named) == [
        {"label": "1", "score": 0.5},
        {"label": "no", "score": None},
    ]
    matrix = {"name": "y", "datatype": "FP32", "shape": [2, 1], "data": [1.0, 2.0]}
    assert scoring.predictions([matrix], b"", None) == [[1.0], [2.0]]


def test_texts_and_messages_become_openais_requests() -> None:
    assert scoring.generation({"messages": [], "n": 2}, model="m") == (
        "/v1/chat/completions",
        {"messages": [], "n": 2, "model": "m"},
        False,
    )
    path, body, wrapped = scoring.generation({"inputs": ["x"], "params": {"max_new_tokens": 3}}, model="m")
    assert (path, body, wrapped) == ("/v1/completions", {"model": "m", "prompt": ["x"], "max_tokens": 3}, True)
    with pytest.raises(InputError, match="takes texts"):
        scoring.generation({"inputs": [1]}, model="m")


def test_tritons_configuration_follows_from_the_signature() -> None:
    columns = [{"type": "double", "name": "a b"}, {"type": "string", "name": "c", "required": False}]
    config = triton_repository.pyfunc_config({"signature": {"inputs": json.dumps(columns)}})

    assert 'input [ { name: "a b" data_type: TYPE_FP64 dims: [ -1 ] } ]' in config
    assert 'input [ { name: "c" data_type: TYPE_STRING dims: [ -1 ] optional: true } ]' in config
    assert 'output [ { name: "predictions" data_type: TYPE_STRING dims: [ -1 ] } ]' in config
    assert "max_batch_size: 0" in config


def test_tritons_inputs_have_names_where_the_signatures_columns_have_none() -> None:
    one = triton_repository.pyfunc_config({"signature": {"inputs": json.dumps([{"type": "string"}])}})
    two = triton_repository.pyfunc_config({"signature": {"inputs": json.dumps([{"type": "string"}, {"type": "long"}])}})

    assert 'input [ { name: "input" data_type: TYPE_STRING dims: [ -1 ] } ]' in one
    assert 'input [ { name: "input" data_type: TYPE_STRING' in two
    assert 'input [ { name: "input_1" data_type: TYPE_INT64' in two


@pytest.mark.parametrize(
    "document",
    [
        {"inputs": ["a", "b"]},
        {"dataframe_split": {"columns": ["text"], "data": [["a"], ["b"]]}},
        {"dataframe_split": {"data": [["a"], ["b"]]}},
    ],
)
def test_a_column_without_a_name_takes_the_only_column_that_is_given(document: dict[str, Any]) -> None:
    inputs = [{"name": "input", "datatype": "BYTES", "shape": [-1]}]

    assert sent(document, inputs, columns=("",)) == {"input": ([2], ["a", "b"])}


def test_an_onnx_graph_is_merged_on_the_gpu_where_its_first_dimension_is_free() -> None:
    tensor = {"type": "tensor", "name": "x", "tensor-spec": {"dtype": "float32", "shape": [-1, 3, 8, 8]}}
    output = {"type": "tensor", "name": "y", "tensor-spec": {"dtype": "float32", "shape": [-1, 10]}}
    signature = {"inputs": json.dumps([tensor]), "outputs": json.dumps([output])}
    flavors = {"onnx": {"data": "model.onnx"}}
    known = triton_repository.onnx_config({"flavors": flavors, "signature": signature}, gpus=1)
    unknown = triton_repository.onnx_config({"flavors": flavors}, gpus=0)

    assert 'input [ { name: "x" data_type: TYPE_FP32 dims: [ 3, 8, 8 ] } ]' in known
    assert "dynamic_batching { }" in known
    assert "kind: KIND_GPU" in known
    assert unknown.splitlines() == [
        'backend: "onnxruntime"',
        'default_model_filename: "model.onnx"',
        "instance_group [ { kind: KIND_CPU count: 1 } ]",
    ]
