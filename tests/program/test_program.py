"""The whole program, once for each stack that is committed, without an engine."""

import ast
import json
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml
from stand_ins import FOUND, KUBECONFIG

from headrace.components.kubernetes.checks import ArgsError
from headrace.components.testing import Recording, record
from headrace.contract import names
from headrace.stacks.promotion import envelope

pytestmark = pytest.mark.usefixtures("stand_in_images")

ROOT = Path(__file__).parents[2]
PROJECT = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
STACKS = sorted(path.name.split(".")[1] for path in (ROOT / "stacks").glob("Pulumi.*.yaml"))


@pytest.fixture(params=STACKS)
def recording(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recording:
    """One run of the program on a committed stack, with a cluster and a model given as a deployer would."""
    monkeypatch.setattr(envelope, "signed", lambda attestation, key: f"{attestation.endpoint} by {key}")
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(KUBECONFIG))
    values = {key: entry["default"] for key, entry in PROJECT["config"].items()}
    stack = yaml.safe_load((ROOT / "stacks" / f"Pulumi.{request.param}.yaml").read_text())
    values |= {key.removeprefix("headrace:"): value for key, value in stack.get("config", {}).items()}
    values["kubeconfig"] = str(tmp_path / "kubeconfig")
    if not values["endpoints"]:
        values["endpoints"] = [{"name": "fraud", "model_uri": "models:/fraud/7"}]
    return run(values, request.param)


def configuration(values: dict[str, Any]) -> dict[str, str]:
    """In the form in which the engine hands it over."""
    return {f"headrace:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}


def run(values: dict[str, Any], stack: str) -> Recording:
    config = {
        f"headrace:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in values.items()
    }
    return record(
        lambda: runpy.run_path(str(ROOT / "__main__.py")),
        config=config,
        answers=FOUND,
        stack=stack,
    )


def test_the_program_exports_what_a_client_and_another_stack_need(recording: Recording) -> None:
    assert recording.exports["url"].startswith("https://")
    own = not recording.named("platform").inputs.get("tls_secret")
    assert recording.exports["ca_certificate"] == ("authority certificate" if own else "")
    assert recording.exports["platform"]["namespace"] == names.SYSTEM_NAMESPACE
    for name, url in recording.exports["endpoints"].items():
        assert url == f"{recording.exports['url']}/serving-endpoints/{name}"


def test_every_object_goes_through_the_one_provider_whose_kubeconfig_is_secret(recording: Recording) -> None:
    (provider,) = [r for r in recording.resources.values() if r.type == "pulumi:providers:kubernetes"]
    objects = [r for r in recording.resources.values() if r.type.startswith("kubernetes:")]

    assert provider.secrets == {"kubeconfig"}
    assert objects
    assert all(thing.provider.startswith(provider.urn) for thing in objects)


def test_everything_belongs_to_a_component(recording: Recording) -> None:
    tops = [r for r in recording.resources.values() if r.parent not in recording.resources]

    assert {top.type.split(":")[0] for top in tops} == {"headrace", "pulumi"}


def test_every_image_is_pinned_by_digest(recording: Recording) -> None:
    for deployment in recording.of_kind("Deployment"):
        for container in deployment.inputs["spec"]["template"]["spec"]["containers"]:
            assert "@sha256:" in container["image"]


def test_the_program_only_wires() -> None:
    """Under sixty lines and without a decision: those belong to components and settings."""
    lines = (ROOT / "__main__.py").read_text().splitlines()

    assert len(lines) < 60
    decisions = (ast.If, ast.IfExp, ast.For, ast.While, ast.Try, ast.FunctionDef, ast.Lambda)
    assert not [node for node in ast.walk(ast.parse("\n".join(lines))) if isinstance(node, decisions)]
    imported = {line.split()[1] for line in lines if line.startswith(("import ", "from "))}
    assert imported == {"pulumi", "pulumi_kubernetes", "headrace.components", "headrace.stacks"}, "public names only"


def test_a_bad_stack_stops_before_anything_is_registered() -> None:
    values = {key: entry["default"] for key, entry in PROJECT["config"].items()}
    values["endpoints"] = [{"name": "fraud", "model_uri": "models:/fraud/7"}] * 2

    def program() -> None:
        with pytest.raises(Exception, match="must be unique"):
            runpy.run_path(str(ROOT / "__main__.py"))

    config = {
        f"headrace:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in values.items()
    }
    assert record(program, config=config).resources == {}


def test_models_that_cannot_be_served_are_told_at_once_before_anything_is_registered() -> None:
    values = {key: entry["default"] for key, entry in PROJECT["config"].items()}
    values["endpoints"] = [
        {"name": "fraud", "model_uri": "models:/missing/7"},
        {"name": "churn", "model_uri": "models:/churn/1"},
        {"name": "price", "model_uri": "models:/missing/2", "cpu": "much"},
        {"name": "risk", "model_uri": "models:/missing/3"},
    ]

    def program() -> None:
        with pytest.raises(ArgsError) as caught:
            runpy.run_path(str(ROOT / "__main__.py"))
        fraud, price, risk = caught.value.faults
        assert fraud.startswith("fraud: model_uri = 'models:/missing/7' does not exist")
        assert price == "price: cpu = 'much', must be a number"
        assert risk.startswith("risk: model_uri")

    config = {
        f"headrace:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in values.items()
    }
    assert record(program, config=config).resources == {}
