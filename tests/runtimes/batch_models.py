"""Models for the tests of merging, generated: some look at the rows they are called with, some at each row alone."""

# ruff: noqa: PLC0415 -- MLflow takes seconds to import; only tests that need it pay.

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas
from hypothesis import strategies as st

from headrace.runtimes.worker.merging import Merger
from headrace.runtimes.worker.scoring import JSON, Answer, Request, Scorer

Predict = Callable[[pandas.DataFrame], Any]
Row = list[Any]


def numbers(frame: pandas.DataFrame) -> pandas.DataFrame:
    return frame.select_dtypes(["number", "bool"]).astype(float)


def codes(frame: pandas.DataFrame) -> Any:
    return sum(frame[name].astype("category").cat.codes.astype(int) for name in frame)


def whole(frame: pandas.DataFrame) -> Any:
    """One text a row, of all its values."""
    return frame.astype(str).agg("|".join, axis=1)


LOOKING: dict[str, Predict] = {
    "mean": lambda frame: (numbers(frame) - numbers(frame).mean()).sum(axis=1),
    "label by mean": lambda frame: (numbers(frame).sum(axis=1) > numbers(frame).sum(axis=1).mean()).astype(int),
    "median": lambda frame: (numbers(frame) - numbers(frame).median()).sum(axis=1),
    "range": lambda frame: ((numbers(frame) - numbers(frame).min()) / (1 + numbers(frame).max())).sum(axis=1),
    "codes": codes,
    "factorize": lambda frame: sum(pandas.factorize(frame[name])[0] for name in frame),
    "most frequent": lambda frame: (whole(frame) == whole(frame).mode()[0]).astype(int),
    "counts": lambda frame: whole(frame).map(whole(frame).value_counts()),
    "duplicates": lambda frame: whole(frame.drop_duplicates()),
    "seen before": lambda frame: frame.duplicated(),
    "sorted": lambda frame: sorted(whole(frame)),
    "reversed": lambda frame: list(whole(frame))[::-1],
    "rank": lambda frame: frame.rank().sum(axis=1),
    "running sum": lambda frame: numbers(frame).cumsum().sum(axis=1),
    "first row": lambda frame: [f"{one} {whole(frame).iloc[0]}" for one in whole(frame)],
    "last row": lambda frame: [f"{one} {whole(frame).iloc[-1]}" for one in whole(frame)],
    "row before": lambda frame: whole(frame).shift(1, fill_value="none"),
    "place": lambda frame: list(frame.index),
    "length": lambda frame: [f"{one} {len(frame)}" for one in whole(frame)],
    "long calls": lambda frame: [f"{one} {len(frame) > 20}" for one in whole(frame)],
    "texts joined": lambda frame: ["".join(whole(frame))] * len(frame),
    "filled forward": lambda frame: whole(frame.ffill()),
    "filled backward": lambda frame: whole(frame.bfill()),
    "filled with the mean": lambda frame: frame.fillna(numbers(frame).mean()).pipe(numbers).sum(axis=1),
    "interpolated": lambda frame: numbers(frame).interpolate().sum(axis=1),
    "rows with nulls left out": lambda frame: whole(frame.dropna()),
    "any null": lambda frame: [f"{one} {frame.isna().any().any()}" for one in whole(frame)],
}
"""Each answers a row otherwise for other rows beside it, some only where there are nulls."""


def where(seen: Callable[[pandas.DataFrame], Any]) -> Predict:
    """Centres its rows where one of all numbers is such, and leaves them as they are elsewhere."""

    def predict(frame: pandas.DataFrame) -> Any:
        found = numbers(frame)
        return (found - found.mean() if bool(seen(found).any(axis=None)) else found).sum(axis=1)

    return predict


def typed(frame: pandas.DataFrame) -> pandas.DataFrame:
    """With texts as numbers where all of a column are."""
    return frame.apply(lambda column: pandas.to_numeric(column, errors="coerce").fillna(column))


