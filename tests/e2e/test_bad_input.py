"""Bad input: a clear sentence, nothing half-made, nothing lost."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live_platform import Platform, assert_nothing_is_left_of, eventually

from headrace.contract.errors import HeadraceError
from headrace.local import demo_model, tracking_server

_LOG_BAD_MODELS = """
import pathlib, sys, tempfile, mlflow, yaml
mlflow.set_experiment("headrace-tests")
REQUIREMENTS = mlflow.pyfunc.get_model_dependencies(sys.argv[1])  # an environment that is built already

with tempfile.TemporaryDirectory() as folder:
    script = pathlib.Path(folder) / "model.py"
    script.write_text(
        "import sys\\nimport mlflow\\nif sys.prefix.startswith('/opt/model'):\\n    import never_heard_of\\n"
        "class Echo(mlflow.pyfunc.PythonModel):\\n    def predict(self, context, model_input, params=None):\\n"
        "        return model_input\\nmlflow.models.set_model(Echo())\\n"
    )
    for _ in range(2):
        with mlflow.start_run():
            mlflow.pyfunc.log_model(
                name="model", python_model=str(script), registered_model_name="unloadable",
                pip_requirements=REQUIREMENTS,
            )

class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input

with mlflow.start_run():
    mlflow.pyfunc.log_model(
        name="model", python_model=Echo(), registered_model_name="unresolvable",
        pip_requirements=["mlflow==3.17.2", "numpy==1.0", "pandas==3.1.1"],
    )
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
    model["flavors"]["python_function"]["python_version"] = "3.7.17"
    path.write_text(yaml.safe_dump(model))
    environment = folder / "python_env.yaml"
    environment.write_text(environment.read_text().replace(sys.version.split()[0], "3.7.17"))
