"""TrustedIssuers: all issuers beside the cluster, as text and as rules: what could mix up two of them is refused."""

import json
import re
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import SplitResult, urlsplit

from headrace.contract.codec import encode, read
from headrace.contract.declaration import Items
from headrace.contract.trusted_issuer import TrustedIssuer

ENV_TOKEN_ISSUERS: Final = "HEADRACE_TOKEN_ISSUERS"
"""Of the control plane: TrustedIssuers as JSON. Absent: none beside the cluster."""
ISSUERS_MOST: Final = 16
"""A token is held against one issuer after the other."""
AUTHORITIES_MOST_BYTES: Final = 32_768
"""Of one issuer's certificates: all issuers travel in one environment variable."""
_CLUSTER_PREFIX: Final = "system:"
"""What the subjects of the cluster's own tokens begin with, and Kubernetes keeps for itself."""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, kw_only=True)
class TrustedIssuers:
    """All issuers beside the cluster."""

    token_issuers: Annotated[tuple[TrustedIssuer, ...], Items(maximum=ISSUERS_MOST)] = ()


def issuers_text(issuers: Sequence[TrustedIssuer]) -> str:
    """The value of ENV_TOKEN_ISSUERS."""
    return json.dumps(encode(TrustedIssuers(token_issuers=tuple(issuers))), sort_keys=True)


def issuers_of(text: str) -> tuple[tuple[TrustedIssuer, ...], list[str]]:
    """What `issuers_text` wrote, and all that is wrong with it; no issuers of an empty text."""
    try:
        given = json.loads(text) if text else {}
    except ValueError as error:
        return (), [f"is no JSON ({error}); leave it to ServingPlatform"]
    return checked_issuers(given)


def checked_issuers(given: object) -> tuple[tuple[TrustedIssuer, ...], list[str]]:
    """The issuers of an object with `token_issuers`, as far as they can be read, and all that is wrong with them."""
    known, broken = read(TrustedIssuers, given)
    issuers = () if known is None else known.token_issuers
    return issuers, [*map(str, broken), *issuer_faults(issuers)]


def keys_port(issuer: TrustedIssuer) -> int:
    """The port at which an issuer without faults is asked."""
    parts = urlsplit(issuer.issuer if issuer.jwks_uri is None else issuer.jwks_uri)
    return parts.port or _DEFAULT_PORTS[parts.scheme]


def issuer_faults(issuers: Sequence[TrustedIssuer]) -> Iterator[str]:
    """All that is wrong with readable issuers, each alone and beside the others."""
    for position, issuer in enumerate(issuers):
        place = f"token_issuers[{position}]"
        if issuer.issuer:
            yield from address_faults(f"{place}.issuer", issuer.issuer, is_plain=True)
        if issuer.jwks_uri is not None:
            yield from address_faults(f"{place}.jwks_uri", issuer.jwks_uri)
        prefix = issuer.full_prefix
        if prefix.startswith(_CLUSTER_PREFIX) or (prefix and _CLUSTER_PREFIX.startswith(prefix)):
            yield (
                f"{place}.prefix = {prefix!r}, must not be taken for {_CLUSTER_PREFIX!r}, which the "
                "cluster's own subjects begin with; choose another"
            )
        if issuer.ca_certificate is not None:
            yield from _authority_faults(f"{place}.ca_certificate", issuer.ca_certificate)
        for before, other in enumerate(issuers[:position]):
            yield from _shared(place, issuer, f"token_issuers[{before}]", other)


def address_faults(field: str, value: str, *, is_plain: bool = False) -> Iterator[str]:
    """An address that keys may be read from: https, or http on the loopback; `is_plain` without a query."""
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 -- raises where it is no number
    except ValueError:
        parts = SplitResult("", "", "", "", "")
    is_private = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    has_more = "#" in value or "@" in parts.netloc or (is_plain and "?" in value)
    if not is_private or not parts.hostname or has_more or re.search(r"[^!-~]", value):
        rest = "user, query or fragment" if is_plain else "user or fragment"
        yield (
            f"{field} = {value!r}, must be an https:// address without {rest}; http:// is for the loopback alone, as "
            "whoever is on the way could give keys of his own"
        )


def _authority_faults(field: str, pem: str) -> Iterator[str]:
    if len(pem.encode()) > AUTHORITIES_MOST_BYTES:
        yield (
            f"{field} has {len(pem.encode())} bytes, must have at most {AUTHORITIES_MOST_BYTES}; give the issuer's own "
            "authorities alone"
        )
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError):
        yield f"{field} holds no certificate that can be read; give PEM, with its BEGIN and END lines"


def _shared(place: str, issuer: TrustedIssuer, other_place: str, other: TrustedIssuer) -> Iterator[str]:
    if issuer.issuer == other.issuer:
        yield f"{place}.issuer = {issuer.issuer!r} is that of {other_place} too, must be given once; put them together"
    elif issuer.full_prefix.startswith(other.full_prefix) or other.full_prefix.startswith(issuer.full_prefix):
        yield (
            f"{place}.prefix = {issuer.full_prefix!r} and that of {other_place}, {other.full_prefix!r}, begin alike to "
            "the end of one of them, so that a subject of one could be taken for the other's; choose others"
        )
