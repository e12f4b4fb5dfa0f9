"""A program under the real Pulumi engine, in a project of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from live_platform import quiet

from headrace.local.toolchain import builder


def preview(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`pulumi preview` of the program's text in the empty folder; no cluster is asked."""
    started(folder, program)
    return pulumi(folder, "preview", *arguments)


def started(folder: Path, program: str, *, settings: Mapping[str, Any] | None = None) -> None:
    """Makes a project with the stack `dev` of the program's text, in the empty folder; `settings` declares its own."""
    project = {"name": "program", "runtime": "python", "config": dict(settings or {})}
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))
    (folder / "__main__.py").write_text(program)
    pulumi(folder, "stack", "init", "dev").check_returncode()


def pulumi(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One command of Pulumi in the project's folder."""
    return run(folder, "pulumi", "--non-interactive", "--color", "never", *arguments)


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """One command in the project's folder, which finds Pulumi and the project's stacks."""
    environment = {
        **os.environ,
        "PATH": f"{builder.deployer(quiet())}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_BACKEND_URL": f"file://{folder}",
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
