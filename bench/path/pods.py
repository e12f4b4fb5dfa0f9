"""Pods at the end of the way: one that costs nothing, and our front with a model that does."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.path.chains import ROOT
from bench.runtime import systems
from bench.runtime.systems import Model, free_port

_MODEL: Final = """
import sys
import mlflow
import pandas as pd

source, target = sys.argv[1:]
open(source, "w").write('''
import mlflow
from mlflow.pyfunc import PythonModel
class Model(PythonModel):
    def predict(self, context, model_input, params=None):
        return [0.0] * len(model_input)
mlflow.models.set_model(Model())
''')
example = pd.DataFrame({f"feature_{at}": [1.5] for at in range(30)})
mlflow.pyfunc.save_model(target, python_model=source, input_example=example, pip_requirements=["mlflow"])
"""
COLUMNS: Final = [f"feature_{at}" for at in range(30)]


@contextmanager
def responder() -> Iterator[int]:
    """The port of `bench.path.responder`, which listens."""
    port = free_port()
    command = [sys.executable, "-m", "bench.path.responder", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield port
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def front(folder: Path) -> Iterator[int]:
    """The port of a front that serves a model which answers at once."""
    subprocess.run([sys.executable, "-c", _MODEL, str(folder / "model.py"), str(folder / "model")], check=True)
    model = Model(directory=folder, name="model", columns=COLUMNS)
    served = systems.start("headrace", model, folder, python=sys.executable)
    try:
        yield served.port
    finally:
        served.stop()
