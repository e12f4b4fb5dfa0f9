"""Token issuers: whose tokens a platform takes beside the cluster's own, as inputs and rules."""

from collections.abc import Iterator
from typing import Final, NotRequired, TypedDict

from headrace.contract.trusted_issuer import TrustedIssuer
from headrace.contract.trusted_issuers import ENV_TOKEN_ISSUERS, checked_issuers, issuers_text

_INPUT: Final = "token_issuers"


class TokenIssuer(TypedDict):
    """An OpenID Connect issuer whose tokens callers may show beside the cluster's."""

    issuer: str
    """Its address, as `iss` of its tokens has it, for example https://login.example.com."""
    audiences: NotRequired[list[str]]
    """A token must be for one of these, its `aud`. Default ["headrace"]."""
    jwks_uri: NotRequired[str]
    """Where its keys are. Absent: where its document /.well-known/openid-configuration says, at the issuer's port."""
    prefix: NotRequired[str]
    """Stands before each subject and group of its tokens, so that they are no other issuer's. Default the issuer and
    a `#`: the subject alice is `https://login.example.com#alice`."""
    subject_claim: NotRequired[str]
    """Claim with the subject, a text that the issuer vouches for and gives to one caller alone; `a.b` is `b` inside
    `a`. Default sub."""
    groups_claim: NotRequired[str]
    """Claim with the caller's groups, a list of texts or one, for `allowed_groups` of endpoints. Absent: its callers
    have no groups."""
    ca_certificate: NotRequired[str]
    """PEM of the authorities that its certificate is checked by. Absent: the public ones."""


def token_issuer_faults(given: object) -> Iterator[str]:
    """All that is wrong with a list of TokenIssuer."""
    yield from checked_issuers({_INPUT: given})[1]


def token_issuers(given: object) -> tuple[TrustedIssuer, ...]:
    """A list of TokenIssuer without faults, with its defaults."""
    return checked_issuers({_INPUT: given})[0]


def token_issuer_environment(issuers: tuple[TrustedIssuer, ...]) -> dict[str, str]:
    """By what the control plane knows them."""
    return {ENV_TOKEN_ISSUERS: issuers_text(issuers)} if issuers else {}
