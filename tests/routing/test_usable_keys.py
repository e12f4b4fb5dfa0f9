"""Which keys of a stranger's key set are taken, by their numbers; and that a proxy takes what is taken."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from issuer import Signer

from headrace.contract.trusted_issuer import TrustedIssuer
from headrace.routing.ads.usable_keys import KEYS_MOST, usable_keys
from headrace.routing.snapshot import Keys, KnownIssuer


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


RSA: dict[str, Any] = dict(Signer().jwk())
SMALL_RSA = {**RSA, "n": encoded(b"\x81" * 128)}


def elliptic(curve: ec.EllipticCurve, name: str) -> dict[str, Any]:
    numbers = ec.generate_private_key(curve).public_key().public_numbers()
    size = (curve.key_size + 7) // 8
    x, y = (encoded(each.to_bytes(size, "big")) for each in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": name, "x": x, "y": y, "kid": name}


CURVES = [elliptic(ec.SECP256R1(), "P-256"), elliptic(ec.SECP384R1(), "P-384"), elliptic(ec.SECP521R1(), "P-521")]
EDWARDS = {
    "kty": "OKP",
    "crv": "Ed25519",
    "x": encoded(ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)),
}
GOOD: dict[str, Callable[[], dict[str, Any]]] = {
    "RSA": lambda: RSA,
    "RSA without alg and kid": lambda: {key: RSA[key] for key in ("kty", "n", "e")},
    "RSA with padded numbers": lambda: {**RSA, "n": RSA["n"] + "=="},
    "P-256": lambda: CURVES[0],
    "P-384": lambda: CURVES[1],
    "P-521": lambda: {**CURVES[2], "alg": "ES512", "use": "sig"},
    "Ed25519": lambda: EDWARDS,
}
BAD: dict[str, Any] = {
    "no object": "key",
    "null": None,
    "no kind": {"kid": "a"},
    "another kind": {**RSA, "kty": "XX"},
    "a kind that is no text": {**RSA, "kty": ["RSA"]},
    "shared": {"kty": "oct", "k": encoded(b"secret"), "kid": "a"},
    "for encryption": {**RSA, "use": "enc"},
    "for an algorithm of encryption": {**RSA, "alg": "RSA-OAEP"},
    "for a shared key's algorithm": {**RSA, "alg": "HS256"},
    "for another kind's algorithm": {**RSA, "alg": "ES256"},
    "an algorithm that is no text": {**RSA, "alg": 7},
    "a name that is no text": {**RSA, "kid": 7},
    "no number": {**RSA, "n": "***"},
    "a number of JSON": {**RSA, "n": 7},
    "an empty number": {**RSA, "n": ""},
    "an even modulus": {**RSA, "n": encoded(b"\xff" * 255 + b"\xfe")},
    "a small modulus": SMALL_RSA,
    "a huge modulus": {**RSA, "n": encoded(b"\xff" * 4096)},
    "an exponent of one": {**RSA, "e": "AQ"},
    "an even exponent": {**RSA, "e": "AA"},
    "a huge exponent": {**RSA, "e": encoded(b"\x03" + b"\x01" * 5)},
    "a point off the curve": {**CURVES[0], "y": CURVES[0]["x"]},
    "a point at zero": {**CURVES[0], "x": encoded(bytes(32)), "y": encoded(bytes(32))},
    "a short coordinate": {**CURVES[0], "x": "AAAA"},
    "another curve": {**CURVES[0], "crv": "secp256k1"},
    "another curve's point": {**CURVES[0], "crv": "P-384"},
    "a short Ed25519 key": {**EDWARDS, "x": "AAAA"},
    "X25519": {**EDWARDS, "crv": "X25519"},
}


@pytest.mark.parametrize("case", GOOD)
def test_a_good_key_is_taken_without_what_nobody_needs(case: str) -> None:
    key = GOOD[case]()
    [taken] = usable_keys({"keys": [{**key, "x5c": ["junk"], "x5u": "http://evil.test", "key_ops": ["verify"]}]})

    assert taken.keys() <= {"kty", "kid", "alg", "use", "crv", "n", "e", "x", "y"}
    assert taken["use"] == "sig"
    assert {name: value.rstrip("=") for name, value in key.items()}.items() <= taken.items()


@pytest.mark.parametrize("case", BAD)
def test_a_bad_key_is_left_out_and_the_others_are_taken(case: str) -> None:
    assert usable_keys({"keys": [BAD[case]]}) == []
    assert usable_keys({"keys": [BAD[case], CURVES[0]]}) == usable_keys({"keys": [CURVES[0]]})


@pytest.mark.parametrize("document", [None, [], "keys", 7, {}, {"keys": None}, {"keys": {}}, {"keys": "RSA"}])
def test_what_is_no_key_set_has_no_keys(document: Any) -> None:
    assert usable_keys(document) == []


def test_a_flood_of_keys_is_no_key_set() -> None:
    assert len(usable_keys({"keys": [CURVES[0]] * KEYS_MOST})) == KEYS_MOST
    assert usable_keys({"keys": [CURVES[0]] * (KEYS_MOST + 1)}) == []


@pytest.mark.slow
def test_a_proxy_takes_each_key_that_is_taken(platform: Any) -> None:
    """It would refuse a listener in which the only key of an issuer is none for it."""
    trusted = TrustedIssuer(issuer="https://corp.test")
    rejections = platform.control_plane.rejections()
    try:
        for make in GOOD.values():
            jwks = json.dumps({"keys": usable_keys({"keys": [make()]})})
            keys = Keys(issuer=trusted.issuer, jwks=jwks)
            platform.publish_world(other_issuers=(KnownIssuer(trusted=trusted, keys=keys),))
        assert platform.control_plane.rejections() == rejections
    finally:
        platform.publish_world(other_issuers=())
