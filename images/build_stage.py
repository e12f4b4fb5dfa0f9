"""BuildStage: a Debian with compilers, in which packages that have no wheel are built. Nothing of it is in an image.

It is the base's own release with Debian's compilers and the interpreter's headers, so that what is compiled fits the
base, whatever this machine is. This machine's files are seen in it at their own places, but for the system's folders,
which are the stage's and cannot be written: packages find uv's settings, passwords, wheels and the model's files.
"""

import os
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headrace.images import debian_base
from headrace.images.architecture import Architecture, of_this_machine
from headrace.images.commands import require
from headrace.images.debian import bootstrap
from headrace.images.request import DEBIAN_RELEASES, Base, BaseKind
from headrace.images.store import Store, key_of

_RECIPE: Final = 1
_COMPILERS: Final = ("build-essential", "git", "openssh-client", "pkg-config")
"""git and ssh fetch requirements that name a repository."""
_SYSTEM: Final = ("bin", "boot", "etc", "lib", "lib32", "lib64", "libx32", "lost+found", "sbin", "usr", "var")
"""Folders of the root that are the stage's."""
_MACHINES_OWN: Final = ("etc/resolv.conf", "etc/hosts", "etc/ssl/certs", "etc/uv", "etc/gitconfig")
"""What in those is this machine's: where package indexes are, and who may vouch for them."""
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ENTER: Final = """
set -e
root=$1; shift
mount --rbind "$root" "$root"
mount -o remount,bind,ro "$root"
while [ "$1" != -- ]; do mount --rbind "$1" "$root$1"; shift; done
shift; folder=$1; shift
exec chroot "$root" /bin/sh -c 'cd "$0" && exec "$@"' "$folder" "$@"
"""
"""A shell's words in a mount namespace of its own: root, what is shown, --, working directory, command."""


@dataclass(frozen=True, kw_only=True)
class BuildStage:
    """A root directory that commands are run in."""

    root: Path
    cache: Path
    """uv's, apart from the one of this machine: what is built elsewhere is not taken for what is built here."""

    def command(self, words: Sequence[str], *, folder: Path, shown: Sequence[Path]) -> list[str]:
        """The words as they are run in the stage, from the directory `folder`; it and `shown` are seen there."""
        unshare = require("unshare", why="packages without a wheel are built in a root of their own", remedy=_REMEDY)
        as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
        places = [*_places((folder, self.cache, *shown)), *_own_files()]
        for place in places:
            _make_place(self.root, place)
        enter = ["--mount", "--propagation=private", "--", "/bin/sh", "-c", _ENTER, "enter", str(self.root)]
        return [unshare, *as_root, *enter, *map(str, places), "--", str(folder), *words]

    @property
    def variables(self) -> Mapping[str, str]:
        """What programs in the stage find in their environment beside what is there."""
        return {
            "PATH": _PATH,
            "UV_CACHE_DIR": str(self.cache),
            "SOURCE_DATE_EPOCH": "0",
            # no names of temporary folders in what is compiled, and a tenth of its size
            **{name: f"{os.environ.get(name, '')} -g0".strip() for name in ("CFLAGS", "CXXFLAGS")},
        }

    def package_of(self, library: str) -> str | None:
        """The Debian package of the stage that has a shared library of this name."""
        for listed in sorted((self.root / "var/lib/dpkg/info").glob("*.list")):
            if re.search(rf"/{re.escape(library)}$", listed.read_text("utf-8"), flags=re.MULTILINE):
                return listed.name.removesuffix(".list").partition(":")[0]
        return None


_REMEDY: Final = "install the package util-linux"


def build_stage(store: Store, base: Base, *, log: Path) -> BuildStage | None:
    """The stage of a base that is made of Debian packages; None for one that is copied, whose packages are built on
    this machine with what it has.

    Raises PermanentError where this machine cannot make it and for packages that the release does not have,
    TemporaryError when the mirrors fail.
    """
    if base.kind is BaseKind.REGISTRY or of_this_machine() is not Architecture.AMD64:
        return None
    packages = packages_of(base)
    release = DEBIAN_RELEASES[base.python]

    def make(target: Path) -> None:
        archive = target / "stage.tar"
        remedy = "put a wheel of the package on an index"
        bootstrap("essential", packages, archive, _WITHOUT_MANUALS, release=release, remedy=remedy, log=log)
        root = target / "root"
        with tarfile.open(archive) as tar:
            tar.extraction_filter = debian_base.as_they_are()
            tar.extractall(root, [member for member in tar if not member.isdev()])
        archive.unlink()
        (target / "uv").mkdir()

    made = store.directory(key_of("stage", _RECIPE, release, base.revision, packages), make)
    return BuildStage(root=made / "root", cache=made / "uv")


def packages_of(base: Base) -> tuple[str, ...]:
    """Names of the Debian packages that the stage of a base is asked for."""
    headers = f"python{base.python}-dev"
    return (*debian_base.packages_of(base), *_COMPILERS, headers, *sorted(set(base.build_packages)))


_WITHOUT_MANUALS: Final = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "locale", "info", "doc")]


def _places(needed: Sequence[Path]) -> Iterator[Path]:
    """Folders of the root that are not the system's, and those needed that lie in one of the system's."""
    for path in sorted(Path("/").iterdir()):
        if path.name not in _SYSTEM and path.is_dir() and not path.is_symlink():
            yield path
    for path in needed:
        if path.absolute().parts[1] in _SYSTEM:
            yield path.absolute()


def _own_files() -> Iterator[Path]:
    return (path for path in (Path("/") / name for name in _MACHINES_OWN) if path.exists())


def _make_place(root: Path, place: Path) -> None:
    """Something to mount over; it stays, and is empty."""
    target = root / str(place).lstrip("/")
    if target.exists() or target.is_symlink():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir():
        target.mkdir(exist_ok=True)
    else:
        target.touch()
