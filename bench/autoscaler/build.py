"""Builds the peers from their real sources into ~/.cache/headrace/bench, once per content."""

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parent / "peers"
RAY_VERSION = "2.60.0"
"""Private names of Ray Serve are called, so the version is pinned."""


@dataclass(frozen=True, kw_only=True)
class Peers:
    """Paths of what runs the peers' decision code; None: could not be built here, with the reason in `missing`."""

    kpa: Path | None
    hpa: Path | None
    ray_python: Path | None
    missing: tuple[str, ...]


def cache() -> Path:
    """Folder of built peers."""
    base = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    return Path(base) / "headrace" / "bench"


def peers() -> Peers:
    """All three, built if need be."""
    missing: list[str] = []
    return Peers(
        kpa=_attempt("kpa", ["go", "build", "-trimpath"], missing),
        hpa=_attempt("hpa", ["go", "test", "-trimpath", "-c"], missing),
        ray_python=_ray(missing),
        missing=tuple(missing),
    )


def _attempt(name: str, command: list[str], missing: list[str]) -> Path | None:
    source = SOURCES / name
    digest = hashlib.sha256()
    for file in sorted(source.iterdir()):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    binary = cache() / f"{name}-{digest.hexdigest()[:16]}"
    if binary.exists():
        return binary
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        missing.append(f"{name}: the `go` command is not on PATH; install Go 1.26 or newer")
        return None
    binary.parent.mkdir(parents=True, exist_ok=True)
    partial = binary.with_suffix(f".{os.getpid()}")
    result = subprocess.run(
        [go, *command[1:], "-o", str(partial), "."],
        cwd=source,
        env=os.environ | {"CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        missing.append(f"{name}: {result.stderr.strip().splitlines()[-1] if result.stderr.strip() else 'go failed'}")
        return None
    partial.rename(binary)
    return binary


def _ray(missing: list[str]) -> Path | None:
    home = cache() / f"ray-{RAY_VERSION}"
    python = home / "bin" / "python"
    if python.exists():
        return python
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        missing.append("ray: the `uv` command is not on PATH; install uv")
        return None
    partial = home.with_name(f"{home.name}.{os.getpid()}")
    for command in (
        [uv, "venv", "-q", "--python", "3.11", "--relocatable", str(partial)],
        [uv, "pip", "install", "-q", "--python", str(partial / "bin" / "python"), f"ray[serve]=={RAY_VERSION}"],
    ):
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            missing.append(f"ray: {result.stderr.strip()[-300:]}")
            shutil.rmtree(partial, ignore_errors=True)
            return None
    partial.rename(home)
    return python
