"""Caller: who sends a request, as the PopProxy verified it and says it in two headers."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from headrace.contract import names

_KEPT: Final = frozenset(range(ord("!"), ord("~") + 1)) - frozenset(b"%,")
"""Bytes of a group's name that stand in the header as they are; the others are percent-encoded."""
_ENCODED: Final = re.compile(rb"%([0-9A-Fa-f]{2})")


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
            groups=frozenset(_name(each) for each in listed if each),
        )


def listed_group(name: str) -> str:
    """The part of names.GROUPS_HEADER by which a group is found there."""
    return f",{''.join(chr(byte) if byte in _KEPT else f'%{byte:02X}' for byte in name.encode())},"


def _name(listed: str) -> str:
    """What `listed_group` wrote between the commas."""
    whole = _ENCODED.sub(lambda found: bytes.fromhex(found[1].decode()), listed.encode("latin-1"))
    return whole.decode(errors="replace")
