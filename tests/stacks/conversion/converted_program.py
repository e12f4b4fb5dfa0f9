"""Runs what `headrace convert` writes, without an engine."""

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

from stand_ins import REF_OF_A_PLATFORM

from headrace.components.testing import Recording, record
from headrace.stacks.conversion import Converted, Outcome, converted

PLATFORM = {**REF_OF_A_PLATFORM, "table_writer": "tables:80", "autoscaler": True}
ANSWERS = {"pulumi:pulumi:StackReference": {"outputs": {"platform": PLATFORM}}}


def convert(*documents: Any, **options: Any) -> Converted:
    """Of documents as data: JSON is YAML."""
    return converted("\n---\n".join(map(json.dumps, documents)), subject="here.yaml", **options)


def run(found: Converted, folder: Path, **settings: str) -> Recording:
    """What the program makes, with these settings; and that ruff has nothing to say of it."""
    path = folder / "__main__.py"
    path.write_text(found.program)
    ruff = [sys.executable, "-m", "ruff"]
    for arguments in (["check", "--isolated", "-q"], ["format", "--isolated", "--diff", "-q"]):
        done = subprocess.run([*ruff, *arguments, str(path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    config = {f"headrace:{key}": value for key, value in {"platform_stack": "acme/platform/dev", **settings}.items()}
    return record(lambda: runpy.run_path(str(path)), config=config, answers=ANSWERS)


def inputs(recording: Recording, name: str) -> dict[str, Any]:
    """Of the endpoint, without its platform."""
    (endpoint,) = [
        each
        for each in recording.resources.values()
        if each.type == "headrace:index:ModelEndpoint" and each.name == name
    ]
    return {key: value for key, value in endpoint.inputs.items() if key != "platform"}


def told(found: Converted, outcome: Outcome) -> dict[str, str]:
    """Reasons by the places of the source with that outcome."""
    documents = [finding.document() for draft in found.endpoints for finding in draft.findings]
    return {each["source"]: each["reason"] for each in documents if each["outcome"] == outcome.value}
