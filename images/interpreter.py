"""Interpreter: the Python that a model's worker runs on, which is the base's own or one that lies beside it.

The front runs on the base's interpreter, whatever a model was logged with. A model of the base's minor version shares
it; every other one gets a CPython of python-build-standalone, which uv installs, in a layer of its own that all models
of that version share. A mirror is named as for uv itself: UV_PYTHON_INSTALL_MIRROR, UV_PYTHON_DOWNLOADS_JSON_URL.
"""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import uv

from headrace.contract import names
from headrace.contract.errors import PermanentError, TemporaryError
from headrace.images import base as base_module
from headrace.images import conda_environment
from headrace.images.architecture import Architecture, of_this_machine
from headrace.images.bytecode import Compiler, compile_tree, own_compiler
from headrace.images.commands import execute
from headrace.images.request import LOWEST_MODEL_PYTHON, Base, ModelInput, minor_version
from headrace.images.resolver import is_network_failure
from headrace.images.store import Blob, Store, key_of
from headrace.images.tarball import Entry, tree, write_layer

_RECIPE: Final = 2
_HOME: Final = names.MODEL_PYTHON.lstrip("/")
_VERSION_FILE: Final = "VERSION"
"""Beside what is installed: the version that was had, which need not be the one that was wanted."""
_LEFT_OUT: Final = ("test", "idlelib", "turtledemo", "ensurepip", "lib2to3/tests", "site-packages", "tkinter")
"""Of the standard library: tests, programs with windows, and pip, which an environment without one does not see."""


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """Which Python, and where it is in the image."""

    minor: str
    """For example 3.9."""
    version: str
    """What the model was logged with, for example 3.9.18; the minor version where no more is known."""
    path: str
    """Of the program in the image."""
    is_of_base: bool
    """Whether the base brings it."""
    is_of_conda: bool = False
    """Whether the model's environment brings it."""
    architecture: Architecture = Architecture.AMD64
    """What it runs on."""

    @property
    def is_apart(self) -> bool:
        """Whether it has a layer of its own."""
        return not (self.is_of_base or self.is_of_conda)

    @property
    def here(self) -> "Interpreter":
        """The same for this machine: it makes bytecode, which is the same for all, and builds packages."""
        return replace(self, architecture=of_this_machine())


def interpreter(model: ModelInput, base: Base) -> Interpreter:
    """The interpreter of the model's worker; raises PermanentError for a version that workers cannot run on."""
    minor = ".".join(model.python.split(".")[:2])
    if minor_version(minor) < LOWEST_MODEL_PYTHON:
        raise PermanentError(
            f"The model was logged with Python {model.python}, must be 3.8 or later; log it again with such a Python"
        )
    if conda_environment.is_wanted(model, base):
        path = f"{names.MODEL_ENVIRONMENT}/bin/python{minor}"
        return Interpreter(
            minor=minor, version=minor, path=path, is_of_base=False, is_of_conda=True, architecture=base.architecture
        )
    if minor == base.python:
        version, path = minor, base_module.interpreter(base)
    else:
        version, path = model.python, f"{names.MODEL_PYTHON}/bin/python{minor}"
    return Interpreter(
        minor=minor, version=version, path=path, is_of_base=minor == base.python, architecture=base.architecture
    )


def require(store: Store, wanted: Interpreter, *, log: Path) -> None:
    """Raises PermanentError for an interpreter that is not to be had, TemporaryError when its source is away."""
    if wanted.is_apart:
        for each in dict.fromkeys((wanted, wanted.here)):
            _installed(store, each, log=log)


def interpreter_layer(store: Store, wanted: Interpreter, *, log: Path) -> tuple[Blob, bool] | None:
    """The interpreter at names.MODEL_PYTHON, and whether this call made the layer; None where the base brings it, or
    the model's environment.

    The layer's fact `version` is the version that was to be had. Raises as `require` does.
    """
    if not wanted.is_apart:
        return None
    installed = _installed(store, wanted, log=log)

    def make(scratch: Path) -> Blob:
        root = scratch / "python"
        # links: bytecode is written beside the sources, and what is kept stays as it was installed
        shutil.copytree(installed, root, symlinks=True, copy_function=os.link, ignore=_ignored)
        library = f"lib/python{wanted.minor}"
        compile_tree(store, root / library, f"{names.MODEL_PYTHON}/{library}", by=_compiler(store, wanted, log=log))
        facts = {"version": (installed / _VERSION_FILE).read_text()}
        return write_layer(store, _entries(root, wanted.minor), facts=facts)

    return store.layer(key_of("python", _RECIPE, wanted.version, installed.name, _LEFT_OUT), make)


