"""What a model can see of its input, whoever has built it."""

import json
from typing import Any

import numpy
import pandas
import pytest

from headrace.runtimes.worker import equivalence_check
from tests.runtimes.batch_models import Scene, sent, served

NUMBERS = {"a": numpy.array([1.0, 2.0]), "b": numpy.array([3.0, 4.0])}
MIXED = {"a": numpy.array([1.0, 2.0]), "b": numpy.array(["x", "y"], dtype=object), "c": numpy.array([5.0, 6.0])}


def locked(array: Any) -> Any:
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("columns", [NUMBERS, MIXED])
def test_frames_of_which_other_columns_share_memory_are_not_the_same(columns: Any) -> None:
    together, apart = pandas.DataFrame(columns, copy=True), pandas.DataFrame(columns, copy=False)

    assert together.equals(apart)
    assert not equivalence_check.identical(together, apart, pandas, numpy)
    assert equivalence_check.identical(apart, pandas.DataFrame(columns, copy=False), pandas, numpy)


@pytest.mark.parametrize(
    "other",
    [
        numpy.zeros((4, 3))[:2],
        locked(numpy.zeros((2, 3))),
        numpy.zeros((3, 2)).T,
        numpy.zeros((2, 3), dtype=numpy.float32),
        numpy.zeros((2, 3)) + 1e-300,
    ],
    ids=["a view", "locked", "other order", "other type", "other numbers"],
)
def test_arrays_that_a_model_can_tell_apart_are_not_the_same(other: Any) -> None:
    assert not equivalence_check.identical(other, numpy.zeros((2, 3)), pandas, numpy)
    assert equivalence_check.identical(numpy.zeros((2, 3)), numpy.zeros((2, 3)), pandas, numpy)


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [["double", "double"], ["double", "string"], ["long", "long"]])
def test_what_a_model_does_to_the_frame_it_is_given_no_other_request_sees(kinds: list[str]) -> None:
    def names(frame: Any) -> Any:
        was = str((frame.columns.name, frame.index.name, frame.attrs, [str(kind) for kind in frame.dtypes]))
        frame.columns.name, frame.index.name = "seen", "seen"
        frame.attrs["seen"] = True
        frame["c0"] = "seen"
        return [was] * len(frame)

    scene = Scene(kinds, [], [])
    _, merger = served(names, scene, "mlflow.pyfunc.model")
    request = [[1 if kind == "long" else 1.5 if kind == "double" else "x" for kind in kinds]]
    first, second, third = sent(merger, scene, [request] * 3)

    assert "seen" not in json.loads(first.body)["predictions"][0]
    assert first == second == third


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [["string"] * 2, ["string", "double", "string", "long", "double"], ["boolean"] * 3])
def test_columns_of_any_type_take_the_fast_way_more_than_one_of_a_type_too(kinds: list[str]) -> None:
    _, merger = served(lambda frame: [0] * len(frame), Scene(kinds, [], []))

    assert merger.merges
    assert merger.forms == ["dataframe_records", "dataframe_split", "inputs", "instances"]
