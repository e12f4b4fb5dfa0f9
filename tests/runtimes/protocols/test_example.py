"""Input examples as inference requests, read back as the scoring requests that they were; and what answers share."""

import json
import math
from typing import Any

import pytest

from headrace.contract.signature import Signature
from headrace.runtimes.protocols import inference_messages, messages, open_inference
from headrace.runtimes.protocols.example import NoTensorsError, differences, inputs_of
from headrace.runtimes.protocols.open_inference import InferRequest, Tensor
from headrace.runtimes.protocols.tables import scoring_request


def table(**kinds: str) -> Signature:
    columns = [{"name": name, "type": kind, "required": True} for name, kind in kinds.items()]
    return Signature.of({"inputs": json.dumps(columns)})


def tensor(dtype: str = "float32", name: str = "") -> Signature:
    spec = {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": [-1, 2]}, **({"name": name} if name else {})}
    return Signature.of({"inputs": json.dumps([spec])})


def nested(kind: str) -> Signature:
    column = {"name": "a", "type": "array", "items": {"type": kind}, "required": True}
    return Signature.of({"inputs": json.dumps([column])})


UNNAMED = Signature.of({"inputs": '[{"type": "double", "required": true}, {"type": "string", "required": true}]'})
HINTED = Signature.of({"inputs": '[{"type": "string", "required": true}]'}, hinted=True)
NONE = Signature.of(None)


def split(**columns: list[Any]) -> dict[str, Any]:
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    return {"dataframe_split": {"columns": list(columns), "data": rows}}


@pytest.mark.parametrize(
    ("example", "signature", "meaning"),
    [
        (split(a=[1, 2], b=["x", "y"]), table(a="double", b="string"), split(a=[1.0, 2.0], b=["x", "y"])),
        (split(b=["x"], a=[1]), table(a="long", b="string"), split(a=[1], b=["x"])),
        (split(a=[1.5, None]), table(a="double"), split(a=[1.5, None])),
        (split(a=[True]), table(a="boolean"), split(a=[True])),
        (split(a=[1], more=["x"]), table(a="long"), split(a=[1])),
        (split(a=["2026-01-01T00:00:00"]), table(a="datetime"), split(a=["2026-01-01T00:00:00"])),
        ({"dataframe_records": [{"a": 1}, {"a": 2}]}, table(a="long"), split(a=[1, 2])),
        ({"inputs": {"a": [1, 2]}}, table(a="long"), split(a=[1, 2])),
        ({"inputs": [{"a": 1}]}, table(a="long"), split(a=[1])),
        (split(a=[[1.0, 2.0], [3.0, 4.0]]), nested("double"), split(a=[[1.0, 2.0], [3.0, 4.0]])),
        (split(a=[[1.0], [3.0, 4.0]]), nested("double"), split(a=[[1.0], [3.0, 4.0]])),
        ({"inputs": [[1, "x"]]}, UNNAMED, {"dataframe_split": {"data": [[1.0, "x"]]}}),
        ({"inputs": [[1, 2], [3, 4]]}, tensor(), {"inputs": [[1.0, 2.0], [3.0, 4.0]]}),
        ({"inputs": [[1, 2]]}, tensor("float16"), {"inputs": [[1.0, 2.0]]}),
        ({"instances": [[1, 2]]}, tensor("int64"), {"inputs": [[1, 2]]}),
        ({"inputs": {"x": [[1, 2]]}}, tensor("int64", "x"), {"inputs": {"x": [[1, 2]]}}),
        ({"inputs": ["one", "two"]}, HINTED, {"inputs": ["one", "two"]}),
        (split(a=[1, 2], b=["x", "y"]), NONE, split(a=[1, 2], b=["x", "y"])),
        ({"inputs": [[1, 2], [3, 4]]}, NONE, {"inputs": [[1, 2], [3, 4]]}),
        (split(a=[1]) | {"params": {}}, table(a="long"), split(a=[1])),
    ],
)
def test_an_example_means_to_the_model_what_it_meant(example: Any, signature: Signature, meaning: Any) -> None:
    request = InferRequest(identity=None, inputs=inputs_of(example, signature), outputs=None, binary=False)
    text = json.loads(json.dumps(open_inference.written(request, binary=False)[0]))
    message = messages.parsed("ModelInferRequest", inference_messages.written(request, model="m").SerializeToString())

    assert scoring_request(open_inference.read_request(text, b""), signature) == meaning
    over_grpc = scoring_request(inference_messages.read_message(message), signature)
    assert json.loads(json.dumps(over_grpc).replace("NaN", "null")) == meaning


@pytest.mark.parametrize(
    ("example", "signature", "why"),
    [
        ({"messages": []}, NONE, "neither a table nor a tensor"),
        ("text", NONE, "neither a table nor a tensor"),
        ({"inputs": [1], "instances": [1]}, NONE, "neither a table nor a tensor"),
        ({"inputs": [[1, 2]], "params": {"k": 1}}, tensor(), "params"),
        ({"inputs": [[1, 2]], "more": 1}, tensor(), "more than its rows"),
        (split(a=[1, None]), table(a="long"), "nulls"),
        (split(a=[1.5]), table(a="long"), "holds what no tensor of INT64 does"),
        (split(a=["x"]), table(a="double"), "holds what no tensor of FP64 does"),
        (split(a=[3_000_000_000]), table(a="integer"), "holds what no tensor of INT32 does"),
        (split(a=[{"b": 1}]), table(a="string"), "lists or objects"),
        (split(b=[1]), table(a="long"), "none of the signature's columns"),
        ({"inputs": [[1, 2], [3]]}, tensor(), "no tensor with elements"),
        ({"inputs": []}, tensor(), "no tensor with elements"),
        ({"inputs": [[1, 2]]}, tensor(name="x"), "does not name"),
        ({"inputs": ["one"]}, NONE, "no signature"),
        ({"inputs": 3}, NONE, "no signature"),
        ({"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}, table(a="long"), "no table"),
    ],
)
def test_an_example_that_no_tensor_carries_says_why(example: Any, signature: Signature, why: str) -> None:
    with pytest.raises(NoTensorsError, match=why):
        inputs_of(example, signature)


def output(*values: Any, name: str = "score", datatype: str = "FP64", shape: tuple[int, ...] | None = None) -> Tensor:
    return Tensor(name=name, datatype=datatype, shape=(len(values),) if shape is None else shape, values=list(values))


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (output(1.5, None), output(1.5, math.nan)),
        (output(0.1, datatype="FP32"), output(0.10000000149011612, datatype="FP32")),
        (output(1, datatype="FP64"), output(1.0)),
        (output(1.0, datatype="FP16"), output(1.0, datatype="FP32")),
        (output("a", datatype="BYTES"), output("a", datatype="BYTES")),
        (output(math.inf), output(math.inf)),
        (output(0.0), output(-0.0)),
    ],
    ids=["null is NaN", "32 bits", "whole", "FP16 in JSON", "text", "infinity", "zero"],
)
def test_what_is_written_in_two_ways_is_the_same(expected: Tensor, found: Tensor) -> None:
    assert differences([expected], [found]) == []


@pytest.mark.parametrize(
    ("expected", "found", "told"),
    [
        (output(1.5), output(1.6), "output score has other values"),
        (output(1.5), output(math.nan), "output score has other values"),
        (output("a", datatype="BYTES"), output("b", datatype="BYTES"), "output score has other values"),
        (output(1.5), output(1.5, name="risk"), "outputs risk where the prediction has score"),
        (output(1.0, 2.0), output(1.0, 2.0, shape=(2, 1)), r"output score has the shape [2, 1] and not [2]"),
        (output(1.5), output(1, datatype="INT64"), "output score is INT64 and not FP64"),
    ],
    ids=["value", "not a number", "text", "name", "shape", "datatype"],
)
def test_what_differs_is_told_by_name_and_never_by_content(expected: Tensor, found: Tensor, told: str) -> None:
    assert differences([expected], [found]) == [told]


def test_an_output_that_is_missing_differs() -> None:
    assert differences([output(1.0)], []) == ["outputs of no name where the prediction has score"]
