"""Values of requests: every form of table and tensor, and what its label says of a prediction."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.observability.drift.payload_values import (
    COLUMNS_MOST,
    INPUT,
    PREDICTION,
    QUALITY,
    TEXT_MOST,
    Column,
    LongText,
    values,
)


def found(request: Any, response: Any, label: str | None = None, seed: int = 0) -> dict[tuple[str, str], Any]:
    told = values(json.dumps(request), json.dumps(response), label, chance=random.Random(seed))
    return {tuple(column): value for column, value in told.items()}


@pytest.mark.parametrize(
    "request_",
    [
        {"dataframe_split": {"columns": ["x", "colour"], "data": [[1, "red"]]}},
        {"dataframe_records": [{"x": 1, "colour": "red"}]},
        {"inputs": {"x": [1], "colour": ["red"]}},
        {"instances": [{"x": 1.0, "colour": "red"}]},
        {"inputs": [{"name": "x", "shape": [1], "data": [1]}, {"name": "colour", "shape": [1], "data": ["red"]}]},
    ],
)
def test_a_row_s_columns_have_their_names_in_every_form(request_: Any) -> None:
    assert found(request_, {"predictions": [0.5]}) == {
        (INPUT, "x"): 1.0, (INPUT, "colour"): "red", (PREDICTION, "0"): 0.5,
    }  # fmt: skip


def test_tensors_columns_are_places_and_outputs_have_their_tensors_names() -> None:
    request = {"inputs": [{"name": "x", "shape": [1, 2], "data": [[1, 2]]}]}
    response = {"outputs": [{"name": "score", "shape": [1], "data": [0.5]}]}

    assert found(request, response) == {(INPUT, "x[0]"): 1.0, (INPUT, "x[1]"): 2.0, (PREDICTION, "score"): 0.5}
    assert found({"inputs": [[1, None]]}, {}) == {(INPUT, "0"): 1.0, (INPUT, "1"): None}


def test_of_many_rows_one_is_drawn_with_its_own_prediction_and_label() -> None:
    request = {"inputs": [[float(number)] for number in range(10)]}
    response = {"predictions": [number * 2.0 for number in range(10)]}
    drawn = [found(request, response, json.dumps([1.0] * 10), seed) for seed in range(50)]

    assert len({one[INPUT, "0"] for one in drawn}) > 5
    assert all(one[PREDICTION, "0"] == 2 * one[INPUT, "0"] for one in drawn)
    assert all(one[QUALITY, "error"] == abs(one[PREDICTION, "0"] - 1.0) for one in drawn)


@pytest.mark.parametrize(
    ("prediction", "label", "error"),
    [(1, "1", 0.0), (1, "0", 1.0), (2.5, "3", 0.5), ("red", "red", 0.0), ("red", "blue", 1.0), (True, "true", 0.0)],
)
def test_a_label_says_how_wrong_a_prediction_was(prediction: Any, label: str, error: float) -> None:
    assert found({"inputs": [[1]]}, {"predictions": [prediction]}, label)[QUALITY, "error"] == error


def test_wide_rows_are_cut_and_other_requests_have_no_columns() -> None:
    assert len(found({"inputs": [list(range(1000))]}, {})) == COLUMNS_MOST
    assert found({"inputs": ["x" * 500]}, {}) == {(INPUT, "0"): LongText("x" * TEXT_MOST, 500)}
    assert found({"messages": [{"role": "user", "content": "hi"}]}, {"choices": []}) == {}
    assert values("no JSON", "\x00", "x", chance=random.Random(0)) == {}


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "data", "shape", "inputs", "predictions", "columns"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(
    st.sampled_from(["dataframe_split", "inputs", "instances", "dataframe_records"]), JSON, JSON, st.text(max_size=4)
)
def test_no_request_is_too_strange(key: str, body: Any, answer: Any, label: str) -> None:
    for column in values(json.dumps({key: body}), json.dumps(answer), label, chance=random.Random(0)):
        assert isinstance(column, Column)
