"""An endpoint's variables in a pod: the model has them, and nothing that the pod writes or serves repeats them."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.slow

HUSH = "sk-hush-5f0e91c2d7"
MODEL = """
import hashlib, os
class Model(PythonModel):
    def predict(self, context, model_input, params=None):
        if model_input.iloc[0, 0] == "fail":
            raise ValueError("as asked")
        return [hashlib.sha256(os.environ["API_KEY"].encode()).hexdigest(), os.environ["PRICE"]]
"""


def test_a_variable_reaches_the_model_and_no_log_metric_or_answer(
    python_model: Callable[..., Path], start_front: Callable[..., Any]
) -> None:
    with start_front(python_model(MODEL), API_KEY=HUSH, PRICE="5$") as front:
        answered = front.post('{"dataframe_records": [{"wish": "tell"}]}')
        failed = front.post('{"dataframe_records": [{"wish": "fail"}]}')
        status = httpx.get(f"{front.admin_url}/status", timeout=10).text
        shown = [front.log.read_text(), front.metrics(), status, answered.text, failed.text]

    assert answered.json()["predictions"] == [hashlib.sha256(HUSH.encode()).hexdigest(), "5$"]
    assert failed.status_code >= 400
    assert [text for text in (*shown, front.log.read_text()) if HUSH in text] == []
