"""EndpointPackages: what a model's image has, or is built with, that no wheel brings."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NotRequired, TypedDict

from headrace.contract.errors import InputError
from headrace.images.request import Base, BaseKind, CondaChannel, DebianPackage


class EndpointPackages(TypedDict):
    """System packages of one model's image, beside those of the platform's base."""

    debian: NotRequired[list[str]]
    """Debian packages that the model loads or runs, for example libsndfile1, which soundfile loads; with all that they
    need. Absent: those of the base."""
    build: NotRequired[list[str]]
    """Debian packages that Python packages without a wheel are compiled with, for example libpq-dev. They are in no
    image; compilers and Python's headers are there without being named."""
    conda_channels: NotRequired[list[str]]
    """Addresses of conda channels, such as a mirror of conda-forge, from which the packages come that the model's
    conda.yaml asks of conda. Absent: those of the base, and without any PyPI's packages stand in."""


@dataclass(frozen=True, kw_only=True)
class Packages:
    """EndpointPackages, checked."""

    debian: tuple[DebianPackage, ...] = ()
    build: tuple[DebianPackage, ...] = ()
    conda_channels: tuple[CondaChannel, ...] = ()


def on(base: Base, packages: Packages) -> Base:
    """The base with the packages; raises InputError for a base that gets no more of them."""
    if base.kind is BaseKind.REGISTRY and (faults := [*_faults(packages, base)]):
        raise InputError("packages", faults)
    return replace(
        base,
        packages=tuple(sorted({*base.packages, *packages.debian})),
        build_packages=tuple(sorted({*base.build_packages, *packages.build})),
        conda_channels=packages.conda_channels or base.conda_channels,
    )


def _faults(packages: Packages, base: Base) -> Iterator[str]:
    remedies: Mapping[str, str] = {
        "debian": "name an image that has them",
        "build": "put wheels of what is compiled with them on an index",
    }
    for name, remedy in remedies.items():
        if given := getattr(packages, name):
            yield f"{name} = {list(given)}, but the image {base.reference} that is the base gets no more; {remedy}"
