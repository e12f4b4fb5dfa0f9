"""The layer with the Prometheus server, taken out of its Debian package."""

import tarfile
from pathlib import Path
from typing import Final

from headrace.contract.image import Base
from headrace.runtimes.images.debian import SUITE, bootstrap
from headrace.runtimes.images.store import Blob, Store, key_of
from headrace.runtimes.images.tarball import Entry, write_layer

BINARY: Final = "/usr/bin/prometheus"
_RECIPE: Final = 1
_WANTED: Final = (BINARY.lstrip("/"), "usr/share/doc/prometheus/copyright")


def describe(base: Base) -> str:
    """Changes with the recipe; another revision of the base takes the mirrors' newer package too."""
    return key_of("prometheus", _RECIPE, SUITE, base.revision)


def prometheus_layer(store: Store, base: Base, *, log: Path) -> tuple[Blob, bool]:
    """The server, which needs nothing but the C library, and its licence."""

    def make(scratch: Path) -> Blob:
        archive = scratch / "packages.tar"
        remedy = "where a registry can be reached, use the image that the Prometheus project publishes"
        bootstrap("extract", ["prometheus"], archive, remedy=remedy, log=log)
        entries = []
        with tarfile.open(archive) as tar:
            for member in tar:
                path = member.name.removeprefix("./")
                if path in _WANTED and (file := tar.extractfile(member)) is not None:
                    entries.append(Entry(path=path, mode=member.mode, data=file.read()))
        return write_layer(store, entries)

    return store.layer(describe(base), make)
