"""The model's first call, and what it answers of requests that protocols made of the same example."""

# ruff: noqa: PLC0415 -- numpy and pandas are wanted by these tests alone.

from typing import Any

import pytest

from headrace.runtimes.worker import first_call
from headrace.runtimes.worker.first_call import NOT_ASKED, FirstCall
from headrace.runtimes.worker.scoring import JSON, Answer, Request


class Model:
    """A model that counts its calls; it answers with `result`, or with its input."""

    def __init__(self, results: Any = None) -> None:
        self.calls: list[Any] = []
        self._results = iter(results) if results is not None else None

    def _predict_fn(self, data: Any) -> Any:
        self.calls.append(data)
        if isinstance(data, list):
            data.append("spoilt")
        return next(self._results) if self._results is not None else repr(data[:1])


class Scorer:
    """Scores as the worker's scorer and merger do: a body says what the model is given."""

    proving = False

    def __init__(self, model: Model, inputs: dict[bytes, Any]) -> None:
        self.model, self.inputs = model, inputs
        self.seen: list[bool] = []

    def score(self, content_type: str, body: bytes) -> Answer:
        assert content_type == JSON
        try:
            given = self.inputs[body]
            data = list(given) if isinstance(given, list) else given
            return Answer(200, str(self.model._predict_fn(data)).encode())
        except Exception as error:
            return Answer(400, str(error).encode())

    def answer(self, requests: list[Request]) -> list[Answer]:
        self.seen.append(self.proving)
        return [self.score(request.content_type, request.body) for request in requests]


def proven(model: Model, inputs: dict[bytes, Any], *, quick: bool = True) -> tuple[FirstCall, list[Answer]]:
    scorer = Scorer(model, inputs)
    made = FirstCall(scorer, b"example")  # type: ignore[arg-type] # as much of a scorer as it needs
    made.make()
    made.seconds = first_call.QUICK_SECONDS * (0.5 if quick else 2)
    answers = made.prove(scorer, [Request(JSON, body) for body in inputs if body != b"example"])
    assert scorer.seen == [True] * len(answers)
    assert not scorer.proving
    assert model._predict_fn.__name__ == "_predict_fn", "what watched the model is gone"
    return made, answers


def test_the_same_input_has_the_answer_of_the_first_call_also_of_a_model_that_changes_its_input() -> None:
    model = Model(results=["first", "second"])

    made, answers = proven(model, {b"example": [1, 2], b"rest": [1, 2], b"grpc": [1, 2]})

    assert len(model.calls) == 1
    assert answers == [made.answer] * 2 == [Answer(200, b"first")] * 2


def test_a_quick_model_is_called_again_for_another_input() -> None:
    model = Model()

    _, answers = proven(model, {b"example": [1], b"rest": [2]})

    assert answers == [Answer(200, b"[2]")]


def test_a_slow_model_is_not_called_again() -> None:
    model = Model()

    _, answers = proven(model, {b"example": [1], b"rest": [2], b"grpc": [1]}, quick=False)

    assert len(model.calls) == 1
    assert [answer.status for answer in answers] == [NOT_ASKED, 200]


def test_another_answer_of_a_model_that_answers_by_chance_says_nothing_of_a_protocol() -> None:
    model = Model(results=["a", "b", "c"])

    _, answers = proven(model, {b"example": [1], b"rest": [2]})

    assert [answer.status for answer in answers] == [NOT_ASKED]


@pytest.mark.parametrize("kind", ["numpy", "pandas", "dict"])
def test_inputs_are_the_same_only_in_every_way_that_a_model_can_see(kind: str) -> None:
    import numpy as np
    import pandas as pd

    ours: dict[str, tuple[Any, list[Any]]] = {
        "numpy": (
            np.ones((2, 2)),
            [np.ones((2, 2), dtype="float32"), np.zeros((2, 2)), np.asfortranarray(np.ones((2, 2)))],
        ),
        "pandas": (pd.DataFrame({"a": [1.0]}), [pd.DataFrame({"b": [1.0]}), pd.DataFrame({"a": [1.0]}, index=[1])]),
        "dict": ({"a": np.ones(1)}, [{"a": np.zeros(1)}, {"b": np.ones(1)}, {}]),
    }
    one, others = ours[kind]

    assert first_call._same(one, one)
    assert [first_call._same(one, other) for other in others] == [False] * len(others)


def test_what_the_call_took_is_measured() -> None:
    made, _ = proven(Model(), {b"example": [1]})

    figures = made.figures()
    assert figures["milliseconds"] > 0
    assert figures["cpu_milliseconds"] >= 0
    assert figures["memory_mib"] is None or figures["memory_mib"] >= 0


def test_a_large_example_is_predicted_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_call, "LARGEST_BYTES", 3)
    model = Model()
    made, _ = proven(model, {b"example": [1]})

    assert made.answer.status == 200
    assert not made.small
    assert made._kept == []
