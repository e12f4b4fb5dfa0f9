"""No caller's answer depends on what other callers send, whatever the model does with the rows of a call."""

import itertools
import json
import logging
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from headrace.runtimes.worker.scoring import JSON, Request
from tests.runtimes.batch_models import ALONE, LOOKING, SOMETIMES, Scene, scenes, sent, served
from tests.runtimes.worker.test_differential import alike

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

many = settings(max_examples=4, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Faults of generated models are logged by the hundred."""
    logging.getLogger("headrace.worker").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("headrace.worker").setLevel(logging.NOTSET)


def assert_answers_are_those_of_each_request_alone(scorer: Any, merger: Any, scene: Scene) -> None:
    for frame in scene.frames:
        for rows, answer in zip(frame, sent(merger, scene, frame), strict=True):
            alone = scorer.score(JSON, scene.body(rows))
            told = f"{scene}\nrequest: {rows}\nalone: {alone}\namong others: {answer}\n{merger.reason}"
            assert answer.status == alone.status, told
            assert alike(json.loads(alone.body), json.loads(answer.body)), told


@pytest.mark.parametrize("name", LOOKING)
@many
@given(scene=scenes())
def test_a_model_that_looks_at_its_batch_never_answers_with_a_mix(name: str, scene: Scene) -> None:
    scorer, merger = served(LOOKING[name], scene)

    assert_answers_are_those_of_each_request_alone(scorer, merger, scene)
    assert merger.watch.differed == 0, f"found while serving only: {scene}"


@pytest.mark.parametrize("name", SOMETIMES)
@many
@given(scene=scenes())
def test_nor_does_one_that_looks_at_it_when_a_row_is_out_of_the_ordinary(name: str, scene: Scene) -> None:
    scorer, merger = served(SOMETIMES[name], scene)

    assert_answers_are_those_of_each_request_alone(scorer, merger, scene)


@pytest.mark.parametrize("name", ALONE)
@many
@given(scene=scenes())
def test_a_model_that_looks_at_each_row_alone_keeps_merging(name: str, scene: Scene) -> None:
    scorer, merger = served(ALONE[name], scene)

    assert_answers_are_those_of_each_request_alone(scorer, merger, scene)
    assert merger.merges, f"{merger.reason}: {scene}"
    assert merger.watch.differed == 0


def table(*numbers: float) -> list[list[Any]]:
    return [[number] for number in numbers]


PLAIN = Scene(["double"], table(1.0), [])
"""One column of numbers, and an example of one row."""


def poisoned(frame: Any) -> Any:
    """Answers every row otherwise when a caller sends 13, which no proof can know."""
    return frame.c0.to_numpy() * (1000 if (frame.c0 == 13).any() and len(frame) > 1 else 1)


def answered(merger: Any, scene: Scene, frame: list[Any]) -> list[Any]:
    return [json.loads(answer.body).get("predictions") for answer in sent(merger, scene, frame)]


def test_what_only_callers_bring_about_is_seen_in_the_first_calls_and_nobody_gets_the_mix() -> None:
    _, merger = served(poisoned, PLAIN)
    assert merger.merges

    assert answered(merger, PLAIN, [table(1.0), table(13.0), table(3.0)]) == [[1.0], [13.0], [3.0]]
    assert not merger.merges
    assert merger.reason == "a request's answer depended on other requests"
    assert (merger.watch.checked, merger.watch.differed) == (1, 1)
    assert answered(merger, PLAIN, [table(13.0), table(3.0)]) == [[13.0], [3.0]]


def test_a_call_longer_than_any_before_is_checked_however_late_it_comes() -> None:
    _, merger = served(lambda frame: frame.c0.to_numpy() * (1 if len(frame) < 5000 else 2), PLAIN)
    for _ in range(20):
        answered(merger, PLAIN, [table(1.0), table(2.0)])
    before = merger.watch.checked

    answered(merger, PLAIN, [table(float(at)) for at in range(100)])

    assert merger.watch.checked > before


def test_a_label_that_no_call_has_had_is_checked_however_late_it_comes() -> None:
    _, merger = served(
        lambda frame: ["rare" if (frame.c0 == 13.0).any() and len(frame) == 3 else "usual"] * len(frame), PLAIN
    )
    for _ in range(20):
        answered(merger, PLAIN, [table(1.0), table(2.0)])
    assert merger.merges

    assert answered(merger, PLAIN, [table(1.0), table(13.0), table(3.0)]) == [["usual"]] * 3
    assert not merger.merges


def test_a_model_of_chance_is_called_once_a_request() -> None:
    _, merger = served(lambda frame: [random.random() for _ in range(len(frame))], PLAIN)

    assert not merger.merges
    assert merger.reason == "it answers the same row differently from time to time"


def test_chance_that_begins_while_serving_is_told_from_company() -> None:
    calls, serving = itertools.count(), []
    _, merger = served(lambda frame: [float(next(calls)) if serving else 1.0] * len(frame), PLAIN)
    serving.append(True)

    answered(merger, PLAIN, [table(1.0), table(2.0)])

    assert merger.reason == "it answers the same request differently from time to time"


def test_rows_with_nulls_go_apart_where_only_they_are_filled_from_other_rows() -> None:
    calls: list[int] = []

    def filled(frame: Any) -> Any:
        calls.append(len(frame))
        return frame.c0.fillna(frame.c0.mean()).fillna(-1.0).to_numpy()

    _, merger = served(filled, PLAIN)
    assert merger.merges
    for _ in range(8):
        answered(merger, PLAIN, [table(1.0), table(2.0)])
    calls.clear()

    frame = [table(1.0), [[None]], table(3.0)]
    assert answered(merger, PLAIN, frame) == [[1.0], [-1.0], [3.0]]
    assert sorted(calls) == [1, 2], "the null alone, the others together"


def strict(frame: Any) -> Any:
    """Takes the texts n0, n1 … as an encoder takes the categories it has seen, and fails on others."""
    return [2 * int(text.removeprefix("n") if text.startswith("n") else "?") for text in frame.c0]


def test_a_model_that_takes_no_made_row_is_proven_with_rows_of_callers() -> None:
    scene = Scene(["string"], [["n7"]], [])
    _, merger = served(strict, scene)
    assert not merger.merges
    assert merger.reason == "only one value of column 'c0' is known that it answers"

    for at in range(20):
        assert answered(merger, scene, [[[f"n{at}"]]]) == [[2 * at]]

    assert merger.merges, merger.reason
    assert answered(merger, scene, [[["n3"]], [["n4"]]]) == [[6], [8]]


def test_rows_of_callers_can_refute_as_well() -> None:
    scene = Scene(["string"], [["n7"]], [])
    _, merger = served(lambda frame: [max(strict(frame))] * len(frame), scene)
    assert (merger.merges, merger.mixes) == (False, False)
    for at in range(20):
        answered(merger, scene, [[[f"n{at}"]]])

    assert (merger.merges, merger.mixes) == (False, True)


def test_a_request_that_raises_takes_no_other_with_it_and_merging_goes_on() -> None:
    calls: list[int] = []

    def picky(frame: Any) -> Any:
        calls.append(len(frame))
        if (frame.c0 == 5.0).any():
            raise ValueError("no")
        return frame.c0.to_numpy()

    _, merger = served(picky, PLAIN)
    calls.clear()

    answers = sent(merger, PLAIN, [table(1.0), table(5.0), table(3.0)])

    assert [answer.status for answer in answers] == [200, 400, 200]
    assert calls == [3, 1, 1, 1]
    assert merger.merges


def seen(merger: Any) -> None:
    """Answers more calls than are checked at first."""
    for _ in range(8):
        answered(merger, PLAIN, [table(1.0), table(2.0)])


@pytest.mark.parametrize("strange", [50_000.0, -50_000.0, 1e300])
def test_a_request_with_a_value_of_a_kind_that_was_not_tried_goes_apart_until_it_was(strange: float) -> None:
    calls: list[list[float]] = []

    def model(frame: Any) -> Any:
        calls.append(list(frame.c0))
        return frame.c0.to_numpy()

    _, merger = served(model, Scene(["double"], table(1.0, 2.5), []))
    seen(merger)
    calls.clear()
    requests = [Request(JSON, PLAIN.body(table(value))) for value in (1.0, strange, 3.0)]

    first = merger.answer(requests)
    assert calls == [[strange], [1.0, 3.0]]
    merger.learn()
    assert strange in calls[2], "tried beside others, when the answers have left"
    assert len(calls[2]) > 8
    calls.clear()

    assert merger.answer(requests) == first
    assert calls == [[1.0, strange, 3.0]]


def test_what_such_a_request_brings_about_ends_merging_before_a_caller_meets_it() -> None:
    scene = Scene(["double"], table(1.0), [[table(1.0), table(50_000.0), table(3.0)]])
    scorer, merger = served(SOMETIMES["large"], scene)
    seen(merger)
    assert merger.merges

    assert_answers_are_those_of_each_request_alone(scorer, merger, scene)
    assert (merger.merges, merger.reason) == (False, "its answer for a row depends on the other rows")
    assert merger.watch.differed == 1


@pytest.mark.parametrize("loader", ["mlflow.sklearn", "mlflow.pyfunc.model"])
def test_a_request_that_raises_for_what_was_not_tried_is_one_call_in_company_too(loader: str) -> None:
    calls: list[float] = []

    def raises(frame: Any) -> Any:
        calls.extend(frame.c0)
        if (frame.c0 == 50_000.0).any():
            raise ValueError("no")
        return frame.c0.to_numpy()

    _, merger = served(raises, PLAIN, loader)
    if loader == "mlflow.sklearn":
        seen(merger)
    calls.clear()

    for _ in range(2):
        answers = sent(merger, PLAIN, [table(1.0), table(50_000.0), table(3.0)])
        assert [answer.status for answer in answers] == [200, 400, 200]
    assert sorted(calls) == [1.0, 1.0, 3.0, 3.0, 50_000.0, 50_000.0]


def test_numbers_behind_labels_that_depend_on_other_rows_are_found_though_all_labels_are_alike() -> None:
    class Classifier:
        """Answers every row of any proof alike."""

        def __call__(self, frame: Any) -> Any:
            return ["good"] * len(frame)

        def predict_proba(self, frame: Any) -> Any:
            return [[0.001 * rank, 1 - 0.001 * rank] for rank in frame.c0.rank()]

    class Steady(Classifier):
        def predict_proba(self, frame: Any) -> Any:
            return [[abs(value) % 1, 1 - abs(value) % 1] for value in frame.c0]

    assert served(Steady(), PLAIN)[1].merges
    assert not served(Classifier(), PLAIN)[1].merges


def test_a_merged_call_that_raises_where_no_request_does_ends_merging() -> None:
    def crowded(frame: Any) -> Any:
        if len(frame) > 1 and (frame.c0 == 13.0).any():
            raise ValueError("no")
        return frame.c0.to_numpy()

    _, merger = served(crowded, PLAIN)

    assert answered(merger, PLAIN, [table(1.0), table(13.0)]) == [[1.0], [13.0]]
    assert merger.reason == "a merged call failed (ValueError) where each of its requests was answered"


def test_a_merged_call_beyond_the_memory_is_made_smaller() -> None:
    def small(frame: Any) -> Any:
        if len(frame) > 6 and (frame.c0 == 13.0).any():
            raise MemoryError
        return frame.c0.to_numpy()

    _, merger = served(small, PLAIN)
    frame = [table(13.0)] * 8

    assert answered(merger, PLAIN, frame) == [[13.0]] * 8
    assert merger.merges
    assert answered(merger, PLAIN, frame) == [[13.0]] * 8
    assert merger.watch.differed == 0


@pytest.mark.parametrize("loader", ["mlflow.sklearn", "mlflow.pyfunc.model"])
def test_one_request_is_one_call_though_the_model_raises(loader: str) -> None:
    calls: list[float] = []

    def raises(frame: Any) -> Any:
        calls.append(frame.c0[0])
        if frame.c0[0] == 13.0:
            raise ValueError("no")
        return frame.c0.to_numpy()

    scorer, merger = served(raises, PLAIN, loader)
    calls.clear()

    [answer] = sent(merger, PLAIN, [table(13.0)])

    assert calls == [13.0]
    assert answer == scorer.score(JSON, PLAIN.body(table(13.0)))
