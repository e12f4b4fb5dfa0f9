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

from headrace.runtimes.protocols import packing
from headrace.runtimes.protocols.open_inference import Tensor as Input
from headrace.runtimes.protocols.packing import LABELLED, PACKED, Packed, Packer
from headrace.runtimes.worker.tensors import Tensor

COLUMNS = ["a", "b"]
FORMS = ["dataframe_split", "dataframe_records", "inputs", "instances", "csv"]
LONG, PARSED = "a long text, by simdjson", "a parsed document"


@pytest.fixture(autouse=True, params=[LONG, PARSED], scope="module")
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "LONG_BYTES", 0 if request.param == LONG else 1 << 60)
        yield request.param


def pack(body: bytes, **described: Any) -> Packed | None:
    """What the front makes of a body, on the way that is tested."""
    packer = Packer({"fast_forms": FORMS, "labels": True, **described})
    found = packer.text(body)
    if packing.LONG_BYTES:
        assert found is None
        try:
            return packer.document(orjson.loads(body))
        except orjson.JSONDecodeError:
            return None  # refused before
    return found


def split(data: Any, columns: Any = COLUMNS, **more: Any) -> dict[str, Any]:
    return {"dataframe_split": {"columns": columns, "data": data, **more}}


def table(document: Any, columns: list[str] = COLUMNS) -> bytes | None:
    found = pack(json.dumps(document).encode(), packs=columns)
    assert found is None or found.content_type == PACKED
    return found and found.body


def tensor(document: Any, shape: list[int]) -> bytes | None:
    found = pack(json.dumps(document).encode(), packs_shape=shape)
    return found and found.body


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
        split([[1, 2]], index=[7, 8]),
        split([[1, 2]], index=[]),
        split([[1, 2]], index=["7"]),
        split([[1, 2]], index=[[7]]),
        split([[1, 2]], index=[7.5]),
        split([[1, 2]], index=[True]),
        split([[1, 2]], index=[2**63]),
        split([[1, 2]], index=7),
        split([[1, 2]], index={"7": 7}),
        split([[1, 2]], other=[7]),
        {**split([[1, 2]]), "params": {"x": 1}},
        {"dataframe_split": [[1, 2]]},
        {"dataframe_split": ["columns", "data"]},
        {"dataframe_split": None},
        {"dataframe_records": [{"a": 1}]},
        {"dataframe_records": [{"a": 1, "b": 2}, {"a": 1, "c": 2}]},
        {"dataframe_records": [{"a": 1, "b": None}]},
        {"dataframe_records": [[1, 2]]},
        {"dataframe_records": {"a": 1, "b": 2}},
        {"dataframe_records": []},
        {"inputs": {"a": [1, 2], "b": [1]}},
        {"inputs": {"a": [1], "b": [2], "c": [3]}},
        {"inputs": {"a": [], "b": []}},
        {"inputs": {"a": 1, "b": 2}},
        {"inputs": [[1, 2]]},
        {"instances": [{"a": 1, "b": 2, "c": 3}]},
        {"instances": {"a": [1], "b": [2]}},
        {"instances": [{"a": 1, "b": 2}], "inputs": [{"a": 1, "b": 2}]},
        {"dataframe_records": [{"a": 1, "b": 2}], "params": {"x": 1}},
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
    "document",
    [
        {"dataframe_records": [{"a": 1, "b": 2.5}, {"b": 4, "a": 3, "c": "x"}]},
        {"inputs": [{"b": 2.5, "a": 1}, {"a": 3, "b": 4}]},
        {"instances": [{"b": 2.5, "a": 1}, {"a": 3, "b": 4}]},
        {"inputs": {"b": [2.5, 4], "a": [1, 3]}},
        split([[1, 2.5], [3, 4]], index=None),
    ],
)
def test_rows_of_numbers_are_packed_whatever_their_form(document: Any) -> None:
    packer = Packer({"packs": COLUMNS, "fast_forms": FORMS})

    assert unpacked(getattr(packer.document(document), "body", None)) == [1, 2.5, 3, 4]


@pytest.mark.parametrize("form", FORMS[:4])
def test_a_form_that_was_not_proven_stays_json(form: str) -> None:
    packer = Packer({"packs": COLUMNS, "fast_forms": [name for name in FORMS if name != form]})
    document = split([[1, 2]]) if form == "dataframe_split" else {form: [{"a": 1, "b": 2}]}

    assert packer.document(document) is None
    assert packer.text(json.dumps(document).encode()) is None


def test_whole_numbers_that_name_the_rows_follow_them() -> None:
    body = json.dumps(split([[1, 2.5], [3, 4]], index=[-7, 2**63 - 1])).encode()
    found = pack(body, packs=COLUMNS)

    assert found is not None
    assert found.content_type == LABELLED
    assert unpacked(found.body[:32]) == [1, 2.5, 3, 4]
    assert array.array("q", found.body[32:]).tolist() == [-7, 2**63 - 1]
    assert pack(body, packs=COLUMNS, labels=False) is None


def test_of_a_key_that_comes_twice_the_last_one_counts_or_none(way: str) -> None:
    body = b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]], "data": [[3, 4]]}}'
    found = pack(body, packs=COLUMNS)

    assert found == (None if way == LONG else Packed(PACKED, array.array("d", [3, 4]).tobytes()))
    assert pack(body[:-1] + b', "dataframe_split": 1}', packs=COLUMNS) is None


