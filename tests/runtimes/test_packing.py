"""Tables of numbers as raw doubles, and everything that must not become one."""

import array
import random
from typing import Any

import pytest

from headrace.runtimes.front import packing
from headrace.runtimes.front.packing import doubles
from headrace.runtimes.worker.tensors import Tensor

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


@pytest.mark.parametrize("cell", [None, "2", "", [2], [], {}, {"a": 1}, 10**400])
def test_what_is_no_number_stays_json_where_no_body_holds_a_boolean(cell: Any) -> None:
    assert doubles(split([[1, 2], [1, cell]]), COLUMNS, booleans=False) is None
    assert packing.tensor({"inputs": [[1, 2], [1, cell]]}, [2], booleans=False) is None


@pytest.mark.parametrize(
    "text",
    [
        "[1, true]",
        "[false, 2]",
        '{"true": 1}',
        '{"data": [[1, true]], "columns": ["a", "b"]}',
        '{"data": [[false]], "columns": ["a"]}',
        '{"columns": ["a"], "data": [[true]]}',
        '{"columns": ["a"], "data": [[false]]}',
    ],
)
def test_a_boolean_is_looked_for_where_its_word_is(text: str) -> None:
    assert packing.may_hold_booleans(text.encode())


def test_numbers_hold_no_boolean_whatever_their_columns_are_called() -> None:
    assert not packing.may_hold_booleans(b'{"inputs": [[1, 2.5, -3e7]]}')
    assert not packing.may_hold_booleans(b'{"columns": ["status"], "data": [[1.0], [-2.5E-3]]}')


def test_a_tensor_of_numbers_is_packed_in_order() -> None:
    packed = packing.tensor({"inputs": [[[1, 2.5], [3, 4]], [[5, 6], [7, 8]]]}, [2, 2])

    assert packed is not None
    assert list(array.array("d", packed)) == [1, 2.5, 3, 4, 5, 6, 7, 8]


def test_singles_are_half_as_long_and_rounded_as_numpy_rounds_doubles() -> None:
    import numpy  # noqa: PLC0415 -- takes a while

    numbers = [0.1, 16777217, 1e-45, 7e-46, 1e-320, 3.4028235677973366e38, 3.5e38, -1e308, -0.0]
    with numpy.errstate(over="ignore", under="ignore"):
        wanted = numpy.array(numbers, dtype=numpy.float64).astype(numpy.float32)

    assert packing.tensor({"inputs": [numbers]}, [len(numbers)], kind="f") == wanted.tobytes()
    assert packing.tensor({"inputs": [[1, 10**400]]}, [2], kind="f") is None


@pytest.mark.parametrize(
    "document",
    [
        {"inputs": [[[1, 2], [3]]]},
        {"inputs": [[[1, 2], [3, 4], [5, 6]]]},
        {"inputs": [[1, 2], [3, 4]]},
        {"inputs": [[[1, 2], [3, None]]]},
        {"inputs": [[[1, 2], [3, True]]]},
        {"inputs": [[[1, 2], [3, "4"]]]},
        {"inputs": [[[1, 2], [3, [4]]]]},
        {"inputs": [[[1, 2], [3, 10**400]]]},
        {"inputs": []},
        {"inputs": {}},
        {"instances": [[[1, 2], [3, 4]]]},
        {"inputs": [[[1, 2], [3, 4]]], "params": {}},
        [],
    ],
)
def test_whatever_is_not_a_tensor_of_that_shape_goes_on_as_json(document: Any) -> None:
    assert packing.tensor(document, [2, 2]) is None


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_a_packed_tensor_reaches_the_model_as_an_unpacked_one_does(kind: str) -> None:
    import numpy  # noqa: PLC0415 -- takes a while

    generator = random.Random(3)
    numbers = [0.1, -0.0, 1e-310, 3.4e38, 16777217, 2**53 + 1, 10**30, 1 / 3, -7]
    rows = [[[generator.choice(numbers) for _ in range(3)] for _ in range(2)] for _ in range(40)]
    plan = Tensor((2, 3), numpy.dtype(kind), numpy)
    packed = packing.tensor({"inputs": rows}, [2, 3], kind=plan.packed)
    assert packed is not None
    with numpy.errstate(over="ignore"):
        short, long = plan.build_block(plan.unpack(packed)), plan.build(rows)

    assert (short.tobytes(), short.dtype, short.shape) == (long.tobytes(), long.dtype, long.shape)
    assert short.flags.c_contiguous
    assert short.flags.writeable
