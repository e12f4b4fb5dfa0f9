"""Compiled Python beside the sources of a layer.

Pods have a read-only root file system, so without this every start of every worker compiles everything it imports:
loading a scikit-learn model through MLflow took 9.3 s without and 3.7 s with it (2 cores, docs/images.md). The files
carry no date (PEP 552, unchecked hash), so the layer's dates do not matter.

Compiling is most of the work of an environment, so the result is kept for each distribution: another environment with
the same NumPy does not compile it again.
"""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from headrace.images.store import Store, digest_of, key_of

_RECIPE: Final = 2

# Compiled in a fresh process with a fixed hash seed and in sorted order: the same sources give the same bytes.
_PROGRAM: Final = """
import py_compile, sys
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
for line in sys.stdin:
    source, target, shown = line.rstrip("\\n").split("\\t")
    try:
        py_compile.compile(source, cfile=target, dfile=shown, doraise=True, invalidation_mode=mode)
    except (py_compile.PyCompileError, OSError, ValueError):
        pass  # templates and files for other Python versions do not compile, and are not imported
"""


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Modules that are compiled and kept together."""

    sources: tuple[str, ...]
    """Paths below the root, sorted."""
    key: str
    """Changes with the sources; empty for modules of no distribution, which are not kept."""


@dataclass(frozen=True, kw_only=True)
class Compiler:
    """A CPython that can be run here; its bytecode is read by every one of the same minor version."""

    name: str
    """Compilers of one name give the same bytes: the patch release, or the Debian release that it is of."""
    python: str
    """Minor version."""
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def own_compiler(python: str) -> Compiler | None:
    """This process's interpreter, where it is of that minor version."""
    own = sys.implementation.name == "cpython" and python == f"{sys.version_info.major}.{sys.version_info.minor}"
    return Compiler(name=platform.python_version(), python=python, command=(sys.executable,)) if own else None


def debian_compiler(root: Path, python: str, *, release: str, libraries: str) -> Compiler:
    """The interpreter of a Debian unpacked at `root`, run on that Debian's own C library, which is in `libraries` of
    /usr/lib, by its own loader."""
    place = root / "usr/lib" / libraries
    loader = (str(next(place.glob("ld-linux-*.so.*"))), "--library-path", str(place))
    command = (*loader, str(root / f"usr/bin/python{python}"))
    return Compiler(name=release, python=python, command=command, environment={"PYTHONHOME": str(root / "usr")})


def compile_tree(store: Store, root: Path, shown_at: str, *, by: Compiler | None) -> None:
    """Writes `__pycache__` files for the modules below `root`, which an image shows at `shown_at`.

    Does nothing without a compiler: imports are then slower, nothing else.
    """
    if by is None or not root.is_dir():
        return

    def size(group: _Group) -> int:
        return sum((root / source).stat().st_size for source in group.sources)

    # the largest first, or the last of the threads would work alone for a while
    groups = sorted(_groups(root, shown_at, by.name), key=size, reverse=True)
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for _ in pool.map(lambda group: _compile(store, by, root, shown_at, group), groups):
            pass


def _groups(root: Path, shown_at: str, compiler: str) -> Iterator[_Group]:
    # no links: Debian has some to absolute paths, which here lead into this machine
    rest = {path.relative_to(root).as_posix() for path in root.rglob("*.py") if not path.is_symlink()}
    for record in sorted(root.glob("*.dist-info/RECORD")):
        text = record.read_text("utf-8", errors="replace")
        lines = [line for line in text.splitlines() if line.split(",")[0] in rest]
        sources = sorted(line.split(",")[0] for line in lines)
        if sources:
            rest -= set(sources)
            wanted = tuple(source for source in sources if _wanted(source))
            digest = digest_of("\n".join(sorted(lines)).encode())  # RECORD holds the digest of every file
            key = key_of("bytecode", _RECIPE, record.parent.name, digest, shown_at, compiler)
            yield _Group(sources=wanted, key=key)
    yield _Group(sources=tuple(source for source in sorted(rest) if _wanted(source)), key="")


def _wanted(source: str) -> bool:
    """Tests are left out: nothing imports them, and they are a third of all files."""
    return not {"tests", "test"} & set(source.split("/")[:-1])


def _compile(store: Store, by: Compiler, root: Path, shown_at: str, group: _Group) -> None:
    tag = f"cpython-{by.python.replace('.', '')}"

    def make(target: Path) -> None:
        jobs = []
        for source in group.sources:
            folder, _, name = source.rpartition("/")
            cache = target / folder / "__pycache__"
            jobs.append((str(root / source), f"{cache}/{name.removesuffix('.py')}.{tag}.pyc", f"{shown_at}/{source}"))
        _run(by, jobs)

    if not group.sources:
        return
    if not group.key:
        make(root)
        return
    kept = store.directory(group.key, make)
    for path in kept.rglob("*.pyc"):
        target = root / path.relative_to(kept)
        target.parent.mkdir(exist_ok=True)
        target.unlink(missing_ok=True)
        target.hardlink_to(path)  # the scratch directory lies in the store, on the same file system


def _run(by: Compiler, jobs: Sequence[tuple[str, str, str]]) -> None:
    subprocess.run(
        [*by.command, "-S", "-c", _PROGRAM],
        input="".join("\t".join(job) + "\n" for job in jobs),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        errors="surrogateescape",
        cwd="/",  # from which `-c` imports first
        env={**by.environment, "PYTHONHASHSEED": "0"},
        check=False,  # what did not compile is compiled, or fails, when it is imported
    )
