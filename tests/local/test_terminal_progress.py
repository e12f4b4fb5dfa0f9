"""Progress tells a person at a terminal and a log file the same story."""

import io

import pytest

from headrace.local.terminal_progress import Progress


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_log_gets_one_plain_line_when_a_step_begins_and_one_when_it_ends() -> None:
    log = io.StringIO()
    progress = Progress("demo", steps=2, stream=log)

    with progress.step("build"):
        pass
    with progress.step("deploy"):
        pass

    lines = log.getvalue().splitlines()
    assert lines[0] == "demo [1/2] build …"
    assert lines[1].startswith("demo [1/2] build: done in ")
    assert lines[2] == "demo [2/2] deploy …"
    assert "\x1b" not in log.getvalue()


def test_a_step_that_fails_says_so_and_lets_the_failure_through() -> None:
    log = io.StringIO()
    progress = Progress("demo", steps=1, stream=log)

    with pytest.raises(ValueError, match="no disk"), progress.step("build"):
        raise ValueError("no disk")

    assert "demo [1/1] build: failed after" in log.getvalue()


def test_a_terminal_is_left_with_whole_lines_only() -> None:
    terminal = Terminal()
    progress = Progress("demo", steps=1, stream=terminal)

    with progress.step("build"):
        progress.note("Installing Debian packages: runc (starts containers)")

    last_seen = [line.rpartition("\r\x1b[2K")[2] for line in terminal.getvalue().rstrip("\n").split("\n")]
    assert last_seen[0] == "Installing Debian packages: runc (starts containers)"
    assert last_seen[-1].startswith("demo [1/1] build: done in ")


def test_more_steps_than_announced_never_read_three_of_two() -> None:
    log = io.StringIO()
    progress = Progress("demo", steps=1, stream=log)

    for what in ("one", "two"):
        with progress.step(what):
            pass

    assert "demo [2/2] two …" in log.getvalue()
