"""Everything that it takes to resolve and install one model's packages, with passwords and files of the model."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.utils import canonicalize_name

from headrace.contract.errors import InputError
from headrace.images import credentials, indexes, logged_environment, uv_lock
from headrace.images.model import fetch
from headrace.images.request import ModelInput
from headrace.images.requirements import Requirement, Requirements, parse
from headrace.images.resolver import WITH_PKG_RESOURCES
from headrace.images.uv_lock import UvLock


@dataclass(frozen=True, kw_only=True)
class ModelPackages:
    """What the resolver is told about one model."""

    wanted: Requirements
    first: tuple[str, ...]
    """Requirements that the others may move."""
    folder: Path
    """Has the model's files that requirements name, at their places."""
    variables: Mapping[str, str]
    hidden: tuple[str, ...]
    """What no log may hold."""
    locked: UvLock
    """What its uv.lock says."""

    @property
    def lines(self) -> list[str]:
        """As uv reads a requirements file."""
        return self.wanted.lines

    @property
    def first_names(self) -> list[str]:
        """The packages of `first`, of any version."""
        return [_name(line) for line in self.first]

    @property
    def flags(self) -> list[str]:
        """Options that uv takes on its command line alone."""
        flags = [f"--allow-insecure-host={host}" for host in self.wanted.trusted_hosts]
        flags += [f"--config-settings-package={setting}" for setting in self.wanted.settings]
        return [*flags, "--prerelease=allow"] if self.wanted.prereleases else flags

    def beside(self, installed: Mapping[str, str]) -> "ModelPackages":
        """Those of an environment that has other packages already, of these versions, which stay."""
        here = [
            Requirement(text=f"{name}=={version}", place="conda.yaml", name=name)
            for name, version in sorted(installed.items())
        ]
        wanted = replace(self.wanted, constraints=[*self.wanted.constraints, *here])
        return replace(self, wanted=wanted, first=())

    def annotated(self, lock: str) -> str:
        """The lock with what else decides about the packages that it makes: how they are built, and the digest of every
        folder that it names, which has no hash."""
        folders = sorted({one.path for one in self.wanted.packages if one.path and (self.folder / one.path).is_dir()})
        told = [*self.wanted.formats, *(f"--config-settings {setting}" for setting in self.wanted.settings)]
        told += [f"{folder} sha256:{_digest(self.folder / folder)}" for folder in folders]
        return lock + "".join(f"# {line}\n" for line in told)


def depends_on_files(model: ModelInput) -> bool:
    """Whether packages are found with files of the model; raises InputError for lines that cannot be followed."""
    requirements, constraints, _ = _hidden(model)
    wanted = parse(requirements, constraints, lambda _: "")
    return model.is_locked or bool(wanted.files or wanted.paths)


def gathered(model: ModelInput, scratch: Path, *, log: Path) -> ModelPackages:
    """The model's packages, with the files that they take copied below `scratch`.

    Raises InputError for lines that cannot be followed here, TemporaryError when the model's files cannot be had.
    """
    folder = scratch / "files"
    folder.mkdir(exist_ok=True)
    requirements, constraints, values = _hidden(model)
    lines = (*requirements, *constraints)
    values = {**_logged_credentials(model, lines, scratch, log=log), **values}

    def read(name: str) -> str | None:
        fetch(model, [name], folder, log=log)
        if not (folder / name).is_file():
            return None
        text = (folder / name).read_text("utf-8", errors="replace")
        prefix = re.sub(r"[^A-Z0-9]", "_", name.upper())
        hidden, more = credentials.hide(text.splitlines(), name=f"{prefix}_")
        values.update(more)
        return "\n".join(hidden)

    wanted = parse(requirements, constraints, read)
    if wanted.paths:
        fetch(model, wanted.paths, folder, log=log)
    faults = indexes.missing_variables(wanted, values)
    faults += [
        f"{one.place}: {one.text} names a file that the model does not have; log the model with it in code_paths"
        for one in wanted.packages
        if one.path and not (folder / one.path).exists()
    ]
    if faults:
        raise InputError("requirements", faults)
    wanted.find_links, gone = indexes.existing(wanted.find_links, folder, values)
    wanted.no_index = wanted.no_index or indexes.is_closed()
    variables = indexes.variables(wanted, values)
    with log.open("a", encoding="utf-8") as file:
        file.writelines(f"--find-links {place} does not exist here and is ignored, as pip does\n" for place in gone)
    settled = {one.name for one in wanted.packages if ("==" in one.text or "@" in one.text) and ";" not in one.text}
    first = [WITH_PKG_RESOURCES if line.strip() == "setuptools" else line for line in model.first]
    return ModelPackages(
        wanted=wanted,
        first=tuple(line for line in first if canonicalize_name(_name(line)) not in settled),
        folder=folder,
        variables=variables,
        hidden=credentials.secrets(wanted.texts, values, variables),
        locked=_locked(model, folder, log=log),
    )


def _locked(model: ModelInput, folder: Path, *, log: Path) -> UvLock:
    if not model.is_locked:
        return UvLock()
    fetch(model, [uv_lock.FILE], folder, log=log)
    return uv_lock.read((folder / uv_lock.FILE).read_text("utf-8", errors="replace"))


def _hidden(model: ModelInput) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, str]]:
    """Requirements and constraints with variables for the passwords that they still hold, and those."""
    lines, values = credentials.hide([*model.requirements, *model.constraints])
    count = len(model.requirements)
    return lines[:count], lines[count:], values


def _logged_credentials(model: ModelInput, lines: tuple[str, ...], scratch: Path, *, log: Path) -> dict[str, str]:
    """The passwords that placeholders in the lines stand for; they are in the model's own files."""
    if not any(credentials.PLACEHOLDER.search(line) for line in lines):
        return {}
    folder = scratch / "logged"
    fetch(model, logged_environment.FILES, folder, log=log)
    texts = {name: (folder / name).read_text("utf-8") for name in logged_environment.FILES if (folder / name).is_file()}
    return logged_environment.credentials_in(texts)


def _name(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0]


def _digest(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
            found.update(path.read_bytes())
    return found.hexdigest()
