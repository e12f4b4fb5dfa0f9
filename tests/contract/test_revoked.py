"""What is revoked: read as it was written, and every fault of it at once."""

from typing import Any

import pytest

from headrace.contract.revoked import NOTHING_REVOKED, Revoked, checked_revoked, revoked_of, revoked_text

SOME = Revoked(tokens=("6f1c", "a/b"), subjects=("https://login.corp.test#jürgen",))


def test_what_the_control_plane_reads_is_what_was_written() -> None:
    assert revoked_of(revoked_text(SOME)) == (SOME, [])
    assert revoked_of("") == (NOTHING_REVOKED, [])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], ["revoked = [], must be an object"]),
        ({"tokens": "a"}, ["revoked.tokens = 'a', must be a list"]),
        ({"tokens": ["a b"]}, ["revoked.tokens[0] = 'a b', must be a token's `jti`, 1 to 256 printable ASCII"]),
        ({"tokens": [""], "subjects": [""]}, ["revoked.tokens[0] = '', must be", "revoked.subjects[0] is empty"]),
        ({"token": ["a"]}, ["revoked.token is unknown, must be one of subjects, tokens"]),
        ({"tokens": [str(number) for number in range(201)]}, ["revoked.tokens has 201 items, must have at most 200"]),
        ({"subjects": ["x" * 70_000]}, ["revoked has 70032 bytes, must have at most 65536; leave out tokens that are"]),
    ],
)
def test_all_that_is_wrong_is_told(given: Any, told: list[str]) -> None:
    faults = checked_revoked(given)[1]

    assert len(faults) == len(told), faults
    assert all(fault.startswith(words) for fault, words in zip(faults, told, strict=True)), faults


def test_text_that_is_no_json_is_told_as_such() -> None:
    revoked, [fault] = revoked_of("{")
    assert revoked == NOTHING_REVOKED
    assert fault.startswith("revoked is no JSON (")
