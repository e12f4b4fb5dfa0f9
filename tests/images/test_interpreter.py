"""The Python of a model's worker: the base's own, or the one that it was logged with, in a layer of its own."""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import python_mirror

from headrace.contract import names
from headrace.contract.errors import PermanentError, TemporaryError
from headrace.images import interpreter as interpreter_module
from headrace.images.architecture import Architecture
from headrace.images.interpreter import Interpreter, interpreter, interpreter_layer
from headrace.images.request import Base, ModelInput
from headrace.images.store import Blob, Store

OLDER = [version for version in python_mirror.at_hand() if not version.startswith("3.11.")]


def model(python: str, *requirements: str) -> ModelInput:
    return ModelInput(source="s", identity="i", python=python, requirements=requirements)


def unpacked(store: Store, blob: Blob, target: Path) -> Path:
    with tarfile.open(store.path(blob.digest)) as tar:
        tar.extractall(target, filter="fully_trusted")
    return target / names.MODEL_PYTHON.lstrip("/")


@pytest.fixture
def mirrored(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """One interpreter at hand, on a mirror that uv is led to."""
    version: str = request.param
    for name, value in python_mirror.make(tmp_path / "mirror", version).items():
        monkeypatch.setenv(name, value)
    return version


def test_a_model_of_the_bases_python_needs_no_other(store: Store, log: Path) -> None:
    wanted = interpreter(model("3.11.7"), Base())

    assert wanted == Interpreter(minor="3.11", version="3.11", path="/usr/bin/python3.11", is_of_base=True)
    assert interpreter_layer(store, wanted, log=log) is None


def test_a_model_of_another_python_has_its_own_and_the_front_keeps_the_bases() -> None:
    wanted = interpreter(model("3.9.18"), Base())

    assert (wanted.path, wanted.version, wanted.is_of_base) == ("/opt/model/python/bin/python3.9", "3.9.18", False)


@pytest.mark.parametrize("python", ["2.7.18", "3.7.16"])
def test_a_python_that_workers_are_not_written_for_is_refused(python: str) -> None:
    with pytest.raises(PermanentError, match=rf"logged with Python {python}, must be 3.8 or later; log it again"):
        interpreter(model(python), Base())


@pytest.mark.slow
@pytest.mark.skipif(not OLDER, reason="no interpreters in ~/.pyenv/versions to make a mirror of")
@pytest.mark.parametrize("mirrored", OLDER, indirect=True)
def test_the_interpreter_comes_from_a_mirror_and_runs_where_it_is_put(
    mirrored: str, store: Store, log: Path, tmp_path: Path
) -> None:
    wanted = interpreter(model(mirrored), Base())
    made = interpreter_layer(store, wanted, log=log)
    again = interpreter_layer(store, wanted, log=log)

    assert made is not None
    assert again == (made[0], False)
    root = unpacked(store, made[0], tmp_path / "image")
    program = root / "bin" / f"python{wanted.minor}"
    said = subprocess.run(
        [program, "-I", "-c", "import ssl, ctypes, json, sys; print(sys.version.split()[0], json.__cached__)"],
        env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert said[0] == mirrored
    assert Path(said[1]).is_relative_to(root), "its own library"
    assert Path(said[1]).exists(), "compiled already: pods cannot write"
    assert sorted(path.name for path in root.iterdir()) == ["bin", "lib"]
    assert sorted(path.name for path in (root / "bin").iterdir()) == [f"python{wanted.minor}"]
    assert not (root / "lib" / f"python{wanted.minor}" / "test").exists()


@pytest.mark.slow
@pytest.mark.skipif(not OLDER, reason="no interpreters in ~/.pyenv/versions to make a mirror of")
@pytest.mark.parametrize("mirrored", OLDER[:1], indirect=True)
def test_a_patch_release_that_is_not_to_be_had_gives_way_to_the_newest_of_its_minor_version(
    mirrored: str, store: Store, log: Path
) -> None:
    minor = mirrored.rpartition(".")[0]
    wanted = interpreter(model(f"{minor}.99"), Base())

    program = interpreter_module.program(store, wanted, log=log)

    assert program is not None
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    assert said == f"Python {mirrored}\n"
    made = interpreter_layer(store, wanted, log=log)
    assert made is not None
    assert made[0].fact("version") == mirrored, "what the bill of materials lists"


@pytest.mark.slow
@pytest.mark.skipif(not OLDER, reason="no interpreters in ~/.pyenv/versions to make a mirror of")
def test_an_interpreter_for_another_architecture_is_compiled_by_this_machines(
    store: Store, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = OLDER[0]
    for name, value in python_mirror.make(tmp_path / "mirror", version, machines=("x86_64", "aarch64")).items():
        monkeypatch.setenv(name, value)
    wanted = interpreter(model(version), Base(architecture=Architecture.ARM64))

    interpreter_module.require(store, wanted, log=log)
    made = interpreter_layer(store, wanted, log=log)
    here = interpreter_layer(store, wanted.here, log=log)

    assert made is not None
    assert here is not None
    assert here[1], "a layer of its own"
    text = log.read_text()
    for machine in ("x86_64", "aarch64"):
        assert f"python install cpython-{version}-linux-{machine}-gnu" in text
    root = unpacked(store, made[0], tmp_path / "image")
    tag = f"cpython-{wanted.minor.replace('.', '')}"
    assert (root / "lib" / f"python{wanted.minor}" / "__pycache__" / f"os.{tag}.pyc").exists()


@pytest.mark.skipif(not OLDER, reason="no interpreters in ~/.pyenv/versions to make a mirror of")
@pytest.mark.parametrize("mirrored", OLDER[:1], indirect=True)
def test_a_python_that_is_to_be_had_for_this_architecture_alone_is_refused_for_another(
    mirrored: str, store: Store, log: Path
) -> None:
    wanted = interpreter(model(mirrored), Base(architecture=Architecture.ARM64))

    with pytest.raises(PermanentError, match=rf"Python {mirrored}, which .*, cannot be installed for arm64; uv says"):
        interpreter_module.require(store, wanted, log=log)


@pytest.mark.skipif(not OLDER, reason="no interpreters in ~/.pyenv/versions to make a mirror of")
@pytest.mark.parametrize("mirrored", OLDER[:1], indirect=True)
def test_a_python_that_is_not_to_be_had_is_refused_with_what_can(mirrored: str, store: Store, log: Path) -> None:
    wanted = interpreter(model("3.15.1"), Base())
    minor = mirrored.rpartition(".")[0]

    with pytest.raises(PermanentError, match=rf"Python 3.15.1, which the model.*log the model with .*\({minor}\)"):
        interpreter_module.require(store, wanted, log=log)


@pytest.mark.skipif(not OLDER, reason="no interpreters in ~/.pyenv/versions to make a mirror of")
@pytest.mark.parametrize("mirrored", OLDER[:1], indirect=True)
def test_a_mirror_that_is_away_is_a_temporary_failure_and_leaves_nothing_half_made(
    mirrored: str, store: Store, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = interpreter(model(mirrored), Base())
    with monkeypatch.context() as away:
        away.setenv("UV_PYTHON_INSTALL_MIRROR", "http://127.0.0.1:9")
        away.setenv("UV_HTTP_RETRIES", "0")
        with pytest.raises(TemporaryError, match=r"cannot be installed.*UV_PYTHON_INSTALL_MIRROR names a mirror"):
            interpreter_module.require(store, wanted, log=log)

    interpreter_module.require(store, wanted, log=log)
    shutil.rmtree(tmp_path / "mirror")
    interpreter_module.require(store, wanted, log=log)  # kept
