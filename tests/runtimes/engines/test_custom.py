"""A real server of somebody else's behind our front: MLflow's own scoring server, as a user would name it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.slow

COLUMNS = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
SPLIT = {"dataframe_split": {"columns": COLUMNS, "data": [[5.1, 3.5, 1.4, 0.2]]}}
COMMAND = ["{python}", "-m", "uvicorn", "mlflow.pyfunc.scoring_server.app:app", "--host=127.0.0.1", "--port={port}"]


def test_mlflows_scoring_server_is_served_as_a_command_of_the_users_own(
    start_engine: Callable[..., Any], iris_model: Path
) -> None:
    request = {"kind": "custom", "command": COMMAND, "protocol": "invocations"}
    scoring = {"__pyfunc_model_path__": str(iris_model)}
    with start_engine(iris_model, request, **scoring) as engine:
        good = engine.post("/invocations", SPLIT)
        table = ",".join(COLUMNS) + "\n5.1,3.5,1.4,0.2\n"
        csv = httpx.post(engine.url + "/invocations", content=table, headers={"content-type": "text/csv"}, timeout=30)
        bad = engine.post("/invocations", {"dataframe_split": {"columns": ["a"], "data": [[1]]}})

    assert good.json() == {"predictions": [0]}
    assert good.headers["served-model-name"] == "v7"
    assert csv.json() == {"predictions": [0]}
    assert (bad.status_code, json.loads(bad.text)["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
