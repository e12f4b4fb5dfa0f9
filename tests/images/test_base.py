"""The lowest layers: copied from a registry, or made from Debian packages."""

import json
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headrace.contract.errors import InputError, PermanentError, TemporaryError
from headrace.images import base as base_module
from headrace.images import debian, site
from headrace.images.oci import write_image
from headrace.images.request import Base, BaseKind
from headrace.images.store import Store, cache_directory


def test_a_copied_base_keeps_its_layers_and_variables(store: Store, small_base: Base, log: Path) -> None:
    first = base_module.base_layers(store, small_base, log=log)
    second = base_module.base_layers(store, small_base, log=log)

    assert (first.created, second.created) == (True, False)
    assert first.layers == second.layers
    assert dict(first.environment) == {"GPG_KEY": "key of the base"}
    with tarfile.open(store.path(first.layers[0].digest)) as tar:
        assert "etc/os-release" in tar.getnames()
    image = write_image(store, first.layers, entrypoint=[], environment=first.environment, labels={})
    config = json.loads(store.path(image.config_digest).read_bytes())
    assert config["config"]["Env"] == ["GPG_KEY=key of the base"]


def test_a_copied_base_whose_blob_was_lost_is_copied_again(store: Store, small_base: Base, log: Path) -> None:
    (layer,) = base_module.base_layers(store, small_base, log=log).layers
    store.path(layer.digest).unlink()

    base_module.base_layers(store, small_base, log=log)

    assert store.has(layer.digest, layer.size)


def test_a_base_that_cannot_be_copied_fails_with_skopeos_words(store: Store, log: Path, tmp_path: Path) -> None:
    base = Base(kind=BaseKind.REGISTRY, reference=f"oci:{tmp_path / 'nowhere'}:base")

    with pytest.raises(TemporaryError, match="nowhere:base' could not be copied, skopeo says: "):
        base_module.base_layers(store, base, log=log)


def test_another_revision_is_another_base() -> None:
    bases = [Base(), Base(revision="2026-12"), Base(kind=BaseKind.REGISTRY, reference="python:3.11-slim")]

    assert len({base_module.describe(base) for base in bases}) == 3
    assert base_module.describe(bases[2]) != base_module.describe(replace(bases[2], revision="2"))


@pytest.fixture
def fake_mmdebstrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A program of the name that finds one package only, and keeps its command line."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "mmdebstrap"
    program.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/asked\necho "E: Unable to locate package libgl9"\n'
        "echo \"E: Package 'old-lib' has no installation candidate\"\necho 'E: apt-get failed'\nexit 25\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(debian.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(debian, "_own_mounts", list)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return tmp_path / "asked"


def test_more_debian_packages_make_another_base_and_unknown_ones_are_named(
    store: Store, log: Path, fake_mmdebstrap: Path
) -> None:
    base = Base.from_json({"packages": ["libgl1", "libgl9", "old-lib"]})

    with pytest.raises(PermanentError, match=r"packages = libgl9, old-lib, which Debian's release bookworm does not"):
        base_module.base_layers(store, base, log=log)

    assert ",libgl1,libgl9,old-lib " in fake_mmdebstrap.read_text()
    assert base_module.describe(base) != base_module.describe(Base())
    assert base_module.describe(Base(packages=("b1", "a1"))) == base_module.describe(Base(packages=("a1", "b1", "a1")))


