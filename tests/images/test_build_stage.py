"""The root that packages are compiled in: what it is made of and what is seen in it. Real ones: packages without a
wheel."""

from pathlib import Path

import pytest

from headrace.images import build_stage as module
from headrace.images.architecture import Architecture
from headrace.images.build_stage import BuildStage, build_stage, packages_of
from headrace.images.request import Base, BaseKind
from headrace.images.store import Store


def test_a_stage_has_what_its_base_has_and_the_compilers_and_headers() -> None:
    base = Base(python="3.13", packages=("libpq5",), build_packages=("libpq-dev", "gfortran", "libpq-dev"))

    found = packages_of(base)

    assert {"libpq5", "libpython3.13", "build-essential", "git", "pkg-config", "python3.13-dev"} <= set(found)
    assert found[-2:] == ("gfortran", "libpq-dev")


def test_a_copied_base_has_no_stage_and_nor_has_a_machine_that_unpacks_no_debian_packages(
    store: Store, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = Base(kind=BaseKind.REGISTRY, reference="python:3.11-slim")
    assert build_stage(store, copied, log=log) is None

    monkeypatch.setattr(module, "of_this_machine", lambda: Architecture.ARM64)
    assert build_stage(store, Base(), log=log) is None


def test_this_machines_folders_are_seen_and_its_system_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = BuildStage(root=tmp_path / "root", cache=tmp_path / "uv")

    words = stage.command(["uv", "pip"], folder=tmp_path, shown=(Path("/usr/local/bin"), tmp_path))

    shown, rest = words[words.index(str(stage.root)) + 1 : words.index("--", 8)], words[-3:]
    assert {f"/{tmp_path.parts[1]}", "/proc", "/usr/local/bin", "/etc/resolv.conf"} <= set(shown)
    assert not {"/usr", "/etc", "/var", "/lib", "/bin"} & set(shown)
    assert rest == [str(tmp_path), "uv", "pip"]
    assert (stage.root / "usr/local/bin").is_dir(), "something to mount over"
    monkeypatch.setenv("CFLAGS", "-O3")
    assert stage.variables["CFLAGS"] == "-O3 -g0"


def test_the_package_that_has_a_library_is_found_by_its_whole_name(tmp_path: Path) -> None:
    listed = tmp_path / "root/var/lib/dpkg/info"
    listed.mkdir(parents=True)
    (listed / "libyaml-0-2:amd64.list").write_text("/.\n/usr/lib/x86_64-linux-gnu/libyaml-0.so.2\n")
    stage = BuildStage(root=tmp_path / "root", cache=tmp_path / "uv")

    assert stage.package_of("libyaml-0.so.2") == "libyaml-0-2"
    assert stage.package_of("libyaml-0.so") is None
    assert stage.package_of("yaml-0.so.2") is None
