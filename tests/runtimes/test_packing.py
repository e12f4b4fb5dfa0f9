"""Tables and tensors of numbers as raw doubles, and everything that must not become one."""

import array
import json
import random
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as some

from headrace.runtimes.front import packing
from headrace.runtimes.worker.tensors import Tensor

COLUMNS = ["a", "b"]


@pytest.fixture(autouse=True, params=[packing.Simdjson, packing.Orjson], ids=["simdjson", "orjson"], scope="module")
def reader(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "_reader", request.param())
        yield


def split(data: Any, columns: Any = COLUMNS, **more: Any) -> dict[str, Any]:
    return {"dataframe_split": {"columns": columns, "data": data, **more}}


def table(document: Any, columns: list[str] = COLUMNS) -> bytes | None:
    return packing.table(json.dumps(document).encode(), columns)


def tensor(document: Any, shape: list[int]) -> bytes | None:
    return packing.tensor(json.dumps(document).encode(), shape)


def unpacked(packed: bytes | None) -> list[float]:
    assert packed is not None
    return array.array("d", packed).tolist()


def test_rows_follow_one_another() -> None:
    assert unpacked(table(split([[1, 2.5], [3, 4]]))) == [1.0, 2.5, 3.0, 4.0]


def test_columns_are_put_in_the_models_order_and_others_left_out() -> None:
    assert unpacked(table(split([[7, 2, 1], [8, 4, 3]], ["extra", "b", "a"]))) == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    "document",
    [
        split([[1]]),
        split([[1, 2], [3]]),
        split([[1, 2, 3], [4]]),
        split([]),
        split([[], []], []),
        split({}),
        split({"a": [1, 2]}),
        split([{"a": 1, "b": 2}]),
        split([1, 2]),
        split(["ab"]),
        split("ab"),
        split(None),
        split([[[1], 2]]),
        split([[1, 2]], ["a", "c"]),
        split([[1, 2]], ["a", "a"]),
        split([[1, 2]], ["a", 2]),
        split([[1, 2]], [["a"], "b"]),
        split([[1, 2]], "ab"),
        split([[1, 2]], {"a": 0, "b": 1}),
        split([[1, 2]], index=[7]),
        {**split([[1, 2]]), "params": {"x": 1}},
        {"dataframe_split": [[1, 2]]},
        {"dataframe_split": ["columns", "data"]},
        {"dataframe_split": None},
        {"dataframe_records": [{"a": 1, "b": 2}]},
        ["dataframe_split"],
        [],
        {},
        None,
        1,
        "dataframe_split",
    ],
)
def test_what_is_not_certainly_a_table_of_numbers_stays_json(document: Any) -> None:
    assert table(document) is None


@pytest.mark.parametrize("cell", [None, True, False, "2", "", [2], [], {}, {"a": 1}, 10**400])
def test_what_is_no_number_that_a_double_can_hold_stays_json(cell: Any) -> None:
    assert table(split([[1, 2], [1, cell]])) is None
    assert tensor({"inputs": [[1, 2], [1, cell]]}, [2]) is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}, "dataframe_split": 1}',
        b'{"dataframe_split": {"columns": ["a", "b"], "columns": ["b", "a"], "data": [[1, 2]]}}',
        b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]], "data": [[3, 4]]}}',
    ],
)
def test_a_key_that_comes_twice_is_left_to_who_words_answers(body: bytes) -> None:
    assert packing.table(body, COLUMNS) is None


@pytest.mark.parametrize("number", ["NaN", "Infinity", "01", "1.", ".5", "+1", "1e400", "0x1", "1_0", "1,", "--1", ""])
def test_what_json_does_not_allow_is_never_packed(number: str) -> None:
    assert packing.table(b'{"dataframe_split": {"columns": ["a"], "data": [[%s]]}}' % number.encode(), ["a"]) is None
    assert packing.tensor(b'{"inputs": [[%s]]}' % number.encode(), [1]) is None


