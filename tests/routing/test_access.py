"""Patterns by which requests are refused by their head."""

import re

from hypothesis import given
from hypothesis import strategies as st

from headrace.routing.snapshot.access import above
from headrace.routing.snapshot.paths import at_most

numbers = st.integers(0, 10**12)


@given(numbers, numbers)
def test_a_pattern_of_larger_numbers_matches_these_and_no_other(limit: int, number: int) -> None:
    for near in (number, limit - 1, limit, limit + 1):
        assert bool(re.fullmatch(above(limit), str(near))) == (near > limit)


def test_zeros_before_a_number_change_nothing() -> None:
    assert re.fullmatch(above(16777216), "0016777217")
    assert not re.fullmatch(above(16777216), "00000000016777216")


@given(st.integers(1, 9), numbers)
def test_a_pattern_of_small_numbers_matches_these_and_no_other(digits: int, number: int) -> None:
    limit = 10**digits - 1
    for near in (number, limit, limit + 1):
        assert bool(re.fullmatch(at_most(limit), f"00{near}")) == (near <= limit)
