"""The names of processors, and what compiled files say of them."""

import platform
import sys
from pathlib import Path

import pytest

from headrace.images import architecture
from headrace.images.architecture import Architecture, machine_of, of_this_machine


def elf(machine: int) -> bytes:
    """The first bytes of a program for a machine of that number, lowest byte first."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + (3).to_bytes(2, "little") + machine.to_bytes(2, "little") + bytes(44)


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ("x86_64", Architecture.AMD64),
        ("AMD64", Architecture.AMD64),
        ("aarch64", Architecture.ARM64),
        ("arm64", Architecture.ARM64),
    ],
)
def test_every_system_has_its_own_name_for_this_machine(
    machine: str, expected: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(architecture.platform, "machine", lambda: machine)

    assert of_this_machine() is expected


def test_the_tools_names() -> None:
    assert [(each.value, each.machine, each.libraries) for each in Architecture] == [
        ("amd64", "x86_64", "x86_64-linux-gnu"),
        ("arm64", "aarch64", "aarch64-linux-gnu"),
    ]


@pytest.mark.parametrize(
    ("content", "machine"),
    [
        (elf(62), "x86_64"),
        (elf(183), "aarch64"),
        (elf(243), "machine 243"),
        (b"\x7fELF\x02\x02" + bytes(12) + (22).to_bytes(2, "big"), "machine 22"),
        (b"\x7fELF", None),
        (b"#!/bin/sh\nexit 0 # longer than a header", None),
        (b"", None),
    ],
)
def test_a_compiled_file_says_what_it_is_for(content: bytes, machine: str | None, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)

    assert machine_of(tmp_path / "file") == machine


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other formats")
def test_the_running_interpreter_is_for_this_machine() -> None:
    assert machine_of(Path(sys.executable).resolve()) == platform.machine()
