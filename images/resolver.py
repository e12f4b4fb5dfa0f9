"""Python packages for the pod's platform, resolved and installed by uv on whatever machine this is."""

import re
import sys
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Final

import uv
from packaging.utils import canonicalize_name
from packaging.version import Version

from headrace.contract.errors import PermanentError, TemporaryError
from headrace.images.build_stage import BuildStage
from headrace.images.commands import execute

_NETWORK: Final = re.compile(
    r"failed to fetch|error sending request|dns error|connection (refused|reset)|timed? ?out|network is unreachable"
    r"|status code: (408|429|5\d\d)|HTTP status (server error|code 5)",
    re.IGNORECASE,
)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ORIGINS: Final = ("direct_url.json", "uv_build.json", "uv_cache.json")


WITH_PKG_RESOURCES: Final = "setuptools<82"
"""setuptools had pkg_resources until 82. Older models and packages import it, and were made with one that has it."""
_NEEDS_PKG_RESOURCES: Final = re.compile(r"No module named '?pkg_resources")
"""Packages without a wheel that are older than setuptools 82 say it when they are built."""
_BUILT_FOR_HERE: Final = re.compile(r"built wheel `([^`]+)` is not compatible with the\s+target Python")
_CLOSED_INDEX: Final = re.compile(
    r"index(?: URL)? \((\S+)\) (?:could not be queried|returned)[^(]{0,80}?\(?(40[13] [A-Z][a-z]+)"
)
"""uv's hint, below a sentence that the package was not found."""
_REFUSED: Final = re.compile(r"status client error \((?!408|429)", re.IGNORECASE)
"""What an index or a file's server will answer again: a password that is wrong or missing, a file that is not there."""


def is_network_failure(said: str) -> bool:
    """Whether uv's words are of a server that was away, rather than of something that there is not."""
    return _NETWORK.search(said) is not None and _REFUSED.search(said) is None


