"""What is said of long work."""

import io

import pytest
from rich.console import Console

from headrace.cli.progress import Progress


def told(console: Console) -> str:
    progress = Progress(console)
    with progress.step("making [it]"):
        progress.note("a note")
    printed = console.file
    assert isinstance(printed, io.StringIO)
    return printed.getvalue()


def test_a_file_gets_plain_lines() -> None:
    lines = told(Console(file=io.StringIO(), highlight=False)).splitlines()

    assert lines[:2] == ["making [it] …", "a note"]
    assert lines[2].startswith("making [it]: ")


def test_a_terminal_sees_what_goes_on() -> None:
    assert "making" in told(Console(file=io.StringIO(), force_terminal=True))


def test_a_step_that_fails_says_no_time() -> None:
    printed = io.StringIO()

    def fail() -> None:
        with Progress(Console(file=printed)).step("making"):
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()

    assert printed.getvalue().splitlines() == ["making …"]
