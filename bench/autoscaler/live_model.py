"""A model of known service time: it waits as long as a request says, one at a time, as one accelerator would.

Its environment is the demo model's own, so that both share the image layer.
"""

import json
import os
import subprocess
import sys
from typing import Any, Final

NAME: Final = "waits"


def request(seconds: float) -> dict[str, Any]:
    """A request of that service time."""
    return {"inputs": [[seconds]]}


def ensure(tracking_uri: str, *, like: str) -> str:
    """URI of the registered model, logged now if the registry lacks it. `like`: URI of a model with its environment."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.autoscaler.live_model", like],
        env={**os.environ, "MLFLOW_TRACKING_URI": tracking_uri, "GIT_PYTHON_REFRESH": "quiet"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{NAME} could not be registered at {tracking_uri}: {done.stderr[-2000:]}")
    return str(json.loads(done.stdout.splitlines()[-1]))


def _main(like: str) -> None:
    import threading  # noqa: PLC0415
    import time  # noqa: PLC0415

    import mlflow  # noqa: PLC0415 - heavy, and wanted in this process only
    import numpy as np  # noqa: PLC0415
    from mlflow.models import infer_signature  # noqa: PLC0415
    from mlflow.pyfunc.model import PythonModel  # noqa: PLC0415

    class Waits(PythonModel):
        """Echoes the seconds it was asked to wait, after they are over."""

        def load_context(self, context: Any) -> None:
            self.lock = threading.Lock()

        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            with self.lock:
                time.sleep(float(np.sum(model_input)))
            return [float(seconds) for (seconds,) in model_input]

    if not mlflow.MlflowClient().search_model_versions(f"name='{NAME}'"):
        example = np.array([[1.0]])
        mlflow.set_experiment("headrace-autoscaler")
        with mlflow.start_run():
            mlflow.pyfunc.log_model(
                name="model",
                python_model=Waits(),
                signature=infer_signature(example, np.array([1.0])),
                registered_model_name=NAME,
                pip_requirements=mlflow.pyfunc.get_model_dependencies(like),
            )
    sys.stdout.write(json.dumps(f"models:/{NAME}/1") + "\n")


if __name__ == "__main__":
    _main(sys.argv[1])
