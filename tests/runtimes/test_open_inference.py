"""Open Inference requests to scoring requests and answers back to tensors."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.contract.errors import InputError
from headrace.runtimes.protocol import open_inference, tensors
from headrace.runtimes.protocol.open_inference import Signature, outputs_of, read_request, render, scoring_request

TABLE = Signature.of(
    {
        "inputs": '[{"type": "double", "name": "a"}, {"type": "string", "name": "b"}]',
        "outputs": '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1]}}]',
        "params": None,
    }
)
TENSOR = Signature.of({"inputs": '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}}]'})
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "BOOL": st.booleans(),
    "FP64": st.floats(),
    "FP32": st.floats(width=32),
    "FP16": st.floats(width=16),
    "BYTES": st.text(),
    **{f"INT{bits}": st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": st.integers(0, 2**bits - 1) for bits in (8, 16, 32, 64)},
}


def read(*inputs: dict[str, Any], raw: bytes = b"", **rest: Any) -> open_inference.InferRequest:
    return read_request({"inputs": list(inputs), **rest}, raw)


@settings(max_examples=40)
@given(st.data(), st.sampled_from(sorted(VALUES)))
def test_raw_tensors_come_back_as_they_went(data: st.DataObject, datatype: str) -> None:
    values = data.draw(st.lists(VALUES[datatype], max_size=8))
    back = tensors.from_bytes(datatype, len(values), tensors.to_bytes(datatype, values), "x")

    assert repr(back) == repr(values)


@settings(max_examples=40)
@given(st.sampled_from(sorted(VALUES)), st.integers(0, 9), st.binary(max_size=40))
def test_any_bytes_are_a_tensor_or_a_clear_refusal(datatype: str, count: int, data: bytes) -> None:
    with contextlib.suppress(InputError):
        assert len(tensors.from_bytes(datatype, count, data, "x")) == count


@settings(max_examples=40)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_document_is_a_request_or_a_clear_refusal(document: Any) -> None:
    with contextlib.suppress(InputError):
        assert read_request({"inputs": document}, b"").inputs


def test_columns_become_rows() -> None:
    request = read(
        {"name": "a", "shape": [2], "datatype": "FP64", "data": [1.5, 2.5]},
        {"name": "b", "shape": [2, 1], "datatype": "BYTES", "data": ["x", "y"]},
    )

    assert scoring_request(request, TABLE) == {
        "dataframe_split": {"columns": ["a", "b"], "data": [[1.5, "x"], [2.5, "y"]]}
    }


def test_a_matrix_becomes_rows_of_the_signatures_columns() -> None:
    request = read({"name": "rows", "shape": [1, 2], "datatype": "FP64", "data": [[1, 2]]})

    assert scoring_request(request, TABLE) == {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}}


def test_a_tensor_stays_a_tensor() -> None:
    request = read({"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]})

    assert scoring_request(request, TENSOR) == {"inputs": [[1, 2], [3, 4]]}


def test_binary_parts_follow_in_order() -> None:
    raw = tensors.to_bytes("FP64", [1.5]) + tensors.to_bytes("BYTES", ["é"])
    request = read(
        {"name": "a", "shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 8}},
        {"name": "b", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 6}},
        raw=raw,
    )

    assert [tensor.values for tensor in request.inputs] == [[1.5], ["é"]]


@pytest.mark.parametrize(
    ("described", "word"),
    [
        ({"shape": [1], "datatype": "FP64", "data": [1]}, "name"),
        ({"name": "a", "shape": [1], "datatype": "FP65", "data": [1]}, "datatype"),
        ({"name": "a", "shape": [-1], "datatype": "FP64", "data": [1]}, "shape"),
        ({"name": "a", "shape": [2], "datatype": "FP64", "data": [1]}, "2"),
        ({"name": "a", "shape": [1], "datatype": "FP16", "data": [1]}, "FP16"),
        ({"name": "a", "shape": [1], "datatype": "FP64"}, "neither"),
        ({"name": "a", "shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 8}}, "left"),
    ],
)
def test_what_is_wrong_is_named(described: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError, match=word):
        read(described)


def test_outputs_take_the_signatures_type_and_name() -> None:
    [output] = outputs_of([1.0, 2.0], TABLE)

    assert (output.name, output.datatype, output.shape, output.values) == ("predictions", "FP32", (2,), [1.0, 2.0])


@pytest.mark.parametrize(
    ("predictions", "expected"),
    [
        ([1, 2], [("predictions", "INT64", (2,))]),
        ([[1.0, 2.0]], [("predictions", "FP64", (1, 2))]),
        (["a", "b"], [("predictions", "BYTES", (2,))]),
        ([True], [("predictions", "BOOL", (1,))]),
        ([1.0, None], [("predictions", "FP64", (2,))]),
        ([{"p": 1, "q": "x"}, {"p": 2, "q": "y"}], [("p", "INT64", (2,)), ("q", "BYTES", (2,))]),
        ({"p": [[1.5]], "q": [1]}, [("p", "FP64", (1, 1)), ("q", "INT64", (1,))]),
        ([[1], [2, 3]], [("predictions", "BYTES", (2,))]),
        (5, [("predictions", "INT64", (1,))]),
    ],
)
def test_predictions_of_any_shape_become_tensors(predictions: Any, expected: list[Any]) -> None:
    outputs = outputs_of(predictions, Signature())

    assert [(output.name, output.datatype, output.shape) for output in outputs] == expected


def test_the_answer_echoes_the_id_and_leaves_the_version_out_when_there_is_none() -> None:
    request = read({"name": "a", "shape": [1], "datatype": "INT64", "data": [1]}, id="42")
    document, binary = render(request, outputs_of([1], Signature()), model="m", version="")

    assert json.loads(json.dumps(document)) == {
        "model_name": "m",
        "id": "42",
        "outputs": [{"name": "predictions", "shape": [1], "datatype": "INT64", "data": [1]}],
    }
    assert binary == []


def test_an_unknown_output_is_refused() -> None:
    request = read({"name": "a", "shape": [1], "datatype": "INT64", "data": [1]}, outputs=[{"name": "nothing"}])

    with pytest.raises(InputError, match="nothing"):
        render(request, outputs_of([1], Signature()), model="m", version="")