def test_a_machine_without_mmdebstrap_is_told_what_to_do(
    store: Store, log: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(debian.platform, "machine", lambda: "x86_64")

    with pytest.raises(PermanentError, match=r"'mmdebstrap' is not on PATH.*apt install mmdebstrap"):
        base_module.base_layers(store, Base(), log=log)


def test_a_machine_that_is_not_linux_is_told_to_copy_a_base(
    store: Store, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian.sys, "platform", "darwin")

    with pytest.raises(PermanentError, match=r"Linux on x86-64 only.*'kind': 'registry'"):
        base_module.base_layers(store, Base(), log=log)


@pytest.mark.parametrize(
    ("value", "faults"),
    [
        ({"kind": "debian", "python": "3.12"}, ["Debian packages hold 3.11 or 3.13; name a base of kind 'registry'"]),
        ({"kind": "registry", "reference": "python:3.9", "python": "3.9"}, ["python = '3.9', must be 3.11 or later"]),
        ({"kind": "registry"}, ["reference is missing"]),
        ({"packages": ["libgl1", "--variant=x"]}, ["'--variant=x'"]),
        (
            {"kind": "registry", "reference": "r", "packages": ["libgl1"]},
            ["packages = ['libgl1'], but only bases made"],
        ),
        ({"kind": "alpine", "python": "three", "colour": "red"}, ["colour is unknown", "kind = 'alpine'", "'three'"]),
    ],
)
def test_every_fault_of_a_base_is_reported_at_once(value: dict[str, Any], faults: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        Base.from_json(value)

    assert all(fault in str(caught.value) for fault in faults)
    assert len(caught.value.faults) == len(faults)


@pytest.mark.parametrize(
    ("base", "logged", "python"),
    [
        ({}, "3.11.7", "3.11"),
        ({}, "3.13.5", "3.13"),
        ({}, "3.12.4", "3.11"),  # the front's; the worker gets its own beside it
        ({}, "", "3.11"),
        ({"revision": "2026-12"}, "3.13.5", "3.13"),
        ({"python": "3.11"}, "3.13.5", "3.11"),
        ({"kind": "registry", "reference": "python:3.12-slim", "python": "3.12"}, "3.13.5", "3.12"),
    ],
)
def test_a_base_that_leaves_its_python_open_gets_the_models(base: dict[str, str], logged: str, python: str) -> None:
    assert Base.for_model(base, logged).python == python


@pytest.mark.slow
def test_a_debian_base_with_another_python_runs_the_front_and_is_compiled_by_itself(log: Path, tmp_path: Path) -> None:
    store, base = Store(cache_directory()), Base(python="3.13")
    try:
        made = base_module.base_layers(store, base, log=log)
    except (PermanentError, TemporaryError) as error:
        pytest.skip(str(error))
    packages, _ = site.packages_layer(store, site.lock_text("front"), base, log=log)
    code, _ = site.code_layer(store, site.PACKAGE_ROOT, ("contract", "runtimes"), base, log=log)

    for layer in (*made.layers, packages, code):
        with tarfile.open(store.path(layer.digest)) as tar:
            tar.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)  # `extractall` takes none in 3.11.2
            tar.extractall(tmp_path)

    compiled = {path.name.split(".")[-2] for path in tmp_path.rglob("*.pyc")}
    assert compiled == {"cpython-313"}
    assert (tmp_path / "usr/lib/python3.13/__pycache__/os.cpython-313.pyc").exists()
    assert (tmp_path / "opt/headrace/site/headrace/contract/__pycache__/names.cpython-313.pyc").exists()
    assert not [path for path in tmp_path.rglob("opt/headrace/**/*") if path.suffix in {".cpp", ".h"}]
    by = base_module.compiler(store, base, log=log)
    assert by is not None
    program = (
        "import sys, headrace.runtimes.http.serving, uvloop, orjson, httptools\n"
        "from headrace.runtimes.protocols import packing\n"
        "packer = packing.Packer({'packs_shape': [1], 'fast_forms': ['inputs']});"
        "print(sys.version_info[:2], packer.text(b'{\"inputs\": [[0]' + b',[0]' * 999 + b']}').body[:8])"
    )
    environment = {"PYTHONHOME": str(tmp_path / "usr"), "PYTHONPATH": str(tmp_path / "opt/headrace/site")}
    ran = subprocess.run([*by.command, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert ran.stdout == f"(3, 13) {bytes(8)!r}\n", ran.stderr
