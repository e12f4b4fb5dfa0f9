"""`headrace keygen`: a new key whose private half nobody else reads, and the public half of one that exists."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from headrace.cli.__main__ import app

BEGINNING = "-----BEGIN PUBLIC KEY-----\n"


def keygen(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["keygen", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_a_new_key_is_its_owners_alone_and_is_not_written_over_another(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"

    assert keygen(str(file))[1].startswith(BEGINNING)

    before = file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    status, _, said = keygen(str(file))
    assert (status, file.read_text()) == (2, before)
    assert "cannot be made: File exists; name another" in said


def test_the_public_half_of_a_key_that_exists_is_printed_as_when_it_was_made(tmp_path: Path) -> None:
    made = keygen(str(tmp_path / "key.pem"))[1]

    assert keygen("--public", f"file:{tmp_path / 'key.pem'}")[:2] == (0, made)


@pytest.mark.parametrize("arguments", [(), ("key.pem", "--public", "file:key.pem")], ids=["neither", "both"])
def test_what_is_asked_for_is_one_of_both(arguments: tuple[str, ...]) -> None:
    status, _, said = keygen(*arguments)

    assert status == 2
    assert "must be exactly one of them" in said
