"""The answers of a merged call are the texts that each request would have got alone."""

import json
from typing import Any

import pytest

from headrace.runtimes.worker.documents import written


def dump(document: Any) -> bytes:
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "result",
    [
        [1, 2.5, True],
        ["a, b", 'c"d'],
        [[0.1, 0.2], [1e-7, -3], [True, False]],
        [[1], [2]],
    ],
)
def test_each_item_is_cut_out_as_it_would_be_written_alone(result: list[Any]) -> None:
    assert written(result, dump) == [json.dumps(item) for item in result]


@pytest.mark.parametrize(
    "result",
    [
        [1, "a"],
        [None, 1],
        [[1, None]],
        [["], ["], ["b"]],
        [[], []],
        [[1], []],
        [[[1], [2]], [[3], [4]]],
        [{"a": 1}],
    ],
)
def test_what_cannot_be_cut_is_written_answer_by_answer(result: list[Any]) -> None:
    assert written(result, dump) is None


def test_what_json_cannot_carry_is_null_in_its_own_item_only() -> None:
    def strict(document: Any) -> bytes:
        text = json.dumps(document)
        return json.dumps(json.loads(text, parse_constant=lambda _: None)).encode()

    assert written([[1.5, float("nan")], [2.0]], strict) == ["[1.5, null]", "[2.0]"]
