"""A model runs on the minor version of Python it was logged with, whatever this machine and the front have."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import python_mirror
from live_platform import Platform

from headrace.local import tracking_server

LOG_AS_IF_ON = """
import pathlib, sys, tempfile
import mlflow, yaml
mlflow.set_experiment("headrace-tests")
uri, python, name = sys.argv[1:]
folder = pathlib.Path(mlflow.artifacts.download_artifacts(uri, dst_path=tempfile.mkdtemp()))
path = folder / "MLmodel"
model = yaml.safe_load(path.read_text())
model["flavors"]["python_function"]["python_version"] = python
path.write_text(yaml.safe_dump(model))
client = mlflow.MlflowClient()
with mlflow.start_run() as run:
    mlflow.log_artifacts(str(folder), "model")
    try:
        client.create_registered_model(name)
    except mlflow.exceptions.MlflowException:
        pass
    made = client.create_model_version(name, f"{run.info.artifact_uri}/model", run.info.run_id)
print("version", made.version)  # last: MLflow prints where to look at the run when that ends
"""
ON_A_MIRROR = python_mirror.version_of("3.12")


@pytest.mark.parametrize(
    ("python", "front"),
    [
        pytest.param("3.13.5", "3.13", id="Debian's"),
        pytest.param(
            ON_A_MIRROR,
            "3.11",
            id="beside the front's",
            marks=pytest.mark.skipif(ON_A_MIRROR is None, reason="no Python 3.12 in ~/.pyenv/versions for a mirror"),
        ),
    ],
)
def test_a_model_runs_on_the_python_that_it_was_logged_with(
    platform: Platform, python: str, front: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minor = ".".join(python.split(".")[:2])
    name = f"python-{minor.replace('.', '-')}"
    if python == ON_A_MIRROR:
        for variable, value in python_mirror.make(tmp_path / "mirror", python).items():
            monkeypatch.setenv(variable, value)
    environment = {**os.environ, "MLFLOW_TRACKING_URI": tracking_server.uri(), "GIT_PYTHON_REFRESH": "quiet"}
    logged = subprocess.run(
        [sys.executable, "-c", LOG_AS_IF_ON, platform.model.model_uri, python, name],
        env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    uri = f"models:/{name}/{logged.stdout.split()[-1]}"
    try:
        platform.stack.up(platform.settings([platform.endpoint, {"name": name, "model_uri": uri}]))

        answer = platform.ask(platform.model.request, path=f"/serving-endpoints/{name}/invocations")
        assert answer.json == {"predictions": platform.model.expected}
        asked = ["-n", f"endpoint-{name}", "exec", "deployment/v" + uri.rpartition("/")[2], "--"]
        version = "import platform, sklearn; print(platform.python_version(), sklearn.__cached__)"
        said = platform.kubectl(*asked, "/opt/model/env/bin/python", "-c", version)
        assert said.startswith(python if python == ON_A_MIRROR else f"{minor}.")
        assert f"cpython-{minor.replace('.', '')}" in said
        started = platform.kubectl(*asked, "cat", "/proc/1/cmdline").split("\0")
        assert started[0] == f"/usr/bin/python{front}"
    finally:
        platform.stack.up(platform.settings([platform.endpoint]))
