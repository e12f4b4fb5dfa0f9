"""The builder leaves a whole program or none, and says which one failed and why."""

import os
import subprocess
from pathlib import Path

import pytest

from headrace.contract.errors import TemporaryError
from headrace.local.terminal_progress import Progress
from headrace.local.toolchain import builder
from headrace.local.toolchain.programs import Program

MODULE = "module example.test/hello\n\ngo 1.21\n"
SOURCE = 'package main\n\nvar version = "none"\n\nfunc main() { println(version) }\n'


@pytest.fixture
def hello(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """A tiny program in a module and a cache of its own."""
    folder = tmp_path / "modules" / "hello"
    folder.mkdir(parents=True)
    (folder / "go.mod").write_text(MODULE)
    (folder / "main.go").write_text(SOURCE)
    monkeypatch.setattr(builder, "MODULES", folder.parent)
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path / "cache"))
    return Program(
        name="hello", version="v1", module="hello", packages=(".",), linker_values=("main.version=v1",),
        links=(("hello", ("hi",)),),
    )  # fmt: skip


def quiet() -> Progress:
    return Progress("test", steps=1, stream=Path(os.devnull).open("w"))


@pytest.mark.slow
def test_a_program_is_built_once_and_found_afterwards(hello: Program) -> None:
    place = builder.ensure(hello, quiet())

    said = subprocess.run([place / "hi"], capture_output=True, text=True, check=True)
    assert said.stderr == "v1\n"
    assert [cost["program"] for cost in builder.costs([hello])] == ["hello"]
    made = (place / "hello").stat().st_mtime_ns
    assert (builder.ensure(hello, quiet()) / "hello").stat().st_mtime_ns == made


@pytest.mark.slow
def test_a_machine_without_go_gets_one_that_compiles(hello: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    without_go = [folder for folder in os.environ["PATH"].split(":") if not (Path(folder) / "go").exists()]
    monkeypatch.setenv("PATH", ":".join(without_go))

    place = builder.ensure(hello, quiet())

    assert (place / "hello").read_bytes()[:4] == b"\x7fELF"


@pytest.mark.slow
def test_a_build_cut_off_half_way_is_not_taken_for_a_program(hello: Program) -> None:
    partial = builder.location(hello).with_name(f"{builder.location(hello).name}.partial")
    partial.mkdir(parents=True)
    (partial / "hello").write_text("half of a program")

    place = builder.ensure(hello, quiet())

    assert (place / "hello").read_bytes()[:4] == b"\x7fELF"
    assert not partial.exists()


@pytest.mark.slow
def test_a_build_that_fails_says_what_and_leaves_nothing(hello: Program) -> None:
    (builder.MODULES / "hello" / "main.go").write_text("package main\n\nfunc main() { undefined() }\n")

    with pytest.raises(TemporaryError, match=r"building hello v1 failed: .*undefined.*the log is"):
        builder.ensure(hello, quiet())

    assert not builder.location(hello).exists()


def test_the_key_changes_with_every_source_and_pin(hello: Program) -> None:
    before = builder.key(hello)

    (builder.MODULES / "hello" / "go.mod").write_text(MODULE.replace("1.21", "1.22"))

    assert builder.key(hello) != before
