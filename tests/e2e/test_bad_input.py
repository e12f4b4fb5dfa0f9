"""Bad input: a clear sentence, nothing half-made, nothing lost."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live_platform import Platform, eventually

from headrace.contract.errors import HeadraceError
from headrace.stacks.local import demo_model, registry

_LOG_BAD_MODELS = """
import sys, mlflow
mlflow.set_experiment("headrace-tests")

class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input

with mlflow.start_run():
    mlflow.pyfunc.log_model(
        name="model", python_model=Echo(), registered_model_name="unresolvable",
        pip_requirements=["mlflow==3.17.2", "numpy==1.0", "pandas==3.1.1"],
    )
import pathlib, tempfile, yaml
def changed(name, change):
    folder = pathlib.Path(tempfile.mkdtemp()) / "model"
    mlflow.pyfunc.save_model(str(folder), python_model=Echo(), pip_requirements=["mlflow==3.17.2"])
    change(folder)
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(folder), "model")
        mlflow.MlflowClient().create_registered_model(name)
        mlflow.MlflowClient().create_model_version(name, f"{run.info.artifact_uri}/model", run.info.run_id)
def without_pyfunc(folder):
    path = folder / "MLmodel"
    model = yaml.safe_load(path.read_text())
    model["flavors"] = {"sklearn": {"sklearn_version": "1.0"}}
    path.write_text(yaml.safe_dump(model))
def other_python(folder):
    path = folder / "MLmodel"
    model = yaml.safe_load(path.read_text())
    model["flavors"]["python_function"]["python_version"] = "3.8.20"
    path.write_text(yaml.safe_dump(model))
    environment = folder / "python_env.yaml"
    environment.write_text(environment.read_text().replace(sys.version.split()[0], "3.8.20"))
changed("no-pyfunc", without_pyfunc)
changed("old-python", other_python)
"""


@pytest.fixture(scope="module")
def bad_models(platform: Platform) -> None:
    """Registers models that cannot be served, each for another reason."""
    client = __import__("mlflow").MlflowClient(registry.uri())
    known = {model.name for model in client.search_registered_models()}
    if not {"unresolvable", "no-pyfunc", "old-python"} <= known:
        environment = {**os.environ, "MLFLOW_TRACKING_URI": registry.uri(), "GIT_PYTHON_REFRESH": "quiet"}
        subprocess.run([sys.executable, "-c", _LOG_BAD_MODELS], env=environment, check=True, capture_output=True)


@pytest.fixture
def unchanged(platform: Platform) -> Iterator[None]:
    """After the test the stack has the resources it had, and the demo still answers."""
    before = platform.kubectl("get", "namespaces,deployments,modelendpoints", "-A", "-o", "name")
    yield
    assert platform.kubectl("get", "namespaces,deployments,modelendpoints", "-A", "-o", "name") == before
    assert platform.ask(platform.model.request).status == 200


def _fails(platform: Platform, endpoints: list[dict[str, Any]], **settings: Any) -> str:
    with pytest.raises(HeadraceError) as caught:
        platform.deployment.up({**platform.settings(endpoints), **settings})
    message = str(caught.value)
    assert "Traceback" not in message, message
    return message


@pytest.mark.usefixtures("unchanged", "bad_models")
@pytest.mark.parametrize(
    ("model_uri", "words"),
    [
        ("models:/unheard-of/1", ["unheard-of", "does not exist"]),
        ("models:/breast-cancer/999", ["breast-cancer", "999"]),
        ("models:/no-pyfunc/1", ["no-pyfunc", "python_function"]),
        ("models:/old-python/1", ["3.8", "3.11"]),
        ("models:/unresolvable/1", ["numpy==1.0"]),
        ("nonsense", ["nonsense", "models:/"]),
    ],
)
def test_a_model_that_cannot_be_served(platform: Platform, model_uri: str, words: list[str]) -> None:
    message = _fails(platform, [platform.endpoint, {"name": "doomed", "model_uri": model_uri}])

    for word in words:
        assert word in message


@pytest.mark.usefixtures("unchanged")
def test_a_tracking_server_that_does_not_answer(platform: Platform) -> None:
    message = _fails(platform, [platform.endpoint], tracking_uri="http://127.0.0.1:9")

    assert "http://127.0.0.1:9" in message


@pytest.mark.usefixtures("unchanged")
def test_every_fault_of_the_endpoints_is_reported_at_once(platform: Platform) -> None:
    message = _fails(
        platform,
        [platform.endpoint, {"name": "Not_A_Label", "model_uri": "models:/x/1"}, platform.endpoint, {"name": "lonely"}],
    )

    for word in ("Not_A_Label", "breast-cancer", "model_uri"):
        assert word in message


@pytest.mark.usefixtures("unchanged")
def test_an_update_killed_half_way_and_run_again_goes_on(platform: Platform) -> None:
    second = {"name": "second", "model_uri": platform.model.model_uri}
    deployment = platform.deployment
    settings = platform.settings([platform.endpoint, second])
    script = (
        "import json, sys; from pathlib import Path; from headrace.stacks.local.deployment import Deployment;"
        "Deployment(programs=Path(sys.argv[1])).up(json.loads(sys.argv[2]))"
    )
    import json  # noqa: PLC0415

    update = subprocess.Popen(
        [sys.executable, "-c", script, str(deployment.programs), json.dumps(settings)], start_new_session=True
    )
    eventually(lambda: "endpoint-second" in platform.kubectl("get", "namespaces", "-o", "name"), seconds=90)
    os.killpg(update.pid, signal.SIGKILL)
    update.wait()

    deployment.up(settings)

    answer = platform.ask(platform.model.request, path="/serving-endpoints/second/invocations")
    assert answer.status == 200
    assert answer.json == {"predictions": platform.model.expected}
    deployment.up(platform.settings([platform.endpoint]))
    eventually(lambda: "endpoint-second" not in platform.kubectl("get", "namespaces", "-o", "name"))


def test_the_demo_model_is_registered_once(platform: Platform) -> None:
    first = demo_model.ensure(registry.uri())

    assert first == platform.model
    assert Path(platform.description["ca_file"]).exists()
