"""A new version, and back; several at once; and none: traffic moves only to versions that answer, and nobody is turned
away but by an endpoint that is stopped, which says so."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from live_platform import Platform, eventually

from headrace.local import cluster_layout, demo_model, tracking_server
from headrace.local.demo_model import RegisteredModel

NAMESPACE = "endpoint-breast-cancer"


@pytest.fixture(scope="module")
def newer() -> RegisteredModel:
    """A newer version of the demo's model."""
    return demo_model.register_next(tracking_server.uri())


@contextmanager
def light_load(platform: Platform) -> Iterator[list[tuple[int, str]]]:
    """Asks every 50 ms without retrying; yields the list of (status, version) that grows meanwhile."""
    answers: list[tuple[int, str]] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.wait(0.05):
            try:
                answer = platform.ask(platform.model.request)
                answers.append((answer.status, answer.headers.get("served-model-name", "")))
            except OSError as error:
                answers.append((0, str(error)))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        stop.set()
        thread.join()


def test_a_new_version_takes_over_and_the_old_one_comes_back_without_a_failed_request(
    platform: Platform, newer: RegisteredModel
) -> None:
    version = f"v{newer.model_uri.rpartition('/')[2]}"
    endpoint = {**platform.endpoint, "model_uri": newer.model_uri}
    with light_load(platform) as answers:
        platform.stack.up(platform.settings([endpoint]))
        eventually(lambda: answers[-1][1] == version)
        assert platform.kubectl("-n", NAMESPACE, "get", "deployments", "-o", "name") == f"deployment.apps/{version}\n"
        platform.stack.up(platform.settings([platform.endpoint]))
        eventually(lambda: answers[-1][1] == "v1")

    assert {status for status, _ in answers} == {200}
    assert len(answers) > 20
    order = [served for index, (_, served) in enumerate(answers) if index == 0 or served != answers[index - 1][1]]
    assert order == ["v1", version, "v1"], "the share of the new version grows, and falls, once"


def test_a_new_version_with_the_same_environment_adds_only_its_own_bytes(
    platform: Platform, newer: RegisteredModel, tmp_path: Path
) -> None:
    if not platform.cluster.embedded:
        pytest.skip("only the embedded cluster's content store can be read")
    import mlflow  # noqa: PLC0415 - takes seconds to import

    newest = demo_model.register_next(tracking_server.uri())
    mlflow.set_tracking_uri(tracking_server.uri())
    model = Path(mlflow.artifacts.download_artifacts(newest.model_uri, dst_path=str(tmp_path)))
    model_bytes = sum(file.stat().st_size for file in model.rglob("*") if file.is_file())
    blobs = cluster_layout.folders().containerd / "root/io.containerd.content.v1.content/blobs/sha256"
    before = {blob.name for blob in blobs.iterdir()}

    platform.stack.up(platform.settings([{**platform.endpoint, "model_uri": newest.model_uri}]))

    added = sum(blob.stat().st_size for blob in blobs.iterdir() if blob.name not in before)
    assert 0 < added <= model_bytes + 64 * 1024


_LOG_CONTRARY = """
import pathlib, sys, tempfile, mlflow
mlflow.set_experiment("headrace-tests")
requirements = mlflow.pyfunc.get_model_dependencies(sys.argv[1])  # an environment that is built already
with tempfile.TemporaryDirectory() as folder, mlflow.start_run():
    script = pathlib.Path(folder) / "model.py"
    script.write_text(
        "import mlflow\\nclass Contrary(mlflow.pyfunc.PythonModel):\\n"
        "    def predict(self, context, model_input, params=None):\\n"
        "        return ['otherwise'] * len(model_input)\\n"
        "mlflow.models.set_model(Contrary())\\n"
    )
    mlflow.pyfunc.log_model(
        name="model", python_model=str(script), registered_model_name="contrary", pip_requirements=requirements
    )
"""


@pytest.fixture(scope="module")
def contrary(platform: Platform) -> str:
    """A model that predicts otherwise than the demo's, whatever it is asked."""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": tracking_server.uri(), "GIT_PYTHON_REFRESH": "quiet"}
    command = [sys.executable, "-c", _LOG_CONTRARY, platform.model.model_uri]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return "models:/contrary/1"


def _shadows(platform: Platform) -> list[dict[str, Any]]:
    """What the object says of its shadows; the version that serves is asked meanwhile."""
    assert platform.ask(platform.model.request).status == 200
    text = platform.kubectl(
        "-n", NAMESPACE, "get", "modelendpoint", platform.endpoint["name"], "-o", "jsonpath={.status.shadows}"
    )
    found: list[dict[str, Any]] = json.loads(text or "[]")
    return found if found and found[0]["predictions"] else []


def test_versions_have_their_shares_and_addresses_and_a_stopped_endpoint_says_so_until_it_is_started(
    platform: Platform, newer: RegisteredModel, contrary: str
) -> None:
    versions = [
        {"model_uri": platform.model.model_uri, "weight": 90},
        {"model_uri": newer.model_uri, "name": "challenger", "weight": 10},
        {"model_uri": contrary, "name": "shadow", "shadow": 100},
    ]
    endpoint = {"name": platform.endpoint["name"], "versions": versions}

    platform.stack.up(platform.settings([endpoint]))
    answers = [platform.ask(platform.model.request) for _ in range(100)]

    assert {answer.status for answer in answers} == {200}
    served = [answer.headers["served-model-name"] for answer in answers]
    assert set(served) == {"v1", "challenger"}, "a shadow answers nobody"
    assert 1 <= served.count("challenger") <= 30, "100 requests of which each has one chance in ten"
    for name, expected in (("challenger", platform.model.expected), ("shadow", ["otherwise"])):
        path = f"/serving-endpoints/{endpoint['name']}/served-models/{name}/invocations"
        answer = platform.ask(platform.model.request, path=path)
        assert (answer.status, answer.headers["served-model-name"]) == (200, name)
        assert answer.json["predictions"][: len(expected)] == expected

    (told,) = eventually(lambda: _shadows(platform))
    assert (told["version"], told["beside"], told["differingPercent"]) == ("shadow", "v1", 100.0)
    assert told["predictions"] == told["differing"] > 0
    assert {found["shadow"] for found in told["differences"]} == {'"otherwise"'}

    platform.stack.up(platform.settings([{**platform.endpoint, "stopped": True}]))

    eventually(lambda: platform.ask(platform.model.request).status == 503)
    answer = platform.ask(platform.model.request)
    assert answer.json["message"].startswith("The endpoint is stopped and answers nothing until it is started again")
    eventually(lambda: platform.conditions(endpoint["name"])["Ready"]["reason"] == "Stopped")
    eventually(lambda: platform.kubectl("-n", NAMESPACE, "get", "pods", "-o", "name") == "", seconds=120)
    assert platform.ask(platform.model.request).status == 503, "nobody who asks wakes it"

    platform.stack.up(platform.settings([platform.endpoint]))
    eventually(lambda: platform.ask(platform.model.request).status == 200)
