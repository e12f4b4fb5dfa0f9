"""The import contracts of .importlinter, run as the tests of the architecture."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_import_contract_is_kept() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_only_settings_read_the_configuration() -> None:
    readers = [
        path.relative_to(ROOT).as_posix()
        for folder in ("components", "images", "stacks", "local", "plugin", "policy")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"pulumi\.Config\b|from pulumi import .*\bConfig\b", _code(path))
    ]

    assert readers == ["stacks/settings.py"]


def test_only_kube_talks_to_the_api_server() -> None:
    talkers = [
        path.relative_to(ROOT).as_posix()
        for folder in ("kube", "routing", "autoscaler", "observability", "runtimes")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"^(import kubernetes|from kubernetes)", path.read_text(), re.MULTILINE)
    ]

    assert talkers == ["kube/api_server.py"]


def _code(path: Path) -> str:
    """The file without what may speak of what the code must not do: docstrings, comments, and the texts of programs
    that it writes, which are in single quotes for the docstrings that they have."""
    text = re.sub(r"'''(?s:.*?)'''", "", path.read_text())
    text = re.sub(r'"""(?s:.*?)"""', "", text)
    return re.sub(r"#.*", "", text)
