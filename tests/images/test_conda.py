"""conda's own packages as PyPI's: the pin survives, and what does not is said."""

import pytest

from headrace.images.conda import translate


@pytest.mark.parametrize(
    ("dependency", "requirement"),
    [
        ("scikit-learn=1.5.2", "scikit-learn==1.5.2.*"),
        ("scikit-learn==1.5.2", "scikit-learn==1.5.2"),
        ("numpy=1.26.4=py311h64a7726_0", "numpy==1.26.4"),
        ("numpy 1.26.4 py311h64a7726_0", "numpy==1.26.4"),
        ("numpy 1.26.4", "numpy==1.26.4"),
        ("numpy 1.26.*", "numpy==1.26.*"),
        ("numpy=1.26*", "numpy==1.26.*"),
        ("numpy=1.26=*", "numpy==1.26.*"),
        ("numpy >=1.2, <2", "numpy>=1.2,<2"),
        ("numpy>=1.2.*", "numpy>=1.2"),
        ("numpy!=1.25", "numpy!=1.25"),
        ("numpy[version='>=1.2,<2']", "numpy>=1.2,<2"),
        ("numpy[version=1.26.4, build=py311_0]", "numpy==1.26.4"),
        ("conda-forge::numpy=1.0rc1", "numpy==1.0rc1"),
        ("numpy=*", "numpy"),
        ("numpy", "numpy"),
        ("PyTorch=2.1", "torch==2.1.*"),
        ("py-xgboost-cpu=2.0", "xgboost==2.0.*"),
        ("typing_extensions=4", "typing-extensions==4.*"),
        ("librosa=0.10", "librosa==0.10.*"),
    ],
)
def test_a_pin_of_conda_is_a_pin_of_pip_and_said(dependency: str, requirement: str) -> None:
    found = translate([dependency], ["defaults"])

    assert (found.requirements, found.faults) == ((requirement,), ())
    assert found.notes == (f"conda's own packages are installed from PyPI: {dependency} as {requirement}",)


@pytest.mark.parametrize(
    "name",
    ["mkl=2023.1", "cudatoolkit=11.8", "libgcc-ng>=11", "_libgcc_mutex=0.1=main", "pytorch-cuda=12.1", "openssl"],
)
def test_a_library_that_wheels_carry_is_said_to_be_left_out(name: str) -> None:
    found = translate([name], [])

    assert found.requirements == ()
    assert found.notes == (f"not installed, since wheels carry the libraries that they need: {name}",)


@pytest.mark.parametrize("name", ["r-base=4.3", "openjdk", "ffmpeg=6", "graphviz", "gcc_linux-64"])
def test_a_program_that_pypi_lacks_is_said_with_the_way_to_have_it(name: str) -> None:
    (note,) = translate([name], []).notes

    assert note.startswith(f"not installed, since PyPI does not have it: {name}; ")
    assert "name a base of kind 'registry'" in note


def test_python_is_the_bases_and_build_packages_are_no_news() -> None:
    found = translate(["python=3.11.7", "pip<=23.2", "setuptools=65.5"], [])

    assert found.requirements == ("pip<=23.2", "setuptools==65.5.*")
    assert found.notes == ()


def test_a_channel_of_ones_own_is_named_since_pypi_may_have_another_package_of_the_name() -> None:
    (note,) = translate(["numpy=1.26", "mycorp::scorer=1"], ["conda-forge", "https://conda.corp/main"]).notes

    assert "PyPI, also where the channel https://conda.corp/main or mycorp has other ones: numpy" in note


@pytest.mark.parametrize(
    ("dependency", "words"),
    [("numpy=1.25|1.26", r"names versions with |, which pip cannot say"), ("numpy=a b c d", "pip cannot read")],
)
def test_what_pip_cannot_say_is_refused_by_its_name(dependency: str, words: str) -> None:
    (fault,) = translate([dependency], []).faults

    assert fault.startswith(f"conda.yaml's {dependency!r} ")
    assert words in fault
