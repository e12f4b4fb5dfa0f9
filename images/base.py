"""The lowest layers: an operating system with an interpreter and nothing that a model server does not need."""

import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final

from headrace.contract.errors import TemporaryError
from headrace.images.bytecode import LIBRARIES, Compiler, compile_tree, debian_compiler, own_compiler
from headrace.images.commands import execute, require
from headrace.images.debian import bootstrap
from headrace.images.request import ARCHITECTURE, DEBIAN_RELEASES, OPERATING_SYSTEM, Base, BaseKind
from headrace.images.sbom import Package, debian_packages
from headrace.images.store import TAR, TAR_GZIP, Blob, Store, key_of
from headrace.images.tarball import Entry, tree, write_layer

_PACKAGES: Final = (
    "ca-certificates",
    "libgomp1",  # LightGBM's wheels link against it and do not carry it
    "libstdc++6",  # every manylinux wheel with C++ in it counts on the system's
    "tzdata",
)
_WITH_PYTHON: Final[Mapping[str, Sequence[str]]] = {
    "3.11": ("python3-distutils",),  # older models import distutils, which Debian ships apart from its Python 3.11
}
_RECIPE: Final = 3
"""Raised when what this module does to the packages changes."""

_TRANSPORTS: Final = ("docker://", "oci:", "oci-archive:", "docker-archive:", "dir:")
"""References that already say how skopeo gets at them."""

