"""What a request for an image says: which image, of which model, on which base, delivered where."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Annotated, Any, Final

from headrace.contract.codec import read
from headrace.contract.declaration import Text
from headrace.contract.errors import InputError
from headrace.images.architecture import Architecture

OPERATING_SYSTEM: Final = "linux"
"""What every image here runs on."""

DEBIAN_RELEASES: Final[Mapping[str, str]] = {"3.11": "bookworm", "3.13": "trixie"}
"""Debian's stable release with each minor version of Python that a base made from packages can hold."""

LOWEST_PYTHON: Final = (3, 11)
"""Of a base: the front runs on the base's interpreter, and is written for this version and later ones."""
LOWEST_MODEL_PYTHON: Final = (3, 8)
"""Of a model: the worker is written for this version and later ones."""


DebianPackage = Annotated[
    str, Text(pattern=r"[a-z0-9][a-z0-9.+-]+", meaning="the name of a Debian package such as 'libsndfile1'")
]


CondaChannel = Annotated[
    str,
    Text(
        pattern=r"(?:https?|file)://(?:[^@\s/]+/|/)[^@\s]*",
        meaning="the address of a conda channel without a password, such as https://conda.example.com/conda-forge",
    ),
]


class ImageKind(StrEnum):
    """What an image is for."""

    MODEL = "model"
    CONTROL = "control"
    ENVOY = "envoy"
    PROMETHEUS = "prometheus"
    TABLES = "tables"
    CONSOLE = "console"
    COLLECTOR = "collector"


class DeliveryKind(StrEnum):
    """Where an image is put."""

    CONTAINERD = "containerd"
    REGISTRY = "registry"
    KIND = "kind"


class BaseKind(StrEnum):
    """Where the operating system and the interpreter come from."""

    DEBIAN = "debian"
    REGISTRY = "registry"


