"""Debian packages of one model's image: over the platform's base, or refused by their names."""

from typing import Any

import pytest

from headrace.components.endpoint import endpoint_packages
from headrace.components.endpoint.endpoint_inputs import read_inputs
from headrace.components.endpoint.endpoint_packages import Packages
from headrace.contract.errors import InputError
from headrace.images import base as base_module
from headrace.images.request import Base, BaseKind


def faults(packages: Any) -> str:
    return " | ".join(read_inputs({"platform": {}, "model_uri": "models:/fraud/7", "packages": packages})[1])


def test_a_models_packages_are_those_of_the_base_and_its_own() -> None:
    base = Base(packages=("libgl1",), build_packages=("libpq-dev",))

    made = endpoint_packages.on(base, Packages(debian=("libsndfile1", "libgl1"), build=("libyaml-dev",)))

    assert made == Base(packages=("libgl1", "libsndfile1"), build_packages=("libpq-dev", "libyaml-dev"))


def test_what_packages_are_built_with_makes_no_other_base() -> None:
    """Another base would be another 165 MB on every node, for what no image holds."""
    built = endpoint_packages.on(Base(), Packages(build=("libpq-dev",)))

    assert base_module.describe(built) == base_module.describe(Base())
    assert base_module.describe(endpoint_packages.on(Base(), Packages(debian=("libgl1",)))) != base_module.describe(
        Base()
    )


def test_an_image_from_a_registry_gets_no_packages_and_both_are_named() -> None:
    base = Base(kind=BaseKind.REGISTRY, reference="python:3.11-slim")

    with pytest.raises(InputError) as caught:
        endpoint_packages.on(base, Packages(debian=("libgl1",), build=("libpq-dev",)))

    assert "debian = ['libgl1'], but the image python:3.11-slim that is the base gets no more" in str(caught.value)
    assert "build = ['libpq-dev']" in str(caught.value)
    assert endpoint_packages.on(base, Packages()) == base


def test_a_name_that_would_be_an_option_of_the_installer_is_refused() -> None:
    said = faults({"debian": ["--variant=x"], "build": ["Lib"], "apt": []})

    assert "packages.debian[0] = '--variant=x', must be the name of a Debian package" in said
    assert "packages.build[0] = 'Lib'" in said
    assert "packages.apt" in said
