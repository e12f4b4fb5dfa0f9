"""The demo's model: a scikit-learn classifier on the breast cancer data set that ships with scikit-learn."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Any, Final

from headrace.contract.errors import TemporaryError

NAME: Final = "breast-cancer"


@dataclass(frozen=True, kw_only=True)
class RegisteredModel:
    """A model version in the registry and a request it can answer."""

    model_uri: str
    request: dict[str, Any]
    """Body for /invocations: the model's own input example."""
    expected: list[Any]
    """What the model answered when it was trained."""


def ensure(tracking_uri: str) -> RegisteredModel:
    """Version 1 of the demo model, trained, logged and registered now if the registry does not have it.

    Runs in a process of its own: MLflow keeps the tracking address in the process, and scikit-learn its threads.
    Raises TemporaryError with the end of the trainer's output when it fails.
    """
    return _train("ensure", tracking_uri)


def register_next(tracking_uri: str) -> RegisteredModel:
    """One more version of the same model with another regularisation: same environment, other answers."""
    return _train("next", tracking_uri)


def _train(verb: str, tracking_uri: str) -> RegisteredModel:
    command = [sys.executable, "-m", "headrace.local.demo_model", verb]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": tracking_uri, "GIT_PYTHON_REFRESH": "quiet"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tail = "\n".join(done.stderr.splitlines()[-8:])
        raise TemporaryError(f"training and registering {NAME} at {tracking_uri} failed:\n{tail}")
    return RegisteredModel(**json.loads(done.stdout.splitlines()[-1]))


def _main(verb: str) -> None:
    import mlflow  # noqa: PLC0415 - heavy, and wanted in the trainer's process only
    from mlflow.exceptions import MlflowException  # noqa: PLC0415
    from mlflow.models import infer_signature  # noqa: PLC0415
    from sklearn.datasets import load_breast_cancer  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    features, target = load_breast_cancer(return_X_y=True, as_frame=True)
    client = mlflow.MlflowClient()
    try:
        versions = {int(found.version) for found in client.search_model_versions(f"name='{NAME}'")}
    except MlflowException:
        versions = set()
    version = max(versions, default=0) + 1 if verb == "next" else 1
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0 / version, max_iter=1000)).fit(features, target)
    example = features.iloc[18:21]  # a malignant tumour and two benign ones
    if version not in versions:
        mlflow.set_experiment("headrace-demo")
        with mlflow.start_run():
            mlflow.log_metric("training_accuracy", model.score(features, target))
            mlflow.sklearn.log_model(
                model,
                name="model",
                signature=infer_signature(features, model.predict(features)),
                input_example=example,
                registered_model_name=NAME,
                serialization_format="cloudpickle",
            )
    registered = RegisteredModel(
        model_uri=f"models:/{NAME}/{version}",
        request={"dataframe_split": example.to_dict(orient="split")},
        expected=model.predict(example).tolist(),
    )
    sys.stdout.write(json.dumps(asdict(registered)) + "\n")


if __name__ == "__main__":
    _main(sys.argv[1])
