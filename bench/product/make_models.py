"""Trains the benchmark's models and registers those that are not there; run by the interpreter of their environment.

`python make_models.py DIRECTORY TRACKING_URI LIKE NAME…`. Each model lies in DIRECTORY, too, where the peers read it,
and has the requirements of the registered model LIKE, with a library of its own added.
"""

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

EXPERIMENT = "headrace-product"
# xgboost's own wheel needs a GPU library of 200 MB; this one is the same release without.
ADDED = {"xgboost": ["xgboost-cpu==3.2.0"], "cnn": ["torch==2.13.0"]}
SHAPE = (1, 28, 28)

WAITING = """
import time
import mlflow
from mlflow.pyfunc import PythonModel
class Model(PythonModel):
    def predict(self, context, model_input, params=None):
        time.sleep({seconds})
        return [0.0] * len(model_input)
mlflow.models.set_model(Model())
"""

COMPUTING = """
import time
import mlflow
from mlflow.pyfunc import PythonModel
class Model(PythonModel):
    def predict(self, context, model_input, params=None):
        for _ in range(len(model_input)):
            end = time.thread_time() + {seconds}
            while time.thread_time() < end:
                sum(range(500))
        return [0.0] * len(model_input)
mlflow.models.set_model(Model())
"""

SOURCES = {
    "wait": WAITING.format(seconds=0.2),
    "callers": WAITING.format(seconds=1.0),
    "compute": COMPUTING.format(seconds=0.04),
}
"""Models whose time a request is known: the first two wait as an agent does for its tools, the last one computes."""


def table() -> tuple[pd.DataFrame, pd.Series]:
    """30 columns of numbers and a class."""
    from sklearn.datasets import load_breast_cancer  # noqa: PLC0415

    features, target = load_breast_cancer(return_X_y=True, as_frame=True)
    return features, target


def estimator(name: str) -> Any:
    """One of the three on a table, trained."""
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    if name == "logistic":
        made: Any = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    elif name == "forest":
        made = RandomForestClassifier(100, n_jobs=1, random_state=0)
    else:
        from xgboost import XGBClassifier  # noqa: PLC0415

        made = XGBClassifier(n_estimators=100, nthread=1)
    return made.fit(*table())


def network() -> Any:
    """A small convolutional network with random weights."""
    import torch  # noqa: PLC0415
    from torch import nn  # noqa: PLC0415

    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * 7 * 7, 10),
    )  # fmt: skip
    return made.eval()


def log(directory: Path, name: str, shared: list[str]) -> str:
    """Logs the model and returns the URI of what was logged."""
    requirements = [*shared, *ADDED.get(name, ())]
    if name in SOURCES:
        script = directory / f"{name}.py"
        script.write_text(SOURCES[name])
        example = pd.DataFrame({"a": [1.0]})
        signature = infer_signature(example, np.array([0.0]))
        logged = mlflow.pyfunc.log_model(
            name="model", python_model=str(script), signature=signature, pip_requirements=requirements
        )
    elif name == "cnn":
        import torch  # noqa: PLC0415

        made = network()
        example = np.random.default_rng(0).random((2, *SHAPE), dtype=np.float32)
        with torch.no_grad():
            result = made(torch.from_numpy(example)).numpy()
        logged = mlflow.pytorch.log_model(
            made,
            name="model",
            signature=infer_signature(example, result),
            pip_requirements=requirements,
            serialization_format="pickle",
        )
    else:
        made = estimator(name)
        rows, _ = table()
        joblib.dump(made, directory / f"{name}.joblib")
        logged = mlflow.sklearn.log_model(
            made,
            name="model",
            signature=infer_signature(rows, made.predict(rows)),
            pip_requirements=requirements,
            serialization_format="cloudpickle",
        )
    return str(logged.model_uri)


def main(directory: Path, tracking_uri: str, like: str, wanted: list[str]) -> None:
    """Prints the URI of each model as JSON."""
    mlflow.set_tracking_uri(tracking_uri)
    shared = Path(mlflow.pyfunc.get_model_dependencies(like)).read_text().split()
    mlflow.set_experiment(EXPERIMENT)
    directory.mkdir(parents=True, exist_ok=True)
    client = mlflow.MlflowClient()
    made = {}
    for name in wanted:
        registered = f"product-{name}"
        found = client.search_model_versions(f"name='{registered}'")
        if not found or not (directory / name / "MLmodel").exists():
            with mlflow.start_run():
                uri = log(directory, name, shared)
            if not found:
                mlflow.register_model(uri, registered)
            shutil.rmtree(directory / name, ignore_errors=True)
            mlflow.artifacts.download_artifacts(uri, dst_path=str(directory / name))
        made[name] = f"models:/{registered}/1"
    sys.stdout.write(json.dumps(made) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:])
