"""A base made of Debian packages: the layer with them, for this machine's architecture or for another.

No program of another architecture runs here, and so none of the scripts that configure packages. What they make is the
same for every architecture but for compiled files: such a base has the packages unpacked, and from the base for this
machine's architecture the files that no package holds, such as the list of users and the bundle of certificates.
"""

import json
import re
import shlex
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from headrace.images.architecture import Architecture, machine_of
from headrace.images.bytecode import Compiler, compile_tree
from headrace.images.debian import bootstrap
from headrace.images.request import DEBIAN_RELEASES, Base
from headrace.images.sbom import debian_packages
from headrace.images.store import Blob, Store
from headrace.images.tarball import Entry, tree, write_layer

MADE_ON: Final = Architecture.AMD64
"""The machines that unpack Debian packages here."""
LEFT_OUT: Final = (
    "dev",  # the container runtime mounts its own
    "proc",
    "sys",
    "run",
    "var/cache",
    "var/log",
    "var/lib/apt",
    "var/lib/dpkg/info",  # maintainer scripts; dpkg/status stays, scanners read it
    "usr/share/bug",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "etc/apt",  # names this machine's mirrors
    "etc/machine-id",
    "etc/hostname",
    "etc/resolv.conf",
)
RECIPE: Final = 3
"""Raised when what this module does to the packages changes."""

_PACKAGES: Final = (
    "ca-certificates",
    "libgomp1",  # LightGBM's wheels link against it and do not carry it
    "libstdc++6",  # every manylinux wheel with C++ in it counts on the system's
    "tzdata",
)
_WITH_PYTHON: Final[Mapping[str, tuple[str, ...]]] = {
    "3.11": ("python3-distutils",),  # older models import distutils, which Debian ships apart from its Python 3.11
}
_STATUS: Final = "var/lib/dpkg/status"
_BOUND_TO_A_MACHINE: Final = re.compile(
    rf".*{MADE_ON.libraries}.*|etc/ld\.so\.cache|(?:usr/)?lib(?:64|32|x32)(?:/.*)?|var/lib/dpkg/.*"
)
"""What a base for another architecture does not take over from the one for this machine's, beside compiled files."""
_MERGED: Final = ("bin", "lib", "lib32", "lib64", "libx32", "sbin")
"""Folders of the root that are links to those in /usr, where every release since Debian 12 keeps them."""

# Beside the packages' archives, before mmdebstrap removes them: what dpkg would have noted.
_NOTE: Final = (
    'for package in "$1"/var/cache/apt/archives/*.deb; do '
    "dpkg-deb --field \"$package\"; printf 'Status: install ok installed\\n\\n'; done > "
)


def packages_of(base: Base) -> tuple[str, ...]:
    """Names of the packages that are asked for; they bring what they need."""
    # the shared library is for programs that embed the interpreter, as Triton's Python backend does
    libraries = (f"libpython{base.python}", f"libpython{base.python}-stdlib")
    interpreter = (*libraries, f"python{base.python}-minimal")
    return (*_PACKAGES, *interpreter, *_WITH_PYTHON.get(base.python, ()), *sorted(set(base.packages)))


def configured(store: Store, base: Base, scratch: Path, *, compiler: Callable[[Path], Compiler], log: Path) -> Blob:
    """The layer for this machine's architecture; `compiler` finds the interpreter in an unpacked root.

    Raises PermanentError where this machine cannot make it, TemporaryError when the mirrors fail.
    """
    archive = scratch / "base.tar"
    options = (f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("man", "locale", "info", "doc"))
    keep = "--dpkgopt=path-include=/usr/share/doc/*/copyright"  # the licences ask for it
    bootstrap("essential", packages_of(base), archive, [*options, keep], **_told(base), log=log)
    root, modes = scratch / "root", dict[str, int]()
    _unpack(archive, root, modes)
    return _layer(store, root, modes, base, by=compiler(root))


