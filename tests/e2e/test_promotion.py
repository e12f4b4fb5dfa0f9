"""A version goes from one stack to the next on signed evidence, and back, with the real engine on the real cluster."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from live_platform import Platform, eventually

from headrace.contract import names
from headrace.local import demo_model, tracking_server
from headrace.local.demo_model import RegisteredModel
from headrace.local.pulumi_stack import STACK
from headrace.stacks.promotion.envelope import public_pem

ROOT = Path(__file__).parents[2]
PROJECT = "headrace-example-three-stacks"
THERE, HERE = "cancer-staging", "cancer-prod"


class TwoStacks:
    """Staging and production of the example 09 on the demo's platform, each with an endpoint of its own name."""

    def __init__(self, platform: Platform, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "examples" / "09-three-stacks", folder, dirs_exist_ok=True)
        # The engine that runs the demo, with its state: so the platform's stack can be referred to.
        self._environment = {
            **platform.stack.environment(),
            "KUBECONFIG": platform.description["kubeconfig"],
            "MLFLOW_TRACKING_URI": tracking_server.uri(),
        }
        self._platform_stack = f"organization/headrace/{STACK}"

    def declare(self, stack: str, endpoint: str, model_uri: str, **settings: Any) -> None:
        """Writes the stack's settings, as its owner would."""
        entry = {"name": endpoint, "model_uri": model_uri}
        config = {"platform_stack": self._platform_stack, "endpoints": [entry], **settings}
        document = {"config": {f"{PROJECT}:{name}": value for name, value in config.items()}}
        self.run("pulumi", "stack", "init", stack).check_returncode()
        path = self.folder / "stacks" / f"Pulumi.{stack}.yaml"
        known = yaml.safe_load(path.read_text()) if path.exists() else {}
        path.write_text(yaml.safe_dump({**{key: known[key] for key in known if key != "config"}, **document}))

    def headrace(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "headrace.cli", *arguments)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, text=True, check=False, timeout=300
        )

    def up(self, stack: str) -> None:
        done = self.run("pulumi", "up", "--yes", "--skip-preview", "--stack", stack)
        assert done.returncode == 0, done.stdout + done.stderr

    def set(self, stack: str, path: str, value: str) -> None:
        self.run("pulumi", "config", "set", "--stack", stack, "--path", "--", path, value).check_returncode()

    def entry(self, stack: str) -> dict[str, str]:
        """The stack's only endpoint as its settings have it."""
        document = yaml.safe_load((self.folder / "stacks" / f"Pulumi.{stack}.yaml").read_text())
        entry: dict[str, str] = document["config"][f"{PROJECT}:endpoints"][0]
        return entry


@pytest.fixture(scope="module")
def stacks(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoStacks]:
    """Version 1 proven on staging; production declares its endpoint and has never been deployed."""
    found = TwoStacks(platform, tmp_path_factory.mktemp("three-stacks"))
    made = found.headrace("keygen", "staging.pem")
    assert made.returncode == 0, made.stderr
    found.declare("staging", THERE, platform.model.model_uri, evidence_key=f"file:{found.folder}/staging.pem")
    found.declare("prod", HERE, platform.model.model_uri, promotion={"trusted_keys": [made.stdout]})
    try:
        found.up("staging")
        yield found
    finally:
        for stack in ("prod", "staging"):
            done = found.run("pulumi", "destroy", "--yes", "--skip-preview", "--stack", stack)
            assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def newer(stacks: TwoStacks) -> RegisteredModel:
    """A version after the first."""
    return demo_model.register_next(tracking_server.uri())


def served(platform: Platform, endpoint: str) -> tuple[str, Any]:
    """Image and predictions of what answers under that name."""
    answer = eventually(lambda: _answered(platform, endpoint))
    space = names.endpoint_namespace(endpoint)
    item = json.loads(platform.kubectl("-n", space, "get", "modelendpoint", endpoint, "-o", "json"))
    return item["spec"]["versions"][0]["image"], answer


def _answered(platform: Platform, endpoint: str) -> Any:
    answer = platform.ask(platform.model.request, path=names.invocations_path(endpoint))
    assert answer.status == 200, answer.body
    return answer.json["predictions"]


def test_what_staging_proved_serves_in_production_by_the_same_image(platform: Platform, stacks: TwoStacks) -> None:
    shown = stacks.headrace("promote", "--from", "staging", "--to", "prod", f"{THERE}={HERE}", "--preview", "--json")
    assert shown.returncode == 0, shown.stderr
    (step,) = json.loads(shown.stdout)
    assert (step["endpoint"], step["faults"]) == (HERE, [])
    assert step["changes"]["proof"]["to"].startswith("answers its input example alike")

    done = stacks.headrace("promote", "--from", "staging", "--to", "prod", f"{THERE}={HERE}", "--yes")

    assert done.returncode == 0, done.stdout + done.stderr
    there, _ = served(platform, THERE)
    here, predictions = served(platform, HERE)
    assert here == there
    assert predictions == platform.model.expected
    assert "ImageBuild" not in done.stderr, "production builds nothing"


def test_what_serves_already_is_nothing_to_promote(stacks: TwoStacks) -> None:
    again = stacks.headrace("promote", "--from", "staging", "--to", "prod", f"{THERE}={HERE}", "--yes")
    assert again.returncode == 0, again.stderr
    assert "as it is" in again.stdout


def test_evidence_of_a_stranger_changes_nothing(stacks: TwoStacks) -> None:
    before = stacks.entry("prod")
    stranger = stacks.headrace("keygen", "stranger.pem")
    stacks.set("prod", "promotion.trusted_keys[0]", stranger.stdout)
    refused = stacks.headrace("promote", "--from", "staging", "--to", "prod", f"{THERE}={HERE}", "--yes")
    stacks.set("prod", "promotion.trusted_keys[0]", public_pem(f"file:{stacks.folder}/staging.pem"))
    assert refused.returncode == 1
    assert "must be signed by a trusted key" in refused.stdout
    assert stacks.entry("prod") == before


def test_a_new_version_is_promoted_and_taken_back(
    platform: Platform, stacks: TwoStacks, newer: RegisteredModel
) -> None:
    first, _ = served(platform, HERE)
    stacks.set("staging", "endpoints[0].model_uri", newer.model_uri)
    stacks.up("staging")
    done = stacks.headrace("promote", "--from", "staging", "--to", "prod", f"{THERE}={HERE}", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert stacks.entry("prod")["model_uri"] == newer.model_uri
    second, _ = served(platform, HERE)
    assert second != first

    back = stacks.headrace("rollback", HERE, "--stack", "prod", "--yes")

    assert back.returncode == 0, back.stdout + back.stderr
    assert served(platform, HERE)[0] == first
    assert stacks.entry("prod")["model_uri"] == platform.model.model_uri