@dataclass(frozen=True, kw_only=True)
class Resolver:
    """uv, set to one Python version and platform."""

    python: str
    """Minor version, for example 3.11."""
    platform: str
    """As uv names them, for example x86_64-manylinux_2_28."""
    log: Path
    interpreter: Path = Path(sys.executable)
    """What builds packages that have no wheel, best of that version."""
    flags: Sequence[str] = ()
    """Options that uv takes on its command line alone."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """What uv finds in its environment beside what is there."""
    hidden: Sequence[str] = ()
    """What the log and messages must not hold: passwords among the variables."""
    folder: Path | None = None
    """Directory that relative paths among the requirements start from; None for none."""
    stage: BuildStage | None = None
    """Where uv runs and packages are built; None for this machine as it is."""

    def inside(self, stage: BuildStage, interpreter: Path) -> "Resolver":
        """The same in a stage, where `interpreter` is the path of that Python."""
        return replace(self, stage=stage, interpreter=interpreter)

    def resolve(
        self,
        requirements: Sequence[str],
        *,
        constraints: Sequence[str],
        pins: Sequence[str],
        scratch: Path,
        more_flags: Sequence[str] = (),
        purpose: str = "The model's requirements cannot be resolved",
    ) -> str:
        """The requirements as a lock with hashes: every package, its exact version and its files' digests.

        `pins` (`name==version`) are preferred where they satisfy the requirements. Raises PermanentError with the
        resolver's own message, after `purpose`, when there is no solution, TemporaryError when the index cannot be
        reached.
        """
        # both in one directory: MLflow writes `-c constraints.txt` into the requirements
        wanted, bounds = scratch / "requirements.txt", scratch / "constraints.txt"
        wanted.write_text("\n".join(requirements) + "\n", "utf-8")
        bounds.write_text("\n".join(constraints) + "\n", "utf-8")
        lock = scratch / "environment.lock"
        lock.unlink(missing_ok=True)
        if pins:
            lock.write_text("\n".join(pins) + "\n")  # uv prefers the versions it finds in its output file
        files = [f"--constraints={bounds}", f"--output-file={lock}", str(wanted)]
        options = ["--generate-hashes", "--no-annotate", "--no-header", "--quiet", *more_flags]
        self._uv(purpose, "compile", *options, *files, scratch=scratch)
        return lock.read_text("utf-8")

    def install(
        self,
        lock: str,
        target: Path,
        *,
        scratch: Path,
        options: Sequence[str] = (),
        hashes_required: bool = True,
        more_flags: Sequence[str] = (),
    ) -> None:
        """Installs exactly the lock's packages into the directory `target`, beside what is there.

        `options` are lines such as `--extra-index-url …`; they say where packages are and are no part of the lock,
        which everyone may read who has the image, since they can hold passwords.
        """
        path = scratch / "install.txt"
        path.write_text("\n".join([*options, lock]), "utf-8")
        hashes = "--require-hashes" if hashes_required else "--verify-hashes"
        exactly = ["--no-deps", hashes, "--link-mode=hardlink", "--no-progress"]
        files = [f"--target={target}", f"--requirements={path}"]
        self._uv("Packages cannot be installed", "install", *exactly, *more_flags, *files, scratch=scratch)
        (target / ".lock").unlink(missing_ok=True)
        _forget_origins(target)
        self._compare(target, pins_of(lock))

    def without_wheel(self, lock: str, *, scratch: Path) -> list[str]:
        """Requirements of the lock that no index has a wheel of for this platform, and those that name a file or folder
        without saying of which package: they are built here."""
        wanted, found = scratch / "locked.txt", scratch / "pylock.toml"
        wanted.write_text(lock, "utf-8")
        purpose = "The wheels of the model's packages cannot be listed"
        options = ["--format=pylock.toml", "--no-deps", "--quiet", f"--output-file={found}"]
        self._uv(purpose, "compile", *options, str(wanted), scratch=scratch)
        listed = tomllib.loads(found.read_text("utf-8"))
        built = {package["name"] for package in listed.get("packages", ()) if not _is_wheel(package)}
        return [text for text in requirements_of(lock) if _name(text) is None or _name(text) in built]

    def _compare(self, target: Path, pins: Sequence[str]) -> None:
        """Trust, and look: settings that uv found elsewhere could have made it install something else."""
        locked = {canonicalize_name(name): Version(version) for name, version in (pin.split("==") for pin in pins)}
        for distribution in distributions(path=[str(target)]):
            name, version = canonicalize_name(distribution.name), Version(distribution.version)
            if locked.get(name, version) != version:
                raise PermanentError(
                    f"{name} {version} was installed where the lock has {locked[name]}; remove overrides from uv's "
                    f"settings and build again (log: {self.log})"
                )

    def _uv(self, purpose: str, command: str, *arguments: str, scratch: Path) -> None:
        # uv reads the settings, overrides of versions among them, of the project it is started in. An empty file ends
        # the search; the user's own settings, such as an index, still count.
        folder = scratch if self.folder is None else self.folder
        (folder / "uv.toml").write_text("")
        # uv and the interpreter that it asks are those that are known here, not those that PATH happens to lead to
        settings = [f"--python={self.interpreter}", f"--python-version={self.python}"]
        settings += [f"--python-platform={self.platform}", "--color=never"]
        words = [uv.find_uv_bin(), "pip", command, *settings, *self.flags, *arguments]
        # bytecode would have dates in it, and be that of the interpreter that runs here
        variables = {**self.variables, "UV_COMPILE_BYTECODE": "false"}
        if self.stage is not None:
            shown = (scratch, Path(words[0]).parent, self.interpreter.parent)
            words = self.stage.command(words, folder=folder, shown=shown)
            variables |= self.stage.variables
        status, output = execute(words, env=variables, cwd=folder, log=self.log, hidden=self.hidden)
        if status != 0 and _NEEDS_PKG_RESOURCES.search(output):
            older = scratch / "build-constraints.txt"
            older.write_text(f"{WITH_PKG_RESOURCES}\n")
            variables = {**variables, "UV_BUILD_CONSTRAINT": str(older)}
            status, output = execute(words, env=variables, cwd=folder, log=self.log, hidden=self.hidden)
        if status == 0:
            return
        # uv names the packages at odds; paths of the scratch directory say nothing
        said = output.replace(f"{folder}/", "").replace(f"{scratch}/", "").strip()
        if built := _BUILT_FOR_HERE.search(output):
            name, version = built[1].split("-")[:2]
            machine = self.platform.partition("-")[0]
            raise PermanentError(
                f"The package {name} {version} has no wheel for {machine} and is compiled where it is built, which "
                "makes one for this machine's processor alone; put a wheel of it on an index, take a version that has "
                "one, or leave that architecture out of architectures"
            )
        message = f"{purpose} for Python {self.python} on {self.platform}; uv says:\n{said}"
        if command == "compile" and "was not found" in said:
            # asked to take the best of all indexes, uv does not say that one of them let nobody in
            one_by_one = {**variables, "UV_INDEX_STRATEGY": "first-index"}
            output = execute(words, env=one_by_one, cwd=folder, log=self.log, hidden=self.hidden)[1]
        if closed := _CLOSED_INDEX.search(" ".join(output.split())):
            message = (
                f"The package index {closed[1]} refused access ({closed[2]}); see that the name and the password for "
                "it are right, which are in the requirements, in the variable that they name, in the settings of uv or "
                f"pip, or in a netrc file. {message}"
            )
        raise TemporaryError(message) if is_network_failure(said) else PermanentError(message)


def _forget_origins(target: Path) -> None:
    """Removes what uv writes about where a package came from and when: addresses can hold passwords, and no program in
    a pod asks."""
    for record in target.glob("*.dist-info/RECORD"):
        present = [name for name in _ORIGINS if (record.parent / name).exists()]
        for name in present:
            (record.parent / name).unlink()
        if present:
            lines = record.read_text("utf-8").splitlines(keepends=True)
            kept = [line for line in lines if line.partition(",")[0].rpartition("/")[2] not in _ORIGINS]
            record.unlink()  # it may be another name of a file in uv's cache
            record.write_text("".join(kept), "utf-8")


def _is_wheel(package: Mapping[str, Any]) -> bool:
    """Whether an entry of a pylock.toml has a wheel to install."""
    return bool(package.get("wheels")) or str(package.get("archive", {}).get("url", "")).endswith(".whl")


def requirements_of(lock: str) -> list[str]:
    """The requirements of a lock, each with its hashes; neither its comments nor its options."""
    joined = re.sub(r"\\\n\s*", "", lock)
    return [line for line in joined.splitlines() if line.strip() and not line.startswith(("#", "-"))]


def without(lock: str, packages: Collection[str]) -> str:
    """The lock without these packages, by their canonical names."""
    kept = [line for line in requirements_of(lock) if _name(line) not in packages]
    notes = [line for line in lock.splitlines() if line.startswith("#")]
    return "".join(f"{line}\n" for line in (*kept, *notes))


def _name(requirement: str) -> str | None:
    """The package; None for a path or a URL without a name."""
    match = re.match(rf"({_NAME.pattern})\s*(?:$|[\[=<>!~@;\s])", requirement)
    return None if match is None else canonicalize_name(match[1])


def options_of(requirements: Sequence[str]) -> list[str]:
    """The lines that say where packages are found; not those that name other files."""
    files = ("-r", "--requirement", "-c", "--constraint", "-e", "--editable")
    return [line for line in requirements if line.startswith("-") and not line.startswith(files)]


def pins_of(lock: str) -> tuple[str, ...]:
    """The `name==version` of every package in a lock, without hashes and markers."""
    found = re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*==[^\s;\\]+)", lock, flags=re.MULTILINE)
    return tuple(sorted(found))
