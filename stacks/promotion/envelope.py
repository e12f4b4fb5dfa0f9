"""Envelope: an attestation signed, and one whose signature is checked, as securesystemslib has both."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib import exceptions
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, GCPSigner, Signer, SSlibKey

from headrace.contract.attestation import PAYLOAD_TYPE, Attestation
from headrace.contract.errors import HeadraceError, InputError, PermanentError
from headrace.stacks.promotion.kms_key import KmsKey

_SCHEMES: Final = "file:PATH of a private key in PEM, awskms:KEY?region=REGION or gcpkms:NAME"


class Unsigned(PermanentError):
    """No key that is trusted has signed the evidence."""


@dataclass(frozen=True, kw_only=True)
class KeyPair:
    """An Ed25519 key, both halves PEM."""

    private: str
    public: str


def new_key() -> KeyPair:
    """A new key, for a stack without a key management service."""
    private = Ed25519PrivateKey.generate()
    return KeyPair(
        private=private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        public=private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    )


def signed(attestation: Attestation, key_uri: str) -> str:
    """The DSSE envelope of the attestation, as text, signed with the key of that URI.

    Raises InputError where there is no such key, and for one of AWS KMS PermanentError where it may not be used and
    TemporaryError where KMS cannot be asked now. Ed25519 signs the same attestation with the same bytes each time;
    ECDSA, which KMS has, does not.
    """
    statement = json.dumps(attestation.statement(), sort_keys=True, separators=(",", ":"))
    envelope = Envelope(statement.encode(), PAYLOAD_TYPE, {})
    envelope.sign(_key(key_uri)[0])
    return json.dumps(envelope.to_dict(), sort_keys=True, separators=(",", ":"))


def opened(envelope: str, trusted: Sequence[str]) -> Attestation:
    """The attestation in the envelope, which one of the trusted keys, PEM, has signed.

    Raises Unsigned where none has, and InputError where the envelope or a key cannot be read.
    """
    keys = [public_key(pem) for pem in trusted]
    try:
        found = Envelope.from_dict(json.loads(envelope))
    except (ValueError, TypeError, KeyError, AttributeError, exceptions.FormatError) as error:
        raise InputError("evidence", [f"{envelope[:40]!r}… cannot be read, must be a DSSE envelope as text"]) from error
    try:
        found.verify(list(keys), 1)
    except (ValueError, exceptions.VerificationError) as error:
        signers = ", ".join(sorted(keyid[:8] for keyid in found.signatures))
        known = ", ".join(sorted(key.keyid[:8] for key in keys))
        raise Unsigned(
            f"evidence is signed by {signers if signers else 'nobody'}, must be signed by a trusted key "
            f"({known if known else 'none is trusted'}); trust the signer's public key, or promote from another stack"
        ) from error
    if found.payload_type != PAYLOAD_TYPE:
        raise InputError("evidence", [f"payloadType = {found.payload_type!r}, must be {PAYLOAD_TYPE!r}"])
    return Attestation.of_statement(json.loads(found.payload))


def public_key(pem: str) -> SSlibKey:
    """Raises InputError where the text is no public key in PEM."""
    try:
        return SSlibKey.from_crypto(load_pem_public_key(pem.strip().encode()))
    except ValueError as error:
        raise InputError("trusted keys", [f"{pem.strip()[:40]!r}… must be a public key in PEM: {error}"]) from error


def public_pem(key_uri: str) -> str:
    """The public half of the key of that URI, PEM: what another stack must trust. Raises InputError as `signed`."""
    return _key(key_uri)[1]


def _key(key_uri: str) -> tuple[Signer, str]:
    """What signs, and its public half in PEM."""
    scheme, _, place = key_uri.partition(":")
    try:
        if scheme == "file":
            private = load_pem_private_key(Path(place).read_bytes(), password=None)
            public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            return CryptoSigner(private), public.decode()
        if scheme == "awskms":
            signer = KmsKey.of_uri(key_uri).signer()
            return signer, signer.public_pem
        if scheme == "gcpkms":
            uri, key = GCPSigner.import_(place)
            return Signer.from_priv_key_uri(uri, key), str(key.keyval["public"])
    except HeadraceError:
        raise
    except Exception as error:  # of files, of keys, and of Google's own client
        raise InputError("evidence key", [f"{key_uri!r} cannot be used: {error}"]) from error
    raise InputError("evidence key", [f"{key_uri!r}, must be {_SCHEMES}"])
