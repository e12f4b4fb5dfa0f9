"""`headrace init`: what it writes runs, and nothing that is there is written over."""

import json
import re
import runpy
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from stand_ins import KUBECONFIG
from typer.testing import CliRunner

from headrace.cli.__main__ import app
from headrace.components.testing import record

ROOT = Path(__file__).parents[2]
FILES = {"Pulumi.yaml", "__main__.py", "Pulumi.dev.yaml", "requirements.txt", ".gitignore"}
EXTRAS = {"here": "cli,deploy", "eks": "aws,cli,deploy"}


def init(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["init", *map(str, arguments)])


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(KUBECONFIG))
    return path


@pytest.mark.usefixtures("stand_in_images")
@pytest.mark.parametrize("cluster", ["here", "eks", "a kubeconfig"])
def test_the_program_runs_with_the_settings_beside_it(cluster: str, tmp_path: Path, kubeconfig: Path) -> None:
    folder = tmp_path / "shop"
    done = init(folder, "--cluster", kubeconfig if cluster == "a kubeconfig" else cluster)

    assert done.exit_code == 0, done.output
    assert {path.name for path in folder.iterdir()} == FILES
    assert yaml.safe_load((folder / "Pulumi.yaml").read_text())["name"] == "shop"
    assert (
        f"headrace[{EXTRAS.get(cluster, 'cli,deploy')}]=={version('headrace')}\n"
        == (folder / "requirements.txt").read_text()
    )
    settings = yaml.safe_load((folder / "Pulumi.dev.yaml").read_text())["config"]
    recording = record(
        lambda: runpy.run_path(str(folder / "__main__.py")), config=settings, project="shop", stack="dev"
    )
    assert recording.named("platform").inputs["host"] == "models.example.com"
    assert recording.named("fraud").inputs["model_uri"] == "models:/fraud/1"
    assert re.fullmatch(r"https://models.example.com(:\d+)?/serving-endpoints/fraud", recording.exports["url"])
    style = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"), folder], check=False
    )
    assert style.returncode == 0


def test_what_is_there_is_named_and_stays(tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_text("mine")
    (tmp_path / "Pulumi.yaml").write_text("mine")
    done = init(tmp_path, "--cluster", "no-such-file", "--name", "a shop")

    assert done.exit_code == 2
    assert "holds Pulumi.yaml, __main__.py, must hold none of them" in done.stderr
    assert "--name = 'a shop', must be 1 to 100 letters" in done.stderr
    assert re.search(r"--cluster = '.*no-such-file', must be here, eks or the path of a kubeconfig", done.stderr)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "__main__.py": "mine",
        "Pulumi.yaml": "mine",
    }


def test_the_next_commands_are_told_to_people_and_to_scripts(tmp_path: Path) -> None:
    told = init(tmp_path / "one", "--name", "123").stdout
    found = json.loads(init(tmp_path / "two", "--json").stdout)

    assert [line.strip() for line in told.splitlines()[-2:]] == [
        f"cd {tmp_path / 'one'} && pip install -r requirements.txt",
        "headrace up --stack dev",
    ]
    assert found["next"][1] == "headrace up --stack dev"
    assert {Path(path).name for path in found["written"]} == FILES
    assert yaml.safe_load((tmp_path / "one" / "Pulumi.yaml").read_text())["name"] == "123"