changed("no-pyfunc", without_pyfunc)
changed("old-python", other_python)
"""


@pytest.fixture(scope="module")
def bad_models(platform: Platform) -> None:
    """Registers models that cannot be served, each for another reason."""
    client = __import__("mlflow").MlflowClient(tracking_server.uri())
    known = {model.name for model in client.search_registered_models()}
    if not {"unresolvable", "no-pyfunc", "old-python", "unloadable"} <= known:
        environment = {**os.environ, "MLFLOW_TRACKING_URI": tracking_server.uri(), "GIT_PYTHON_REFRESH": "quiet"}
        command = [sys.executable, "-c", _LOG_BAD_MODELS, platform.model.model_uri]
        subprocess.run(command, env=environment, check=True, capture_output=True)


@pytest.fixture
def unchanged(platform: Platform) -> Iterator[None]:
    """After the test the stack has the resources it had, and the demo still answers."""
    before = platform.kubectl("get", "namespaces,deployments,modelendpoints", "-A", "-o", "name")
    yield
    assert platform.kubectl("get", "namespaces,deployments,modelendpoints", "-A", "-o", "name") == before
    assert platform.ask(platform.model.request).status == 200


def _fails(platform: Platform, endpoints: list[dict[str, Any]], **settings: Any) -> str:
    with pytest.raises(HeadraceError) as caught:
        platform.stack.up({**platform.settings(endpoints), **settings})
    message = str(caught.value)
    assert "Traceback" not in message, message
    return message


UNSERVABLE = {
    "models:/unheard-of/1": [
        "model_uri = 'models:/unheard-of/1' does not exist on the tracking server SERVER: ",
        "with name=unheard-of",
    ],
    "models:/breast-cancer/999": [
        "model_uri = 'models:/breast-cancer/999' does not exist on the tracking server SERVER: the model "
        "'breast-cancer' has no version 999; it has 1"
    ],
    "models:/no-pyfunc/1": [
        "model_uri = 'models:/no-pyfunc/1' has the flavors sklearn, and only models with the flavor "
        "python_function can be served",
        "log it with an MLflow flavor module or mlflow.pyfunc",
    ],
    "nonsense": ["model_uri = 'nonsense'", "models:/NAME/VERSION, models:/NAME@ALIAS"],
}


@pytest.mark.usefixtures("unchanged", "bad_models")
def test_all_models_that_cannot_be_served_are_told_at_once(platform: Platform) -> None:
    doomed = [{"name": f"doomed-{at}", "model_uri": uri} for at, uri in enumerate(UNSERVABLE)]

    message = _fails(platform, [platform.endpoint, *doomed])

    said = " ".join(message.split())  # Pulumi breaks lines
    for at, sentences in enumerate(UNSERVABLE.values()):
        assert f"doomed-{at}: " in said
        for sentence in sentences:
            assert sentence.replace("SERVER", tracking_server.uri()) in said


@pytest.mark.usefixtures("unchanged", "bad_models")
@pytest.mark.parametrize(
    ("model_uri", "sentences"),
    [
        (
            "models:/old-python/1",
            ["The model was logged with Python 3.7.17, must be 3.8 or later; log it again with such a Python"],
        ),
        (
            "models:/unresolvable/1",
            [
                "The model's requirements cannot be resolved for Python 3.11 on x86_64-manylinux_2_36; uv says:",
                "numpy==1.0",  # the resolver's own message
            ],
        ),
    ],
)
def test_a_model_whose_image_cannot_be_built(platform: Platform, model_uri: str, sentences: list[str]) -> None:
    message = _fails(platform, [platform.endpoint, {"name": "doomed", "model_uri": model_uri}])

    said = " ".join(message.split())
    for sentence in sentences:
        assert sentence in said


@pytest.mark.usefixtures("unchanged")
def test_a_tracking_server_that_does_not_answer(platform: Platform) -> None:
    message = _fails(platform, [platform.endpoint], tracking_uri="http://127.0.0.1:9")

    said = " ".join(message.split())
    assert "the tracking server http://127.0.0.1:9 cannot be reached or failed (" in said
    assert "see that it runs and that tracking_uri is right" in said


@pytest.mark.usefixtures("unchanged")
def test_every_fault_of_the_endpoints_is_reported_at_once(platform: Platform) -> None:
    message = _fails(
        platform,
        [platform.endpoint, {"name": "Not_A_Label", "model_uri": "models:/x/1"}, platform.endpoint, {"name": "lonely"}],
    )

    said = " ".join(message.split())
    for sentence in (
        "endpoints[1].name = 'Not_A_Label', must be a DNS label of at most 54 characters: lower-case letters, digits "
        "and '-', starting and ending with a letter or digit",
        "endpoints[3]: model_uri is missing; set it",
        "endpoints[].name = 'breast-cancer' is given 2 times, must be unique; rename or remove one",
    ):
        assert sentence in said


@pytest.mark.usefixtures("unchanged", "bad_models")
def test_a_version_that_does_not_load_says_why_while_the_one_before_serves(platform: Platform) -> None:
    second = {"name": "second", "model_uri": platform.model.model_uri, "start_seconds": 30}
    platform.stack.up(platform.settings([platform.endpoint, second]))

    _fails(platform, [platform.endpoint, {**second, "model_uri": "models:/unloadable/2"}])

    told = platform.conditions("second")
    assert told["Ready"]["status"] == "True"
    for condition in (told["RolledOut"], told["Proven"]):
        assert (condition["status"], condition["reason"]) == ("False", "ModelLoadFailed")
        assert condition["message"].startswith("Version v2, pod v2-")
        assert "No module named 'never_heard_of'" in condition["message"]
    answer = platform.ask(platform.model.request, path="/serving-endpoints/second/invocations")
    assert (answer.status, answer.json) == (200, {"predictions": platform.model.expected})
    platform.stack.up(platform.settings([platform.endpoint]))
    assert_nothing_is_left_of(platform, "second")


@pytest.mark.usefixtures("unchanged", "bad_models")
def test_a_first_version_that_does_not_load_says_why_and_answers_503(platform: Platform) -> None:
    second = {"name": "second", "model_uri": "models:/unloadable/1", "start_seconds": 30}

    _fails(platform, [platform.endpoint, second])

    told = platform.conditions("second")
    assert set(told) == {"Ready", "Proven"}
    for condition in told.values():
        assert (condition["status"], condition["reason"]) == ("False", "ModelLoadFailed")
        assert condition["message"].startswith("Version v1, pod v1-")
        assert "No module named 'never_heard_of'" in condition["message"]
    answer = platform.ask(platform.model.request, path="/serving-endpoints/second/invocations")
    assert (answer.status, answer.json["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    new = "Version second/v1 has no ready pod, and none of its pods has been ready yet. Try again in 10 seconds."
    assert answer.json["message"] == new
    platform.stack.up(platform.settings([platform.endpoint]))
    assert_nothing_is_left_of(platform, "second")


@pytest.mark.usefixtures("unchanged")
def test_an_update_killed_half_way_and_run_again_goes_on(platform: Platform) -> None:
    second = {"name": "second", "model_uri": platform.model.model_uri}
    stack = platform.stack
    settings = platform.settings([platform.endpoint, second])
    script = (
        "import json, sys; from pathlib import Path; from headrace.local.pulumi_stack import PulumiStack;"
        "PulumiStack(programs=Path(sys.argv[1])).up(json.loads(sys.argv[2]))"
    )
    update = subprocess.Popen(
        [sys.executable, "-c", script, str(stack.programs), json.dumps(settings)], start_new_session=True
    )
    eventually(lambda: "endpoint-second" in platform.kubectl("get", "namespaces", "-o", "name"), seconds=90)
    os.killpg(update.pid, signal.SIGKILL)
    update.wait()

    stack.up(settings)

    answer = platform.ask(platform.model.request, path="/serving-endpoints/second/invocations")
    assert answer.status == 200
    assert answer.json == {"predictions": platform.model.expected}
    stack.up(platform.settings([platform.endpoint]))
    assert_nothing_is_left_of(platform, "second")


def test_the_demo_model_is_registered_once(platform: Platform) -> None:
    first = demo_model.ensure(tracking_server.uri())

    assert first == platform.model
    assert Path(platform.description["ca_file"]).exists()