@pytest.mark.parametrize("more", [b"\xff", b"]", b"{}", b"\0"])
def test_nothing_may_follow_the_document(more: bytes) -> None:
    assert packing.tensor(b'{"inputs": [[1]]}' + more, [1]) is None
    assert packing.tensor(b'{"inputs": [[1]]}' + b" \r\n\t", [1]) is not None


def test_names_may_hold_anything_and_a_bracket_only_makes_it_slower() -> None:
    assert unpacked(table(split([[1]], ['é"\\\n']), ['é"\\\n'])) == [1.0]
    assert table(split([[1]], ["a[0]"]), ["a[0]"]) is None


NUMBERS = (
    some.floats(allow_nan=False, allow_infinity=False)
    | some.integers(-(2**63), 2**64 - 1)
    | some.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**18), max_value=10**18)
)


@given(some.lists(some.tuples(NUMBERS, NUMBERS), min_size=1, max_size=9))
def test_every_number_is_the_double_that_orjson_reads(rows: list[tuple[Any, Any]]) -> None:
    text = ",".join(f"[{first},{second}]" for first, second in rows)
    body = b'{"inputs": [%s]}' % text.encode()
    wanted = array.array("d", [float(number) for row in orjson.loads(body)["inputs"] for number in row])

    assert packing.tensor(body, [2]) == wanted.tobytes()


def test_a_tensor_of_numbers_is_packed_in_order() -> None:
    assert unpacked(tensor({"inputs": [[[1, 2.5], [3, 4]], [[5, 6], [7, 8]]]}, [2, 2])) == [1, 2.5, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize(
    "document",
    [
        {"inputs": [[[1, 2], [3]]]},
        {"inputs": [[[1, 2, 3], [4]]]},
        {"inputs": [[[1, 2], [3, 4], [5, 6]]]},
        {"inputs": [[[1, 2]], [[3, 4], [5, 6], [7, 8]]]},
        {"inputs": [[1, 2], [3, 4]]},
        {"inputs": [[[[1], 2], [3, 4]]]},
        {"inputs": [{"a": [1, 2], "b": [3, 4]}]},
        {"inputs": [["ab", "cd"]]},
        {"inputs": ["ab"]},
        {"inputs": 1},
        {"inputs": "ab"},
        {"inputs": []},
        {"inputs": {}},
        {"instances": [[[1, 2], [3, 4]]]},
        {"inputs": [[[1, 2], [3, 4]]], "params": {}},
        ["inputs"],
        [],
    ],
)
def test_whatever_is_not_a_tensor_of_that_shape_goes_on_as_json(document: Any) -> None:
    assert tensor(document, [2, 2]) is None


def test_a_body_beyond_what_a_parser_keeps_is_read_as_any_other() -> None:
    rows = [[number / 7, -number] for number in range(60_000)]
    body = json.dumps(split(rows)).encode()

    assert len(body) > 1024 * 1024
    assert packing.table(body, COLUMNS) == array.array("d", [number for row in rows for number in row]).tobytes()
    assert unpacked(table(split([[1, 2]]))) == [1.0, 2.0]


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_a_packed_tensor_reaches_the_model_as_an_unpacked_one_does(kind: str) -> None:
    import numpy  # noqa: PLC0415 -- takes a while

    generator = random.Random(3)
    numbers = [0.1, -0.0, 1e-310, 3.4e38, 16777217, 2**53 + 1, 10**18, 1 / 3, -7]
    rows = [[[generator.choice(numbers) for _ in range(3)] for _ in range(2)] for _ in range(40)]
    plan = Tensor((2, 3), numpy.dtype(kind), numpy)
    packed = tensor({"inputs": rows}, [2, 3])
    assert packed is not None
    with numpy.errstate(over="ignore"):
        short, long = plan.build_block(plan.unpack(packed)), plan.build(rows)

    assert (short.tobytes(), short.dtype, short.shape) == (long.tobytes(), long.dtype, long.shape)
    assert short.flags.c_contiguous
    assert short.flags.writeable
