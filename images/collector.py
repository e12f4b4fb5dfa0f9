"""The layer with OpenTelemetry's Collector, built from its Go modules with the parts that the platform configures.

No package index carries the Collector, and its published image holds a hundred parts more. Which modules, in which
versions, is in `collector_program/`; go.sum binds their content.
"""

import re
from pathlib import Path
from typing import Final

from headrace.contract import names
from headrace.contract.errors import TemporaryError
from headrace.images import go_compiler
from headrace.images.architecture import Architecture
from headrace.images.commands import execute
from headrace.images.sbom import Package
from headrace.images.store import Blob, Store, key_of
from headrace.images.tarball import Entry, write_layer

PROGRAM: Final = Path(__file__).resolve().with_name("collector_program")
_RECIPE: Final = 1
_SETTINGS: Final = {
    "CGO_ENABLED": "0",  # static, and built for another processor without its C compiler
    "GOFLAGS": "-trimpath -buildvcs=false -mod=readonly",
    "GOTOOLCHAIN": "local",
    "GOOS": "linux",
}
_PATIENCE_SECONDS: Final = 3600.0
"""Some three CPU-minutes, on a machine that may do much else."""


def describe(architecture: Architecture) -> str:
    """Changes with the program's text and the content of its modules."""
    files = {path.name: path.read_text() for path in sorted(PROGRAM.iterdir())}
    return key_of("collector", _RECIPE, _SETTINGS, go_compiler.PACKAGE, files, architecture)


def collector_layer(store: Store, architecture: Architecture, *, log: Path) -> tuple[Blob, bool]:
    """The binary at names.COLLECTOR_BINARY.

    Raises TemporaryError where a module cannot be had, and PermanentError where no Go runs on this machine.
    """

    def make(scratch: Path) -> Blob:
        binary = scratch / "collector"
        command = [_go(store), "build", "-ldflags", "-s -w", "-o", str(binary), "."]
        settings = {**_SETTINGS, "GOARCH": architecture.value}
        status, said = execute(command, log=log, env=settings, cwd=PROGRAM, timeout_seconds=_PATIENCE_SECONDS)
        if status != 0:
            tail = " ".join(said.split()[-60:])
            raise TemporaryError(f"the Collector could not be built from its Go modules: {tail}; run it again")
        return write_layer(store, [Entry(path=names.COLLECTOR_BINARY.lstrip("/"), mode=0o755, source=binary)])

    return store.layer(describe(architecture), make)


def packages() -> list[Package]:
    """The modules that go.mod names, for the bill of materials."""
    required = re.findall(r"^\s+(\S+) (v\S+)", (PROGRAM / "go.mod").read_text(), flags=re.MULTILINE)
    return [("golang", module, version) for module, version in required]


def _go(store: Store) -> str:
    own = go_compiler.own_go()
    if own is not None:
        return own
    return go_compiler.installed_go(store.directory(key_of("go", go_compiler.PACKAGE), go_compiler.install_go))
