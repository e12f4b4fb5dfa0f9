"""Shared libraries in layers: real ones, from the environment that the tests run in."""

import base64
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import sysconfig
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from headrace.runtimes.images import libraries
from headrace.runtimes.images.libraries import lighten, strip_to, stripper
from headrace.runtimes.images.store import Store

pytestmark = pytest.mark.skipif(not stripper(), reason="this machine has no GNU strip (Debian package binutils)")
SITE = Path(sysconfig.get_paths()["platlib"])

IMPORT_EACH = """
import importlib, json, sys
site, names = sys.argv[1], json.load(sys.stdin)
sys.path.insert(0, site)
found = {}
for name in names:
    try:
        found[name] = str(importlib.import_module(name).__file__).removeprefix(site)
    except Exception as error:
        found[name] = f"{type(error).__name__}: {error}".replace(site, "")
print(json.dumps(found))
"""


def _libraries(*names: str) -> list[Path]:
    files = [file for name in names for file in distribution(name).files or []]
    return [SITE / file for file in files if ".so" in Path(file).suffixes]


def _segments(library: bytes) -> list[tuple[int, int, bytes]]:
    """What the loader puts into memory: address, flags and bytes of each segment, but for the file's own header."""
    at, size, count = struct.unpack_from("<Q", library, 32)[0], *struct.unpack_from("<HH", library, 54)
    segments = []
    for number in range(count):
        _, flags, offset, address, _, length, _, _ = struct.unpack_from("<IIQQQQQQ", library, at + number * size)
        header = max(0, min(length, 64 - offset))
        segments.append((address, flags, library[offset + header : offset + length]))
    return segments


def test_what_the_loader_maps_stays_byte_for_byte(tmp_path: Path) -> None:
    made, shrunk = tmp_path / "made.so", 0
    for path in _libraries("PyYAML", "kiwisolver", "multidict", "numpy"):
        if strip_to(path, made):
            shrunk += 1
            assert made.stat().st_size < path.stat().st_size
            assert _segments(made.read_bytes()) == _segments(path.read_bytes())
            assert not strip_to(made, tmp_path / "again.so")

    assert shrunk > 0
    assert not (tmp_path / "again.so").exists()


@pytest.mark.parametrize("content", [b"INPUT(libother.so)\n" * 1000, b"\x7fELF\x02\x01\x01", b""])
def test_what_strip_does_not_know_is_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "library.so").write_bytes(content)

    assert not strip_to(tmp_path / "library.so", tmp_path / "made.so")

    assert not (tmp_path / "made.so").exists()


def test_what_strip_would_move_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A strip that gives another library than the one it was asked for stands for one that moves segments."""
    small, large = sorted(_libraries("numpy"), key=lambda path: path.stat().st_size)[:: len(_libraries("numpy")) - 1]
    program = tmp_path / "programs" / "strip"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\ncp {small} "$3"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    assert not strip_to(large, tmp_path / "made.so")


@pytest.mark.parametrize("said", ["usage: strip [file ...]", "GNU strip (GNU Binutils) 2.40"])
def test_only_gnu_strip_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    for name in ("strip", "readelf"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{said}'\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert stripper.__wrapped__() == (said if said.startswith("GNU") else "")


def test_a_machine_without_strip_leaves_libraries_as_they_are(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libraries, "stripper", lambda: "")
    [library] = _strippable("PyYAML", tmp_path)
    names = ("package/libx.so", "package/libx.so.1")
    site = _installed(tmp_path / "site", *((name, library.read_bytes()) for name in names))

    assert lighten(store, site) == {names[1]: names[0]}

    assert (site / names[0]).read_bytes() == library.read_bytes()


def _strippable(name: str, scratch: Path) -> list[Path]:
    return [path for path in _libraries(name) if strip_to(path, scratch / "made.so")]


def _installed(root: Path, *libraries: tuple[str, bytes]) -> Path:
    """One distribution as an installer leaves it: links into its cache."""
    cache = root.with_name("cache")
    lines = []
    for path, data in libraries:
        for folder in (root, cache):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (cache / path).write_bytes(data)
        (cache / path).chmod(0o755)
        (root / path).hardlink_to(cache / path)
        lines.append(f"{path},{_digest(data)},{len(data)}")
    info = root / "package-1.0.dist-info"
    info.mkdir()
    (info / "RECORD").write_text("\n".join([*lines, "package-1.0.dist-info/RECORD,,"]) + "\n")
    return root


def _digest(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def test_the_record_says_what_is_there_and_the_installers_cache_is_not_touched(store: Store, tmp_path: Path) -> None:
    [path] = _strippable("PyYAML", tmp_path)
    library = path.read_bytes()
    site = _installed(tmp_path / "site", ("package/_c.so", library), ("package/notes.txt", b"x"))

    assert lighten(store, site) == {}

    made = (site / "package/_c.so").read_bytes()
    assert made == (tmp_path / "made.so").read_bytes()
    assert (site / "package/_c.so").stat().st_mode & 0o777 == 0o755
    record = (site / "package-1.0.dist-info/RECORD").read_text().splitlines()
    assert f"package/_c.so,{_digest(made)},{len(made)}" in record
    assert f"package/notes.txt,{_digest(b'x')},1" in record
    assert (tmp_path / "cache/package/_c.so").read_bytes() == library


def test_equal_libraries_are_one(store: Store, tmp_path: Path) -> None:
    library, other = (path.read_bytes() for path in _libraries("numpy")[:2])
    names = ("package/libx.so", "package/libx.so.1", "package/libx.so.1.2")
    site = _installed(tmp_path / "site", *((name, library) for name in names), ("package/liby.so", other))

    assert lighten(store, site) == dict.fromkeys(names[1:], names[0])


@pytest.mark.slow
def test_every_compiled_module_of_a_models_environment_still_imports(store: Store, tmp_path: Path) -> None:
    site = _copied(tmp_path / "site", _needed_by("mlflow", "scikit-learn", "pandas", "pyarrow", "scipy"))
    names = sorted(
        ".".join((path.parent / path.name.split(".")[0]).relative_to(site).parts)
        for path in site.rglob("*.so")
        if path.parent == site or (path.parent / "__init__.py").exists()
    )
    before, whole = _imported(site, names), _size(site)

    lighten(store, site)

    assert _size(site) < whole
    assert _imported(site, names) == before
    assert sum(place.startswith("/") for place in before.values()) > 300


def _needed_by(*asked: str) -> set[str]:
    """Distributions that these need, with themselves."""
    found: set[str] = set()
    left = list(asked)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            wanted = map(Requirement, distribution(name).requires or [])
            left += [one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    return found


def _copied(site: Path, names: set[str]) -> Path:
    """These distributions again: libraries and RECORD as files, all else as links."""
    for name in names:
        for file in distribution(name).files or []:
            source, target = SITE / file, site / file
            if ".." in file.parts or not source.is_file() or target.exists():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            if ".so" in target.suffixes or target.name == "RECORD":
                shutil.copy(source, target)
            else:
                target.symlink_to(source)
    return site


def _size(site: Path) -> int:
    return sum(path.stat().st_size for path in site.rglob("*.so*"))


def _imported(site: Path, names: list[str]) -> dict[str, str]:
    """Where each module was found, or the error, in a fresh process."""
    command = [sys.executable, "-P", "-S", "-c", IMPORT_EACH, str(site)]
    said = subprocess.run(command, input=json.dumps(names), stdout=subprocess.PIPE, text=True, check=True).stdout
    found: dict[str, str] = json.loads(said.splitlines()[-1])
    return found
