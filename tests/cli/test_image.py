"""`headrace image` from outside, with a real registry: what a pipeline makes is what an update finds."""

import json
import re
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import registry_server
import typer
import yaml
from tracking_stand_in import MLMODEL

from headrace.cli import image

HEADRACE = (sys.executable, "-m", "headrace.cli", "image")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A directory with a model that needs one small package."""
    folder = tmp_path / "fraud"
    folder.mkdir()
    (folder / "MLmodel").write_text(MLMODEL)
    (folder / "requirements.txt").write_text("six==1.17.0\n")
    return folder


def told(*arguments: str | Path) -> Any:
    done = subprocess.run([*HEADRACE, *map(str, arguments), "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.usefixtures("skopeo")
def test_an_image_is_pushed_once_and_written_to_a_file_with_the_same_layers(model: Path, tmp_path: Path) -> None:
    archive = tmp_path / "fraud.tar"
    with registry_server.running(tmp_path / "registry") as server:
        where = ("--registry", f"{server.address}/team", "--plain-http")

        pushed = told("push", model, *where)
        uploads = server.uploads
        again = told("push", model, *where)
        written = told("build", model, "--output", archive)

        assert uploads > 0
        assert server.uploads == uploads
    assert pushed["image"].startswith(f"{server.address}/team/models/fraud@sha256:")
    assert again["image"] == pushed["image"]
    assert written["layers"] == pushed["layers"]
    assert pushed["architectures"] == ["amd64"]
    with tarfile.open(archive) as tar:
        names = tar.getnames()
    assert {f"blobs/sha256/{digest.removeprefix('sha256:')}" for digest in written["layers"].values()} <= set(names)
    assert written["bytes"] == archive.stat().st_size


def test_the_pipeline_of_the_page_on_ci_keeps_what_it_made_and_pushes_as_the_command_does() -> None:
    page = (Path(__file__).parents[2] / "docs" / "ci.md").read_text()
    *_, pipeline = (yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL))

    job = pipeline["image"]
    (folder,) = job["cache"]["paths"]
    assert job["variables"]["HEADRACE_CACHE"].endswith(f"/{folder}")
    *_, (program, group, *arguments) = (shlex.split(line) for line in job["script"])
    assert (program, group) == (".venv/bin/headrace", "image")
    command = typer.main.get_group(image.app).commands[arguments[0]]
    assert (
        command.make_context("push", arguments[1:], resilient_parsing=True).params["model_uri"]
        == "models:/fraud@champion"
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--architecture", "sparc"], "architectures = 'sparc', must be one of"),
        (["--base", "[]"], "--base = '[]', must be a JSON object"),
        (["--base", '{"python": "2.7"}'], "image_base: python = '2.7', must be a minor version such as '3.11'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(
    model: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    command = [*HEADRACE, "build", str(model), "--output", str(tmp_path / "x"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert sentence in " ".join(done.stderr.split())
    assert not (tmp_path / "x").exists()
