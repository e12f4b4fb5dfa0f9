"""An endpoint's OpenAPI document, held against JSON Schema and a real request."""

from typing import Any

import jsonschema
import pytest

from headrace.contract.signature import Signature
from headrace.routing.management import openapi

COLUMNS = {
    "inputs": '[{"type": "double", "name": "a"}, {"type": "string", "name": "b"}, {"type": "array", "name": "c", '
    '"items": {"type": "long"}}, {"type": "boolean", "name": "d"}]',
    "outputs": '[{"type": "long"}]',
}


def scoring(metadata: Any) -> Any:
    return openapi.document("fraud", metadata)["paths"]["/invocations"]["post"]


def accepted(schema: Any, body: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(schema).is_valid(body))


@pytest.fixture
def schema() -> Any:
    metadata = Signature.of(COLUMNS).metadata("fraud", "v1")
    return scoring(metadata)["requestBody"]["content"]["application/json"]["schema"]


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["a", "b", "c", "d"], "data": [[1.5, "x", [1, 2], True]]}},
        {"dataframe_split": {"index": [0], "columns": ["a", "b", "c", "d"], "data": [[1, "x", [], False]]}},
        {"dataframe_records": [{"a": 1.5, "b": "x", "c": [1], "d": True}], "params": {"k": 3}},
        {"inputs": {"a": [1.5], "b": ["x"], "c": [[1]], "d": [True]}},
        {"inputs": [{"a": 1.5}]},
        {"instances": [{"a": 1.5}]},
    ],
)
def test_what_the_endpoint_takes_fits(schema: Any, body: Any) -> None:
    assert accepted(schema, body)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"dataframe_split": {"columns": ["a", "z"], "data": [[1, 2]]}},
        {"dataframe_split": {"columns": ["a", "b", "c", "d"], "data": [["x", "x", [1], True]]}},
        {"dataframe_records": [{"c": [1.5]}]},
        {"inputs": {"a": 1.5}},
        {"inputs": [1], "instances": [1]},
    ],
)
def test_what_it_refuses_does_not(schema: Any, body: Any) -> None:
    assert not accepted(schema, body)


def test_predictions_have_the_type_of_the_only_output() -> None:
    answer = scoring(Signature.of(COLUMNS).metadata("fraud", "v1"))["responses"]["200"]
    schema = answer["content"]["application/json"]["schema"]

    assert accepted(schema, {"predictions": [1, 2]})
    assert not accepted(schema, {"predictions": ["one"]})


@pytest.mark.parametrize("metadata", [None, Signature.of(None).metadata("chat", "v1")])
def test_a_model_that_says_nothing_of_its_inputs_takes_any_object(metadata: Any) -> None:
    document = openapi.document("chat", metadata)

    schema = scoring(metadata)["requestBody"]["content"]["application/json"]["schema"]
    assert accepted(schema, {"messages": []})
    assert not accepted(schema, [1])
    assert document["servers"] == [{"url": "/serving-endpoints/chat"}]
    assert (document["openapi"], document["info"]["title"]) == ("3.1.0", "chat")
