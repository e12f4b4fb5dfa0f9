"""UvLock: the lock file of a uv project, which MLflow 3 logs with the models of one beside their requirements.

MLflow writes every package of the lock into the requirements, without the hashes of their files. From the lock come the
hashes, and the versions that are preferred where somebody edited the requirements.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from packaging.utils import canonicalize_name

from headrace.contract.errors import InputError

FILE: Final = "uv.lock"
"""Where MLflow puts it in a model's directory."""


@dataclass(frozen=True, kw_only=True)
class UvLock:
    """What a model's uv.lock says; nothing where there is none."""

    hashes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """`sha256:…` of the files of each `name==version`."""

    @property
    def pins(self) -> tuple[str, ...]:
        """The `name==version` of the packages of which it has one version: others depend on where it is installed."""
        names = [pin.partition("==")[0] for pin in self.hashes]
        return tuple(pin for pin in self.hashes if names.count(pin.partition("==")[0]) == 1)


def read(text: str) -> UvLock:
    """The lock; raises InputError where it cannot be read."""
    try:
        packages = tomllib.loads(text).get("package", [])
        found = {
            f"{canonicalize_name(package['name'])}=={package['version']}": tuple(
                file["hash"] for file in (package.get("sdist"), *package.get("wheels", ())) if file and "hash" in file
            )
            for package in packages
            if "registry" in package.get("source", {}) and "version" in package
        }
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        fault = f"{FILE} cannot be read ({str(error).splitlines()[0]}); log the model again from its uv project"
        raise InputError("model", [fault]) from error
    return UvLock(hashes=found)