@pytest.mark.parametrize("number", ["NaN", "Infinity", "01", "1.", ".5", "+1", "1e400", "0x1", "1_0", "1,", "--1", ""])
def test_what_json_does_not_allow_is_never_packed(number: str) -> None:
    text = number.encode()
    assert pack(b'{"dataframe_split": {"columns": ["a"], "data": [[%s]]}}' % text, packs=["a"]) is None
    assert pack(b'{"inputs": [[%s]]}' % text, packs_shape=[1]) is None


@pytest.mark.parametrize("more", [b"\xff", b"]", b"{}", b"\0"])
def test_nothing_may_follow_the_document(more: bytes) -> None:
    assert pack(b'{"inputs": [[1]]}' + more, packs_shape=[1]) is None
    assert pack(b'{"inputs": [[1]]}' + b" \r\n\t", packs_shape=[1]) is not None


def test_names_may_hold_anything_and_a_bracket_only_makes_it_slower(way: str) -> None:
    assert unpacked(table(split([[1]], ['é"\\\n']), ['é"\\\n'])) == [1.0]
    assert (table(split([[1]], ["a[0]"]), ["a[0]"]) is None) == (way == LONG)


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

    assert pack(body, packs_shape=[2]) == Packed(PACKED, wanted.tobytes())


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
        {"dataframe_split": {"data": [[[1, 2], [3, 4]]]}},
        {"inputs": [[[1, 2], [3, 4]]], "params": {}},
        {"inputs": [[[1, 2], [3, 4]]], "instances": [[[1, 2], [3, 4]]]},
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
    numbers = array.array("d", [number for row in rows for number in row]).tobytes()
    assert pack(body, packs=COLUMNS) == Packed(PACKED, numbers)
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


def given_as(name: str, datatype: str, shape: tuple[int, ...], values: list[Any]) -> Input:
    return Input(name=name, datatype=datatype, shape=shape, values=values)


@pytest.mark.parametrize(
    "inputs",
    [
        [given_as("rows", "FP64", (2, 2), [1.0, 2.5, 3.0, 4.0])],
        [given_as("a", "FP64", (2, 2), [1.0, 2.5, 3.0, 4.0])],
        [given_as("a", "INT8", (2,), [1, 3]), given_as("b", "FP32", (2,), [2.5, 4.0])],
        [given_as("b", "FP64", (2, 1), [2.5, 4.0]), given_as("a", "UINT64", (2,), [1, 3])],
        [
            given_as(name, "FP64", (2,), values)
            for name, values in zip("cab", ([9.0, 9], [1.0, 3], [2.5, 4]), strict=True)
        ],
    ],
)
def test_inputs_of_numbers_are_rows_in_the_models_order(inputs: list[Input]) -> None:
    found = Packer({"packs": COLUMNS, "fast_forms": FORMS}).tensors(inputs)

    assert found is not None
    assert unpacked(found.body) == [1, 2.5, 3, 4]


@pytest.mark.parametrize(
    "inputs",
    [
        [given_as("rows", "FP64", (2, 3), [1.0] * 6)],
        [given_as("rows", "FP64", (4,), [1.0] * 4)],
        [given_as("rows", "FP64", (0, 2), [])],
        [given_as("rows", "FP64", (1, 2), [1.0, float("nan")])],
        [given_as("rows", "FP64", (1, 2), [1.0, float("inf")])],
        [given_as("rows", "FP64", (1, 2), [float("-inf"), float("inf")])],
        [given_as("rows", "FP64", (1, 2), [1.0, None])],
        [given_as("rows", "FP64", (1, 2), [1.0, "2"])],
        [given_as("rows", "BOOL", (1, 2), [True, False])],
        [given_as("rows", "BYTES", (1, 2), ["1", "2"])],
        [given_as("a", "FP64", (1,), [1.0])],
        [given_as("a", "FP64", (1, 1), [1.0])],
        [given_as("a", "FP64", (1,), [1.0]), given_as("c", "FP64", (1,), [1.0])],
        [given_as("a", "FP64", (1,), [1.0]), given_as("b", "FP64", (2,), [1.0, 2.0])],
        [given_as("a", "FP64", (1, 2), [1.0, 2.0]), given_as("b", "FP64", (1,), [1.0])],
        [given_as("a", "FP64", (1,), [1.0]), given_as("b", "FP64", (1,), [2.0]), given_as("s", "BYTES", (1,), ["x"])],
    ],
)
def test_inputs_that_are_not_certainly_rows_of_numbers_go_on_as_json(inputs: list[Input]) -> None:
    assert Packer({"packs": COLUMNS, "fast_forms": FORMS}).tensors(inputs) is None


def test_one_input_is_the_tensor_of_a_model_that_takes_one() -> None:
    packer = Packer({"packs_shape": [2, 2], "fast_forms": ["inputs"]})
    found = packer.tensors([given_as("any", "FP32", (1, 2, 2), [1.0, 2.0, 3.0, 4.0])])

    assert found is not None
    assert unpacked(found.body) == [1, 2, 3, 4]
    assert packer.tensors([given_as("any", "FP32", (2, 2), [1.0, 2.0, 3.0, 4.0])]) is None
    assert packer.tensors([given_as("any", "FP32", (1, 4), [1.0, 2.0, 3.0, 4.0])]) is None
    assert packer.tensors([given_as("a", "FP32", (1, 2, 2), [1.0] * 4), given_as("b", "FP32", (1,), [1.0])]) is None
