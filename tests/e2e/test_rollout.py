"""Rollouts on a real cluster under real load: a good version goes through, and a bad one takes itself back.

Load is open loop and nothing is sent twice, so that each failed answer is one that a caller saw.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from live_platform import Platform, assert_nothing_is_left_of, eventually
from live_scaling import offered

from bench.autoscaler import live_load
from headrace.contract.errors import HeadraceError
from headrace.contract.rollout import COMMAND_ANNOTATION
from headrace.local import tracking_server

NAME = "moody"
SPACE = f"endpoint-{NAME}"
STEP = 20
ROLLOUT = {"steps": [STEP, 50], "bake_seconds": 10, "slow_margin_percent": 20, "wait_seconds": 240}
"""Latency is left out of account, as far as can be: tests share their machine, and pods that start slow those that
serve."""
REQUESTS_PER_SECOND = 30.0
REQUEST = {"inputs": [[float(row)] for row in range(10)]}

_LOG_MODELS = """
import pathlib, sys, tempfile, mlflow
mlflow.set_experiment("headrace-tests")
requirements = mlflow.pyfunc.get_model_dependencies(sys.argv[1])  # an environment that is built already
for failing, otherwise in ((0.0, 10.0), (0.0, 10.0), (0.05, 10.0), (0.0, 9.0)):
    with tempfile.TemporaryDirectory() as folder, mlflow.start_run():
        script = pathlib.Path(folder) / "model.py"
        script.write_text(
            "import random\\nimport mlflow\\nclass Moody(mlflow.pyfunc.PythonModel):\\n"
            "    def predict(self, context, model_input, params=None):\\n"
            f"        if random.random() < {failing}:\\n            raise RuntimeError('in a mood')\\n"
            f"        return ['otherwise' if row[0] >= {otherwise} else 'as ever' for row in model_input]\\n"
            "mlflow.models.set_model(Moody())\\n"
        )
        mlflow.pyfunc.log_model(
            name="model", python_model=str(script), registered_model_name="moody", pip_requirements=requirements
        )
"""


class Moody:
    """An endpoint whose version 3 fails five requests in a hundred, and version 4 predicts one row in ten otherwise."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform

    def up(self, version: int, **rollout: Any) -> str:
        """Names this version, and waits for the end of its rollout."""
        endpoint = {"name": NAME, "model_uri": f"models:/moody/{version}", "rollout": {**ROLLOUT, **rollout}}
        return self.platform.stack.up(self.platform.settings([self.platform.endpoint, endpoint]))

    @contextmanager
    def load(self) -> Iterator[live_load.Load]:
        to = live_load.target(self.platform.description, NAME, REQUEST)
        with live_load.offered(to, [REQUESTS_PER_SECOND] * 900) as load:
            offered.append(load)
            yield load

    def rollout(self) -> dict[str, Any]:
        """`status.rollout` of the object."""
        text = self.platform.kubectl("-n", SPACE, "get", "modelendpoint", NAME, "-o", "jsonpath={.status.rollout}")
        found: dict[str, Any] = json.loads(text or "{}")
        return found

    def asks(self, command: str, version: str) -> None:
        """What a person asks of the rollout, as the command line does."""
        note = f"{COMMAND_ANNOTATION}={command} {version}"
        self.platform.kubectl("-n", SPACE, "annotate", "--overwrite", "modelendpoint", NAME, note)

    def deployments(self) -> set[str]:
        return set(self.platform.kubectl("-n", SPACE, "get", "deployments", "-o", "name").split())


@pytest.fixture(scope="module")
def moody(platform: Platform) -> Iterator[Moody]:
    """Version 1 serves."""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": tracking_server.uri(), "GIT_PYTHON_REFRESH": "quiet"}
    client = __import__("mlflow").MlflowClient(tracking_server.uri())
    if "moody" not in {model.name for model in client.search_registered_models()}:
        command = [sys.executable, "-c", _LOG_MODELS, platform.model.model_uri]
        subprocess.run(command, env=environment, check=True, capture_output=True)
    found = Moody(platform)
    found.up(1)
    assert (found.rollout()["phase"], found.rollout()["reason"]) == ("Completed", "FirstVersion")
    yield found
    platform.stack.up(platform.settings([platform.endpoint]))
    assert_nothing_is_left_of(platform, NAME)


@pytest.mark.timeout(600)
def test_a_good_version_goes_through_and_a_bad_one_takes_itself_back(moody: Moody) -> None:
    with moody.load() as load:
        printed = moody.up(2)
    good = moody.rollout()

    assert load.failures() == []
    assert "Rolled out: v2 has all requests (every step passed its gates)" in " ".join(printed.split())
    assert [event["weight"] for event in good["events"]][-4:] == [0, STEP, 50, 100]
    assert load.answers[0].version == "v1"
    assert load.answers[-1].version == "v2"
    assert moody.deployments() == {"deployment.apps/v2"}, "Pulumi deletes what served before, after its end"

    with moody.load() as load:
        with pytest.raises(HeadraceError) as caught:
            moody.up(3)
        eventually(lambda: {answer.version for answer in load.answers[-100:]} == {"v2"})
    bad = moody.rollout()
    told = moody.platform.conditions(NAME)

    said = " ".join(str(caught.value).split())
    assert "ModelEndpoint 'moody': version v3 was taken back, ErrorRate: " in said
    assert "version v2 serves" in said
    assert (bad["phase"], bad["weight"], bad["former"]) == ("RolledBack", 0, "v2")
    assert (told["RolledOut"]["status"], told["RolledOut"]["reason"]) == ("False", "ErrorRate")
    assert told["Ready"]["status"] == "True"
    by_new = [answer for answer in load.answers if answer.version == "v3"]
    failures = load.failures()
    assert {answer.version for answer in failures} == {"v3"}, "nobody but callers of the new version saw a failure"
    begun, ended = (min(a.due for a in by_new), max(a.due for a in by_new))
    meanwhile = [answer for answer in load.answers if begun <= answer.due <= ended]
    assert len(by_new) / len(meanwhile) < (STEP + 10) / 100, "no more than the first step's share"
    assert len(failures) / len(meanwhile) < 0.03
    assert len(by_new) <= 500
    assert moody.deployments() == {"deployment.apps/v2", "deployment.apps/v3"}, "nothing is deleted"


@pytest.mark.timeout(600)
def test_a_version_that_predicts_otherwise_takes_itself_back_where_that_is_asked_for(moody: Moody) -> None:
    with moody.load() as load, pytest.raises(HeadraceError) as caught:
        moody.up(4, changed_percent=1)

    assert "version v4 was taken back, Predictions: " in " ".join(str(caught.value).split())
    assert load.failures() == []
    gates = {gate["name"]: gate for gate in moody.rollout()["gates"]}
    assert gates["predictions"]["verdict"] == "Failed"
    assert gates["predictions"]["percent"] == 10.0


@pytest.mark.timeout(600)
def test_the_next_update_removes_what_was_taken_back(moody: Moody) -> None:
    moody.up(2)

    assert moody.deployments() == {"deployment.apps/v2"}
    assert (moody.rollout()["version"], moody.rollout()["phase"]) == ("v2", "Completed")
