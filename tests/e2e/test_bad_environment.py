"""An update whose environment cannot be had: one sentence in the preview, and the version before serves on."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from live_platform import Platform

from headrace.contract.errors import HeadraceError
from headrace.local import tracking_server

PASSWORD = "hunter2-of-the-index"
LOG_WITH = """
import pathlib, sys, tempfile, zipfile
import mlflow
mlflow.set_experiment("headrace-tests")
name, requirements = sys.argv[1], sys.argv[2:]
class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input
with tempfile.TemporaryDirectory() as place:
    folder = pathlib.Path(place) / "model"
    mlflow.pyfunc.save_model(str(folder), python_model=Echo(), pip_requirements=["mlflow"])
    (folder / "requirements.txt").write_text("\\n".join(requirements) + "\\n")
    with zipfile.ZipFile(folder / "scorer-1.0-py3-none-any.whl", "w") as wheel:
        info = "scorer-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: scorer\\nVersion: 1.0\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
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


@pytest.fixture
def closed_index() -> Iterator[str]:
    """Host and port of a package index that lets nobody in."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def unchanged(platform: Platform) -> Iterator[None]:
    """After the test the cluster has what it had, and the demo's version still answers."""
    before = platform.kubectl("get", "namespaces,deployments,replicasets,modelendpoints", "-A", "-o", "name")
    yield
    assert platform.kubectl("get", "namespaces,deployments,replicasets,modelendpoints", "-A", "-o", "name") == before
    assert platform.ask(platform.model.request).json == {"predictions": platform.model.expected}


def logged(name: str, *requirements: str) -> str:
    """A model with these lines as its requirements file."""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": tracking_server.uri(), "GIT_PYTHON_REFRESH": "quiet"}
    command = [sys.executable, "-c", LOG_WITH, name, *requirements]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return f"models:/{name}/{done.stdout.split()[-1]}"


def refused(platform: Platform, **changes: Any) -> str:
    """What is said about such a change of the demo's endpoint, on one line."""
    with pytest.raises(HeadraceError) as caught:
        platform.stack.up(platform.settings([{**platform.endpoint, **changes}]))
    said = " ".join(str(caught.value).split())  # Pulumi breaks lines
    assert "Traceback" not in said, said
    return said


@pytest.mark.usefixtures("unchanged")
def test_an_index_that_refuses_the_password(platform: Platform, closed_index: str) -> None:
    uri = logged("closed-index", f"--index-url http://me:{PASSWORD}@{closed_index}/simple", "scorer==1.0")

    said = refused(platform, model_uri=uri)

    assert (
        f"The package index http://{closed_index}/simple refused access (401 Unauthorized); see that the name and"
        in said
    )
    assert PASSWORD not in said


@pytest.mark.usefixtures("unchanged")
def test_a_wheel_with_another_hash(platform: Platform) -> None:
    uri = logged("other-hash", f"./scorer-1.0-py3-none-any.whl --hash=sha256:{'0' * 64}")

    said = refused(platform, model_uri=uri)

    assert "requirements.txt line 1: " in said
    assert f"must be sha256:{'0' * 64}; see who changed the file, or log the model with the new hash" in said


@pytest.mark.usefixtures("unchanged")
def test_egress_that_contradicts_itself(platform: Platform) -> None:
    rules = [
        {"cidr": "10.0.0.0/8", "excluding": ["10.1.0.0/16"], "ports": [443]},
        {"cidr": "10.1.2.0/24", "ports": [443]},
    ]

    said = refused(platform, egress=rules)

    assert "egress[1].cidr = '10.1.2.0/24' permits what egress[0].excluding = '10.1.0.0/16' closes, on port 443" in said
