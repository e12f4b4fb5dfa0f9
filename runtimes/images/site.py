"""The layers with the platform's own programs: third-party packages from a lock, and our code beside them.

They are apart so that a change of our code costs kilobytes.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from headrace.contract import names
from headrace.contract.errors import PermanentError
from headrace.contract.image import Base
from headrace.runtimes.images import base as base_module
from headrace.runtimes.images.bytecode import compile_tree
from headrace.runtimes.images.libraries import lighten, stripper
from headrace.runtimes.images.resolver import Resolver
from headrace.runtimes.images.store import Blob, Store, digest_of, key_of
from headrace.runtimes.images.tarball import Entry, tree, write_layer

PACKAGE_ROOT: Final = Path(__file__).resolve().parents[2]
"""What holds the folders `contract`, `runtimes`, … and `locks`: the checkout, or `headrace` in site-packages."""

FRONT_CODE: Final = ("contract", "runtimes")
CONTROL_CODE: Final = ("contract", "machinery", "routing", "autoscaler")

_RECIPE: Final = 3
_SITE: Final = names.FRONT_SITE.lstrip("/")


def lock_text(name: str) -> str:
    """A committed lock, for example `front`; raises PermanentError when this installation lacks it."""
    path = PACKAGE_ROOT / "locks" / f"{name}.lock"
    try:
        return path.read_text()
    except OSError as error:
        raise PermanentError(f"The lock {path} cannot be read: {error.strerror}; install Headrace again") from error


def packages_key(lock: str, base: Base) -> str:
    """Changes with what `packages_layer` would make."""
    return key_of(
        "site",
        _RECIPE,
        digest_of(lock.encode()),
        base.python,
        base_module.wheel_platform(base),
        base_module.compiler_key(base),
        stripper(),
    )


def packages_layer(store: Store, lock: str, base: Base, *, log: Path) -> tuple[Blob, bool]:
    """Third-party packages of a lock, at names.FRONT_SITE."""

    def make(scratch: Path) -> Blob:
        site = scratch / "site"
        platform = base_module.wheel_platform(base)
        Resolver(python=base.python, platform=platform, log=log).install(lock, site, scratch=scratch)
        lighten(store, site)
        compile_tree(store, site, names.FRONT_SITE, by=base_module.compiler(store, base, log=log))
        return write_layer(store, tree(site, _SITE, keep=_kept))

    return store.layer(packages_key(lock, base), make)


def _kept(path: PurePosixPath) -> bool:
    """No scripts, which would name this machine's interpreter, and no sources of libraries that come with them."""
    return path.parts[0] not in {"bin", ".lock"} and path.suffix not in {".cpp", ".h"}


def code_key(folders: Sequence[str], base: Base) -> str:
    """Changes with what `code_layer` would make."""
    files = [(str(path.relative_to(PACKAGE_ROOT)), digest_of(path.read_bytes())) for path in _sources(folders)]
    return key_of("code", _RECIPE, files, base_module.interpreter(base), base.python, base_module.compiler_key(base))


def code_layer(store: Store, folders: Sequence[str], base: Base, *, log: Path) -> tuple[Blob, bool]:
    """Our own code as `headrace.<folder>`, at names.FRONT_SITE, and /usr/bin/python3.x where the base has it
    elsewhere."""

    def make(scratch: Path) -> Blob:
        package = scratch / "headrace"
        for path in _sources(folders):
            target = package / path.relative_to(PACKAGE_ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
        compile_tree(store, package, f"{names.FRONT_SITE}/headrace", by=base_module.compiler(store, base, log=log))
        entries = list(tree(package, f"{_SITE}/headrace"))
        interpreter, expected = base_module.interpreter(base), f"/usr/bin/python{base.python}"
        if interpreter != expected:
            entries.append(Entry(path=expected.lstrip("/"), mode=0o777, link=interpreter))
        return write_layer(store, entries)

    return store.layer(code_key(folders, base), make)


def _sources(folders: Sequence[str]) -> list[Path]:
    """Modules and their data; the builder itself is not needed where images run, so its changes rebuild nothing."""
    found = []
    for folder in folders:
        for path in sorted((PACKAGE_ROOT / folder).rglob("*")):
            relative = PurePosixPath(path.relative_to(PACKAGE_ROOT).as_posix())
            if path.is_file() and "__pycache__" not in relative.parts and relative.parts[:2] != ("runtimes", "images"):
                found.append(path)
    return found
