"""The model of these tests."""

from collections.abc import Callable
from pathlib import Path

import pytest

ECHO = """
class Model(PythonModel):
    def predict(self, context, model_input, params=None):
        return [1.0] * len(model_input)
"""


@pytest.fixture(scope="session")
def echo(python_model: Callable[..., Path]) -> Path:
    return python_model(ECHO)
