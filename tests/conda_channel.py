"""A conda channel in a folder, as mirrors are: real packages, with the index that py-rattler writes of them.

Its Python is an interpreter at hand (python_mirror), since conda-forge's own is had from a host that package registries
are not.
"""

import asyncio
import io
import json
import re
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import python_mirror
from rattler.index import index_fs

PLACEHOLDER = "/opt/placehold_placehold_placehold_placehold_placehold"
"""The path that stands for the environment's in files of packages."""


def add(
    channel: Path,
    name: str,
    version: str,
    *,
    files: Mapping[str, bytes | Path] = {},
    depends: Sequence[str] = (),
    build: str = "0",
) -> None:
    """Puts a package for linux-64 into the channel; a file whose text has PLACEHOLDER gets the environment's path."""
    folder = channel / "linux-64"
    folder.mkdir(parents=True, exist_ok=True)
    index = {"name": name, "version": version, "build": build, "build_number": 0, "depends": list(depends)}
    index |= {"subdir": "linux-64", "arch": "x86_64", "platform": "linux", "timestamp": 1_700_000_000_000}
    content = dict(files)
    content["info/index.json"] = json.dumps(index).encode()
    held = [path for path, data in files.items() if isinstance(data, bytes) and PLACEHOLDER.encode() in data]
    content["info/has_prefix"] = "".join(f"{PLACEHOLDER} text {path}\n" for path in held).encode()
    content["info/files"] = "".join(f"{path}\n" for path in files).encode()
    with tarfile.open(folder / f"{name}-{version}-{build}.tar.bz2", "w:bz2", compresslevel=1) as tar:
        for path, data in content.items():
            if isinstance(data, Path):
                tar.add(data, path, recursive=False)
                continue
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(data), 0o755 if path.startswith("bin/") else 0o644
            tar.addfile(info, io.BytesIO(data))


def add_python(channel: Path, version: str, scratch: Path) -> None:
    """The interpreter at hand of this full version, without what it does without."""
    minor = version.rpartition(".")[0]
    python_mirror.make(scratch, version)
    (archive,) = scratch.rglob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)  # type: ignore[assignment]
        tar.extractall(scratch)
    root = scratch / "python"
    program = root / "bin" / "python"
    if not program.exists():
        program.symlink_to(f"python{minor}")
    kept = re.compile(rf"bin/python(3|{re.escape(minor)})?|lib/.*")
    found = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*")) if not path.is_dir()}
    add(channel, "python", version, files={name: path for name, path in found.items() if kept.fullmatch(name)})


def index(channel: Path) -> str:
    """Writes the channel's index; returns its address."""
    (channel / "noarch").mkdir(exist_ok=True)
    asyncio.run(index_fs(channel))
    return channel.as_uri()