_LEFT_OUT: Final = (
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


@dataclass(frozen=True, kw_only=True)
class BaseLayers:
    """What other layers are put on."""

    layers: tuple[Blob, ...]
    created: bool
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that the base sets."""
    packages: tuple[Package, ...] = ()
    """What is in it, as far as it is known."""


def describe(base: Base) -> str:
    """Changes when the recipe does; what packages the mirrors serve today is not part of it (see docs/images.md)."""
    if base.kind is BaseKind.REGISTRY:
        return key_of("registry", base.reference, base.revision, base.python, interpreter(base))
    return key_of("debian", DEBIAN_RELEASES[base.python], base.revision, _packages(base), _LEFT_OUT, _RECIPE)


def interpreter(base: Base) -> str:
    """Path of the interpreter as the base brings it."""
    if base.kind is BaseKind.DEBIAN:
        return f"/usr/bin/python{base.python}"
    return base.python_path or f"/usr/local/bin/python{base.python}"


def _packages(base: Base) -> tuple[str, ...]:
    # the shared library is for programs that embed the interpreter, as Triton's Python backend does
    libraries = (f"libpython{base.python}", f"libpython{base.python}-stdlib")
    interpreter = (*libraries, f"python{base.python}-minimal")
    return (*_PACKAGES, *interpreter, *_WITH_PYTHON.get(base.python, ()), *sorted(set(base.packages)))


def compiler_name(base: Base) -> str:
    """Which interpreter `compiler` gives; empty for none. Part of what names layers with bytecode in the cache, and not
    of an image's identity, which is the same for deployers with different Pythons."""
    if base.kind is BaseKind.DEBIAN:
        return DEBIAN_RELEASES[base.python]
    own = own_compiler(base.python)
    return "" if own is None else own.name


def compiler(store: Store, base: Base, *, log: Path) -> Compiler | None:
    """What makes bytecode for the base's interpreter: the interpreter of a base made here, taken out of its layer, so
    that it does not matter which Python builds; for a copied base this process's own, if it is of that minor
    version."""
    if base.kind is BaseKind.REGISTRY:
        return own_compiler(base.python)
    (layer,) = base_layers(store, base, log=log).layers
    folders = (f"usr/bin/python{base.python}", f"usr/lib/python{base.python}/", f"usr/lib/{LIBRARIES}/")

    def take_out(target: Path) -> None:
        with tarfile.open(store.path(layer.digest)) as tar:
            tar.extraction_filter = _as_they_are()
            tar.extractall(target, [member for member in tar if member.name.startswith(folders)])

    root = store.directory(key_of("interpreter", layer.digest), take_out)
    return debian_compiler(root, base.python, release=compiler_name(base))


def wheel_platform(base: Base) -> str:
    """Newest C library that wheels may ask for, as uv names platforms: Debian's own, or one that any base in use
    has."""
    return "x86_64-manylinux_2_36" if base.kind is BaseKind.DEBIAN else "x86_64-manylinux_2_28"


def base_layers(store: Store, base: Base, *, log: Path) -> BaseLayers:
    """Makes or finds the base's layers.

    Raises PermanentError where this machine cannot make them, TemporaryError when the mirrors or the registry fail.
    """
    if base.kind is BaseKind.REGISTRY:
        return _copied(store, base, log=log)
    blob, created = store.layer(describe(base), lambda scratch: _debian(store, base, scratch, log=log))
    packages = tuple((kind, name, version) for kind, name, version in json.loads(blob.fact("packages")))
    return BaseLayers(layers=(blob,), created=created, packages=packages)


def _debian(store: Store, base: Base, scratch: Path, *, log: Path) -> Blob:
    archive = scratch / "base.tar"
    options = (f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("man", "locale", "info", "doc"))
    keep = "--dpkgopt=path-include=/usr/share/doc/*/copyright"  # the licences ask for it
    remedy = f"name another base: base = {{'kind': 'registry', 'reference': 'python:{base.python}-slim'}}"
    release = DEBIAN_RELEASES[base.python]
    bootstrap("essential", _packages(base), archive, [*options, keep], release=release, remedy=remedy, log=log)
    root = scratch / "root"
    modes: dict[str, int] = {}
    with tarfile.open(archive) as tar:
        tar.extraction_filter = _as_they_are()
        for member in tar:
            name = str(PurePosixPath(member.name))
            if _kept(PurePosixPath(name)) and (member.isfile() or member.isdir() or member.issym() or member.islnk()):
                modes[name] = member.mode
                member.mode |= 0o700 if member.isdir() else 0o600  # readable here; the layer gets the true mode
                tar.extract(member, root, set_attrs=True)
    by = debian_compiler(root, base.python, release=release)
    for folder in (f"usr/lib/python{base.python}", "usr/lib/python3"):
        compile_tree(store, root / folder, f"/{folder}", by=by)
    packages = debian_packages((root / "var/lib/dpkg/status").read_text("utf-8", errors="replace"))
    return write_layer(store, _with_modes(root, modes), facts={"packages": json.dumps(packages)})


def _as_they_are() -> Any:
    """For files whose signature apt checked. Set as an attribute, since `extract` takes no filter before 3.11.4."""
    return tarfile.fully_trusted_filter if hasattr(tarfile, "fully_trusted_filter") else None


def _with_modes(root: Path, modes: Mapping[str, int]) -> Iterator[Entry]:
    for entry in tree(root, "."):
        path = entry.path.removeprefix("./")
        yield Entry(path=path, mode=modes.get(path, entry.mode), source=entry.source, link=entry.link)
    for path, mode in {"dev": 0o755, "proc": 0o555, "sys": 0o555, "run": 0o755, "tmp": 0o1777}.items():
        yield Entry(path=path, mode=mode)


def _kept(path: PurePosixPath) -> bool:
    if path.suffix == ".pyc" or path.name == "__pycache__":
        return False  # made again without dates in them
    return not any(path == PurePosixPath(left_out) or PurePosixPath(left_out) in path.parents for left_out in _LEFT_OUT)


def _copied(store: Store, base: Base, *, log: Path) -> BaseLayers:
    """Layers of an image in a registry, kept as they are, compressed or not."""

    def complete(text: str) -> bool:
        return all(store.has(layer["digest"], layer["size"]) for layer in json.loads(text)["layers"])

    text, created = store.document(
        describe(base), lambda scratch: json.dumps(_copy(store, base, scratch, log=log)), usable=complete
    )
    value = json.loads(text)
    return BaseLayers(
        layers=tuple(Blob(**layer) for layer in value["layers"]),
        created=created,
        environment=value["environment"],
        packages=(("oci", base.reference.rsplit("/", 1)[-1].partition("@")[0], value["digest"]),),
    )


def _copy(store: Store, base: Base, scratch: Path, *, log: Path) -> dict[str, Any]:
    program = require("skopeo", why="bases are copied from registries with it", remedy="install the package skopeo")
    command = [program, f"--override-os={OPERATING_SYSTEM}", f"--override-arch={ARCHITECTURE}"]
    command += ["--insecure-policy"]  # the host may have no policy file; the reference is the user's own choice
    reference = base.reference if base.reference.startswith(_TRANSPORTS) else f"docker://{base.reference}"
    status, output = execute([*command, "copy", reference, f"oci:{scratch}/image:base"], log=log)
    if status != 0:
        last = output.strip().splitlines()[-1] if output.strip() else f"exit status {status}"
        raise TemporaryError(f"The base {base.reference!r} could not be copied, skopeo says: {last}; see {log}")
    blobs = scratch / "image" / "blobs" / "sha256"

    def read(descriptor: Mapping[str, Any]) -> Any:
        return json.loads((blobs / descriptor["digest"].removeprefix("sha256:")).read_bytes())

    (described,) = json.loads((scratch / "image" / "index.json").read_bytes())["manifests"]
    digest, manifest = described["digest"], read(described)
    config = read(manifest["config"])
    layers = []
    for descriptor, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        store.put_file(blobs / descriptor["digest"].removeprefix("sha256:"))
        layer = {"digest": descriptor["digest"], "size": descriptor["size"], "diff_id": diff_id}
        layers.append({**layer, "media_type": TAR_GZIP if descriptor["mediaType"].endswith("gzip") else TAR})
    variables = dict(line.split("=", 1) for line in config.get("config", {}).get("Env", []))
    return {"layers": layers, "environment": variables, "digest": digest}
