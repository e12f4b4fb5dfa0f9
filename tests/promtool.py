"""promtool, which judges rules as Prometheus does: out of Debian's package of Prometheus, in the cache."""

import os
import tarfile
import tempfile
from pathlib import Path

from headrace.images.debian import bootstrap


def promtool() -> Path:
    """Path of the executable; made when it is missing."""
    root = Path(os.environ.get("HEADRACE_CACHE", Path.home() / ".cache" / "headrace")) / "test-programs"
    program = root / "promtool"
    if program.exists():
        return program
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root) as scratch:
        archive = Path(scratch) / "packages.tar"
        bootstrap("extract", ["prometheus"], archive, remedy="skip this test", log=root / "promtool.log")
        with tarfile.open(archive) as tar:
            found = tar.extractfile("./usr/bin/promtool")
            assert found is not None
            made = Path(scratch) / "promtool"
            made.write_bytes(found.read())
        made.chmod(0o755)
        made.rename(program)  # at once: a run beside this one sees all of it or nothing
    return program