def compiler(store: Store, wanted: Interpreter, base: Base, *, log: Path) -> Compiler | None:
    """What makes bytecode for the interpreter; None where no such program runs here."""
    if wanted.is_of_base:
        return base_module.compiler(store, base, log=log)
    if wanted.is_of_conda:
        return own_compiler(wanted.minor)
    return _compiler(store, wanted, log=log)


def compiler_name(wanted: Interpreter, base: Base) -> str:
    """Part of what names layers with bytecode in the cache, as `base.compiler_name` is."""
    if wanted.is_of_conda:
        return "" if (own := own_compiler(wanted.minor)) is None else own.name
    return base_module.compiler_name(base) if wanted.is_of_base else f"standalone-{wanted.version}"


def program(store: Store, wanted: Interpreter, *, log: Path) -> Path | None:
    """The interpreter as it runs on this machine; None where another part of the image brings it."""
    if not wanted.is_apart:
        return None
    return _installed(store, wanted.here, log=log) / "bin" / f"python{wanted.minor}"


def _compiler(store: Store, wanted: Interpreter, *, log: Path) -> Compiler:
    command = (str(program(store, wanted, log=log)),)
    return Compiler(name=f"standalone-{wanted.version}", python=wanted.minor, command=command)


def _installed(store: Store, wanted: Interpreter, *, log: Path) -> Path:
    """The directory of the patch release that the model was logged with, or else of the newest that is to be had."""
    platform = f"linux-{wanted.architecture.machine}-gnu"

    def make(target: Path) -> None:
        failure = _install(f"cpython-{wanted.version}-{platform}", target, log)
        if failure is not None and not is_network_failure(failure) and wanted.version != wanted.minor:
            failure = _install(f"cpython-{wanted.minor}-{platform}", target, log)
        if failure is None:
            return
        source = "UV_PYTHON_INSTALL_MIRROR names a mirror of python-build-standalone"
        subject = f"Python {wanted.version}, which the model was logged with, cannot be installed"
        said = f"{subject} for {wanted.architecture}; uv says: {failure}"
        if is_network_failure(failure):
            raise TemporaryError(f"{said}; {source}")
        raise PermanentError(f"{said}; log the model with a Python that {_offered(log)}, or {source}")

    return store.directory(key_of("interpreter", _RECIPE, wanted.version, platform), make)


def _install(request: str, target: Path, log: Path) -> str | None:
    """Installs what uv knows as `request` with its files in `target`; returns what uv says where that fails."""
    place = target / "uv"
    options = [f"--install-dir={place}", "--no-bin", "--no-progress", "--color=never"]
    status, output = execute([uv.find_uv_bin(), "python", "install", request, *options], cwd=target, log=log)
    try:
        if status != 0:
            lines = [line.strip() for line in output.splitlines() if line.strip()]
            return " ".join(lines) or f"exit status {status}"
        # uv adds links with shorter names
        (found,) = (each for each in place.iterdir() if each.is_dir() and not each.is_symlink() and each.name[0] != ".")
        for part in found.iterdir():
            part.rename(target / part.name)
        (target / _VERSION_FILE).write_text(found.name.split("-")[1])
        return None
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _offered(log: Path) -> str:
    """What uv could install instead, in words; asks nobody."""
    listed = ["python", "list", "--only-downloads", "--color=never", "cpython"]
    status, output = execute([uv.find_uv_bin(), *listed], log=log)
    found = {match[1] for match in re.finditer(r"cpython-(3\.\d+)\.\d+-", output)} if status == 0 else set()
    usable = sorted((minor for minor in found if minor_version(minor) >= LOWEST_MODEL_PYTHON), key=minor_version)
    return f"can be had ({', '.join(usable)})" if usable else "a base has (3.11 or 3.13)"


def _ignored(folder: str, entries: list[str]) -> set[str]:
    """Names that the layer lacks: headers, manuals, Tcl, static libraries, other bytecode and parts of _LEFT_OUT."""
    place = Path(folder)
    below = "/".join(place.parts[-2:])
    left_out = {name for name in entries if name == "__pycache__" or name.endswith((".pyc", ".a"))}
    if (place / "bin").is_dir() and (place / "lib").is_dir():
        left_out |= set(entries) - {"bin", "lib"}
    if place.name == "lib":
        left_out |= {name for name in entries if re.match(r"(?:lib)?(?:tcl|tk|itcl|thread|pkgconfig)", name)}
    if re.fullmatch(r"lib/python3\.\d+", below):
        left_out |= {name for name in entries if name in _LEFT_OUT or name.startswith("config-")}
    return left_out


def _entries(root: Path, minor: str) -> Iterator[Entry]:
    for entry in tree(root, "."):
        path = entry.path.removeprefix("./")
        if path.startswith("bin/") and path != f"bin/python{minor}":
            continue
        yield Entry(path=f"{_HOME}/{path}", mode=entry.mode, source=entry.source, link=entry.link)
