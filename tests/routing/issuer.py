"""Issuer: tokens and certificates, signed here."""

import base64
import datetime
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

ISSUER = "https://issuer.test"


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Signer:
    """An issuer of RS256 tokens."""

    def __init__(self, kid: str = "one", issuer: str = ISSUER) -> None:
        self.kid, self.issuer = kid, issuer
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def jwk(self) -> dict[str, str]:
        numbers = self.key.public_key().public_numbers()
        return {
            "kty": "RSA",
            "alg": "RS256",
            "use": "sig",
            "kid": self.kid,
            "n": _b64(numbers.n.to_bytes(256, "big")),
            "e": _b64(numbers.e.to_bytes(3, "big")),
        }

    def signed(self, header: str, payload: str) -> str:
        text = f"{_b64(header.encode())}.{_b64(payload.encode())}"
        return f"{text}.{_b64(self.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def token(self, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A valid token, unless told otherwise; a claim given as None is left out."""
        now = int(time.time())
        body = {"iss": self.issuer, "aud": ["headrace"], "sub": "alice", "iat": now, "exp": now + 600, **claims}
        body = {key: value for key, value in body.items() if value is not None}
        full_header = {"alg": "RS256", "typ": "JWT", "kid": self.kid, **(header or {})}
        return self.signed(json.dumps(full_header), json.dumps(body))


def write_certificate(folder: Path, common_name: str = "localhost") -> None:
    """A self-signed tls.crt and tls.key, swapped in as the kubelet swaps a Secret: by renaming a link."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    version_folder = folder / f"..{time.monotonic_ns()}"
    version_folder.mkdir(parents=True)
    (version_folder / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (version_folder / "tls.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    link = folder / "..data_tmp"
    link.symlink_to(version_folder.name)
    os.replace(link, folder / "..data")
    for name_of_file in ("tls.crt", "tls.key"):
        if not (folder / name_of_file).is_symlink():
            (folder / name_of_file).symlink_to(f"..data/{name_of_file}")