def unpacked(store: Store, base: Base, own: Blob, scratch: Path, *, by: Compiler | None, log: Path) -> Blob:
    """The layer for another architecture: the packages of `own`, the layer of the same base for this machine's.

    Raises as `configured` does.
    """
    archive, status = scratch / "base.tar", scratch / "status"
    packages = [name for _, name, _ in json.loads(own.fact("packages"))]
    note = f"--extract-hook={_NOTE}{shlex.quote(str(status))}"
    options = [f"--architectures={base.architecture}", note]
    bootstrap("extract", packages, archive, options, **_told(base), log=log)
    root, modes = scratch / "root", dict[str, int]()
    _unpack(store.path(own.digest), root, modes, keep=lambda name: not _BOUND_TO_A_MACHINE.fullmatch(name))
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink() and machine_of(path) is not None:
            path.unlink()
    _unpack(archive, root, modes, keep=_has_licence_only)
    (root / _STATUS).parent.mkdir(parents=True, exist_ok=True)
    (root / _STATUS).write_bytes(status.read_bytes())
    return _layer(store, root, modes, base, by=by)


def _told(base: Base) -> dict[str, str]:
    remedy = f"name another base: base = {{'kind': 'registry', 'reference': 'python:{base.python}-slim'}}"
    return {"release": DEBIAN_RELEASES[base.python], "remedy": remedy}


def _unpack(archive: Path, root: Path, modes: dict[str, int], *, keep: Callable[[str], bool] = lambda _: True) -> None:
    """Puts what a base holds of the archive below `root`, over what is there; `modes` gets each path's mode."""
    with tarfile.open(archive) as tar:
        tar.extraction_filter = as_they_are()
        for member in tar:
            name = _merged(str(PurePosixPath(member.name)))
            wanted = is_kept(PurePosixPath(name)) and keep(name)
            if not wanted or not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
                continue
            modes[name] = member.mode
            member.mode |= 0o700 if member.isdir() else 0o600  # readable here; the layer gets the true mode
            member.name = name
            if member.islnk():
                member.linkname = _merged(str(PurePosixPath(member.linkname)))
            tar.extract(member, root, set_attrs=True)


def _merged(path: str) -> str:
    return f"usr/{path}" if path.split("/", 1)[0] in _MERGED and "/" in path else path


def _has_licence_only(path: str) -> bool:
    """For packages that dpkg did not install, and whose manuals are all there; and without the folders of the root that
    `own` has as links."""
    return path not in _MERGED and not re.fullmatch(r"usr/share/doc/[^/]+/(?!copyright$).*", path)


def _layer(store: Store, root: Path, modes: Mapping[str, int], base: Base, *, by: Compiler | None) -> Blob:
    for folder in (f"usr/lib/python{base.python}", "usr/lib/python3"):
        compile_tree(store, root / folder, f"/{folder}", by=by)
    packages = debian_packages((root / _STATUS).read_text("utf-8", errors="replace"))
    return write_layer(store, _with_modes(root, modes), facts={"packages": json.dumps(packages)})


def as_they_are() -> Any:
    """For files whose signature apt checked. Set as an attribute, since `extract` takes no filter before 3.11.4."""
    return tarfile.fully_trusted_filter if hasattr(tarfile, "fully_trusted_filter") else None


def _with_modes(root: Path, modes: Mapping[str, int]) -> Iterator[Entry]:
    for entry in tree(root, "."):
        path = entry.path.removeprefix("./")
        yield Entry(path=path, mode=modes.get(path, entry.mode), source=entry.source, link=entry.link)
    for path, mode in {"dev": 0o755, "proc": 0o555, "sys": 0o555, "run": 0o755, "tmp": 0o1777}.items():
        yield Entry(path=path, mode=mode)


def is_kept(path: PurePosixPath) -> bool:
    """Whether a base holds what a package or its scripts put there."""
    if path.suffix == ".pyc" or path.name == "__pycache__":
        return False  # made again without dates in them
    return not any(path == PurePosixPath(left_out) or PurePosixPath(left_out) in path.parents for left_out in LEFT_OUT)
