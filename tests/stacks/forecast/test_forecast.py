"""What a program's preview tells of its endpoints."""

import json
import re
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from stand_ins import REF_OF_A_PLATFORM, StandInModelImage

from headrace.components import ModelEndpoint
from headrace.components.endpoint import model_endpoint
from headrace.components.platform.prices import Prices
from headrace.components.testing import record
from headrace.contract.errors import TemporaryError
from headrace.stacks import forecast
from headrace.stacks.forecast import cluster_state
from headrace.stacks.forecast.estimate import Seen

pytestmark = pytest.mark.usefixtures("stand_in_images")


class NotBuilt(StandInModelImage):
    """An image of which a preview does not know the digest."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        later: Any = pulumi.Output(set(), self._value(), self._known())
        self.image = later

    async def _value(self) -> Any:
        return pulumi.UNKNOWN

    async def _known(self) -> bool:
        return False


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the program prints."""
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "info", lambda message, *_: said.append(message))
    monkeypatch.setattr(pulumi.log, "warn", lambda message, *_: said.append(f"warning: {message}"))
    return said


def program(kubeconfig: Any = "a cluster", **inputs: Any) -> None:
    served = {"platform": REF_OF_A_PLATFORM, "model_uri": "models:/fraud/7", **inputs}
    forecast.tell({"fraud": ModelEndpoint("fraud", served)}, kubeconfig=kubeconfig, prices=Prices())


def test_a_preview_reads_the_cluster_and_an_update_does_not(told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    empty = Seen(nodes=[], pods=[], deployments={}, autoscalers={})
    monkeypatch.setattr(cluster_state, "seen", lambda kubeconfig: asked.append(kubeconfig) or empty)

    record(program)
    assert not asked
    record(program, preview=True)

    assert asked == ["a cluster"]
    (found,) = [line for line in told if line.startswith("Forecast")]
    assert "1 to 100  0.25 cores, 832 MiB" in found
    assert any(line.startswith("warning: v7 needs room for 1 more of its pods") for line in told)


def test_an_image_that_is_not_built_yet_is_why_pods_restart_and_no_secret_is_told(
    told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = record(program).named("fraud-v7-deployment").inputs
    there = {"endpoint-fraud": {"v7": {"spec": {**before["spec"], "replicas": 2}}}}
    seen = Seen(nodes=[], pods=[], deployments=there, autoscalers={})
    monkeypatch.setattr(cluster_state, "seen", lambda _: seen)

    record(program, preview=True)
    assert "Pods replaced: none" in told[-1]

    monkeypatch.setattr(model_endpoint, "ModelImage", NotBuilt)
    record(lambda: program(environment={"KEY": pulumi.Output.secret("hush")}), preview=True)
    reasons = "image, built by the update; env[HEADRACE_IMAGE].value; env[KEY], which is new"
    assert f"Pods replaced, fraud: all 2 of v7: {reasons}" in "\n".join(told)
    assert "hush" not in "\n".join(told)


def test_each_of_several_versions_has_a_line_of_its_own(told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_state, "seen", lambda _: Seen(nodes=[], pods=[], deployments={}, autoscalers={}))
    split = [
        {"model_uri": "models:/fraud/7", "weight": 90, "scale": {"max_replicas": 8}},
        {"model_uri": "models:/fraud/8", "weight": 10, "scale": {"max_replicas": 2}},
    ]

    def program() -> None:
        scaling: Any = {**REF_OF_A_PLATFORM, "autoscaler": True}
        endpoint = ModelEndpoint("fraud", {"platform": scaling, "versions": split})  # type: ignore[typeddict-item]
        forecast.tell({"fraud": endpoint}, kubeconfig="a cluster", prices=Prices())

    record(program, preview=True)

    (found,) = [line for line in told if line.startswith("Forecast")]
    assert [line.split()[:6] for line in found.splitlines()[2:5]] == [
        ["fraud/v7", "v7", "mlflow", "1", "to", "8"],
        ["fraud/v8", "v8", "mlflow", "1", "to", "2"],
        ["all", "2", "to", "10", "0", *found.splitlines()[4].split()[5:6]],
    ]


def test_a_cluster_that_is_not_there_or_does_not_answer_leaves_what_the_inputs_say(
    told: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def silent(_: str) -> Seen:
        raise TemporaryError("the cluster was not asked: no route")

    monkeypatch.setattr(cluster_state, "seen", silent)
    monkeypatch.setenv(forecast.FILE_VARIABLE, str(tmp_path / "forecast.json"))
    record(program, preview=True)

    assert "; the cluster was not asked: no route" in "\n".join(told)
    written = json.loads((tmp_path / "forecast.json").read_text())
    assert written["endpoints"]["fraud"]["room"] is None

    monkeypatch.setenv(forecast.FILE_VARIABLE, str(tmp_path / "forecast.md"))
    record(lambda: program(kubeconfig=pulumi.Output.from_input("")), preview=True)
    assert "the cluster is not there yet" in (tmp_path / "forecast.md").read_text()


def test_pipelines_of_the_page_on_ci_write_the_forecast_that_they_comment_with() -> None:
    page = (Path(__file__).parents[3] / "docs" / "ci.md").read_text()
    github, gitlab, _ = (yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL))

    for variables, commands in (
        (github["jobs"]["prod"]["env"], [step.get("run", "") for step in github["jobs"]["prod"]["steps"]]),
        (gitlab["preview"]["variables"], gitlab["preview"]["script"]),
    ):
        assert variables[forecast.FILE_VARIABLE].endswith("/forecast.md")
        assert any("pulumi preview --stack prod" in command for command in commands)
        assert "forecast.md" in commands[-1]
