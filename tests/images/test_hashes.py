"""Hashes that a model's author gave hold, as with pip."""

import pytest

from headrace.contract.errors import InputError
from headrace.images import hashes
from headrace.images.requirements import Requirements, parse

LOCK = "needed==1.5 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\nscorer==2.0 \\\n    --hash=sha256:cc\n"


def _wanted(*lines: str, constraints: tuple[str, ...] = ()) -> Requirements:
    return parse(lines, constraints, lambda _: None)


def test_without_hashes_the_lock_is_as_it_was_resolved() -> None:
    assert hashes.held(LOCK, _wanted("scorer")) == LOCK
    assert hashes.held("", _wanted()) == ""


def test_only_files_with_a_given_hash_are_installed() -> None:
    held = hashes.held(LOCK, _wanted("Needed==1.5 --hash=sha256:bb --hash=sha256:00", "scorer"))

    assert held == LOCK.replace(" \\\n    --hash=sha256:aa", "")


@pytest.mark.parametrize("constraints", [(), ("needed==1.5 --hash=sha256:00",)])
def test_files_that_have_none_of_the_given_hashes_are_refused(constraints: tuple[str, ...]) -> None:
    wanted = _wanted("needed==1.5" if constraints else "needed==1.5 --hash=sha256:00", constraints=constraints)

    with pytest.raises(InputError) as caught:
        hashes.held(LOCK, wanted)

    place = "constraints.txt line 1" if constraints else "requirements.txt line 1"
    assert f"{place}: needed==1.5 has the hash sha256:aa or sha256:bb, must be sha256:00; " in str(caught.value)


def test_a_hash_of_another_kind_than_the_index_has_is_left_to_the_installer() -> None:
    held = hashes.held(LOCK, _wanted("scorer --hash=sha512:dd"))

    assert "scorer==2.0 \\\n    --hash=sha512:dd\n" in held


def test_one_hash_asks_for_the_hashes_of_all_as_with_pip() -> None:
    hashes.require(LOCK, _wanted("needed --hash=sha256:aa", "scorer --hash=sha256:cc"))

    with pytest.raises(InputError, match=r"scorer==2\.0 without a hash, and where one package has a hash"):
        hashes.require(LOCK, _wanted("needed --hash=sha256:aa", "scorer"))
