"""`headrace sdk`: what it writes, what it says to do next, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from headrace.cli.__main__ import app


def headrace(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "headrace.cli", "sdk", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_language_without_an_sdk_is_refused_with_those_that_have_one() -> None:
    done = CliRunner().invoke(app, ["sdk", "yaml"])

    assert done.exit_code == 2
    assert "LANGUAGE = 'yaml', must be one of typescript, go, python" in done.stderr


@pytest.mark.slow
def test_it_says_how_a_program_takes_what_it_has_written(tmp_path: Path) -> None:
    done = headrace(tmp_path, "go", "--json")

    assert json.loads(done.stdout) == {
        "language": "go",
        "written": "sdks/headrace",
        "next": [
            "go mod edit -replace headrace.dev/sdk/go=./sdks/headrace",
            "go get headrace.dev/sdk/go/headrace",
        ],
    }
    assert (tmp_path / "sdks" / "headrace" / "go.mod").is_file()

    again = headrace(tmp_path, "python")
    assert again.returncode == 2
    assert "must be absent, empty or an SDK of Headrace for python" in again.stderr
