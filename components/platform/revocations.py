"""Revocations: which tokens and callers a platform refuses although their issuer calls them good, as an input."""

from collections.abc import Iterator
from typing import NotRequired, TypedDict

from headrace.contract.revoked import ENV_REVOKED, NOTHING_REVOKED, checked_revoked, revoked_text


class Revocations(TypedDict):
    """Tokens and callers that are refused at their next request."""

    tokens: NotRequired[list[str]]
    """Ids of tokens, their claim `jti`, at most 200. None lives longer than a day: leave out those that are over."""
    subjects: NotRequired[list[str]]
    """Callers of whom every token is refused, at most 200, as access lists name them: each with its issuer's prefix."""


def revocation_faults(given: object) -> Iterator[str]:
    """All that is wrong with Revocations."""
    yield from checked_revoked(given)[1]


def revocation_environment(given: object) -> dict[str, str]:
    """By what the control plane knows Revocations without faults."""
    revoked = checked_revoked(given)[0]
    return {} if revoked == NOTHING_REVOKED else {ENV_REVOKED: revoked_text(revoked)}
