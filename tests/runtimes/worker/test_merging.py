"""A front and its workers around models whose answers would depend on other callers' rows."""

# ruff: noqa: PLC0415 -- MLflow and scikit-learn take seconds to import; only tests that need them pay.

import json
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from patience import eventually

pytestmark = pytest.mark.slow


def centred(rows: Any) -> Any:
    return rows - rows.mean()


def poisoned(rows: Any) -> Any:
    """Leaves rows as they are, unless one of several is 13, which no proof can know.

    Takes longer than a caller of these tests needs to send, also on a busy machine: requests wait, and are merged.
    """
    import time

    time.sleep(0.02)
    return rows * (1000 if len(rows) > 1 and (rows["a"] == 13).any() else 1)


def guarded(rows: Any) -> Any:
    """Centres them where one is beyond what was learned, as no example of one row tells."""
    return rows - rows.mean() if bool((rows > 20_000).any(axis=None)) else rows


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any], Path]:
    """Saves a pipeline of a function of the user's and a sum, on two columns of whole numbers, with one row as example.

    With the function by value, as a notebook would.
    """
    import cloudpickle
    import mlflow
    import pandas
    from mlflow.models import infer_signature
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    def save(function: Any) -> Path:
        cloudpickle.register_pickle_by_value(sys.modules[__name__])
        rows = pandas.DataFrame({"a": [1, 2, 3, 5], "b": [4, 0, 1, 9]})
        model = make_pipeline(FunctionTransformer(function), LinearRegression()).fit(rows, [5.0, 2.0, 4.0, 14.0])
        path = tmp_path_factory.mktemp("merging") / "model"
        mlflow.sklearn.save_model(
            model,
            str(path),
            signature=infer_signature(rows, model.predict(rows)),
            input_example=rows.iloc[:1],
            pip_requirements=["mlflow"],
            serialization_format="cloudpickle",
        )
        return path

    return save


def asked(first: int, second: int = 4) -> str:
    return json.dumps({"dataframe_split": {"columns": ["a", "b"], "data": [[first, second]]}})


def together(front: Any, bodies: list[str]) -> list[Any]:
    with ThreadPoolExecutor(24) as pool:
        return [answer.json() for answer in pool.map(front.post, bodies)]


def said(front: Any) -> list[str]:
    records = [json.loads(line) for line in front.log.read_text().splitlines()]
    return [record["body"] for record in records if "merged into one model call" in record["body"]]


def test_the_answer_to_a_row_is_that_of_the_row_alone_among_24_callers(start_front: Any, saved: Any) -> None:
    with start_front(saved(centred)) as front:
        bodies = [asked(at, 3 * at) for at in range(24)]
        alone = [front.post(body).json() for body in bodies]

        assert together(front, bodies * 4) == alone * 4
        assert front.metric("headrace_merging") == 0
        assert said(front) == [
            "requests are not merged into one model call: its answer for a row depends on the other rows"
        ]


def test_a_value_that_changes_the_answers_beside_it_ends_merging_before_a_caller_is_answered_so(
    start_front: Any, saved: Any
) -> None:
    with start_front(saved(guarded)) as front:
        bodies = [asked(at, 3 * at) for at in range(24)]
        strange = asked(50_000)
        alone = [front.post(body).json() for body in [*bodies, strange]]
        assert front.metric("headrace_merging") == 1

        for _ in range(50):
            assert together(front, [*bodies, strange] * 2) == alone * 2
            if front.metric("headrace_merging") == 0:
                break
        assert together(front, [*bodies, strange] * 2) == alone * 2

        assert front.metric("headrace_merging") == 0
        assert front.metric("headrace_merged_calls_differed_total") == 1
        assert said(front)[-1] == (
            "requests are not merged into one model call any more: its answer for a row depends on the other rows"
        )


def test_a_mix_that_one_worker_sees_ends_merging_in_all_and_in_later_ones(start_front: Any, saved: Any) -> None:
    with start_front(saved(poisoned), HEADRACE_WORKERS="2") as front:
        eventually(lambda: front.metric("headrace_workers_ready") == 2)
        assert front.metric("headrace_merging") == 1
        bodies = [asked(at) for at in range(24)]
        poison = asked(13, 9)
        alone = [front.post(body).json() for body in bodies]

        def checked() -> bool:
            assert together(front, bodies) == alone
            return bool(front.metric("headrace_merged_calls_checked_total") >= 1)

        # before there is a row of a new kind, whose trial may come before any check; workers check when they are free
        eventually(checked, "a merged call is checked")
        alone.append(front.post(poison).json())

        for _ in range(50):
            assert together(front, [*bodies, poison]) == alone
            if front.metric("headrace_merging") == 0:
                break
        assert front.metric("headrace_merging") == 0
        assert front.metric("headrace_merged_calls_differed_total") >= 1
        assert front.metric("headrace_merged_calls_checked_total") >= 1
        # Seen by a check of a merged call, or by a trial of rows of a new kind, whichever came first.
        assert said(front)[-1] in {
            f"requests are not merged into one model call any more: {reason}"
            for reason in (
                "a request's answer depended on other requests",
                "its answer for a row depends on the other rows",
            )
        }

        old = front.worker_pids()
        calls = front.metric("headrace_model_calls_total")
        assert together(front, [*bodies, poison] * 4) == alone * 4
        assert front.metric("headrace_model_calls_total") == calls + 100, "each request is a call of its own"

        os.kill(old[0], signal.SIGKILL)
        eventually(lambda: len(front.worker_pids()) == 2 and old[0] not in front.worker_pids())
        eventually(lambda: front.metric("headrace_workers_ready") == 2)
        calls = front.metric("headrace_model_calls_total")
        assert together(front, [*bodies, poison] * 4) == alone * 4
        assert front.metric("headrace_model_calls_total") == calls + 100


APPENDS = """
class Model(PythonModel):
    def predict(self, context, model_input, params=None):
        with open({path!r}, "a") as file:
            file.write("line\\n")
        raise ValueError("no")
"""


@pytest.mark.parametrize("typed", [True, False])
def test_a_model_that_raises_is_called_once(start_front: Any, python_model: Any, tmp_path: Path, typed: bool) -> None:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    lines = tmp_path / "lines"
    signature = ModelSignature(Schema([ColSpec(DataType.double, "a"), ColSpec(DataType.double, "b")]))
    keywords = {"signature": signature} if typed else {}
    with start_front(python_model(APPENDS.format(path=str(lines)), **keywords)) as front:
        answer = front.post(asked(1))

    assert answer.status_code == 400
    assert lines.read_text() == "line\n"
