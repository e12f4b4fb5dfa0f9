"""Packages that no index has a wheel of: they are built in the base's stage, and what they link to must be there.

Most environments have none. uv says so by the way, which costs nothing: only then is anybody asked which they are, and
a stage made.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from headrace.contract.errors import PermanentError
from headrace.images.architecture import machine_of
from headrace.images.build_stage import BuildStage
from headrace.images.commands import execute
from headrace.images.resolver import Resolver, requirements_of

Staged = Callable[[Resolver], Resolver | None]
"""The resolver as it runs in the base's stage; None where there is no stage, and this machine builds."""

_ONLY_WHEELS: Final = "--only-binary=:all:"
_BUILD_FAILED: Final = re.compile(
    r"Failed to (?:download and )?build[:\s]+`?([^`\s]+)|The build backend returned an error"
)
_NOT_BY_BUILDING: Final = re.compile(r"[Hh]ash mismatch|^The package index \S+ refused access")
"""Failures that a stage would not mend."""
_LACKED: Final = re.compile(
    r"fatal error: (\S+): No such file|cannot find -l(\S+?)(?:[:\s]|$)|No package '(\S+)' found"
    r"|(?:^|\s)(\S+): (?:command )?not found|No such file or directory: '([^'/]+)'"
)
"""A header, a library, pkg-config's name of one, a program: as compilers, linkers, pkg-config and shells say it."""
_NEEDED: Final = re.compile(r"\(NEEDED\)\s+Shared library: \[([^\]]+)\]")
_OF_READELF: Final = re.compile(r"^File: (.*)$")


def resolved(resolve: Callable[[Resolver], str], resolver: Resolver, staged: Staged) -> str:
    """What `resolve` gives, in the stage where a package that says what it needs only while it is built cannot be built
    on this machine."""
    try:
        return resolve(resolver)
    except PermanentError as error:
        if not _BUILD_FAILED.search(str(error)) or (inside := staged(resolver)) is None:
            raise
    with _told_what_lacks():
        return resolve(inside)


def install(
    resolver: Resolver,
    lock: str,
    into: Path,
    *,
    options: Sequence[str],
    scratch: Path,
    staged: Staged,
    has: Callable[[str], bool],
) -> None:
    """Installs exactly the lock's packages into `into`, found by `options`; `has` says whether the base has a shared
    library.

    Raises PermanentError that names the package, and what it lacks, for one that cannot be built or loaded.
    """

    def put(by: Resolver, requirements: Sequence[str], *flags: str) -> None:
        text = "\n".join(requirements)
        # a requirement on a Git commit has no hash
        by.install(text, into, scratch=scratch, options=options, hashes_required=False, more_flags=flags)

    try:
        put(resolver, [lock], _ONLY_WHEELS)
        return
    except PermanentError as error:
        if _NOT_BY_BUILDING.search(str(error)):
            raise
    inside = staged(resolver)  # where something else is wrong, it is said below
    if inside is None or inside.stage is None:
        put(resolver, [lock])
        return
    with_options = "\n".join([*options, lock])
    built = resolved(lambda by: "\n".join(by.without_wheel(with_options, scratch=scratch)), resolver, staged)
    names = built.splitlines()
    put(resolver, [line for line in requirements_of(lock) if line not in names])
    before = set(into.rglob("*.so*"))
    with _told_what_lacks():
        put(inside, names)
    _require_linked(sorted(set(into.rglob("*.so*")) - before), into, inside.stage, has, log=inside.log)


def _require_linked(
    libraries: Sequence[Path], site: Path, stage: BuildStage, has: Callable[[str], bool], *, log: Path
) -> None:
    """Raises PermanentError for compiled libraries that need one that the image does not have."""
    libraries = [path for path in libraries if path.is_file() and machine_of(path) is not None]
    if not libraries:
        return
    words = stage.command(["readelf", "-d", *map(str, libraries)], folder=site, shown=(site,))
    _, output = execute(words, env=stage.variables, log=log)
    there = {path.name for path in site.rglob("*.so*")}
    by_library: dict[str, str] = {}
    for file, needed in _needs(output, str(libraries[0])):
        if needed not in there:
            by_library.setdefault(needed, Path(file).relative_to(site).as_posix())
    lacking = {name: file for name, file in by_library.items() if not has(name)}
    if lacking:
        packages = sorted({stage.package_of(name) or f"the package that has {name}" for name in lacking})
        told = "; ".join(f"{file} needs {name}" for name, file in sorted(lacking.items()))
        raise PermanentError(
            f"What was compiled needs libraries that the image does not have: {told}; add {', '.join(packages)} to "
            "packages.debian of the endpoint, or to packages of the image's base"
        )


def _needs(output: str, first: str) -> Iterator[tuple[str, str]]:
    """Each file and the library that it names, of what readelf writes, which leaves the name out where it reads one."""
    file = first
    for line in output.splitlines():
        if match := _OF_READELF.match(line):
            file = match[1]
        elif match := _NEEDED.search(line):
            yield file, match[1]


@contextmanager
def _told_what_lacks() -> Iterator[None]:
    """Puts in front of a failed build which package it is of, what it lacks and what to do."""
    try:
        yield
    except PermanentError as error:
        text = str(error)
        failed = _BUILD_FAILED.search(text)
        if failed is None:
            raise
        package = f"The package {failed[1]}" if failed[1] else "A package of the model"
        lacked = _LACKED.search(text)
        missing = f" for want of {next(filter(None, lacked.groups()))}" if lacked else ""
        raise PermanentError(
            f"{package} has no wheel and cannot be built{missing}; name the Debian packages that it is built with in "
            "packages.build of the endpoint (packages.debian.org finds them by a file's name: libyaml-dev has yaml.h), "
            f"or put a wheel of it on an index. {text}"
        ) from error
