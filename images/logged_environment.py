"""What a model's files say about its environment: the packages that MLflow would install, and in which order.

MLflow makes the environment of python_env.yaml with its build dependencies first, then requirements.txt; of conda.yaml
alone where an older MLflow logged it. conda itself installs what conda.yaml lists outside of its pip section.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml
from packaging.utils import canonicalize_name

from headrace.contract.errors import InputError
from headrace.images import conda, credentials

FILES: Final = ("requirements.txt", "constraints.txt", "python_env.yaml", "conda.yaml")
_BUILD_PACKAGES: Final = ("pip", "setuptools", "wheel")
"""What conda and virtualenv put into every environment."""


@dataclass(frozen=True, kw_only=True)
class LoggedEnvironment:
    """Packages of a model. No line holds a password."""

    requirements: tuple[str, ...] = ()
    """Lines of its requirements file, or of the pip section of its conda.yaml."""
    constraints: tuple[str, ...] = ()
    """Lines of its constraints file."""
    first: tuple[str, ...] = ()
    """What is installed before those: where they want other versions, they get them."""
    conda: tuple[str, ...] = ()
    """What conda.yaml asks of conda itself, as it is written there."""
    notes: tuple[str, ...] = ()
    """Sentences on what will not be as it was in training."""


def read(texts: Mapping[str, str]) -> LoggedEnvironment:
    """The environment that the texts of FILES describe; raises InputError where one asks for what cannot be had."""
    return _read(texts)[0]


def credentials_in(texts: Mapping[str, str]) -> dict[str, str]:
    """The variables that stand for passwords in the lines of `read`, with their values."""
    return _read(texts)[1]


def _read(texts: Mapping[str, str]) -> tuple[LoggedEnvironment, dict[str, str]]:
    virtualenv, conda_file = _mapping(texts, "python_env.yaml"), _mapping(texts, "conda.yaml")
    dependencies = conda_file.get("dependencies") or []
    in_pip = [line for part in dependencies if isinstance(part, dict) for line in part.get("pip") or []]
    own = [part for part in dependencies if isinstance(part, str)]
    translated = conda.translate(own, [str(channel) for channel in conda_file.get("channels") or []])
    if translated.faults:
        raise InputError("model", [credentials.redact(fault) for fault in translated.faults])
    first = [line for line in translated.requirements if _name(line) not in _BUILD_PACKAGES]
    build = [str(line) for line in virtualenv.get("build_dependencies") or []]
    if not virtualenv and conda_file:
        logged = {_name(line): line for line in translated.requirements}
        build = [logged.get(name, name) for name in _BUILD_PACKAGES]
    if "requirements.txt" in texts:
        lines = texts["requirements.txt"].removeprefix("\ufeff").splitlines()
        lines += _beside(virtualenv.get("dependencies") or [])
    else:
        lines = [str(line) for line in virtualenv.get("dependencies") or in_pip]
    constraints = texts.get("constraints.txt", "").splitlines()
    hidden, values = credentials.hide([*lines, *constraints])
    environment = LoggedEnvironment(
        requirements=hidden[: len(lines)],
        constraints=hidden[len(lines) :],
        first=(*build, *first),
        conda=tuple(credentials.redact(line) for line in own),
        notes=tuple(credentials.redact(note) for note in translated.notes),
    )
    return environment, values


def _beside(dependencies: list[Any]) -> list[str]:
    """Lines of python_env.yaml beside the one that names requirements.txt."""
    return [
        str(line) for line in dependencies if not re.fullmatch(r"(-r|--requirement)[ =]*requirements\.txt", str(line))
    ]


def _name(requirement: str) -> str:
    return canonicalize_name(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0])


def _mapping(texts: Mapping[str, str], file: str) -> dict[str, Any]:
    try:
        value = yaml.safe_load(texts.get(file, "") or "{}")
    except yaml.YAMLError as error:
        first = str(error).splitlines()[0]
        raise InputError("model", [f"{file} cannot be read as YAML ({first}); log the model again"]) from error
    return value if isinstance(value, dict) else {}
