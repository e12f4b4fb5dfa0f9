"""Words between a component that wants an image and the program that builds it.

The component (in the deployer's Pulumi process) starts `python -m headrace.runtimes.images COMMAND`, writes one
request as JSON to its standard input and reads one answer, or one BuildFailure, as JSON from its standard output.

| command | request | answer |
|---|---|---|
| build | ImageRequest | ImageResult; progress as JSON lines on standard error: step, of, what, elapsed_seconds |
| describe | ImageRequest | ImageDescription; nothing is made or reached |
| resolve | ImageRequest | `{"pins": [...]}`, what the model's requirements resolve to |
| present | `{"image": ..., "delivery": {...}}` | `{"present": true}`, false, or null when nobody answers |
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from headrace.contract.errors import InputError, PermanentError, TemporaryError

BUILDER_MODULE: Final = "headrace.runtimes.images"
"""Run with `python -m`; components may not import it."""

LOCAL_REPOSITORY: Final = "headrace.local"
"""First part of the names of images that live in a node's containerd only; no registry answers to it, so that a node
that lacks an image fails at once instead of asking a stranger for it."""

PLATFORM: Final = "linux/amd64"
"""What every image here runs on."""


DEBIAN_RELEASES: Final[Mapping[str, str]] = {"3.11": "bookworm", "3.13": "trixie"}
"""Debian's stable release with each minor version of Python that a base made from packages can hold."""

LOWEST_PYTHON: Final = (3, 11)
"""Of a base: the front runs on the base's interpreter too, and is written for this version and later ones."""


class ImageKind(StrEnum):
    """What an image is for."""

    MODEL = "model"
    CONTROL = "control"
    ENVOY = "envoy"
    PROMETHEUS = "prometheus"


class DeliveryKind(StrEnum):
    """Where an image is put."""

    CONTAINERD = "containerd"
    REGISTRY = "registry"
    KIND = "kind"


class BaseKind(StrEnum):
    """Where the operating system and the interpreter come from."""

    DEBIAN = "debian"
    REGISTRY = "registry"


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
        kinds = ", ".join(kind.value for kind in DeliveryKind)
        allowed = {"kind", "address", "ctr", "repository", "cluster", "plain_http"}
        faults = [
            f"{key!r} is not a setting; they are {', '.join(sorted(allowed))}" for key in sorted({*value} - allowed)
        ]
        kind = str(value.get("kind", ""))
        if kind not in set(DeliveryKind):
            faults.append(f"kind = {kind!r}, must be one of {kinds}")
        required = {"containerd": "address", "registry": "repository", "kind": "cluster"}.get(kind)
        if required is not None and not value.get(required):
            faults.append(f"{required} is missing; kind = {kind!r} needs it")
        if faults:
            raise InputError("delivery", faults)
        texts = {key: str(value.get(key) or "") for key in ("address", "ctr", "repository", "cluster")}
        return cls(kind=DeliveryKind(kind), plain_http=bool(value.get("plain_http", False)), **texts)


@dataclass(frozen=True, kw_only=True)
class Base:
    """What lies under every layer of ours."""

    kind: BaseKind = BaseKind.DEBIAN
    """debian: made here with mmdebstrap, on Linux; registry: copied with skopeo, anywhere."""
    reference: str = ""
    """registry: what is copied, for example a `python:3.11-slim`; pin it by digest to make builds repeatable."""
    python: str = "3.11"
    """Minor version of the interpreter it holds; the only one whose models it can run. debian: one of
    DEBIAN_RELEASES."""
    revision: str = ""
    """Any text, for example a date. A base is made once and kept; another text makes it again, with the packages that
    the mirrors have by then, and every image on it follows, without its model's author."""
    python_path: str = ""
    """registry: the interpreter, default `/usr/local/bin/python<minor>` as in the official Python images."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Base":
        """Reads `{"kind": …, …}`, `{}` gives the default; raises InputError naming every fault."""
        allowed = {"kind", "reference", "python", "python_path", "revision"}
        faults = [
            f"{key!r} is not a setting; they are {', '.join(sorted(allowed))}" for key in sorted({*value} - allowed)
        ]
        kind = str(value.get("kind", BaseKind.DEBIAN))
        python = str(value.get("python", "3.11"))
        if kind not in set(BaseKind):
            faults.append(f"kind = {kind!r}, must be one of {', '.join(base.value for base in BaseKind)}")
        if kind == BaseKind.REGISTRY and not value.get("reference"):
            faults.append("reference is missing; kind = 'registry' needs the image to copy")
        if not re.fullmatch(r"3\.\d{1,2}", python):
            faults.append(f"python = {python!r}, must be a minor version such as '3.11'")
        elif minor_version(python) < LOWEST_PYTHON:
            faults.append(f"python = {python!r}, must be 3.11 or later, which the server in front of the model needs")
        elif kind == BaseKind.DEBIAN and python not in DEBIAN_RELEASES:
            faults.append(
                f"python = {python!r}, but bases made from Debian packages hold {' or '.join(DEBIAN_RELEASES)}; "
                f"name a base of kind 'registry' that holds it, for example a python:{python}-slim"
            )
        if faults:
            raise InputError("base", faults)
        return cls(
            kind=BaseKind(kind),
            reference=str(value.get("reference") or ""),
            python=python,
            python_path=str(value.get("python_path") or ""),
            revision=str(value.get("revision") or ""),
        )

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
    """Version the model was logged with, for example 3.11.7; its minor version must be the base's."""
    requirements: tuple[str, ...]
    """Lines of the model's requirements file (or of the pip section of its conda.yaml)."""
    constraints: tuple[str, ...] = ()
    """Lines of its constraints file."""


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
    pins: tuple[str, ...] = ()
    """What an earlier build of the same requirements resolved to (`name==version`); preferred wherever it still fits,
    so that another machine, or a later day, makes the same environment."""

    def to_json(self) -> dict[str, Any]:
        """Plain data, as the builder reads it."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ImageRequest":
        """Reads what `to_json` wrote."""
        model = value.get("model")
        return cls(
            kind=ImageKind(value["kind"]),
            name=value["name"],
            delivery=Delivery.from_json(value["delivery"]),
            base=Base.from_json(value.get("base") or {}),
            model=None
            if model is None
            else ModelInput(
                **{
                    **model,
                    "requirements": tuple(model["requirements"]),
                    "constraints": tuple(model.get("constraints", ())),
                }
            ),
            pins=tuple(value.get("pins", ())),
        )


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer of a finished image."""

    name: str
    """base, front, environment, code, sbom, model, control, envoy or prometheus."""
    digest: str
    size: int
    """Bytes of the blob."""
    created: bool
    """False where an earlier build had made it."""
    delivered: bool = True
    """False where the destination held it already."""


