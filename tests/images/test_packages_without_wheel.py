"""Packages that must be compiled: in a Debian of the base's release, which leaves nothing of itself in the image."""

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from headrace.contract.errors import PermanentError, TemporaryError
from headrace.images import base as base_module
from headrace.images import debian_base, environment, packages_without_wheel
from headrace.images.request import Base, ModelInput
from headrace.images.store import Blob, Store, cache_directory

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="a root of its own to run what was built in needs to be root")
SITE = "opt/model/env/lib/python3.11/site-packages"
BASE = Base(build_packages=("zlib1g-dev",))
SOURCE = """
#include <Python.h>
#include <HEADER>
static PyObject *version(PyObject *self, PyObject *none) { return PyUnicode_FromString(zlibVersion()); }
static PyMethodDef methods[] = {{"version", version, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "fastzip", "", -1, methods};
PyMODINIT_FUNC PyInit_fastzip(void) { return PyModule_Create(&module); }
"""
SETUP = """
from setuptools import Extension, setup
setup(name="fastzip", version="1.0", ext_modules=[Extension("fastzip", ["fastzip.c"], libraries=["z"])])
"""


def source_archive(folder: Path, *, header: str) -> ModelInput:
    """A model that requires a package in C, of which there is a source archive and nothing else."""
    folder.mkdir()
    files = {
        "PKG-INFO": "Metadata-Version: 2.1\nName: fastzip\nVersion: 1.0\n",
        "pyproject.toml": '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n',
        "setup.py": SETUP,
        "fastzip.c": SOURCE.replace("HEADER", header),
    }
    with tarfile.open(folder / "fastzip-1.0.tar.gz", "w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"fastzip-1.0/{name}")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    requirements = (f"--find-links {folder}", "fastzip==1.0")
    return ModelInput(source="", identity="i", python="3.11.7", requirements=requirements)


@pytest.fixture(scope="module")
def kept() -> Store:
    """The cache of this machine: a stage is made once."""
    return Store(cache_directory())


@pytest.fixture
def below(kept: Store, log: Path) -> Blob:
    """The layer that everything is built for."""
    try:
        return base_module.base_layers(kept, BASE, log=log).layers[0]
    except (PermanentError, TemporaryError) as error:
        pytest.skip(str(error))


def environment_of(store: Store, model: ModelInput, log: Path) -> Blob:
    lock = environment.lock(store, model, BASE, pins=(), log=log)
    return environment.environment_layer(store, lock, model, BASE, log=log)[0]


@pytest.mark.slow
@pytest.mark.timeout(900)
@as_root
def test_a_package_in_c_is_compiled_for_its_base_with_what_is_in_no_image(
    kept: Store, below: Blob, log: Path, tmp_path: Path
) -> None:
    made = environment_of(kept, source_archive(tmp_path / "sources", header="zlib.h"), log)

    root = tmp_path / "root"
    for blob in (below, made):
        with tarfile.open(kept.path(blob.digest)) as tar:
            tar.extraction_filter = debian_base.as_they_are()
            tar.extractall(root)
    command = ["chroot", str(root), "/opt/model/env/bin/python", "-c", "import fastzip; print(fastzip.version())"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.startswith("1.2.")
    (library,) = (root / SITE).glob("fastzip*.so")
    assert b".tmp" not in library.read_bytes(), "the name of a folder that another build will not have"
    installed = {name for _, name, _ in json.loads(below.fact("packages"))}
    assert "zlib1g" in installed
    assert not installed & {"gcc", "make", "zlib1g-dev"}


@pytest.mark.slow
@pytest.mark.timeout(900)
@as_root
def test_a_header_that_the_stage_lacks_is_named_with_what_to_do(
    kept: Store, below: Blob, log: Path, tmp_path: Path
) -> None:
    model = source_archive(tmp_path / "sources", header="yaml.h")

    with pytest.raises(PermanentError) as caught:
        environment_of(kept, model, log)

    said = str(caught.value)
    assert said.startswith("The package fastzip==1.0 has no wheel and cannot be built for want of yaml.h; name the")


@pytest.mark.slow
@pytest.mark.timeout(900)
@as_root
def test_a_library_that_the_image_would_lack_is_named_with_its_debian_package(
    *, kept: Store, below: Blob, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What programs look for at their start: a pod would fail by an ImportError."""
    monkeypatch.setattr(base_module, "has_library", lambda store, base, name, *, log: name != "libz.so.1")
    model = source_archive(tmp_path / "sources", header="zlib.h")

    with pytest.raises(PermanentError, match=r"fastzip\S*\.so needs libz\.so\.1; add zlib1g to packages\.debian"):
        environment.install(
            kept, environment.lock(kept, model, BASE, pins=(), log=log), model, BASE,
            into=tmp_path / "site", scratch=tmp_path, log=log,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Failed to build `a==1`\nfoo.c:3:10: fatal error: yaml.h: No such file or directory", "want of yaml.h"),
        ("Failed to build `a==1`\n/usr/bin/ld: cannot find -lpq: No such file or directory", "want of pq"),
        ("Failed to download and build `a==1`\nNo package 'cairo' found", "want of cairo"),
        ("Failed to build `a==1`\nNo such file or directory: 'cargo'", "want of cargo"),
        ("Failed to build `a==1`\nerror: the compiler gave up", "; name the Debian"),
    ],
)
def test_what_a_build_lacks_is_read_from_what_compilers_and_linkers_say(said: str, words: str) -> None:
    with (
        pytest.raises(PermanentError, match=rf"^The package a==1 has no wheel and cannot be built.*{words}") as caught,
        packages_without_wheel._told_what_lacks(),
    ):
        raise PermanentError(f"Packages cannot be installed; uv says:\n{said}")
    assert said in str(caught.value), "in the tool's own words, too"


def test_another_failure_is_told_as_it_is() -> None:
    with pytest.raises(PermanentError, match=r"^no solution$"), packages_without_wheel._told_what_lacks():
        raise PermanentError("no solution")


def test_libraries_are_read_from_what_readelf_writes_of_one_file_and_of_several() -> None:
    line = " 0x0001 (NEEDED)             Shared library: [{}]\n"
    several = f"\nFile: /s/a.so\n{line.format('libz.so.1')}\nFile: /s/b.so\n{line.format('libpq.so.5')}"

    assert [*packages_without_wheel._needs(line.format("libc.so.6"), "/s/a.so")] == [("/s/a.so", "libc.so.6")]
    assert [*packages_without_wheel._needs(several, "/s/a.so")] == [("/s/a.so", "libz.so.1"), ("/s/b.so", "libpq.so.5")]
