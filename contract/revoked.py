"""Revoked: tokens, and callers with all of theirs, that are refused although their issuer calls them good."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

from headrace.contract.codec import encode, read
from headrace.contract.declaration import Items, NotEmpty, Text

ENV_REVOKED: Final = "HEADRACE_REVOKED"
"""Of the control plane: Revoked as JSON. Absent: nothing is."""
REVOKED_MOST: Final = 200
"""Tokens, and subjects: both travel in one environment variable, of which Linux takes 128 KiB."""
REVOKED_MOST_BYTES: Final = 65_536
"""Of all together, as JSON."""

TokenId = Annotated[
    str, Text(pattern=r"[!-~]{1,256}", meaning="a token's `jti`, 1 to 256 printable ASCII characters without blanks")
]


@dataclass(frozen=True, kw_only=True)
class Revoked:
    """What is refused."""

    tokens: Annotated[tuple[TokenId, ...], Items(maximum=REVOKED_MOST)] = ()
    """Ids of tokens, their claim `jti`."""
    subjects: Annotated[tuple[NotEmpty, ...], Items(maximum=REVOKED_MOST)] = ()
    """Callers, as access lists name them: each with its issuer's prefix. All of their tokens are refused."""


NOTHING_REVOKED: Final = Revoked()


@dataclass(frozen=True, kw_only=True)
class _Inputs:
    """Where the faults of what is revoked have their place."""

    revoked: Revoked = NOTHING_REVOKED


def revoked_text(revoked: Revoked) -> str:
    """The value of ENV_REVOKED."""
    return json.dumps(encode(revoked), sort_keys=True)


def revoked_of(text: str) -> tuple[Revoked, list[str]]:
    """What `revoked_text` wrote, and all that is wrong with it; nothing is revoked by an empty text."""
    try:
        given = json.loads(text) if text else {}
    except ValueError as error:
        return NOTHING_REVOKED, [f"revoked is no JSON ({error}); leave it to ServingPlatform"]
    return checked_revoked(given)


def checked_revoked(given: object) -> tuple[Revoked, list[str]]:
    """An object as Revoked, as far as it can be read, and all that is wrong with it."""
    known, broken = read(_Inputs, {"revoked": given})
    revoked = NOTHING_REVOKED if known is None else known.revoked
    return revoked, [*map(str, broken), *_size_faults(revoked)]


def _size_faults(revoked: Revoked) -> Iterator[str]:
    size = len(revoked_text(revoked).encode())
    if size > REVOKED_MOST_BYTES:
        yield (
            f"revoked has {size} bytes, must have at most {REVOKED_MOST_BYTES}; leave out tokens that are over, and "
            "revoke a subject instead of many of its tokens"
        )