@dataclass(frozen=True, kw_only=True)
class ImageResult:
    """A finished and delivered image."""

    image: str
    """Reference pinned by digest: what a pod names."""
    digest: str
    layers: tuple[Layer, ...]
    log: str
    """Path of the build log."""
    pins: tuple[str, ...] = ()
    """What the model's requirements resolved to (`name==version`)."""

    def to_json(self) -> dict[str, Any]:
        """Plain data, as the component reads it."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ImageResult":
        """Reads what `to_json` wrote."""
        layers = tuple(Layer(**layer) for layer in value["layers"])
        return cls(**{**value, "layers": layers, "pins": tuple(value.get("pins", ()))})


@dataclass(frozen=True, kw_only=True)
class ImageDescription:
    """What an image would be made of, known without building it."""

    platform_digest: str
    """Changes with the base's recipe, the front's lock and our code: with everything in the image that is not the
    model."""
    environment_digest: str = ""
    """Model images: changes with the requirements, the Python version and the platform."""


@dataclass(frozen=True, kw_only=True)
class BuildFailure:
    """Why there is no image."""

    message: str
    """One sentence, fit to show to a user."""
    temporary: bool
    """True when the same request may succeed later."""
    log: str = ""
    """Path of the build log; empty when the build did not get that far."""

    def error(self, *, tail: str = "") -> PermanentError | TemporaryError:
        """The exception a caller raises; `tail` is the end of the log."""
        text = self.message
        if self.log:
            text += f"\nBuild log: {self.log}"
        if tail:
            text += "\n" + tail
        return TemporaryError(text) if self.temporary else PermanentError(text)


def minor_version(python: str) -> tuple[int, int]:
    """(3, 11) of "3.11" or "3.11.7"; what is missing counts as 0."""
    major, minor = [*map(int, re.findall(r"\d+", python)[:2]), 0, 0][:2]
    return major, minor


def local_directory(source: str) -> Path | None:
    """The directory that a model's source names on this machine (a path or a file: URI); None for a remote source."""
    if source.startswith("file:"):
        return Path(unquote(urlsplit(source).path))
    return Path(source) if "://" not in source and not re.match(r"[a-z][a-z0-9+.-]+:/", source) else None


def model_identity(files: Iterable[tuple[str, int, str]]) -> str:
    """Digest over a model's files, each `(path, size in bytes, digest or "")`.

    Digests are given for every file of a local directory, which may be edited in place, and for the MLmodel file, which
    names the logged model; a listing of a remote store has sizes only.
    """
    return hashlib.sha256(json.dumps(sorted(files), separators=(",", ":")).encode()).hexdigest()


def directory_listing(directory: Path, *, hashed: bool) -> list[tuple[str, int, str]]:
    """The files below `directory` as `model_identity` takes them; without `hashed` only MLmodel has a digest."""
    listing = []
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            name = path.relative_to(directory).as_posix()
            digest = ""
            if hashed or name == "MLmodel":
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
            listing.append((name, path.stat().st_size, digest))
    return listing
