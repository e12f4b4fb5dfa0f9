"""The model's own input example becomes the request that asks the same, whichever MLflow wrote it down."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from headrace.runtimes.worker import example, serving
from headrace.runtimes.worker.scoring import JSON, Request

SPLIT = {"columns": ["a", "b"], "data": [[1, 2.5]]}
TABLE = {"artifact_path": "input_example.json", "type": "dataframe", "pandas_orient": "split"}
VALUES = {**TABLE, "pandas_orient": "values"}
ARRAY = {"artifact_path": "input_example.json", "type": "ndarray", "format": "tf-serving"}
LATER_ARRAY = {"artifact_path": "input_example.json", "type": "ndarray"}
OBJECT = {"artifact_path": "input_example.json", "type": "json_object"}
ROWS = {"artifact_path": "input_example.json", "type": "sparse_matrix_csr"}
COLUMNS = {**ROWS, "type": "sparse_matrix_csc"}
WITH_PARAMS = {"params": "true"}
TALK = {"messages": [{"role": "user", "content": "hello"}]}


def written(folder: Path, content: Any, info: dict[str, Any]) -> Any:
    """The request of an example with this content."""
    (folder / "input_example.json").write_text(json.dumps(content))
    return json.loads(example.request(str(folder), info))


@pytest.mark.parametrize(
    ("info", "content", "request_made"),
    [
        (TABLE, SPLIT, {"dataframe_split": SPLIT}),
        (TABLE, {"data": [[1, 0], [0, 1]]}, {"dataframe_split": {"data": [[1, 0], [0, 1]]}}),
        (VALUES, {"data": [["a text"]]}, {"dataframe_split": {"data": [["a text"]]}}),
        (VALUES, [[1, 2]], {"dataframe_split": {"data": [[1, 2]]}}),
        ({**TABLE, "pandas_orient": "records"}, [{"a": 1}, {"b": 2}], {"dataframe_records": [{"a": 1}, {"b": 2}]}),
        (
            {**TABLE, **WITH_PARAMS},
            {"inputs": SPLIT, "params": {"k": 3}},
            {"dataframe_split": SPLIT, "params": {"k": 3}},
        ),
        (TABLE, {"inputs": SPLIT, "params": {}}, {"dataframe_split": SPLIT, "params": {}}),
        (
            {**VALUES, **WITH_PARAMS},
            {"inputs": {"data": [[1]]}, "params": {}},
            {"dataframe_split": {"data": [[1]]}, "params": {}},
        ),
        (ARRAY, {"inputs": [[1, 2]]}, {"inputs": [[1, 2]]}),
        (ARRAY, {"instances": [[1, 2]]}, {"instances": [[1, 2]]}),
        (ARRAY, {"inputs": {"x": [1], "y": [2]}}, {"inputs": {"x": [1], "y": [2]}}),
        (ARRAY, {"inputs": {"inputs": [1]}}, {"inputs": {"inputs": [1]}}),
        (
            {**ARRAY, **WITH_PARAMS},
            {"inputs": {"inputs": [[1, 2]]}, "params": {"k": 3}},
            {"inputs": [[1, 2]], "params": {"k": 3}},
        ),
        (LATER_ARRAY, [[1, 2]], {"inputs": [[1, 2]]}),
        (LATER_ARRAY, {"inputs": [1]}, {"inputs": {"inputs": [1]}}),
        (OBJECT, "a text", {"inputs": "a text"}),
        (OBJECT, {"question": "why"}, {"inputs": {"question": "why"}}),
        (OBJECT, {"inputs": "why"}, {"inputs": {"inputs": "why"}}),
        (OBJECT, TALK, TALK),
        ({**OBJECT, **WITH_PARAMS}, {"inputs": TALK, "params": {"n": 1}}, {**TALK, "n": 1}),
        ({**OBJECT, **WITH_PARAMS}, {"inputs": ["a"], "params": {"n": 1}}, {"inputs": ["a"], "params": {"n": 1}}),
        (
            ROWS,
            {"data": [1.5, 2.5, None], "indices": [2, 0, 1], "indptr": [0, 1, 3], "shape": [2, 3]},
            {"inputs": [[0, 0, 1.5], [2.5, None, 0]]},
        ),
        (
            COLUMNS,
            {"data": [1.5, 2.5], "indices": [1, 0], "indptr": [0, 1, 1, 2], "shape": [2, 3]},
            {"inputs": [[0, 0, 2.5], [1.5, 0, 0]]},
        ),
    ],
)
def test_an_example_of_any_year_asks_what_it_shows(
    tmp_path: Path, info: dict[str, Any], content: Any, request_made: Any
) -> None:
    assert written(tmp_path, content, info) == request_made


def test_the_request_that_mlflow_wrote_itself_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "serving_input_example.json").write_text('{\n  "inputs": 1}')
    info = {**TABLE, "serving_input_path": "serving_input_example.json"}

    assert example.request(str(tmp_path), info) == b'{\n  "inputs": 1}'


@pytest.mark.parametrize(
    ("info", "content"),
    [
        (TABLE, {"a": {"0": 1}}),
        (TABLE, []),
        (TABLE, 5),
        ({**TABLE, **WITH_PARAMS}, SPLIT),
        ({**TABLE, "type": "images"}, SPLIT),
        ({"artifact_path": "input_example.json"}, SPLIT),
        ({"type": "dataframe"}, SPLIT),
        ({**TABLE, "artifact_path": "gone.json"}, SPLIT),
        ({**TABLE, "serving_input_path": "gone.json"}, SPLIT),
        (ROWS, {"data": [1], "indices": [0], "indptr": [0, 1], "shape": [1, 1 << 30]}),
        (ROWS, {"data": [1], "indices": [5], "indptr": [0, 1], "shape": [1, 2]}),
        (ROWS, [1]),
    ],
)
def test_what_makes_no_request_is_an_ordinary_error(tmp_path: Path, info: dict[str, Any], content: Any) -> None:
    with pytest.raises((ValueError, LookupError, TypeError, OSError)):
        written(tmp_path, content, info)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"data": [[1]]'])
def test_a_file_that_is_no_json_makes_no_request(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "input_example.json").write_bytes(content)

    for info in (TABLE, {**TABLE, "serving_input_path": "input_example.json"}):
        with pytest.raises(ValueError, match=r"."):
            example.request(str(tmp_path), info)


TIMES = """
class Model(PythonModel):
    def predict(self, context, model_input, params=None):
        if type(model_input) is list:
            return model_input
        if model_input.iloc[0, 0] == 0:
            raise ValueError("nothing to multiply")
        return (model_input.iloc[:, 0] * (params or {"k": 2})["k"]).tolist()
