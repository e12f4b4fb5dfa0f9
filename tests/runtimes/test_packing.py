"""Tables of numbers as raw doubles, and everything that must not become one."""

import array
from typing import Any

import pytest

from headrace.runtimes.front.packing import doubles

COLUMNS = ["a", "b"]


def split(data: Any, columns: Any = COLUMNS, **more: Any) -> dict[str, Any]:
    return {"dataframe_split": {"columns": columns, "data": data, **more}}


def unpacked(packed: bytes | None) -> list[float]:
    assert packed is not None
    return array.array("d", packed).tolist()


def test_rows_follow_one_another() -> None:
    assert unpacked(doubles(split([[1, 2.5], [3, 4]]), COLUMNS)) == [1.0, 2.5, 3.0, 4.0]


def test_columns_are_put_in_the_models_order_and_others_left_out() -> None:
    assert unpacked(doubles(split([["x", 2, 1]], ["extra", "b", "a"]), COLUMNS)) == [1.0, 2.0]


@pytest.mark.parametrize(
    "document",
    [
        split([[1, None]]),
        split([[1, "2"]]),
        split([[1, True]]),
        split([[1, [2]]]),
        split([[1]]),
        split([[1, 2], [3]]),
        split([]),
        split({}),
        split([[1, 10**400]]),
        split([[1, 2]], ["a", "c"]),
        split([[1, 2]], ["a", "a"]),
        split([[1, 2]], ["a", 2]),
        split([[1, 2]], index=[7]),
        {**split([[1, 2]]), "params": {"x": 1}},
        {"dataframe_records": [{"a": 1, "b": 2}]},
        [],
        None,
    ],
)
def test_what_is_not_certainly_a_table_of_numbers_stays_json(document: Any) -> None:
    assert doubles(document, COLUMNS) is None
