"""Certificate: a private certificate authority and one server certificate, made on the deployer's machine.

Keys are made once and kept, as secrets, in the stack's state. The server certificate is renewed by the first
`pulumi up` in the last third of its life or after its names change; clients go on trusting the same authority.
Not created here: the Kubernetes Secret, and certificates of a public authority (give PopProxy a `tls_secret` instead).
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pulumi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pulumi import dynamic

AUTHORITY_LIFE: Final = timedelta(days=3650)
SERVER_LIFE: Final = timedelta(days=397)
"""The longest that browsers and Apple's clients accept."""
_CLOCK_SKEW: Final = timedelta(hours=1)
"""Certificates start this long ago, for clients whose clock is behind."""


@dataclass(frozen=True, kw_only=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: str
    private_key: str


def new_authority(now: datetime) -> KeyPair:
    """A self-signed certificate authority that may sign servers and nothing below them."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Headrace")])
    certificate = (
        _builder(subject, subject, key.public_key(), now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pair(certificate, key)


def new_server(
    authority: KeyPair,
    server_names: Sequence[str],
    now: datetime,
    *,
    life: timedelta = SERVER_LIFE,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
) -> KeyPair:
    """A certificate for `server_names` (DNS names and IP addresses), signed by `authority`; a server's by default."""
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    issuer_key = serialization.load_pem_private_key(authority.private_key.encode(), password=None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"the authority's key is a {type(issuer_key).__name__}, must be elliptic-curve")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, server_names[0][:64])])
    certificate = (
        _builder(subject, issuer.subject, key.public_key(), now, life)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in server_names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return _pair(certificate, key)


def renewal_due(certificate: str, now: datetime, *, life: timedelta = SERVER_LIFE) -> bool:
    """Whether the PEM `certificate` is in the last third of `life`, or past it."""
    return x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc - now < life / 3


class _Issuer(dynamic.ResourceProvider):
    """Runs in Pulumi's provider process; the inputs and outputs are the fields of Certificate."""

    serialize_as_secret_always = False  # it holds no state at all

    def create(self, props: Any) -> dynamic.CreateResult:
        authority = new_authority(datetime.now(UTC))
        return dynamic.CreateResult("certificate", _issued(authority, props))

    def diff(self, _id: str, _olds: Any, _news: Any) -> dynamic.DiffResult:
        changed = list(_olds["server_names"]) != list(_news["server_names"])
        return dynamic.DiffResult(changes=changed or renewal_due(_olds["certificate"], datetime.now(UTC)))

    def update(self, _id: str, _olds: Any, _news: Any) -> dynamic.UpdateResult:
        authority = KeyPair(certificate=_olds["ca_certificate"], private_key=_olds["ca_private_key"])
        if renewal_due(authority.certificate, datetime.now(UTC)):
            authority = new_authority(datetime.now(UTC))
        return dynamic.UpdateResult(_issued(authority, _news))


class Certificate(dynamic.Resource, module="headrace", name="Certificate"):
    """A server certificate of an authority of its own; both private keys are secret outputs."""

    server_names: pulumi.Output[Sequence[str]]
    """DNS names and IP addresses the certificate is valid for."""
    certificate: pulumi.Output[str]
    """Server certificate, PEM."""
    private_key: pulumi.Output[str]
    """Its private key, PEM, secret."""
    ca_certificate: pulumi.Output[str]
    """The authority's certificate, PEM: what a client must trust."""
    ca_private_key: pulumi.Output[str]
    """The authority's private key, PEM, secret; kept so that renewal needs no new trust."""

    def __init__(
        self, name: str, server_names: Sequence[pulumi.Input[str]], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        outputs = dict.fromkeys(("certificate", "private_key", "ca_certificate", "ca_private_key"))
        secret = pulumi.ResourceOptions(additional_secret_outputs=["private_key", "ca_private_key"])
        super().__init__(
            _Issuer(), name, {"server_names": list(server_names), **outputs}, pulumi.ResourceOptions.merge(opts, secret)
        )


def _issued(authority: KeyPair, props: Any) -> dict[str, Any]:
    server = new_server(authority, props["server_names"], datetime.now(UTC))
    return {
        "server_names": list(props["server_names"]),
        "certificate": server.certificate,
        "private_key": server.private_key,
        "ca_certificate": authority.certificate,
        "ca_private_key": authority.private_key,
    }


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    return KeyPair(
        certificate=certificate.public_bytes(serialization.Encoding.PEM).decode(),
        private_key=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    )
