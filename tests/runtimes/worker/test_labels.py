"""Rows that callers name (`index`): each reaches the model under its own name, whatever others call theirs."""

# ruff: noqa: PLC0415 -- MLflow and scikit-learn take seconds to import; only tests that need them pay.

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest

from headrace.runtimes.protocols import packing
from headrace.runtimes.worker import labels, loading
from headrace.runtimes.worker.merging import Merger
from headrace.runtimes.worker.scoring import JSON, Request, Scorer


def test_rows_keep_the_names_that_their_callers_gave_them_and_the_others_are_numbered() -> None:
    given = [(1, numpy.array([9])), (2, None), (1, ["x"]), (1, [7])]

    assert labels.joined(given, numpy) == [9, 0, 1, "x", 7]
    assert labels.joined(given[:2], numpy).tolist() == [9, 0, 1]
    assert labels.joined(given[2:3], numpy) == ["x"]


@pytest.mark.parametrize("named", [[1, 2], ["a", "a"], [0.5, None], [True, False], [1, "a"]])
def test_labels_become_the_index_that_pandas_makes_of_them(named: list[Any]) -> None:
    ours = labels.put(pandas.DataFrame({"a": [1.0, 2.0]}), named, pandas)
    theirs = pandas.DataFrame({"a": [1.0, 2.0]}, index=named)

    assert type(ours.index) is type(theirs.index)
    assert ours.index.dtype == theirs.index.dtype
    assert ours.index.equals(theirs.index)


def untouched(rows: Any) -> Any:
    return rows


def named_by_numbers(rows: Any) -> Any:
    return rows.add(pandas.to_numeric(pandas.Series(rows.index, index=rows.index), errors="coerce").fillna(0), axis=0)


def without_doubles(rows: Any) -> Any:
    return rows.loc[~rows.index.duplicated()].reindex(rows.index.unique()).loc[rows.index]


def by_name(rows: Any) -> Any:
    return pandas.concat([rows.loc[[name]] for name in rows.index]).iloc[: len(rows)]


@pytest.fixture
def served(tmp_path: Path) -> Callable[[Callable[[Any], Any]], Merger]:
    """Makes a model that does something with its table before a linear regression."""

    def make(step: Callable[[Any], Any]) -> Merger:
        import mlflow
        from mlflow.models import infer_signature
        from sklearn.linear_model import LinearRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import FunctionTransformer

        rows = pandas.DataFrame(numpy.random.default_rng(0).normal(size=(20, 2)), columns=["a", "b"])
        model = make_pipeline(FunctionTransformer(step), LinearRegression()).fit(rows, rows.a + 2 * rows.b)
        path = tmp_path / "model"
        mlflow.sklearn.save_model(
            model,
            str(path),
            signature=infer_signature(rows, model.predict(rows)),
            input_example=rows[:3],
            pip_requirements=["mlflow"],
            serialization_format="cloudpickle",
        )
        scorer = Scorer(loading.load(str(path)))
        merger = Merger(scorer)
        merger.prepare(loading.warm_up_body(str(path), scorer.model.metadata))
        return merger

    return make


def body(rows: list[list[float]], named: Any) -> bytes:
    return json.dumps({"dataframe_split": {"columns": ["a", "b"], "data": rows, "index": named}}).encode()


REQUESTS = [
    body([[1.0, 2.0]], [18]),
    body([[3.0, 4.0], [5.0, 6.0]], [18, 19]),
    body([[7.0, 8.0]], ["x"]),
    body([[9.0, 1.0], [2.0, 3.0]], None),
    body([[1.0, 2.0], [3.0, 5.0]], [4, 3]),
]


def packed(merger: Merger) -> list[Request]:
    """The requests as the front hands them on."""
    packer = packing.Packer({"packs": merger.packs, "fast_forms": merger.forms, "labels": merger.labels})
    found = [packer.document(json.loads(text)) for text in REQUESTS]
    kinds = [one and one.content_type for one in found]
    assert kinds == [packing.LABELLED, packing.LABELLED, None, packing.PACKED, packing.LABELLED]
    return [Request(JSON, text) if one is None else Request(*one) for text, one in zip(REQUESTS, found, strict=True)]


def counted(merger: Merger) -> list[int]:
    """Rows of each call that the model is given from now on."""
    rows: list[int] = []
    predict = merger._scorer.model._predict_fn

    def counting(data: Any, **keywords: Any) -> Any:
        rows.append(len(data))
        return predict(data, **keywords)

    merger._scorer.model._predict_fn = counting
    return rows


@pytest.mark.slow
def test_a_model_that_does_not_look_at_names_answers_all_in_one_call(served: Any) -> None:
    merger = served(untouched)
    alone = [json.loads(merger._scorer.score(JSON, text).body) for text in REQUESTS]
    merger.answer(packed(merger))
    merger.learn()  # numbers such as the example has not
    calls = counted(merger)
    together = [json.loads(answer.body) for answer in merger.answer(packed(merger))]

    assert calls[0] == 8  # and then, checked: each apart
    for one, other in zip(together, alone, strict=True):
        assert one["predictions"] == pytest.approx(other["predictions"])


@pytest.mark.slow
@pytest.mark.parametrize("step", [named_by_numbers, without_doubles, by_name])
def test_a_model_that_looks_at_names_gets_those_of_one_caller_a_call(served: Any, step: Callable[[Any], Any]) -> None:
    merger = served(step)
    alone = [json.loads(merger._scorer.score(JSON, text).body) for text in REQUESTS]
    calls = counted(merger)
    together = [json.loads(answer.body) for answer in merger.answer(packed(merger))]

    assert sorted(calls) == [1, 1, 2, 2, 2]
    for one, other in zip(together, alone, strict=True):
        assert one["predictions"] == pytest.approx(other["predictions"])
