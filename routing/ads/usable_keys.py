"""Usable keys: those of a JSON Web Key Set that a token may be signed by and that proxies take. Pure.

Envoy refuses a listener, with what it holds for all issuers, when one key set in it has no key that it can use. So
each key of a stranger's is checked here by its numbers, and what proxies need not know of it is left out.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final

KEYS_MOST: Final = 100
"""In one answer; issuers publish two or three."""
_RSA_BITS: Final = range(2048, 16385)
"""RFC 7518, 3.3 asks for 2048 or more; BoringSSL takes up to 16384."""
_EXPONENT_BITS_MOST: Final = 33
_RSA_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES: Final[Mapping[str, tuple[str, int, int, int]]] = {
    "P-256": (
        "ES256", 32, 2**256 - 2**224 + 2**192 + 2**96 - 1,
        0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    ),
    "P-384": (
        "ES384", 48, 2**384 - 2**128 - 2**96 + 2**32 - 1,
        0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
    ),
    "P-521": (
        "ES512", 66, 2**521 - 1,
        0x0051953EB9618E1C9A1F929A21A0B68540EEA2DA725B99B315F3B8B489918EF109E156193951EC7E937B1652C0BD3BB1BF073573DF883D2C34F1EF451FD46B503F00,
    ),
}  # fmt: skip
"""Algorithm, bytes of a coordinate, prime and b of each curve (FIPS 186-4, D.1.2); a is -3 on all."""
_ED25519_BYTES: Final = 32

Key = dict[str, str]


def usable_keys(document: Any) -> list[Key]:
    """The keys of a key set, reduced to what verifies a signature; empty where there is none, or no key set."""
    listed = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(listed, list) or len(listed) > KEYS_MOST:
        return []
    return [key for each in listed if (key := _usable(each)) is not None]


def _usable(key: Any) -> Key | None:
    if not isinstance(key, Mapping) or key.get("use", "sig") != "sig":
        return None
    kind = key.get("kty")
    read = _READERS.get(kind) if isinstance(kind, str) else None
    if read is None or not isinstance(key.get("kid", ""), str):
        return None
    numbers, algorithms = read(key)
    if numbers is None or key.get("alg", algorithms[0]) not in algorithms:
        return None
    named = {name: key[name] for name in ("kty", "kid", "alg", "crv") if name in key}
    return {**named, "use": "sig", **numbers}


def _rsa(key: Mapping[str, Any]) -> tuple[Key | None, tuple[str, ...]]:
    modulus, exponent = _number(key.get("n")), _number(key.get("e"))
    is_good = (
        modulus % 2 == 1
        and modulus.bit_length() in _RSA_BITS
        and exponent % 2 == 1
        and 1 < exponent.bit_length() <= _EXPONENT_BITS_MOST
    )
    return ({"n": _unpadded(key["n"]), "e": _unpadded(key["e"])} if is_good else None), _RSA_ALGORITHMS


def _elliptic(key: Mapping[str, Any]) -> tuple[Key | None, tuple[str, ...]]:
    curve = key.get("crv")
    if not isinstance(curve, str) or curve not in _CURVES:
        return None, ("",)
    algorithm, size, prime, b = _CURVES[curve]
    x, y = (_number(key.get(name), size) for name in ("x", "y"))
    is_on_curve = 0 < x < prime and 0 < y < prime and (y * y - (x * x * x - 3 * x + b)) % prime == 0
    return ({"x": _unpadded(key["x"]), "y": _unpadded(key["y"])} if is_on_curve else None), (algorithm,)


def _edwards(key: Mapping[str, Any]) -> tuple[Key | None, tuple[str, ...]]:
    is_good = key.get("crv") == "Ed25519" and len(_bytes(key.get("x"))) == _ED25519_BYTES
    return ({"x": _unpadded(key["x"])} if is_good else None), ("EdDSA",)


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], tuple[Key | None, tuple[str, ...]]]]] = {
    "RSA": _rsa,
    "EC": _elliptic,
    "OKP": _edwards,
}
"""Of each kind of key: its numbers, None where they are none, and the algorithms that it is for, the usual one first.
Keys that both sides know (`oct`) are not among them: whoever reads them could sign."""


def _bytes(text: Any) -> bytes:
    """Of unpadded base64url; empty where it is none."""
    if not isinstance(text, str) or not text.isascii():
        return b""
    try:
        return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return b""


def _number(text: Any, size: int | None = None) -> int:
    """Zero where it is none, or none of that many bytes."""
    read = _bytes(text)
    return int.from_bytes(read, "big") if size is None or len(read) == size else 0


def _unpadded(text: str) -> str:
    return text.rstrip("=")
