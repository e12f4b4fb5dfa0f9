"""What we give AWS resources has the types of pulumi-aws, which `make check` leaves out: they take 3 GB and minutes."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OVERRIDE = 'follow_imports = "skip"'


@pytest.mark.long
def test_inputs_of_aws_resources_are_those_of_the_providers_schema(tmp_path: Path) -> None:
    """pulumi-aws is generated from the schema, nested inputs included, which nothing looks at when a program runs."""
    settings = (ROOT / "pyproject.toml").read_text()
    assert OVERRIDE in settings
    config = tmp_path / "pyproject.toml"
    config.write_text(settings.replace(OVERRIDE, 'follow_imports = "silent"'))
    assert tomllib.loads(config.read_text())["tool"]["mypy"]["strict"]

    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(config), f"--cache-dir={tmp_path}",
         "-p", "headrace.components.cluster"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert checked.returncode == 0, checked.stdout + checked.stderr
