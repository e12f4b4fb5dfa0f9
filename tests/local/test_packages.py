"""Debian packages are installed only when something is missing, and only by who can."""

import io
import os
from pathlib import Path

import pytest

from headrace.contract.errors import PermanentError, TemporaryError
from headrace.local.terminal_progress import Progress
from headrace.local.toolchain import packages
from headrace.local.toolchain.packages import DebianPackage

WANTED = [
    DebianPackage(name="kindling", command="kindle", reason="lights the fire"),
    DebianPackage(name="sh", command="/bin/sh", reason="is everywhere"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_nothing_is_installed_where_nothing_is_missing(folder: Path) -> None:
    program(folder, "kindle", "exit 0")
    said = io.StringIO()

    packages.ensure(WANTED, Progress("test", steps=1, stream=said))

    assert said.getvalue() == ""


def test_what_is_missing_is_installed_after_a_line_that_says_why(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    program(folder, "apt-get", f'echo "$@" >> {folder}/asked')
    said = io.StringIO()

    packages.ensure(WANTED, Progress("test", steps=1, stream=said))

    assert said.getvalue() == "Installing Debian packages: kindling (lights the fire)\n"
    update, install = (folder / "asked").read_text().splitlines()
    assert update.startswith("update")
    assert install.endswith(" kindling")


@pytest.mark.parametrize(("user", "manager"), [(0, False), (1000, True)])
def test_who_cannot_install_is_told_what_is_missing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, user: int, manager: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    if manager:
        program(folder, "apt-get", "exit 0")

    with pytest.raises(PermanentError, match=r"Debian packages \['kindling'\] are missing .* run as root on Debian"):
        packages.ensure(WANTED, Progress("test", steps=1, stream=io.StringIO()))


def test_a_package_manager_that_fails_is_quoted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    program(folder, "apt-get", 'echo "no route to the mirror" >&2; exit 100')

    with pytest.raises(TemporaryError, match=r"`apt-get update -qq` ended with 100: no route to the mirror"):
        packages.ensure(WANTED, Progress("test", steps=1, stream=io.StringIO()))
