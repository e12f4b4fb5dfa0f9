"""Programs out of Debian's packages, for tests alone: unpacked into the cache and not installed, since some packages
start servers or register themselves with the kernel."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from headrace.local.paths import cache_directory


def find(package: str, path: str) -> Path:
    """The machine's own program of the name, or the file `path` of the package; skips the test where neither can be
    had."""
    name = path.rsplit("/", 1)[-1]
    found = shutil.which(name)
    if found is not None:
        return Path(found)
    kept = cache_directory() / "test-programs" / name
    if not kept.exists():
        if shutil.which("apt-get") is None or os.uname().machine != "x86_64":
            pytest.skip(f"no {name} on PATH, and this is no Debian on x86-64 to take the package {package} from")
        scratch = kept.with_name(f"unpack-{name}-{os.getpid()}")
        scratch.mkdir(parents=True)
        try:
            got = subprocess.run(
                ["apt-get", "download", "-q", package], cwd=scratch, capture_output=True, text=True, check=False
            )
            if got.returncode != 0:
                pytest.skip(f"the Debian package {package} could not be had: {got.stderr.strip()[-200:]}")
            (archive,) = scratch.glob("*.deb")
            subprocess.run(["dpkg-deb", "-x", str(archive), str(scratch)], check=True)
            (scratch / path).replace(kept)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return kept