_NEEDED: Final = {DeliveryKind.CONTAINERD: "address", DeliveryKind.REGISTRY: "repository", DeliveryKind.KIND: "cluster"}


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """Where the finished image goes."""

    kind: DeliveryKind
    address: str = ""
    """containerd: path of its socket on this machine."""
    ctr: str = ""
    """containerd: path of the `ctr` program; empty finds it on PATH."""
    repository: str = ""
    """registry: host and path under which images are pushed, for example `registry.example.com/team`."""
    cluster: str = ""
    """kind: name of the cluster."""
    plain_http: bool = False
    """registry: speak HTTP instead of HTTPS, for a registry on this machine."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Delivery":
        """Reads `{"kind": …, …}`; raises InputError naming every fault."""
        found, faults = read(cls, {**value})
        told = [str(fault) for fault in faults]
        if found is not None and not getattr(found, _NEEDED[found.kind]):
            told.append(f"{_NEEDED[found.kind]} is missing; kind = '{found.kind}' needs it")
        if found is None or told:
            raise InputError("delivery", told)
        return found


@dataclass(frozen=True, kw_only=True)
class Base:
    """What lies under every layer of ours."""

    kind: BaseKind = BaseKind.DEBIAN
    """debian: made here with mmdebstrap, on Linux; registry: copied with skopeo, anywhere."""
    reference: str = ""
    """registry: what is copied, for example a `python:3.11-slim`; pin it by digest to make builds repeatable."""
    python: Annotated[str, Text(pattern=r"3\.[0-9]{1,2}", meaning="a minor version such as '3.11'")] = "3.11"
    """Minor version of the interpreter it holds, which the front runs on, and models that were logged with it. debian:
    one of DEBIAN_RELEASES."""
    revision: str = ""
    """Any text, for example a date. A base is made once and kept; another text makes it again, with the packages that
    the mirrors have by then, and every image on it follows, without its model's author."""
    packages: tuple[DebianPackage, ...] = ()
    """debian: packages of that release besides, with all that they need, for example `libsndfile1` for librosa."""
    build_packages: tuple[DebianPackage, ...] = ()
    """debian: packages that are there while Python packages without a wheel are built, for example `libpq-dev`; they
    are in no image."""
    conda_channels: tuple[CondaChannel, ...] = ()
    """Channels from which models get what their conda.yaml asks of conda, the first before the others. Empty: PyPI's
    packages stand in for conda's."""
    python_path: str = ""
    """registry: the interpreter, default `/usr/local/bin/python<minor>` as in the official Python images."""
    architecture: Architecture = Architecture.AMD64
    """Which of an image's architectures this is the base of; no input: each of a request's has its base."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Base":
        """Reads `{"kind": …, …}`, `{}` gives the default; raises InputError naming every fault."""
        found, faults = read(cls, {**value}, known={"architecture": Architecture.AMD64})
        told = [str(fault) for fault in faults]
        if found is not None and found.kind is BaseKind.REGISTRY and not found.reference:
            told.append("reference is missing; kind = 'registry' needs the image to copy")
        for name in ("packages", "build_packages"):
            if found is not None and found.kind is BaseKind.REGISTRY and (given := getattr(found, name)):
                told.append(
                    f"{name} = {list(given)}, but only bases made from Debian packages get more of them; "
                    "name an image that has them, and put wheels of what is compiled on an index"
                )
        if found is not None and not faults:
            given = f"python = {found.python!r}"
            if minor_version(found.python) < LOWEST_PYTHON:
                told.append(f"{given}, must be 3.11 or later, which the server in front of the model needs")
            elif found.kind is BaseKind.DEBIAN and found.python not in DEBIAN_RELEASES:
                told.append(
                    f"{given}, but bases made from Debian packages hold {' or '.join(DEBIAN_RELEASES)}; "
                    f"name a base of kind 'registry' that holds it, for example a python:{found.python}-slim"
                )
        if found is None or told:
            raise InputError("base", told)
        return found

    @classmethod
    def for_model(cls, value: Mapping[str, Any], python: str) -> "Base":
        """As `from_json`; where `value` leaves the interpreter open, the Debian release with the one that the model
        was logged with, if there is one."""
        base = cls.from_json(value)
        minor = ".".join(python.split(".")[:2])
        is_open = base.kind is BaseKind.DEBIAN and not value.get("python")
        return replace(base, python=minor) if is_open and minor in DEBIAN_RELEASES else base


@dataclass(frozen=True, kw_only=True)
class ModelInput:
    """The model that goes into a model image, already resolved: nothing here moves under one name."""

    source: str
    """What `mlflow.artifacts.download_artifacts` takes: an artifact URI, or a directory on this machine."""
    tracking_uri: str = ""
    """Tracking server that can hand out `source`; empty when none is needed."""
    identity: str
    """Digest over the MLmodel file and the list of files with their sizes; the builder refuses a download that
    differs."""
    python: str
    """Version the model was logged with, for example 3.11.7."""
    requirements: tuple[str, ...]
    """Lines of the model's requirements file (or of the pip section of its conda.yaml), without passwords."""
    constraints: tuple[str, ...] = ()
    """Lines of its constraints file."""
    first: tuple[str, ...] = ()
    """Requirements that MLflow installs before those: where those want other versions, they get them."""
    conda: tuple[str, ...] = ()
    """What its conda.yaml asks of conda itself. Where the base names channels, these are installed from them, and
    `first` is not."""
    is_locked: bool = False
    """Whether it has a uv.lock, whose versions and hashes count."""
    streamed_bytes: int = 0
    """Files of at least so many bytes are weights: the image lists them, and pods copy them from `source`, which is
    remote. 0: all files are in the image."""


@dataclass(frozen=True, kw_only=True)
class ImageRequest:
    """One image to build and deliver."""

    kind: ImageKind
    name: str
    """Path of the image under its repository, for example `models/fraud`."""
    delivery: Delivery
    base: Base = field(default_factory=Base)
    model: ModelInput | None = None
    """Set exactly when kind is `model`."""
    architectures: tuple[Architecture, ...] = (Architecture.AMD64,)
    """What the image must run on, or may where `is_each_needed` is not set; two or more share one digest."""
    is_each_needed: bool = True
    """Whether an architecture for which the image cannot be made is a fault, as long as there is another."""

    def of(self, architecture: Architecture) -> "ImageRequest":
        """The request for the image of one architecture."""
        base = replace(self.base, architecture=architecture)
        return replace(self, base=base, architectures=(architecture,), is_each_needed=True)


def minor_version(python: str) -> tuple[int, int]:
    """(3, 11) of "3.11" or "3.11.7"; what is missing counts as 0."""
    major, minor = [*map(int, re.findall(r"\d+", python)[:2]), 0, 0][:2]
    return major, minor
