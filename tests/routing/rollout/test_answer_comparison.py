"""Which answers are alike."""

import json
from typing import Any

import pytest

from headrace.routing.rollout.answer_comparison import compared, differences


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({"predictions": ["cat", "dog"]}, {"predictions": ["cat", "dog"]}, (2, 0)),
        ({"predictions": ["cat", "dog"]}, {"predictions": ["cat", "cow"]}, (2, 1)),
        ({"predictions": [0.1, 0.2]}, {"predictions": [0.1000001, 0.3]}, (2, 1)),
        ({"predictions": [0.0]}, {"predictions": [1e-9]}, (1, 0)),
        ({"predictions": [1]}, {"predictions": [1.0]}, (1, 0)),
        ({"predictions": [True]}, {"predictions": [1]}, (1, 1)),
        ({"predictions": [{"label": "a", "score": 0.5}]}, {"predictions": [{"label": "a", "score": 0.50001}]}, (1, 0)),
        ({"predictions": [{"label": "a"}]}, {"predictions": [{"label": "a", "score": 0.5}]}, (1, 1)),
        ({"predictions": [[1.0, 2.0]]}, {"predictions": [[1.0]]}, (1, 1)),
        ({"predictions": [1, 2, 3]}, {"predictions": [1, 2]}, (3, 3)),
        ({"predictions": {"mean": [1.0]}}, {"predictions": {"mean": [1.0]}}, (1, 0)),
        ({"predictions": [None]}, {"predictions": [0.0]}, (1, 1)),
        ({"choices": [{"text": "a"}]}, {"choices": [{"text": "b"}]}, (1, 1)),
        ({"predictions": []}, {"predictions": []}, (1, 0)),
    ],
)
def test_labels_are_equal_and_numbers_near(old: Any, new: Any, found: tuple[int, int]) -> None:
    assert compared(json.dumps(old), json.dumps(new)) == found


def test_what_is_no_json_is_compared_as_text() -> None:
    assert compared("NaN?", "NaN?") == (1, 0)
    assert compared("[" * 100_000, "x") == (1, 1)
    assert compared('{"predictions": [NaN]}', '{"predictions": [NaN]}') == (1, 0)


def test_what_differs_is_told_by_its_row() -> None:
    old, new = '{"predictions": ["yes", 1.0, "no"]}', '{"predictions": ["yes", 2.0, "yes"]}'

    assert differences(old, new) == [(1, 1.0, 2.0), (2, "no", "yes")]
    assert differences(old, '{"predictions": ["yes"]}') == [(1, 1.0, None)]
    assert differences(old, old) == []
