"""The model's own environment: exactly its logged requirements, as a virtual environment in one layer.

The layer's recipe is the lock, so every version of every model with the same lock shares it.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

from packaging.utils import canonicalize_name

from headrace.contract import names
from headrace.contract.errors import PermanentError, TemporaryError
from headrace.images import base as base_module
from headrace.images import conda_environment, hashes, packages_without_wheel
from headrace.images import interpreter as interpreter_module
from headrace.images.architecture import of_this_machine
from headrace.images.build_stage import build_stage
from headrace.images.bytecode import compile_tree
from headrace.images.conda_environment import CondaEnvironment
from headrace.images.interpreter import Interpreter
from headrace.images.model_packages import ModelPackages, depends_on_files, gathered
from headrace.images.request import Base, ModelInput
from headrace.images.resolver import Resolver, options_of, pins_of, without
from headrace.images.store import Blob, Store, key_of
from headrace.images.tarball import Entry, tree, write_layer

LOCK_FILE: Final = "requirements.lock"
"""In the environment's directory: what is installed, for people and for software bills of material."""

_LOCK_RECIPE: Final = 4
_RECIPE: Final = 6
"""Apart from that of locks: what is put into a layer otherwise is no reason to resolve anything anew."""
_HOME: Final = names.MODEL_ENVIRONMENT.lstrip("/")
_BESIDE_SITE: Final = ("bin", "etc", "share")
"""What uv puts into a target directory and a virtual environment has outside of site-packages."""
_NOT_SERVED: Final = ("mlflow/server/js/build/",)
"""Left out: the pages of MLflow's web user interface, which hold no module and which only its tracking server sends."""


def describe(model: ModelInput, base: Base) -> str:
    """Changes with the requirements, the Python version and the platform; known before anything is resolved.

    Requirements that name files of the model change with the model. Raises InputError for lines that cannot be
    followed.
    """
    own_files = model.identity if depends_on_files(model) else ""
    lines = (_meaningful(model.requirements), _meaningful(model.constraints))
    python, platform = interpreter_module.interpreter(model, base), base_module.wheel_platform(base)
    parts = (lines, model.first, own_files, python.version, platform, *_built_with(base))
    if conda_environment.is_wanted(model, base):
        parts = (*parts, model.conda, base.conda_channels)
    return key_of("requirements", _LOCK_RECIPE, *parts)


def lock(store: Store, model: ModelInput, base: Base, *, pins: Sequence[str], log: Path, may_stage: bool = True) -> str:
    """The model's requirements resolved; once on this machine for all models with the same requirements.

    `pins` of an earlier build make the same lock elsewhere, or after the cache was lost. Without `may_stage`, packages
    that say what they need only while they are built are built on this machine as it is.
    """
    python = interpreter_module.interpreter(model, base)

    def make(scratch: Path) -> str:
        packages = gathered(model, scratch, log=log)
        resolver = _resolver(store, python, base, packages, log)
        conda = _conda(store, model, base, log)
        if conda is not None:
            packages = packages.beside(conda.distributions)
            resolver = _by_conda(resolver, conda, base)

        def resolved(by: Resolver) -> str:
            lock = _resolved(packages, by, pins=pins, scratch=scratch)
            return lock if conda is None else conda.locked + without(lock, conda.distributions)

        if not may_stage:
            return resolved(resolver)
        return packages_without_wheel.resolved(resolved, resolver, partial(_staged, store, python, base, log))

    return store.document(describe(model, base), make)[0]


def require_wheels(store: Store, lock_text: str, model: ModelInput, base: Base, *, log: Path) -> None:
    """Builds those of the lock's packages that have no wheel for the base's architecture, for nothing but to see that
    it can be done: raises PermanentError, which names the package, where it would be compiled for this machine's."""
    if base.architecture is of_this_machine():
        return  # they are built once, for the layer

    def make(scratch: Path) -> str:
        packages = gathered(model, scratch, log=log)
        resolver = _resolver(store, interpreter_module.interpreter(model, base), base, packages, log)
        with_options = "\n".join([*options_of(packages.lines), lock_text])
        if found := resolver.without_wheel(with_options, scratch=scratch):
            options = options_of(packages.lines)
            built = scratch / "built"
            by = _staged(store, interpreter_module.interpreter(model, base), base, log, resolver) or resolver
            by.install("\n".join(found), built, scratch=scratch, options=options, hashes_required=False)
        return "\n".join(found)

    store.document(key_of("wheels", describe(model, base), lock_text), make)


