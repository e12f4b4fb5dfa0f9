"""The layers with the platform's own programs: third-party packages from a lock, and our code beside them.

They are apart so that a change of our code costs kilobytes.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from headrace.contract import names
from headrace.contract.errors import PermanentError
from headrace.images import base as base_module
from headrace.images.bytecode import compile_tree
from headrace.images.request import Base
from headrace.images.resolver import Resolver
from headrace.images.store import Blob, Store, digest_of, key_of
from headrace.images.tarball import Entry, tree, write_layer

PACKAGE_ROOT: Final = Path(__file__).resolve().parents[1]
"""What holds the folders `contract`, `runtimes`, … and `locks`: the checkout, or `headrace` in site-packages."""

_RECIPE: Final = 4
_SUFFIXES: Final = frozenset({".py", ".html", ".css", ".js", ".svg", ".txt"})
"""Of what our code is made of: programs and, of the console, templates and what browsers load, with its licences."""
_SITE: Final = names.FRONT_SITE.lstrip("/")


def lock_text(name: str, root: Path = PACKAGE_ROOT) -> str:
    """A committed lock, for example `front`; raises PermanentError when this installation lacks it."""
    path = root / "locks" / f"{name}.lock"
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise PermanentError(f"The lock {path} cannot be read: {error.strerror}; install Headrace again") from error


def packages_key(lock: str, base: Base) -> str:
    """Changes with what `packages_layer` would make."""
    return key_of("site", _RECIPE, digest_of(lock.encode()), base.python, base_module.wheel_platform(base))


def packages_layer(store: Store, lock: str, base: Base, *, log: Path) -> tuple[Blob, bool]:
    """Third-party packages of a lock, at names.FRONT_SITE."""

    def make(scratch: Path) -> Blob:
        site = scratch / "site"
        platform = base_module.wheel_platform(base)
        Resolver(python=base.python, platform=platform, log=log).install(lock, site, scratch=scratch)
        compile_tree(store, site, names.FRONT_SITE, by=base_module.compiler(store, base, log=log))
        return write_layer(store, _entries(site))

    return store.layer(key_of(packages_key(lock, base), base_module.compiler_name(base)), make)


def _entries(site: Path) -> Iterator[Entry]:
    """The packages; RECORD without what is left out: a script's digest is that of the path of an interpreter here."""
    for entry in tree(site, _SITE, keep=_kept):
        if entry.path.endswith(".dist-info/RECORD") and entry.source is not None:
            lines = entry.source.read_text("utf-8").splitlines(keepends=True)
            kept = [line for line in lines if _kept(PurePosixPath(line.partition(",")[0]))]
            yield Entry(path=entry.path, data="".join(kept).encode())
        else:
            yield entry


def _kept(path: PurePosixPath) -> bool:
    """No scripts, which would name this machine's interpreter, and no sources of libraries that come with them."""
    return path.parts[0] not in {"bin", ".lock"} and path.suffix not in {".cpp", ".h"}


def code_key(root: Path, folders: Sequence[str], base: Base) -> str:
    """Changes with what `code_layer` would make."""
    files = [(path.relative_to(root).as_posix(), digest_of(path.read_bytes())) for path in _modules(root, folders)]
    return key_of("code", _RECIPE, files, base_module.interpreter(base), base.python)


def code_layer(store: Store, root: Path, folders: Sequence[str], base: Base, *, log: Path) -> tuple[Blob, bool]:
    """The folders of our own code below `root` as `headrace.<folder>`, at names.FRONT_SITE, and /usr/bin/python3.x
    where the base has it elsewhere."""

    def make(scratch: Path) -> Blob:
        package = scratch / "headrace"
        for path in _modules(root, folders):
            target = package / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
        compile_tree(store, package, f"{names.FRONT_SITE}/headrace", by=base_module.compiler(store, base, log=log))
        entries = list(tree(package, f"{_SITE}/headrace"))
        interpreter, expected = base_module.interpreter(base), f"/usr/bin/python{base.python}"
        if interpreter != expected:
            entries.append(Entry(path=expected.lstrip("/"), mode=0o777, link=interpreter))
        return write_layer(store, entries)

    return store.layer(key_of(code_key(root, folders, base), base_module.compiler_name(base)), make)


def _modules(root: Path, folders: Sequence[str]) -> list[Path]:
    """Python files and those of pages: what editors and tools leave beside them is not the platform's."""
    found = (path for folder in folders for path in sorted((root / folder).rglob("*")))
    return [path for path in found if path.suffix in _SUFFIXES and path.is_file()]
