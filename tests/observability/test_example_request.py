"""ExampleRequest: a body that the model takes, for each kind of signature."""

import json
from typing import Any

import pytest

from headrace.observability.console.example_request import example_request


def tensor(name: str, datatype: str, *shape: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


@pytest.mark.parametrize(
    ("inputs", "body"),
    [
        (
            [tensor("amount", "FP64", -1), tensor("country", "BYTES", -1), tensor("known", "BOOL", -1)],
            {"dataframe_split": {"columns": ["amount", "country", "known"], "data": [[0.0, "text", False]]}},
        ),
        ([tensor("input", "INT64", -1, 3)], {"inputs": [[0, 0, 0]]}),
        ([tensor("input", "FP32", -1, -1)], {"inputs": [[0.0] * 8]}),
        ([tensor("a", "INT64", -1, 1), tensor("b", "FP32", -1)], {"inputs": {"a": [[0]], "b": [0.0]}}),
        ([], {"inputs": []}),
    ],
)
def test_a_model_with_a_signature(inputs: list[Any], body: Any) -> None:
    assert json.loads(example_request({"inputs": inputs})) == body


def test_a_model_that_talks() -> None:
    assert json.loads(example_request(None)) == {"messages": [{"role": "user", "content": "Hello"}]}
