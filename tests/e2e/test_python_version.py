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


DEBIANS = "3.13.5"
FRONTS = {DEBIANS: "3.13", ON_A_MIRROR: "3.11"}
"""The minor version on which the front runs, by the model's."""


def logged(platform: Platform, python: str, name: str) -> str:
    """The URI of the demo's model, registered under that name as if it had been logged with that Python."""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": tracking_server.uri(), "GIT_PYTHON_REFRESH": "quiet"}
    command = [sys.executable, "-c", LOG_AS_IF_ON, platform.model.model_uri, python, name]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return f"models:/{name}/{done.stdout.split()[-1]}"


def test_models_run_on_the_python_that_they_were_logged_with(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One has Debian's, and one, beside the front's, an interpreter from a mirror."""
    pythons = [python for python in FRONTS if python is not None]
    if ON_A_MIRROR is not None:
        for variable, value in python_mirror.make(tmp_path / "mirror", ON_A_MIRROR).items():
            monkeypatch.setenv(variable, value)
    endpoints = {python: f"python-{minor_of(python).replace('.', '-')}" for python in pythons}
    uris = {python: logged(platform, python, name) for python, name in endpoints.items()}

    wanted = [{"name": endpoints[python], "model_uri": uris[python]} for python in pythons]
    platform.stack.up(platform.settings([platform.endpoint, *wanted]))

    for python, name in endpoints.items():
        minor = minor_of(python)
        answer = platform.ask(platform.model.request, path=f"/serving-endpoints/{name}/invocations")
        assert answer.json == {"predictions": platform.model.expected}
        asked = ["-n", f"endpoint-{name}", "exec", "deployment/v" + uris[python].rpartition("/")[2], "--"]
        version = "import platform, sklearn; print(platform.python_version(), sklearn.__cached__)"
        said = platform.kubectl(*asked, "/opt/model/env/bin/python", "-c", version)
        assert said.startswith(python if python == ON_A_MIRROR else f"{minor}.")
        assert f"cpython-{minor.replace('.', '')}" in said
        started = platform.kubectl(*asked, "cat", "/proc/1/cmdline").split("\0")
        assert started[0] == f"/usr/bin/python{FRONTS[python]}"
    if ON_A_MIRROR is None:
        pytest.skip("no Python 3.12 in ~/.pyenv/versions for a mirror: Debian's alone was tried")


def minor_of(python: str) -> str:
    return ".".join(python.split(".")[:2])
