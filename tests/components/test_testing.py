"""What users test their programs with, and the page that shows it."""

import re
from pathlib import Path
from typing import Any

import pulumi
import pytest

from headrace.components import ModelEndpoint, ServingPlatform
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.testing import record

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
REF: Any = {
    "namespace": "headrace-system",
    "url": "https://models.example",
    "image_delivery": {"kind": "containerd", "address": "/run/containerd/containerd.sock"},
    "image_base": {},
    "autoscaler": True,
}
"""The platform of another stack."""
MLMODEL = "flavors: {python_function: {loader_module: mlflow.sklearn, python_version: 3.11.7}, sklearn: {}}\n"


@pytest.fixture
def models(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "MLmodel").write_text(MLMODEL)
    (tmp_path / "requirements.txt").write_text("mlflow==3.17.2\n")
    return {"models:/fraud/7": tmp_path}


def program() -> None:
    platform = ServingPlatform("platform", {"host": "models.example"})
    endpoint = ModelEndpoint("fraud", {"platform": platform.ref, "model_uri": "models:/fraud/7"})
    pulumi.export("url", endpoint.url)


def test_the_example_of_the_page_is_a_test_that_passes(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)

    names["test_every_pod_keeps_its_root_file_system_read_only"](tmp_path)


def test_a_whole_program_runs_without_a_network(models: dict[str, Path]) -> None:
    recording = record(program, models=models)

    assert recording.exports == {"url": "https://models.example/serving-endpoints/fraud"}
    image = recording.named("fraud-image")
    assert [child.type for child in recording.children(image)] == ["pulumi-python:dynamic/headrace:ImageBuild"]
    assert [parent.name for parent in recording.ancestors(image)] == ["fraud"]
    assert recording.waits_for("fraud-v7-deployment", "platform-namespace")
    assert not recording.waits_for("platform-namespace", "fraud-v7-deployment")


def test_a_model_that_is_not_given_does_not_exist(models: dict[str, Path]) -> None:
    def other() -> None:
        ModelEndpoint("churn", {"platform": REF, "model_uri": "models:/churn/1"})

    with pytest.raises(ArgsError, match=r"model_uri = 'models:/churn/1' does not exist; `models` has models:/fraud/7"):
        record(other, models=models)


def test_a_run_knows_nothing_of_the_one_before() -> None:
    record(lambda: pulumi.export("one", 1))

    assert record(lambda: pulumi.export("two", 2)).exports == {"two": 2}


def test_a_secret_is_plain_and_known_to_be_one() -> None:
    def secret() -> None:
        provider = pulumi.ProviderResource("kubernetes", "here", {"kubeconfig": pulumi.Output.secret("{}")})
        pulumi.export("urn", provider.urn)

    found = record(secret).named("here")

    assert found.inputs["kubeconfig"] == "{}"
    assert found.secrets == {"kubeconfig"}
