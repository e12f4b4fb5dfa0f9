"""Packages that tests need beside those of the project, in environments of their own, in the cache."""

import json
import os
import subprocess
import sys
from pathlib import Path


def interpreter(name: str, *requirements: str) -> Path:
    """An interpreter with these packages; made when it is missing."""
    return _cached(name, requirements, target=False) / "bin" / "python"


def folder(name: str, *requirements: str) -> Path:
    """A folder for PYTHONPATH with these packages; made when it is missing."""
    return _cached(name, requirements, target=True)


def _cached(name: str, requirements: tuple[str, ...], *, target: bool) -> Path:
    wanted = json.dumps(requirements)
    root = Path(os.environ.get("HEADRACE_CACHE", Path.home() / ".cache" / "headrace")) / "engines" / name
    done, uv = root / ".complete", str(Path(sys.executable).with_name("uv"))
    if not done.exists() or done.read_text() != wanted:
        where = ["--target", str(root)] if target else ["--python", str(root / "bin" / "python")]
        if not target:
            subprocess.run([uv, "venv", "-q", "--allow-existing", "--python", sys.executable, str(root)], check=True)
        subprocess.run([uv, "pip", "install", "-q", *where, *requirements], check=True)
        done.write_text(wanted)
    return root
