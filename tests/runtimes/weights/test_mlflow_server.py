"""The whole way but the cluster: a real MLflow server, the layer that is built, the copy, and MLflow loading it."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import mlflow_server
import pytest

from headrace.components.endpoint import model_source
from headrace.contract.weights import MANIFEST_PATH, WEIGHTS_HOME, WeightsManifest
from headrace.images.model import model_layer
from headrace.images.request import ModelInput
from headrace.images.store import Store
from headrace.runtimes.weights import source
from headrace.runtimes.weights.cache import Cache
from headrace.runtimes.weights.program import bring

SIZE = 40_000_000
LOG = """
import os, sys
import mlflow

class Sized(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [os.path.getsize(context.artifacts["weights"])]

with mlflow.start_run():
    open("weights.bin", "wb").write(os.urandom(int(sys.argv[1])))
    made = mlflow.pyfunc.log_model(name="model", python_model=Sized(), artifacts={"weights": "weights.bin"},
                                   pip_requirements=["mlflow"])
print(made.model_uri)
"""
PREDICT = "import sys, mlflow; print(mlflow.pyfunc.load_model(sys.argv[1]).predict([1]))"


@pytest.mark.slow
def test_a_models_weights_go_from_a_real_server_to_mlflow_without_being_in_the_image(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    store, log, root = Store(tmp_path / "cache"), tmp_path / "log", tmp_path / "root"
    with mlflow_server.running(tmp_path / "server") as uri:
        environment = {**os.environ, "MLFLOW_TRACKING_URI": uri, "GIT_PYTHON_REFRESH": "quiet"}
        logged = _python(LOG, str(SIZE), cwd=tmp_path, environment=environment)
        found = model_source.resolve(logged.splitlines()[-1], uri)
        model = ModelInput(
            source=found.artifact_uri, tracking_uri=uri, identity=found.identity, python="3.11",
            requirements=(), streamed_bytes=1_000_000,
        )  # fmt: skip
        layer, _ = model_layer(store, model, log=log)
        with tarfile.open(store.path(layer.digest)) as tar:
            tar.extractall(root, filter="fully_trusted")  # links to where only the pod has something

        manifest = WeightsManifest.from_json(json.loads((root / MANIFEST_PATH[1:]).read_text()))
        cache = Cache(root / WEIGHTS_HOME[1:])
        tally = bring(manifest, source.opened(found.artifact_uri, uri, {}), cache)

    assert layer.size < 100_000
    assert tally.read == SIZE  # by ranges: a server that sent the whole file would have been asked twice
    for link in (path for path in root.rglob("*") if path.is_symlink()):  # the pod's root is another one here
        target = root / os.readlink(link).lstrip("/")
        link.unlink()
        link.symlink_to(target)
    assert _python(PREDICT, str(root / "opt/model/model"), cwd=tmp_path, environment=environment).strip() == f"[{SIZE}]"


def _python(code: str, *arguments: str, cwd: Path, environment: dict[str, str]) -> str:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, check=True, capture_output=True, text=True).stdout
