"""The lowest layers: an operating system with an interpreter and nothing that a model server does not need."""

import json
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from headrace.contract.errors import PermanentError, TemporaryError
from headrace.images import debian_base
from headrace.images.architecture import Architecture
from headrace.images.bytecode import Compiler, debian_compiler, own_compiler
from headrace.images.commands import execute, require
from headrace.images.request import DEBIAN_RELEASES, OPERATING_SYSTEM, Base, BaseKind
from headrace.images.sbom import Package
from headrace.images.store import TAR, TAR_GZIP, Blob, Store, key_of

_TRANSPORTS: Final = ("docker://", "oci:", "oci-archive:", "docker-archive:", "dir:")
"""References that already say how skopeo gets at them."""
_NOT_THERE: Final = re.compile(r"no image found in (?:manifest list|image index) for architecture", re.IGNORECASE)


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
    parts: list[object]
    if base.kind is BaseKind.REGISTRY:
        parts = ["registry", base.reference, base.revision, base.python, interpreter(base)]
    else:
        asked = debian_base.packages_of(base)
        parts = ["debian", DEBIAN_RELEASES[base.python], base.revision, asked, debian_base.LEFT_OUT, debian_base.RECIPE]
    # bases for amd64 are as old as this module, and their names are kept
    return key_of(*parts) if base.architecture is Architecture.AMD64 else key_of(*parts, base.architecture)


def interpreter(base: Base) -> str:
    """Path of the interpreter as the base brings it."""
    if base.kind is BaseKind.DEBIAN:
        return f"/usr/bin/python{base.python}"
    return base.python_path or f"/usr/local/bin/python{base.python}"


def compiler_name(base: Base) -> str:
    """Which interpreter `compiler` gives; empty for none. Part of what names layers with bytecode in the cache, and not
    of an image's identity, which is the same for deployers with different Pythons."""
    if base.kind is BaseKind.DEBIAN:
        return DEBIAN_RELEASES[base.python]
    own = own_compiler(base.python)
    return "" if own is None else own.name


def compiler(store: Store, base: Base, *, log: Path) -> Compiler | None:
    """What makes bytecode for the base's interpreter, which is the same for every architecture: the interpreter of a
    base made here, taken out of its layer, so that it does not matter which Python builds; for a copied base this
    process's own, if it is of that minor version."""
    if base.kind is BaseKind.REGISTRY:
        return own_compiler(base.python)
    (layer,) = base_layers(store, replace(base, architecture=debian_base.MADE_ON), log=log).layers
    libraries = debian_base.MADE_ON.libraries
    folders = (f"usr/bin/python{base.python}", f"usr/lib/python{base.python}/", f"usr/lib/{libraries}/")

    def take_out(target: Path) -> None:
        with tarfile.open(store.path(layer.digest)) as tar:
            tar.extraction_filter = debian_base.as_they_are()
            tar.extractall(target, [member for member in tar if member.name.startswith(folders)])

    return _compiler_in(store.directory(key_of("interpreter", layer.digest), take_out), base)


def _compiler_in(root: Path, base: Base) -> Compiler:
    return debian_compiler(root, base.python, release=compiler_name(base), libraries=debian_base.MADE_ON.libraries)


def wheel_platform(base: Base) -> str:
    """Newest C library that wheels may ask for, as uv names platforms: Debian's own, or one that any base in use
    has."""
    return f"{base.architecture.machine}-manylinux_2_{36 if base.kind is BaseKind.DEBIAN else 28}"


def has_library(store: Store, base: Base, name: str, *, log: Path) -> bool:
    """Whether a base made here has a shared library of this name where programs look for it."""
    made = base_layers(store, base, log=log)
    places = tuple(f"{folder}{base.architecture.libraries}/{name}" for folder in ("usr/lib/", "lib/"))
    for layer in made.layers:
        with tarfile.open(store.path(layer.digest)) as tar:
            if any(member.name in places for member in tar):
                return True
    return False


def base_layers(store: Store, base: Base, *, log: Path) -> BaseLayers:
    """Makes or finds the base's layers.

    Raises PermanentError where this machine cannot make them, TemporaryError when the mirrors or the registry fail.
    """
    if base.kind is BaseKind.REGISTRY:
        return _copied(store, base, log=log)

    def make(scratch: Path) -> Blob:
        if base.architecture is debian_base.MADE_ON:
            by_its_own = partial(_compiler_in, base=base)
            return debian_base.configured(store, base, scratch, compiler=by_its_own, log=log)
        (own,) = base_layers(store, replace(base, architecture=debian_base.MADE_ON), log=log).layers
        return debian_base.unpacked(store, base, own, scratch, by=compiler(store, base, log=log), log=log)

    blob, created = store.layer(describe(base), make)
    packages = tuple((kind, name, version) for kind, name, version in json.loads(blob.fact("packages")))
    return BaseLayers(layers=(blob,), created=created, packages=packages)


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
    command = [program, f"--override-os={OPERATING_SYSTEM}", f"--override-arch={base.architecture}"]
    command += ["--insecure-policy"]  # the host may have no policy file; the reference is the user's own choice
    reference = base.reference if base.reference.startswith(_TRANSPORTS) else f"docker://{base.reference}"
    status, output = execute([*command, "copy", reference, f"oci:{scratch}/image:base"], log=log)
    if status != 0:
        last = output.strip().splitlines()[-1] if output.strip() else f"exit status {status}"
        if _NOT_THERE.search(output):
            raise _of_another_architecture(base)
        raise TemporaryError(f"The base {base.reference!r} could not be copied, skopeo says: {last}; see {log}")
    blobs = scratch / "image" / "blobs" / "sha256"

    def read(descriptor: Mapping[str, Any]) -> Any:
        return json.loads((blobs / descriptor["digest"].removeprefix("sha256:")).read_bytes())

    (described,) = json.loads((scratch / "image" / "index.json").read_bytes())["manifests"]
    digest, manifest = described["digest"], read(described)
    config = read(manifest["config"])
    # an image without an index is handed out whatever was asked for
    if config.get("architecture") not in {None, base.architecture}:
        raise _of_another_architecture(base)
    layers = []
    for descriptor, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        store.put_file(blobs / descriptor["digest"].removeprefix("sha256:"))
        layer = {"digest": descriptor["digest"], "size": descriptor["size"], "diff_id": diff_id}
        layers.append({**layer, "media_type": TAR_GZIP if descriptor["mediaType"].endswith("gzip") else TAR})
    variables = dict(line.split("=", 1) for line in config.get("config", {}).get("Env", []))
    return {"layers": layers, "environment": variables, "digest": digest}


def _of_another_architecture(base: Base) -> PermanentError:
    return PermanentError(
        f"The base {base.reference!r} has no image for {base.architecture}; name one that has, or leave "
        f"{base.architecture} out of architectures"
    )
