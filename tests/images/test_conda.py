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
        ("brotli-python=1.1.0=py311h_1", "brotli==1.1.0"),
        ("python-tzdata=2024.1", "tzdata==2024.1.*"),
        ("pyarrow-core=16.1", "pyarrow==16.1.*"),
        ("attrs=23.2", "attrs==23.2.*"),
        ("geopandas=0.14", "geopandas==0.14.*"),
        ("pyproj=3.6", "pyproj==3.6.*"),
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


def test_an_export_of_a_whole_environment_asks_pypi_for_its_python_packages_alone() -> None:
    """PyPI has other packages under some of the names, as attr and krb5, and none under most."""
    libraries = [
        "_openmp_mutex=4.5=2_gnu", "alsa-lib=1.2.11=hd590300_1", "attr=2.5.1=h166bdaf_1",
        "aws-c-auth=0.7.16=h79b3bcb_6", "aws-crt-cpp=0.26.2=ha623a59_3", "c-ares=1.27.0=hd590300_0",
        "dbus=1.13.6=h5008d03_3", "font-ttf-ubuntu=0.83=h77eed37_1", "fontconfig=2.14.2=h14ed4e7_0",
        "fonts-conda-forge=1=0", "geos=3.12.1=h59595ed_0", "gflags=2.2.2=he1b5a44_1004", "glog=0.7.0=hed5481d_0",
        "gmp=6.3.0=h59595ed_1", "keyutils=1.6.1=h166bdaf_0", "krb5=1.21.2=h659d440_0",
        "ld_impl_linux-aarch64=2.40=h2d8c526_0", "mysql-libs=8.3.0=hca2cd23_4", "orc=2.0.0=h1e5e2c1_0",
        "pcre2=10.43=hcad00b1_0", "proj=9.3.1=h1d62c97_0", "qt-main=5.15.8=h112747c_20", "rdma-core=50.0=hd3aeb46_1",
        "re2=2023.09.01=h7f4b329_2", "s2n=1.4.7=h3e2e5c2_0", "sleef=3.5.1=h9b69904_2", "ucx=1.15.0=h11edf95_7",
        "xcb-util-image=0.4.0=h8ee46fc_1", "zeromq=4.3.5",
    ]  # fmt: skip
    of_python = ["python=3.11.8=hab00c5b_0_cpython", "python_abi=3.11=4_cp311", "dataclasses=0.8=pyhc8e2a94_3"]

    found = translate([*libraries, *of_python, "numpy=1.26.4=py311h64a7726_0"], ["conda-forge"])

    assert (found.requirements, found.faults) == (("numpy==1.26.4",), ())
    assert found.notes[1] == f"not installed, since wheels carry the libraries that they need: {', '.join(libraries)}"


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
