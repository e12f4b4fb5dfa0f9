"""Forms of a scoring request that take the fast way: the front packs them as it packs the plainest."""

import json
from typing import Any

import pytest

from headrace.runtimes.calls import ModelInput
from headrace.runtimes.protocols import packing
from headrace.runtimes.protocols.request_body import JSON
from headrace.runtimes.workers.described_model import DescribedModel

NUMBERS = {
    "mlflow_version": "3.17.2", "streams": False, "signature": None, "packs": ["a", "b"], "labels": True,
    "fast_forms": ["dataframe_split", "dataframe_records", "inputs", "instances"], "empty_params_say_nothing": True,
}  # fmt: skip
TEXTS = {**NUMBERS, "packs": [], "fast_forms": []}
SPLIT = {"columns": ["a", "b"], "data": [[1.5, 2], [2.5, 3]]}
PLAIN = {"dataframe_split": SPLIT}


def read(described: dict[str, Any], document: Any) -> Any:
    return DescribedModel(described).reads(JSON, json.dumps(document).encode())


@pytest.mark.parametrize(
    "document",
    [
        PLAIN,
        {**PLAIN, "params": None},
        {**PLAIN, "params": {}},
        {"params": {}, **PLAIN},
        {"dataframe_split": {**SPLIT, "index": None}},
        {"dataframe_records": [{"a": 1.5, "b": 2}, {"b": 3, "a": 2.5}], "params": {}},
        {"inputs": {"b": [2, 3], "a": [1.5, 2.5]}},
        {"inputs": [{"a": 1.5, "b": 2}, {"a": 2.5, "b": 3}]},
        {"instances": [{"a": 1.5, "b": 2}, {"a": 2.5, "b": 3}], "params": {}},
    ],
)
def test_a_table_of_numbers_is_packed_whatever_its_form(document: Any) -> None:
    assert read(NUMBERS, document) == read(NUMBERS, PLAIN)
    assert read(NUMBERS, PLAIN)[0].content_type == packing.PACKED


@pytest.mark.parametrize("rows", [2, 400])
def test_rows_with_an_index_are_packed_as_pandas_writes_them(rows: int) -> None:
    """`DataFrame.to_dict(orient="split")` begins with the index; long and short bodies are read by two parsers."""
    split = {"index": list(range(rows)), "columns": ["a", "b"], "data": [[float(at), 1.0] for at in range(rows)]}
    work, streamed = read(NUMBERS, {"dataframe_split": split})

    assert (work.content_type, streamed) == (packing.LABELLED, False)
    assert len(work.body) == rows * 3 * 8


def test_empty_params_are_left_out_of_what_is_not_packed() -> None:
    document = {"dataframe_split": {"columns": ["a"], "data": [["text"], [10**30]]}, "params": {}}
    work, _ = read(TEXTS, document)

    assert json.loads(work.body) == {"dataframe_split": document["dataframe_split"]}


@pytest.mark.parametrize(
    ("described", "params"),
    [
        ({**NUMBERS, "empty_params_say_nothing": False}, {}),
        (NUMBERS, {"k": 1}),
        (NUMBERS, []),
        (NUMBERS, 0),
    ],
    ids=["a model that can tell", "some", "a list", "a number"],
)
def test_params_that_may_say_something_go_as_they_came(described: dict[str, Any], params: Any) -> None:
    body = json.dumps({**PLAIN, "params": params}).encode()

    assert DescribedModel(described).reads(JSON, body) == (ModelInput(JSON, body), False)
