"""A model runs on the minor version of Python it was logged with, whatever this machine has."""

import os
import subprocess
import sys

from live_platform import Platform

from headrace.local import tracking_server

LOG_AS_IF_ON_PYTHON_3_13 = """
import pathlib, sys, tempfile
import mlflow, yaml
mlflow.set_experiment("headrace-tests")
folder = pathlib.Path(mlflow.artifacts.download_artifacts(sys.argv[1], dst_path=tempfile.mkdtemp()))
path = folder / "MLmodel"
model = yaml.safe_load(path.read_text())
model["flavors"]["python_function"]["python_version"] = "3.13.5"
path.write_text(yaml.safe_dump(model))
client = mlflow.MlflowClient()
with mlflow.start_run() as run:
    mlflow.log_artifacts(str(folder), "model")
    try:
        client.create_registered_model("python-3-13")
    except mlflow.exceptions.MlflowException:
        pass
    made = client.create_model_version("python-3-13", f"{run.info.artifact_uri}/model", run.info.run_id)
print("version", made.version)  # last: MLflow prints where to look at the run when that ends
"""


def test_a_model_logged_with_python_3_13_runs_on_3_13(platform: Platform) -> None:
    environment = {**os.environ, "MLFLOW_TRACKING_URI": tracking_server.uri(), "GIT_PYTHON_REFRESH": "quiet"}
    logged = subprocess.run(
        [sys.executable, "-c", LOG_AS_IF_ON_PYTHON_3_13, platform.model.model_uri],
        env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    uri = f"models:/python-3-13/{logged.stdout.split()[-1]}"
    newer = {"name": "newer-python", "model_uri": uri}
    try:
        platform.stack.up(platform.settings([platform.endpoint, newer]))

        answer = platform.ask(platform.model.request, path="/serving-endpoints/newer-python/invocations")
        assert answer.json == {"predictions": platform.model.expected}
        version = "import sys, sklearn; print(*sys.version_info[:2], sklearn.__cached__)"
        said = platform.kubectl(
            "-n", "endpoint-newer-python", "exec", "deployment/v" + uri.rpartition("/")[2], "--",
            "/opt/model/env/bin/python", "-c", version,
        )  # fmt: skip
        assert said.startswith("3 13 ")
        assert "cpython-313" in said
    finally:
        platform.stack.up(platform.settings([platform.endpoint]))
