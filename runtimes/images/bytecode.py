"""Compiled Python beside the sources of a layer.

Pods have a read-only root file system, so without this every start of every worker compiles everything it imports:
loading a scikit-learn model through MLflow took 9.3 s without and 3.7 s with it (2 cores, docs/images.md). The files
carry no date (PEP 552, unchecked hash), so the layer's dates do not matter.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from headrace.runtimes.images.store import key_of

_MAGIC_MINOR: Final = {"3.10", "3.11", "3.12", "3.13", "3.14"}
"""Minor versions of CPython; bytecode is the same within one."""

# Compiled in a fresh process with a fixed hash seed, in sorted order, so that the same sources give the same bytes.
# Tests are left out: nothing imports them, and they are a third of the files.
_PROGRAM: Final = """
import os, py_compile, sys
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
for line in sys.stdin:
    source, _, shown = line.rstrip("\\n").partition("\\t")
    try:
        py_compile.compile(source, dfile=shown, doraise=True, invalidation_mode=mode, quiet=2)
    except (py_compile.PyCompileError, OSError):
        pass  # templates and files for other Python versions do not compile, and are not imported
"""
_SHARD: Final = 400
"""Files a process compiles; a fixed number, so that the result does not depend on the machine's cores."""


def compiler(python: str) -> str | None:
    """An interpreter on this machine whose bytecode that minor version reads; None when there is none."""
    if python not in _MAGIC_MINOR or sys.implementation.name != "cpython":
        return None
    return sys.executable if python == f"{sys.version_info.major}.{sys.version_info.minor}" else None


def compiler_key(python: str) -> str:
    """Part of the key of every layer that holds bytecode."""
    return key_of("bytecode", 1, compiler(python) is not None)


def compile_tree(root: Path, shown_at: str, *, python: str) -> None:
    """Writes `__pycache__` files for the modules below `root`, which an image shows at `shown_at`.

    Does nothing where this machine has no interpreter of that minor version: imports are then slower, nothing else.
    """
    interpreter = compiler(python)
    if interpreter is None:
        return
    sources = [path for path in sorted(root.rglob("*.py")) if _wanted(path.relative_to(root))]
    shards = [sources[start : start + _SHARD] for start in range(0, len(sources), _SHARD)]
    width = os.cpu_count() or 1
    for start in range(0, len(shards), width):
        running = [_start(interpreter, root, shown_at, shard) for shard in shards[start : start + width]]
        for process in running:
            process.wait()


def _wanted(relative: Path) -> bool:
    return not {"tests", "test"} & set(relative.parts[:-1])


def _start(interpreter: str, root: Path, shown_at: str, shard: Iterable[Path]) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [interpreter, "-P", "-S", "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        env={"PYTHONHASHSEED": "0"},
    )
    assert process.stdin is not None
    with process.stdin:
        for path in shard:
            process.stdin.write(f"{path}\t{shown_at}/{path.relative_to(root).as_posix()}\n")
    return process
