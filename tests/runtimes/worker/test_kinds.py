"""Which values were tried in company."""

from typing import Any

import numpy
import pandas
import pytest

from headrace.runtimes.worker.columns import Columns
from headrace.runtimes.worker.kinds import MOST_TEXTS, Kinds
from headrace.runtimes.worker.tensors import Tensor


def table(kinds: list[str], *rows: list[Any]) -> tuple[Columns, Kinds]:
    """A signature, and what is known of its values when these rows were tried."""
    plan = Columns([f"c{at}" for at in range(len(kinds))], kinds, numpy, pandas)
    plan.dtypes = [{"double": "float64", "long": "int64", "string": "object", "boolean": "bool"}[one] for one in kinds]
    known = Kinds(plan, numpy)
    known.know([list(rows)], plan.build(list(rows)))
    return plan, known


def odd(plan: Columns, known: Kinds, *rows: list[Any]) -> list[int]:
    return known.odd([list(rows)], plan.build(list(rows)))


def test_rows_that_were_tried_are_not_odd() -> None:
    rows = [[1.5, 3, "a", True], [None, -7, "", False]]
    plan, known = table(["double", "long", "string", "boolean"], *rows)

    assert odd(plan, known, *rows) == []


@pytest.mark.parametrize(
    ("row", "strange"),
    [
        ([1.75], False),
        ([1e9], True),
        ([-5.5], True),
        ([0.001], True),
        ([2.0], True),
        ([0.0], True),
        ([None], False),
        ([float("inf")], True),
    ],
)
def test_a_number_beyond_the_known_ones_is_odd_and_so_are_the_first_whole_one_and_the_first_zero(
    row: list[Any], strange: bool
) -> None:
    plan, known = table(["double"], [1.5], [3.25])

    assert odd(plan, known, [1.5], row, [3.25]) == ([1] if strange else [])


def test_bounds_grow_by_powers_of_two_so_that_a_number_that_grows_is_odd_a_few_times_only() -> None:
    plan, known = table(["long"], [1], [2], [0])
    times = 0
    for number in range(1, 100_000):
        if odd(plan, known, [number]):
            times += 1
            known.know([[[number]]], plan.build([[number]]))

    assert times <= 17


def test_a_new_text_is_odd_until_there_are_many_and_then_a_text_of_a_new_shape() -> None:
    plan, known = table(["string", "double"], ["first", 1.5])
    assert odd(plan, known, ["other", 1.5]) == [0]

    for number in range(MOST_TEXTS):
        known.know([[[f"{number:05}", 1.5]]], None)

    assert odd(plan, known, ["99999", 1.5], ["first", 1.5]) == []
    assert odd(plan, known, ["9999x", 1.5], ["-1", 1.5], ["é", 1.5]) == [0, 1, 2]


def test_a_tensor_is_one_column_of_numbers() -> None:
    plan = Tensor((2,), numpy.dtype("float32"), numpy)
    known = Kinds(plan, numpy)
    known.know([], plan.build([[0.5, 3.5], [1.0, 0.0]]))

    assert known.odd([], plan.build([[3.5, 0.25], [1.0, 7.0], [-0.5, 0.0]])) == [1, 2]