def environment_layer(store: Store, lock_text: str, model: ModelInput, base: Base, *, log: Path) -> tuple[Blob, bool]:
    """A virtual environment with the lock's packages, at names.MODEL_ENVIRONMENT. Its fact `unpinned` has, as a list of
    `name==version`, those that the lock knows by a file or a repository.

    Of the model only its files and the places where packages are found matter, and those not to the result.
    """
    python = interpreter_module.interpreter(model, base)

    def make(scratch: Path) -> Blob:
        site = scratch / "site"
        site.mkdir()
        install(store, lock_text, model, base, into=site, scratch=scratch, log=log)
        equal = _equal_libraries(site)
        unpinned = _unpinned(site, lock_text)
        if python.is_of_conda:
            return _with_conda(store, model, base, lock_text, site=site, scratch=scratch, log=log)
        shown_at = f"{names.MODEL_ENVIRONMENT}/lib/python{python.minor}/site-packages"
        compile_tree(store, site, shown_at, by=interpreter_module.compiler(store, python, base, log=log))
        entries = _entries(site, lock_text, equal, python)
        return write_layer(store, entries, facts={"unpinned": json.dumps(unpinned)})

    compiled_by = interpreter_module.compiler_name(python, base)
    made_for = (python.path, python.minor, base_module.wheel_platform(base), compiled_by, *_built_with(base))
    return store.layer(key_of("environment", _RECIPE, lock_text, *made_for), make)


def install(
    store: Store,
    lock_text: str,
    model: ModelInput,
    base: Base,
    *,
    into: Path,
    scratch: Path,
    log: Path,
    may_stage: bool = True,
) -> None:
    """Installs the lock's packages into a directory, with the places and files that the model's requirements name.

    Those without a wheel are built in the base's stage (build_stage), or without `may_stage` on this machine as it is,
    which the packages are for then.
    """
    if not _meaningful(lock_text.splitlines()):  # a model may need nothing at all
        return
    packages = gathered(model, scratch, log=log)
    python = interpreter_module.interpreter(model, base)
    resolver = _resolver(store, python, base, packages, log)
    if (conda := _conda(store, model, base, log)) is not None:
        resolver = _by_conda(resolver, conda, base)
    options = options_of(packages.lines)
    if not may_stage:
        # a requirement on a Git commit has no hash
        resolver.install(lock_text, into, scratch=scratch, options=options, hashes_required=False)
        return
    packages_without_wheel.install(
        resolver,
        lock_text,
        into,
        options=options,
        scratch=scratch,
        staged=partial(_staged, store, python, base, log),
        has=lambda library: base_module.has_library(store, base, library, log=log),
    )


def _staged(store: Store, python: Interpreter, base: Base, log: Path, resolver: Resolver) -> Resolver | None:
    """The resolver in the base's stage; None where the base has none."""
    stage = build_stage(store, base, log=log)
    if stage is None:
        return None
    program = interpreter_module.program(store, python, log=log)
    if python.is_of_conda:
        program = resolver.interpreter
    return resolver.inside(stage, Path(f"/usr/bin/python{base.python}") if program is None else program)


def _conda(store: Store, model: ModelInput, base: Base, log: Path) -> CondaEnvironment | None:
    return (
        conda_environment.installed(store, model, base, log=log) if conda_environment.is_wanted(model, base) else None
    )


def _by_conda(resolver: Resolver, conda: CondaEnvironment, base: Base) -> Resolver:
    """What builds packages for conda's interpreter, which runs here where it is for this machine."""
    return replace(resolver, interpreter=conda.python) if base.architecture is of_this_machine() else resolver


def _with_conda(
    store: Store, model: ModelInput, base: Base, lock_text: str, *, site: Path, scratch: Path, log: Path
) -> Blob:
    """The layer of conda's environment with pip's packages in `site` put into it."""
    unpinned = _unpinned(site, lock_text)
    python, conda = (
        interpreter_module.interpreter(model, base),
        conda_environment.installed(store, model, base, log=log),
    )
    if conda.locked not in lock_text:
        raise TemporaryError("conda's channels have other packages than when the lock was made; run it again")
    prefix = scratch / "prefix"
    shutil.copytree(conda.prefix, prefix, symlinks=True, copy_function=os.link)
    by = interpreter_module.compiler(store, python, base, log=log)
    library = f"{names.MODEL_ENVIRONMENT}/lib/python{python.minor}"
    compile_tree(store, site, f"{library}/site-packages", by=by)
    compile_tree(store, prefix / f"lib/python{python.minor}/site-packages", f"{library}/site-packages", by=by)
    entries = [*tree(prefix, _HOME), *_entries(site, lock_text, {}, python)]
    return write_layer(store, entries, facts={"unpinned": json.dumps(unpinned)})


