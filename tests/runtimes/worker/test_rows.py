"""Rows made to try a model with, and how their answers are compared."""

from typing import Any

import numpy
import pandas
import pytest

from headrace.runtimes.worker import rows as made_rows
from headrace.runtimes.worker.columns import Columns
from headrace.runtimes.worker.independence import Comparison, close
from headrace.runtimes.worker.tensors import Tensor

KINDS = ["double", "float", "long", "integer", "boolean", "string"]
EXAMPLE: list[Any] = [2.5, 0.5, 7, 3, True, "water"]


def columns(kinds: list[str]) -> Columns:
    return Columns([f"c{at}" for at in range(len(kinds))], kinds, numpy, pandas)


@pytest.mark.parametrize("example", [[], [EXAMPLE], [EXAMPLE, EXAMPLE]])
def test_every_column_varies_in_the_first_rows_and_every_row_suits_the_signature(example: list[Any]) -> None:
    plan = columns(KINDS)
    rows = list(made_rows.made(plan, example, careful=False))

    assert made_rows.alike_in(plan, rows[:8]) is None
    assert plan.suits(rows)
    assert rows[: len(example[:1])] == [tuple(row) for row in example[:1]]
    assert rows == list(made_rows.made(plan, example, careful=False)), "each worker tries the same"


def test_near_rows_have_texts_of_the_example_only() -> None:
    rows = list(made_rows.made(columns(["string", "double"]), [["water", 1.0]], careful=False))

    assert {row[0] for row in rows[1::3]} == {"water"}
    assert len({row[0] for row in rows}) > 3


def test_places_in_a_networks_table_stay_within_those_of_the_example() -> None:
    table = list(made_rows.made(columns(["long", "double"]), [[5, 1.0], [9, 2.0]], careful=True))
    items = list(made_rows.made(Tensor((4,), numpy.dtype("int64"), numpy), [[3, 0, 11, 2]], careful=True))

    assert {row[0] for row in table} <= set(range(10))
    assert {int(number) for item in items for number in item} <= set(range(12))
    assert len({item.tobytes() for item in items}) > 3
    assert list(made_rows.made(columns(["long", "double"]), [], careful=True)) == []
    assert list(made_rows.made(Tensor((4,), numpy.dtype("int64"), numpy), [], careful=True)) == []


@pytest.mark.parametrize("kinds", [["double"], ["double", "long"], ["float"] * 5, ["long", *["double"] * 30, "string"]])
def test_each_column_that_may_be_null_is_null_in_some_rows_and_present_in_others(kinds: list[str]) -> None:
    plan = columns(kinds)
    known = list(made_rows.made(plan, [], careful=False))[:8]
    rows = made_rows.with_nulls(plan, known)

    for at, kind in enumerate(kinds):
        null = [row[at] is None for row in rows]
        assert any(null) == (kind in ("double", "float"))
        assert not all(null) or kinds in (["double"], ["double", "long"]), "made rows have all else without nulls"


def test_a_table_that_takes_no_null_has_no_rows_with_nulls() -> None:
    assert made_rows.with_nulls(columns(["long", "string"]), [(1, "a")]) == []


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (1.0, 1.000001, True),
        (1.0, 1.0001, False),
        (1, 1.0, False),
        (float("nan"), float("nan"), True),
        (["a", 1], ["a", 1], True),
        (["a"], ["a", "a"], False),
        ({"a": 1.0}, {"a": 1.0000001}, True),
        ({"a": 1.0}, {"b": 1.0}, False),
        (True, 1, False),
        (0.0, 1e-9, True),
    ],
)
def test_labels_are_equal_and_floats_nearly(left: Any, right: Any, same: bool) -> None:
    assert close(left, right) == same


class Sums:
    """A plan and a model whose answers are off by a rounding that depends on a call's length, or on its rows."""

    def __init__(self, off: Any) -> None:
        self.off = off

    def build(self, rows: list[float]) -> list[float]:
        return rows

    def predict(self, rows: list[float]) -> list[float]:
        return [row + self.off(rows) for row in rows]

    def odd(self, rows: list[float], *, rounds: bool) -> int | None:
        alone = [self.predict([row])[0] for row in rows]
        return Comparison(self, self.predict, rounds=rounds).odd(rows, self.predict(rows), alone)


def test_a_rounding_of_a_longer_call_is_no_difference_for_a_network_only() -> None:
    length = Sums(lambda rows: 1e-7 * len(rows))

    assert length.odd([0.001, 1.0, 0.0005], rounds=True) is None
    assert length.odd([0.001, 1.0, 0.0005], rounds=False) is not None


def test_as_small_a_difference_that_comes_from_other_rows_is_one() -> None:
    assert Sums(lambda rows: 1e-7 * sum(rows)).odd([0.001, 1.0, 0.0005], rounds=True) is not None


def test_a_large_difference_is_one_for_a_network_too() -> None:
    assert Sums(lambda rows: 0.01 * len(rows)).odd([0.001, 1.0, 0.0005], rounds=True) is not None
