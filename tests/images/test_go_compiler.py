"""The Go compiler that is taken, and what is said where there is none."""

from pathlib import Path

import pytest

from headrace.contract.errors import PermanentError
from headrace.images import go_compiler


def program(folder: Path, version: str) -> Path:
    path = folder / "go"
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("version", "is_taken"), [("go1.26.4", True), ("go1.30", True), ("go1.25.9", False), ("", False)]
)
def test_the_machines_own_is_taken_where_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, is_taken: bool
) -> None:
    own = program(tmp_path, version)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    assert go_compiler.own_go() == (str(own) if is_taken else None)


def test_a_distribution_that_does_not_run_here_is_told(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"install Go >= 1\.26"):
        go_compiler.installed_go(tmp_path)
