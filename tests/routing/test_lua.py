"""Texts inside of a script: none can end itself and become a part of the script."""

import re

from hypothesis import given, strategies

from headrace.routing.snapshot.lua import quoted


@given(strategies.text())
def test_a_text_is_every_byte_of_itself_by_number(text: str) -> None:
    written = quoted(text)

    assert re.fullmatch(r'"(\\\d{3})*"', written)
    assert bytes(int(number) for number in re.findall(r"\d{3}", written)).decode() == text
