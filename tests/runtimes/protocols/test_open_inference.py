"""Open Inference requests to scoring requests and answers back to tensors."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.contract.errors import InputError
from headrace.contract.signature import Signature
from headrace.runtimes.protocols import open_inference, tensors
from headrace.runtimes.protocols.open_inference import chosen, outputs_of, read_request, render
from headrace.runtimes.protocols.tables import scoring_request

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


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.just([]), st.just([1]), st.just({})
)


@settings(max_examples=200)
@given(
    st.sampled_from(["id", "parameters", "outputs", "name", "datatype", "shape", "data", "binary", "output", "wants"]),
    ANYTHING,
)
def test_a_value_of_any_kind_in_any_place_is_a_request_or_a_clear_refusal(place: str, value: Any) -> None:
    tensor: dict[str, Any] = {"name": "a", "shape": [1], "datatype": "INT64", "data": [1]}
    document: dict[str, Any] = {"inputs": [tensor], "outputs": [{"name": "p"}]}
    if place in ("id", "parameters", "outputs"):
        document[place] = value
    elif place == "binary":
        tensor["parameters"] = {"binary_data_size": value}
    elif place == "output":
        document["outputs"] = [value]
    elif place == "wants":
        document["outputs"] = [{"name": "p", "parameters": value}]
    else:
        tensor[place] = value
    with contextlib.suppress(InputError):
        scoring_request(read_request(document, b""), TENSOR)


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
        ({"name": "a", "shape": [1] * 33, "datatype": "FP64", "data": [1]}, "33 dimensions"),
    ],
)
def test_what_is_wrong_is_named(described: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError, match=word):
        read(described)


@pytest.mark.parametrize(
    ("datatype", "data"),
    [
        ("INT64", [2**63]),
        ("INT32", [1, -(2**31) - 1]),
        ("UINT8", [300]),
        ("UINT16", [-1]),
        ("INT32", [2.5]),
        ("INT8", [None, 200]),
        ("INT64", [float("inf")]),
        ("BOOL", [True, None]),
    ],
)
def test_a_value_that_its_datatype_has_not_is_refused_and_not_made_another(datatype: str, data: list[Any]) -> None:
    with pytest.raises(InputError, match=rf"inputs\[0\] must hold .* datatype {datatype}"):
        read({"name": "a", "shape": [len(data)], "datatype": datatype, "data": data})


@pytest.mark.parametrize(
    ("datatype", "data"),
    [("INT64", [2**63 - 1, -(2**63)]), ("UINT8", [0, 255]), ("INT32", [2.0]), ("INT32", []), ("FP32", [None, 1.5])],
)
def test_the_largest_and_the_smallest_value_of_a_datatype_are_its_own(datatype: str, data: list[Any]) -> None:
    request = read({"name": "a", "shape": [len(data)], "datatype": datatype, "data": data})

    assert request.inputs[0].values == data


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
        ([True, None], [("predictions", "BYTES", (2,))]),
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


def test_an_unknown_output_is_refused_without_its_name() -> None:
    request = read({"name": "a", "shape": [1], "datatype": "INT64", "data": [1]}, outputs=[{"name": "canary"}])

    with pytest.raises(InputError, match=r"does not have; it has \['predictions'\]") as caught:
        chosen(request, outputs_of([1], Signature()))

    assert "canary" not in str(caught.value)


def test_the_outputs_that_are_asked_for_are_answered() -> None:
    request = read(
        {"name": "a", "shape": [1], "datatype": "INT64", "data": [1]},
        outputs=[{"name": "q", "parameters": {"binary_data": True}}],
    )
    outputs = chosen(request, outputs_of({"p": [1], "q": [2]}, Signature()))
    document, binary = render(request, outputs, model="m", version="")

    assert [output["name"] for output in document["outputs"]] == ["q"]
    assert binary == [tensors.to_bytes("INT64", [2])]


@pytest.mark.parametrize(
    ("values", "datatype", "expected"),
    [
        ([1, 300], "uint8", "INT64"),
        ([1, 200], "uint8", "UINT8"),
        ([2**63], "int64", "UINT64"),
        ([-(2**70)], "int64", "FP64"),
        ([1e300], "float32", "FP64"),
        ([70000.0], "float16", "FP64"),
        ([1.5, None], "float32", "FP32"),
        ([1, None], "int64", "FP64"),
        ([True], "int64", "BOOL"),
        ([True, None], "float32", "BYTES"),
        (["x"], "float32", "BYTES"),
    ],
)
def test_a_signatures_type_is_kept_where_it_holds_the_values(values: list[Any], datatype: str, expected: str) -> None:
    spec = f'[{{"type": "tensor", "tensor-spec": {{"dtype": "{datatype}", "shape": [-1]}}}}]'
    [output] = outputs_of(values, Signature.of({"outputs": spec}))

    assert output.datatype == expected
    assert tensors.to_bytes(output.datatype, output.values)


def test_half_floats_are_written_as_floats_in_json() -> None:
    spec = '[{"type": "tensor", "tensor-spec": {"dtype": "float16", "shape": [-1]}}]'
    request = read({"name": "a", "shape": [1], "datatype": "INT64", "data": [1]})
    document, binary = render(request, outputs_of([1.5], Signature.of({"outputs": spec})), model="m", version="")

    assert (document["outputs"][0]["datatype"], document["outputs"][0]["data"], binary) == ("FP32", [1.5], [])
