"""Caller: who sends a request, as the PopProxy verified it and says it in two headers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from headrace.contract import names

_KEPT: Final = "".join(chr(code) for code in range(ord("!"), ord("~") + 1) if chr(code) not in "%,")
"""What a group's name is written with in the header; the rest is percent-encoded. `quote` adds no letter to it."""


@dataclass(frozen=True)
class Caller:
    """The subject and groups of a verified token, each with its issuer's prefix."""

    subject: str = ""
    """Empty where the token has none, and where the PopProxy asked for no token."""
    groups: frozenset[str] = frozenset()

    @classmethod
    def of(cls, header: Callable[[str], str | None]) -> "Caller":
        """`header` gives the value of a request's header by its name in lower case, each byte as one character, which
        is how HTTP servers in Python read them."""
        listed = (header(names.GROUPS_HEADER) or "").split(",")
        return cls(
            subject=(header(names.SUBJECT_HEADER) or "").encode("latin-1").decode(errors="replace"),
            groups=frozenset(unquote(each, errors="replace") for each in listed if each),
        )


def listed_group(name: str) -> str:
    """The part of names.GROUPS_HEADER by which a group is found there."""
    return f",{quote(name, safe=_KEPT)},"