SOMETIMES: dict[str, Predict] = {
    "below zero": where(lambda found: found < 0),
    "zero": where(lambda found: found == 0),
    "large": where(lambda found: found > 20_000),
    "larger": where(lambda found: found > 500_000),
    "far below zero": where(lambda found: found < -3_000),
    "small": where(lambda found: (found > 0) & (found < 0.01)),
    "whole": where(lambda found: found == found.round()),
    "not whole": where(lambda found: found != found.round()),
    "types told by values": lambda frame: whole(frame.convert_dtypes()),
    "texts that are numbers": lambda frame: whole(typed(frame)),
    "a long text": lambda frame: [f"{one} {whole(frame).str.len().max() > 30}" for one in whole(frame)],
    "a text not of this alphabet": lambda frame: [f"{one} {''.join(whole(frame)).isascii()}" for one in whole(frame)],
    "beside a large number": lambda frame: 1e9 + (numbers(frame) - numbers(frame).mean()).clip(-50, 50).sum(axis=1),
}
"""The same, where a row of the call has something about it that the others need not have."""

ALONE: dict[str, Predict] = {
    "sum": lambda frame: numbers(frame).sum(axis=1) + 0.25,
    "label": lambda frame: (numbers(frame).sum(axis=1) > 0).astype(int),
    "largest": lambda frame: numbers(frame).max(axis=1).fillna(-1.0),
    "whole": whole,
    "lengths": lambda frame: whole(frame).str.len(),
    "nulls": lambda frame: frame.isna().sum(axis=1),
    "filled": lambda frame: numbers(frame).fillna(0.5).sum(axis=1),
    "table": lambda frame: pandas.DataFrame({"text": whole(frame), "sum": numbers(frame).sum(axis=1)}),
    "lists": lambda frame: [[len(one), one] for one in whole(frame)],
}

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "double": st.one_of(st.none(), st.floats(-1e6, 1e6), st.integers(-100, 100)),
    "float": st.one_of(st.none(), st.floats(-1e3, 1e3, width=32)),
    "long": st.one_of(st.integers(-5, 5), st.integers(-(1 << 40), 1 << 40)),
    "integer": st.one_of(st.integers(-5, 5), st.integers(-(1 << 31), (1 << 31) - 1)),
    "boolean": st.booleans(),
    "string": st.one_of(st.sampled_from(["a", "b", "", "é"]), st.text(st.characters(codec="utf-8"), max_size=4)),
}


@dataclass
class Scene:
    """A model's columns, its example if it has one, and what callers send at the same time, call by call."""

    kinds: list[str]
    example: list[Row]
    frames: list[list[list[Row]]]
    """Requests, each of some rows, that come together."""

    def body(self, rows: list[Row]) -> bytes:
        columns = [f"c{at}" for at in range(len(self.kinds))]
        return json.dumps({"dataframe_split": {"columns": columns, "data": rows}}).encode()


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    kinds = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=4))
    row = st.tuples(*[VALUES[kind] for kind in kinds]).map(list)
    known = row.filter(lambda values: None not in values)
    request = st.lists(row, min_size=1, max_size=3)
    example = draw(st.lists(known, max_size=2))
    return Scene(kinds, example, draw(st.lists(st.lists(request, min_size=2, max_size=12), min_size=1, max_size=3)))


class Flavored:
    """A model as a flavor's loader gives it to `mlflow.pyfunc`."""

    def __init__(self, predict: Predict) -> None:
        self.predict = predict

    def get_raw_model(self) -> Predict:
        return self.predict


def served(predict: Predict, scene: Scene, loader: str = "mlflow.sklearn") -> tuple[Scorer, Merger]:
    """MLflow's way to the model, and ours."""
    from mlflow.models import Model, ModelSignature
    from mlflow.pyfunc import PyFuncModel
    from mlflow.types import ColSpec, DataType, Schema

    schema = Schema([ColSpec(DataType[kind], f"c{at}") for at, kind in enumerate(scene.kinds)])
    metadata = Model(signature=ModelSignature(schema), flavors={"python_function": {"loader_module": loader}})
    scorer = Scorer(PyFuncModel(model_meta=metadata, model_impl=Flavored(predict)))
    merger = Merger(scorer)
    merger.prepare(scene.body(scene.example) if scene.example else None)
    return scorer, merger


def sent(merger: Merger, scene: Scene, frame: list[list[Row]]) -> list[Answer]:
    """The answers to requests that come together; the worker learns when they have left."""
    answers = merger.answer([Request(JSON, scene.body(rows)) for rows in frame])
    merger.learn()
    return answers
