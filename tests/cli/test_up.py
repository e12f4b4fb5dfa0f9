"""`headrace up`, with the real engine: a project without a cluster, whose endpoint is a component and nothing more."""

import json
import subprocess
import sys
from pathlib import Path

import pulumi_preview
import pytest
from typer.testing import CliRunner

from headrace.cli.__main__ import app

PROGRAM = """
import pulumi


class Endpoint(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("headrace:index:ModelEndpoint", name, {})
        self.register_outputs({"url": f"https://models.example.com/serving-endpoints/{name}"})


if pulumi.Config().require("model_uri") == "models:/missing/1":
    raise ValueError("no such model")
Endpoint("fraud")
"""


def headrace(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return pulumi_preview.run(folder, sys.executable, "-m", "headrace.cli", "up", *arguments)


@pytest.mark.slow
def test_a_stack_that_has_settings_alone_is_made_and_its_endpoints_are_told(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    (tmp_path / "__main__.py").write_text(PROGRAM)
    settings = tmp_path / "Pulumi.dev.yaml"
    settings.write_text("config: {'shop:model_uri': 'models:/missing/1'}\n")

    lost = headrace(tmp_path, "--stack", "prod", "--yes")
    assert (lost.returncode, lost.stdout) == (2, "")
    assert "stack = 'prod', must be a stack of the project" in lost.stderr

    failed = headrace(tmp_path, "--stack", "dev", "--yes", "--json")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "ValueError: no such model" in failed.stderr

    settings.write_text(settings.read_text().replace("missing", "fraud"))
    done = headrace(tmp_path, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "stack": "dev",
        "updated": True,
        "changes": {"create": 1, "same": 1},
        "endpoints": {"fraud": "https://models.example.com/serving-endpoints/fraud"},
    }
    assert "ModelEndpoint" in done.stderr


def test_a_folder_without_a_project_and_a_machine_without_pulumi_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> str:
        done = CliRunner().invoke(app, ["up", "--cwd", str(tmp_path)])
        assert done.exit_code == 2
        return done.stderr

    monkeypatch.setenv("PATH", str(tmp_path))
    assert "must be a folder with a Pulumi.yaml" in refused()
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    assert "`pulumi` is not on PATH" in refused()
