"""A mirror of python-build-standalone, made of the interpreters at hand (pyenv's), as uv reads one.

Its archives are what uv unpacks and checks; what they hold stands in for the project's own builds, which are had from
a host that package registries are not.
"""

import hashlib
import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

_TAG = "20260101"
_UPSTREAM = "https://github.com/astral-sh/python-build-standalone/releases/download"
_LEFT_OUT = {"test", "site-packages", "__pycache__", "include", "share", "idlelib", "turtledemo", "ensurepip"}


@cache
def at_hand() -> dict[str, Path]:
    """Interpreters of this machine by their full version, for example 3.9.18; one of each minor version from 3.8 on."""
    found: dict[str, Path] = {}
    for root in sorted((Path.home() / ".pyenv" / "versions").glob("3.*")):
        match = re.fullmatch(r"3\.(\d+)\.\d+", root.name)
        if match and int(match[1]) >= 8 and (root / "bin" / f"python3.{match[1]}").exists():
            found[root.name] = root
    return found


def version_of(minor: str) -> str | None:
    """The full version at hand of a minor one."""
    return next((version for version in at_hand() if minor and version.startswith(f"{minor}.")), None)


def program(version: str) -> Path:
    """The interpreter of a full version at hand."""
    return at_hand()[version] / "bin" / f"python{version.rpartition('.')[0]}"


def make(folder: Path, *versions: str, machines: Sequence[str] = ("x86_64",)) -> dict[str, str]:
    """Writes the mirror; returns the variables by which uv finds it and nothing else.

    An archive for another machine holds the interpreter at hand as well, which uv does not run when it installs it.
    """
    (folder / _TAG).mkdir(parents=True, exist_ok=True)
    downloads = dict(_download(folder, version, machine) for version in versions for machine in machines)
    (folder / "downloads.json").write_text(json.dumps(downloads))
    return {
        "UV_PYTHON_DOWNLOADS_JSON_URL": str(folder / "downloads.json"),
        "UV_PYTHON_INSTALL_MIRROR": folder.as_uri(),
        "UV_NO_CONFIG": "1",
    }


def _download(folder: Path, version: str, machine: str) -> tuple[str, dict[str, object]]:
    name = f"cpython-{version}+{_TAG}-{machine}-unknown-linux-gnu-install_only_stripped.tar.gz"
    archive = folder / _TAG / name
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for path, shown in _files(at_hand()[version]):
            if path.is_symlink() or not _is_bound(path):
                tar.add(path, f"python/{shown}", recursive=False)
            else:
                moved = folder / "moved"
                moved.write_bytes(_movable(path.read_bytes(), at_hand()[version]))
                moved.chmod(0o755)
                tar.add(moved, f"python/{shown}")
    major, minor, patch = map(int, version.split("."))
    return f"cpython-{version}-linux-{machine}-gnu", {
        "name": "cpython",
        "arch": {"family": machine, "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": major,
        "minor": minor,
        "patch": patch,
        "prerelease": "",
        "url": f"{_UPSTREAM}/{_TAG}/{name.replace('+', '%2B')}",
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "variant": None,
        "build": _TAG,
    }


def _files(root: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(root.rglob("*")):
        shown = path.relative_to(root)
        if not _LEFT_OUT & set(shown.parts) and path.suffix not in (".a", ".pyc"):
            yield path, shown.as_posix()


def _is_bound(path: Path) -> bool:
    return path.is_file() and (path.parent.name == "bin" or ".so" in path.suffixes)


def _movable(program: bytes, root: Path) -> bytes:
    """The program with the place of its libraries told from its own, as upstream's builds have it."""
    bound, free = f"{root}/lib".encode() + b"\0", b"$ORIGIN/../lib\0"
    return program.replace(bound, free.ljust(len(bound), b"\0"))
