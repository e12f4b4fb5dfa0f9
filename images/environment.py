"""The model's own environment: exactly its logged requirements, as a virtual environment in one layer.

The layer's recipe is the lock, so every version of every model with the same lock shares it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from headrace.contract import names
from headrace.images import base as base_module
from headrace.images import interpreter as interpreter_module
from headrace.images.bytecode import compile_tree
from headrace.images.interpreter import Interpreter
from headrace.images.request import Base, ModelInput
from headrace.images.resolver import Resolver, options_of
from headrace.images.store import Blob, Store, key_of
from headrace.images.tarball import Entry, tree, write_layer

LOCK_FILE: Final = "requirements.lock"
"""In the environment's directory: what is installed, for people and for software bills of material."""

_LOCK_RECIPE: Final = 3
_RECIPE: Final = 5
"""Apart from that of locks: what is put into a layer otherwise is no reason to resolve anything anew."""
_HOME: Final = names.MODEL_ENVIRONMENT.lstrip("/")
_BESIDE_SITE: Final = ("bin", "etc", "share")
"""What uv puts into a target directory and a virtual environment has outside of site-packages."""
_NOT_SERVED: Final = ("mlflow/server/js/build/",)
"""Left out: the pages of MLflow's web user interface, which hold no module and which only its tracking server sends."""


def describe(model: ModelInput, base: Base) -> str:
    """Changes with the requirements, the Python version and the platform; known before anything is resolved."""
    python = interpreter_module.interpreter(model, base)
    return key_of("requirements", _LOCK_RECIPE, _lines(model), python.version, base_module.wheel_platform(base))


def lock(store: Store, model: ModelInput, base: Base, *, pins: Sequence[str], log: Path) -> str:
    """The model's requirements resolved; once on this machine for all models with the same requirements.

    `pins` of an earlier build make the same lock elsewhere, or after the cache was lost.
    """
    requirements, constraints = _lines(model)
    resolver = _resolver(store, interpreter_module.interpreter(model, base), base, log)

    def make(scratch: Path) -> str:
        return resolver.resolve(requirements, constraints=constraints, pins=pins, scratch=scratch)

    return store.document(describe(model, base), make)[0]


def environment_layer(store: Store, lock_text: str, model: ModelInput, base: Base, *, log: Path) -> tuple[Blob, bool]:
    """A virtual environment with the lock's packages, at names.MODEL_ENVIRONMENT.

    Of the model only the places where packages are found matter, and those not to the result.
    """
    python = interpreter_module.interpreter(model, base)
    resolver = _resolver(store, python, base, log)

    def make(scratch: Path) -> Blob:
        site = scratch / "site"
        site.mkdir()
        equal: Mapping[str, str] = {}
        if lock_text.strip():  # a model may need nothing at all
            options = options_of(_lines(model)[0])
            # a requirement on a Git commit has no hash
            resolver.install(lock_text, site, scratch=scratch, options=options, hashes_required=False)
            equal = _equal_libraries(site)
        shown_at = f"{names.MODEL_ENVIRONMENT}/lib/python{python.minor}/site-packages"
        compile_tree(store, site, shown_at, by=interpreter_module.compiler(store, python, base, log=log))
        return write_layer(store, _entries(site, lock_text, equal, python))

    compiled_by = interpreter_module.compiler_name(python, base)
    made_for = (python.path, python.minor, base_module.wheel_platform(base), compiled_by)
    return store.layer(key_of("environment", _RECIPE, lock_text, *made_for), make)


def _resolver(store: Store, python: Interpreter, base: Base, log: Path) -> Resolver:
    resolver = Resolver(python=python.minor, platform=base_module.wheel_platform(base), log=log)
    program = interpreter_module.program(store, python, log=log)
    return resolver if program is None else replace(resolver, interpreter=program)


def _entries(site: Path, lock_text: str, equal: Mapping[str, str], python: Interpreter) -> Iterator[Entry]:
    home = python.path.rsplit("/", 1)[0]
    settings = f"home = {home}\ninclude-system-site-packages = false\nversion = {python.minor}\n"
    yield Entry(path=f"{_HOME}/pyvenv.cfg", data=settings.encode())
    yield Entry(path=f"{_HOME}/{LOCK_FILE}", data=lock_text.encode())
    yield Entry(path=f"{_HOME}/bin/python", mode=0o777, link=python.path)
    for name in ("python3", f"python{python.minor}"):
        yield Entry(path=f"{_HOME}/bin/{name}", mode=0o777, link="python")
    for entry in tree(site, ".", keep=lambda path: not f"{path}/".startswith(_NOT_SERVED)):
        path = entry.path.removeprefix("./")
        folder = path.split("/", 1)[0]
        beside = folder in _BESIDE_SITE and not (site / folder / "__init__.py").exists()
        below = _HOME if beside else f"{_HOME}/lib/python{python.minor}/site-packages"
        target = f"{below}/{path}"
        if path in equal:
            yield Entry(path=target, mode=entry.mode, same_as=f"{below}/{equal[path]}")
        elif folder == "bin" and beside and entry.source is not None:
            yield Entry(path=target, mode=0o755, data=_with_shebang(entry.source.read_bytes()))
        elif path.endswith(".dist-info/RECORD") and entry.source is not None:
            yield Entry(path=target, data=_moved(entry.source.read_text("utf-8")).encode())
        else:
            yield Entry(path=target, mode=entry.mode, source=entry.source, link=entry.link)


def _equal_libraries(site: Path) -> dict[str, str]:
    """Each shared library that is equal to another, and that other one: wheels have no links, so some hold a library
    three times. RECORD has every file's digest."""
    first: dict[str, str] = {}
    equal: dict[str, str] = {}
    for record in sorted(site.glob("*.dist-info/RECORD")):
        for line in sorted(record.read_text("utf-8").splitlines()):
            name, _, digest = line.partition(",")
            path = site / name
            if ".so" in path.suffixes and "=" in digest and path.is_file() and not path.is_symlink():
                one = first.setdefault(digest, name)
                if one != name:
                    equal[name] = one
    return equal


def _with_shebang(script: bytes) -> bytes:
    """The script for the environment's interpreter, not for that of the machine that built it."""
    if not script.startswith(b"#!"):
        return script
    first, _, rest = script.partition(b"\n")
    if b"python" in first:
        return f"#!{names.MODEL_ENVIRONMENT}/bin/python\n".encode() + rest
    if first == b"#!/bin/sh" and rest.startswith(b"'''exec'"):  # how installers write interpreters with long paths
        return f"#!{names.MODEL_ENVIRONMENT}/bin/python\n".encode() + rest.split(b"' '''\n", 1)[-1]
    return script


def _moved(record: str) -> str:
    """RECORD with the paths and without the digests of the files that were moved beside site-packages and rewritten."""
    folders = "|".join(_BESIDE_SITE)
    record = re.sub(rf"^(?:{'|'.join(_NOT_SERVED)}).*\n", "", record, flags=re.MULTILINE)
    return re.sub(rf"^((?:{folders})/[^,\n]*),[^,\n]*,[^,\n]*$", r"../../../\1,,", record, flags=re.MULTILINE)


def _lines(model: ModelInput) -> tuple[list[str], list[str]]:
    """Requirements and constraints without comments and empty lines, in their order: it can matter to options."""

    def meaningful(lines: tuple[str, ...]) -> list[str]:
        stripped = (line.strip() for line in lines)
        return [line for line in stripped if line and not line.startswith("#")]

    return meaningful(model.requirements), meaningful(model.constraints)