"""


def logged(model: Path, info: dict[str, Any], content: str) -> str:
    """The model as an MLflow that wrote its example down like this would have logged it."""
    described = yaml.safe_load((model / "MLmodel").read_text())
    described["saved_input_example_info"] = info
    (model / "MLmodel").write_text(yaml.safe_dump(described))
    (model / "input_example.json").write_text(content)
    return str(model)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("info", "content", "said"),
    [
        ({**TABLE, **WITH_PARAMS}, '{"inputs": {"columns": ["a"], "data": [[1]]}, "params": {"k": 3}}', ""),
        (VALUES, '{"data": [[1.0, 0.0], [2.0, 1.0]]}', ""),
        (ARRAY, "[[1]", "its input example makes no request"),
        ({**TABLE, "artifact_path": "gone.json"}, "", "its input example makes no request"),
        ({**TABLE, "type": "images"}, "[[1]]", "its input example makes no request"),
        (OBJECT, '["a", 1]', "the model answers its input example, but not as a request"),
    ],
)
def test_no_example_of_any_year_keeps_a_good_model_from_serving(
    python_model: Callable[..., Path],
    capfd: pytest.CaptureFixture[str],
    info: dict[str, Any],
    content: str,
    said: str,
) -> None:
    merger, described, _ = serving.prepare(logged(python_model(TIMES), info, content))
    [answer] = merger.answer([Request(JSON, b'{"dataframe_split": {"columns": ["a"], "data": [[2]]}}')])

    assert (answer.status, json.loads(answer.body)) == (200, {"predictions": [4]})
    assert described["warmed_up"] is (said == "")
    assert said in capfd.readouterr().err


@pytest.mark.slow
def test_a_model_that_cannot_answer_its_example_however_it_is_asked_is_not_served(
    python_model: Callable[..., Path],
) -> None:
    with pytest.raises(RuntimeError, match="fails on its own input example"):
        serving.prepare(logged(python_model(TIMES), TABLE, '{"columns": ["a"], "data": [[0]]}'))
