"""CondaEnvironment: the interpreter and packages that a conda.yaml asks of conda, from the channels that are named.

Where none is named, PyPI's packages stand in for conda's (conda.py). The libraries that pixi is made of solve and
install: no conda runs, no script of a package does, and files are written for the path that they have in the image.
"""

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packaging.utils import canonicalize_name

from headrace.contract import names
from headrace.contract.errors import PermanentError, TemporaryError
from headrace.images.architecture import Architecture
from headrace.images.request import Base, ModelInput, minor_version
from headrace.images.store import Store, key_of

_RECIPE: Final = 1
_LIST: Final = "packages.json"
"""Beside the prefix: `[[name, version, url, sha256], …]`."""
_OURS: Final = frozenset(("pip", "python", "setuptools", "wheel"))
"""What MLflow writes into every conda.yaml: they are no reason for an environment of conda's."""
_LOCKED: Final = "# conda: "
_SUBDIRS: Final = {Architecture.AMD64: "linux-64", Architecture.ARM64: "linux-aarch64"}
_SYSTEM: Final = (("__unix", "0"), ("__linux", "6.1"), ("__glibc", "2.28"))
"""What a pod has for sure, as conda names it; 2.28 is what bases must have."""
_AWAY: Final = re.compile(
    r"error sending request|dns error|connection (?:refused|reset)|timed? ?out|status (?:server|code) ?:?.?5\d\d",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class CondaEnvironment:
    """An installed one."""

    prefix: Path
    """Directory on this machine; its files say that they are at names.MODEL_ENVIRONMENT."""
    packages: tuple[tuple[str, str, str, str], ...]
    """Name, version, address and SHA-256 of each, by name."""

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.prefix / "bin" / "python"

    @property
    def locked(self) -> str:
        """Lines for a lock, comments to pip."""
        return "".join(f"{_LOCKED}{url} sha256:{digest}\n" for _, _, url, digest in self.packages)

    @property
    def distributions(self) -> dict[str, str]:
        """Version of each Python package, by the name that pip has for it."""
        found: dict[str, str] = {}
        for metadata in self.prefix.glob("lib/python3.*/site-packages/*.dist-info/METADATA"):
            text = metadata.read_text("utf-8", errors="replace").partition("\n\n")[0]
            fields = dict(re.findall(r"^(Name|Version): *(\S+)", text, flags=re.MULTILINE))
            if len(fields) == 2:
                found[canonicalize_name(fields["Name"])] = fields["Version"]
        return found


def is_wanted(model: ModelInput, base: Base) -> bool:
    """Whether the model's conda.yaml asks conda for anything, and there is a channel to ask."""
    return bool(base.conda_channels) and any(_name(one) not in _OURS for one in model.conda)


def packages_in(lock: str) -> list[tuple[str, str]]:
    """Name and version of conda's packages in a lock."""
    found = re.findall(rf"^{_LOCKED}\S*/([^/\s]+?)-([^-/\s]+)-[^-/\s]+\.(?:conda|tar\.bz2) ", lock, flags=re.MULTILINE)
    return [(name, version) for name, version in found]


def installed(store: Store, model: ModelInput, base: Base, *, log: Path) -> CondaEnvironment:
    """The environment; solved and installed once on this machine for all models that ask for the same.

    Raises PermanentError where the channels have no such packages, TemporaryError where they do not answer.
    """
    specs = _specs(model)
    channels, subdir = [*base.conda_channels], _SUBDIRS[base.architecture]

    def make(target: Path) -> None:
        solved = _run(specs, channels, subdir, target, cache=store.root / "conda")
        with log.open("a", encoding="utf-8") as file:
            file.writelines(f"conda: {url}\n" for _, _, url, _ in solved)
        (target / _LIST).write_text(json.dumps(solved))

    made = store.directory(key_of("conda", _RECIPE, specs, channels, subdir), make)
    packages = tuple((str(a), str(b), str(c), str(d)) for a, b, c, d in json.loads((made / _LIST).read_text()))
    return CondaEnvironment(prefix=made / "prefix", packages=packages)


def _specs(model: ModelInput) -> list[str]:
    minor = ".".join(map(str, minor_version(model.python)))
    return [*model.conda, f"python {minor}.*"]


def _run(
    specs: Sequence[str], channels: Sequence[str], subdir: str, target: Path, *, cache: Path
) -> list[tuple[str, str, str, str]]:
    try:
        import rattler  # noqa: PLC0415 - 25 MB that deployers without such models need not have
    except ImportError as error:
        raise PermanentError(
            "The model's conda.yaml is installed from conda's channels, which needs the package py-rattler here; "
            "install it, or remove conda_channels to have PyPI's packages instead"
        ) from error

    async def made() -> list[Any]:
        platforms: Any = [subdir, "noarch"]
        system = [
            rattler.GenericVirtualPackage(rattler.PackageName(name), rattler.Version(version), rattler.BuildString("0"))
            for name, version in _SYSTEM
        ]
        gateway = rattler.Gateway(cache_dir=cache / "repodata", show_progress=False)
        records = await rattler.solve(channels, specs, gateway=gateway, platforms=platforms, virtual_packages=system)
        await rattler.install(
            records,
            target / "prefix",
            cache_dir=cache / "packages",
            platform=rattler.Subdir(subdir),
            execute_link_scripts=False,
            show_progress=False,
            alternative_target_prefix=names.MODEL_ENVIRONMENT,
        )
        return records

    try:
        records = asyncio.run(made())
    except Exception as error:  # the library's errors have no class in common
        said = " ".join(str(error).split())
        where = ", ".join(channels)
        message = (
            f"conda's packages {', '.join(specs)} cannot be had for {subdir} from {where}; the solver says: {said}"
        )
        if _AWAY.search(said):
            raise TemporaryError(message) from error
        remedy = "name a channel that has them in conda_channels, or log the model with PyPI's packages"
        raise PermanentError(f"{message}; {remedy}") from error
    found = [(one.name.normalized, str(one.version), one.url, (one.sha256 or b"").hex()) for one in records]
    return sorted(found)


def _name(dependency: str) -> str:
    """Of `conda-forge::numpy=1.26`, numpy."""
    return re.split(r"[^a-z0-9_.-]", dependency.rpartition("::")[2].strip().lower(), maxsplit=1)[0]
