"""The layer with the Prometheus server, taken out of its Debian package."""

import gzip
import tarfile
from pathlib import Path
from typing import Final

from headrace.contract.errors import PermanentError
from headrace.images.architecture import Architecture
from headrace.images.debian import RELEASE, bootstrap
from headrace.images.request import Base
from headrace.images.store import Blob, Store, key_of
from headrace.images.tarball import Entry, write_layer

BINARY: Final = "/usr/bin/prometheus"
_RECIPE: Final = 2
_LICENCE: Final = "usr/share/doc/prometheus/copyright"
_CHANGES: Final = "usr/share/doc/prometheus/changelog.Debian.gz"


def describe(base: Base) -> str:
    """Changes with the recipe; another revision of the base takes the mirrors' newer package too."""
    parts = ("prometheus", _RECIPE, RELEASE, base.revision)
    return key_of(*parts) if base.architecture is Architecture.AMD64 else key_of(*parts, base.architecture)


def prometheus_layer(store: Store, base: Base, *, log: Path) -> tuple[Blob, bool]:
    """The server, which needs nothing but the C library, and its licence."""

    def make(scratch: Path) -> Blob:
        archive = scratch / "packages.tar"
        remedy = "where a registry can be reached, use the image that the Prometheus project publishes"
        options = [f"--architectures={base.architecture}"]
        bootstrap("extract", ["prometheus"], archive, options, remedy=remedy, log=log)
        with tarfile.open(archive) as tar:
            changes = gzip.decompress(_content(tar, _CHANGES)).decode(errors="replace")
            entries = [
                Entry(path=BINARY.lstrip("/"), mode=0o755, data=_content(tar, BINARY.lstrip("/"))),
                Entry(path=_LICENCE, data=_content(tar, _LICENCE)),
            ]
        version = changes.split("(", 1)[-1].split(")", 1)[0]  # the first line: prometheus (2.42.0+ds-5) …
        return write_layer(store, entries, facts={"version": version})

    return store.layer(describe(base), make)


def _content(tar: tarfile.TarFile, path: str) -> bytes:
    file = tar.extractfile(f"./{path}")
    if file is None:
        raise PermanentError(f"The Debian package prometheus holds no file {path}")
    return file.read()