def _built_with(base: Base) -> tuple[object, ...]:
    """What tells environments apart that differ in what their packages were compiled with."""
    return (sorted(set(base.build_packages)),) if base.build_packages else ()


def _resolver(store: Store, python: Interpreter, base: Base, packages: ModelPackages, log: Path) -> Resolver:
    program = interpreter_module.program(store, python, log=log)
    resolver = Resolver(
        python=python.minor,
        platform=base_module.wheel_platform(base),
        log=log,
        flags=packages.flags,
        variables=packages.variables,
        hidden=packages.hidden,
        folder=packages.folder,
    )
    return resolver if program is None else replace(resolver, interpreter=program)


def _resolved(packages: ModelPackages, resolver: Resolver, *, pins: Sequence[str], scratch: Path) -> str:
    """The lock. MLflow installs `first` and then the requirements, which move what is there where they must."""
    constraints = [one.text for one in packages.wanted.constraints]

    def resolve(lines: Sequence[str], preferred: Sequence[str], **words: str) -> str:
        def once(*flags: str) -> str:
            return resolver.resolve(
                lines, constraints=constraints, pins=preferred, scratch=scratch, more_flags=flags, **words
            )

        return _one_of(lambda: once("--only-binary=:all:"), once) if packages.wanted.prefer_binary else once()

    pins = _merged(pins, packages.locked.pins)
    if packages.wanted.is_hashed:
        hashes.require(resolve(packages.lines, pins), packages.wanted)

    def one_after_the_other() -> str:
        words = "What is installed before the model's requirements (conda.yaml, python_env.yaml) cannot be resolved"
        before = pins_of(resolve([*options_of(packages.lines), *packages.first], pins, purpose=words))
        return resolve([*packages.lines, *packages.first_names], _merged(before, pins))

    at_once = [*packages.lines, *packages.first]
    lock = _one_of(lambda: resolve(at_once, pins), one_after_the_other) if packages.first else resolve(at_once, pins)
    return packages.annotated(hashes.held(lock, packages.wanted, packages.locked))


def _one_of(best: Callable[[], str], other: Callable[[], str]) -> str:
    try:
        return best()
    except PermanentError:
        return other()


def _merged(pins: Sequence[str], over: Sequence[str]) -> list[str]:
    """Both, where a package is in both that of `over`."""
    found = {pin.partition("==")[0]: pin for pin in (*pins, *over)}
    return list(found.values())


def _entries(site: Path, lock_text: str, equal: Mapping[str, str], python: Interpreter) -> Iterator[Entry]:
    yield Entry(path=f"{_HOME}/{LOCK_FILE}", data=lock_text.encode())
    if not python.is_of_conda:
        yield from _virtual(python)
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


def _virtual(python: Interpreter) -> Iterator[Entry]:
    """What makes a directory a virtual environment."""
    home = python.path.rsplit("/", 1)[0]
    settings = f"home = {home}\ninclude-system-site-packages = false\nversion = {python.minor}\n"
    yield Entry(path=f"{_HOME}/pyvenv.cfg", data=settings.encode())
    yield Entry(path=f"{_HOME}/bin/python", mode=0o777, link=python.path)
    for name in ("python3", f"python{python.minor}"):
        yield Entry(path=f"{_HOME}/bin/{name}", mode=0o777, link="python")


def _unpinned(site: Path, lock_text: str) -> list[str]:
    pinned = {canonicalize_name(pin.partition("==")[0]) for pin in pins_of(lock_text)}
    found = ((canonicalize_name(one.name), one.version) for one in distributions(path=[str(site)]))
    return sorted(f"{name}=={version}" for name, version in found if name not in pinned)


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


def _meaningful(lines: Sequence[str]) -> list[str]:
    """Without comments and empty lines, in their order: it can matter to options."""
    stripped = (line.strip() for line in lines)
    return [line for line in stripped if line and not line.startswith("#")]
