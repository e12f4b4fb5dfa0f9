"""Trains and saves the benchmark's models; run by the interpreter of the model's environment."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import joblib
import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from xgboost import XGBClassifier

WAITING = """
import time
import mlflow
from mlflow.pyfunc import PythonModel
class Model(PythonModel):
    def predict(self, context, model_input, params=None):
        time.sleep(0.1)
        return [0.0] * len(model_input)
mlflow.models.set_model(Model())
"""

COMPUTING = """
import mlflow
from mlflow.pyfunc import PythonModel
class Model(PythonModel):
    def predict(self, context, model_input, params=None):
        total = 0
        for number in range(100_000):
            total += number
        return [0.0] * len(model_input)
mlflow.models.set_model(Model())
"""


def keep(directory: Path, name: str, model: Any, rows: pd.DataFrame) -> None:
    path = directory / name
    mlflow.sklearn.save_model(
        model,
        str(path),
        signature=infer_signature(rows, model.predict(rows)),
        input_example=rows.iloc[:3],
        pip_requirements=["mlflow"],
        serialization_format="cloudpickle",
    )
    joblib.dump(model, directory / f"{name}.joblib")
    (directory / f"{name}.columns.json").write_text(json.dumps(list(rows.columns)))


def main(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    iris, labels = load_iris(return_X_y=True, as_frame=True)
    keep(directory, "logistic", LogisticRegression(max_iter=500).fit(iris, labels), iris)
    keep(directory, "forest", RandomForestClassifier(100, n_jobs=1, random_state=0).fit(iris, labels), iris)
    keep(directory, "xgboost", XGBClassifier(n_estimators=100, nthread=1).fit(iris, labels), iris)
    generator = np.random.default_rng(0)
    wide = pd.DataFrame(generator.normal(size=(1000, 30)), columns=[f"feature_{at}" for at in range(30)])
    keep(directory, "wide", LogisticRegression().fit(wide, wide.feature_0 > 0), wide)
    example = pd.DataFrame({"a": [1.0]})
    for name, source in (("waiting", WAITING), ("computing", COMPUTING)):
        script = directory / f"{name}.py"
        script.write_text(source)
        mlflow.pyfunc.save_model(
            str(directory / name), python_model=str(script), input_example=example, pip_requirements=["mlflow"]
        )
        (directory / f"{name}.columns.json").write_text(json.dumps(["a"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
