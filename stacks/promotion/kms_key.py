"""KmsKey: a key of AWS KMS that signs, ECDSA over P-256 with SHA-256, and never leaves it.

KMS is asked for the public half and for each signature; whoever checks one needs the public half alone.
"""

import hashlib
import os
import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from securesystemslib.signer import Key, SecretsHandler, Signature, Signer, SSlibKey

from headrace.contract.errors import HeadraceError, InputError, PermanentError, TemporaryError

_SUBJECT: Final = "evidence key"
_ALGORITHM: Final = "ECDSA_SHA_256"
_ARN: Final = re.compile(r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):\d{12}:(key|alias)/.+")
_USAGE: Final = "must be one with the usage SIGN_VERIFY and the spec ECC_NIST_P256; make such a key and name it"
_PERMANENT: Final = {
    "DisabledException": "is disabled, must be enabled; enable it, or name another",
    "KMSInvalidStateException": "is not to be used in its state (deletion, import), must be enabled; name another",
    "NotFoundException": "does not exist there, must exist; name another, or another region",
    "InvalidKeyUsageException": f"does not sign, {_USAGE}",
    "UnsupportedOperationException": f"does not sign, {_USAGE}",
    "InvalidArnException": "is no ARN of a key, must be one; copy it from KMS",
    "AccessDeniedException": "is closed to you, must be open to kms:GetPublicKey and kms:Sign; grant these rights",
    "ExpiredTokenException": "was asked with credentials that have expired; log in again, as with `aws sso login`",
    "UnrecognizedClientException": "was asked with credentials that AWS does not know; see `aws configure list`",
    "InvalidSignatureException": "was asked with credentials that AWS does not know; see `aws configure list`",
}
"""By KMS' code: what no repetition cures. Every other answer, of load and of KMS itself, time may cure."""


@dataclass(frozen=True, kw_only=True)
class KmsKey:
    """What a URI names."""

    id: str
    """Id, ARN, `alias/NAME` or ARN of an alias."""
    region: str

    @classmethod
    def of_uri(cls, uri: str) -> "KmsKey":
        """The key of `awskms:KEY?region=REGION`; `//` after the colon may stand there, as secrets providers have it.

        The region is the URI's, else the ARN's, else that of AWS' settings (AWS_REGION, AWS_DEFAULT_REGION, profile).
        Raises InputError with every fault.
        """
        path, _, query = uri.removeprefix("awskms:").partition("?")
        found = path.lstrip("/")
        given = parse_qs(query)
        faults = [
            f"{uri!r} has {name!r}, must have no parameter but region; remove it"
            for name in sorted(given.keys() - {"region", "awssdk"})
        ]
        if not found:
            faults.append(f"{uri!r} names no key, must name one; write awskms:alias/NAME?region=REGION")
        arn = _ARN.fullmatch(found)
        region = given.get("region", [""])[0] or (arn["region"] if arn else "") or _own_region()
        if not region:
            faults.append(f"{uri!r} has no region, must have one; add ?region=REGION, or set AWS_REGION")
        if arn and region and arn["region"] != region:
            faults.append(f"{uri!r} names two regions, {arn['region']} and {region}, must name one; remove ?region")
        if faults:
            raise InputError(_SUBJECT, faults)
        return cls(id=found, region=region)

    def signer(self) -> "KmsSigner":
        """What signs with it: KMS is asked for the public half.

        Raises InputError for a key that does not sign so, PermanentError where it may not be used, and TemporaryError
        where KMS does not answer or has too much to do.
        """
        client = _client(self.region)
        answer = self._asked(client.get_public_key, KeyId=self.id)
        public = load_der_public_key(answer["PublicKey"])
        is_right = isinstance(public, EllipticCurvePublicKey) and isinstance(public.curve, SECP256R1)
        if not is_right or answer.get("KeyUsage") != "SIGN_VERIFY":
            spec = answer.get("KeySpec", answer.get("CustomerMasterKeySpec", "?"))
            raise InputError(_SUBJECT, [f"{self} is one of {spec} for {answer.get('KeyUsage')}, {_USAGE}"])
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        return KmsSigner(self, client, SSlibKey.from_crypto(public), pem)

    def signature(self, client: Any, message: bytes) -> bytes:
        """KMS' signature, DER, of the message, of which it gets the digest. Raises as `signer`."""
        answer = self._asked(
            client.sign,
            KeyId=self.id,
            Message=hashlib.sha256(message).digest(),
            MessageType="DIGEST",
            SigningAlgorithm=_ALGORITHM,
        )
        return bytes(answer["Signature"])

    def _asked(self, call: Any, **parameters: Any) -> dict[str, Any]:
        from botocore import exceptions  # noqa: PLC0415 -- as in _client

        try:
            return dict(call(**parameters))
        except exceptions.ClientError as error:
            raise self._fault(error.response["Error"]["Code"], str(error)) from error
        except exceptions.NoCredentialsError as error:
            raise PermanentError(
                f"{_SUBJECT}: {self} was asked without credentials of AWS; log in, or set AWS_PROFILE"
            ) from error
        except (exceptions.ConnectionError, exceptions.HTTPClientError) as error:
            raise TemporaryError(
                f"{_SUBJECT}: {self} is not reached, KMS does not answer ({error}); run again"
            ) from error
        except exceptions.BotoCoreError as error:
            raise PermanentError(
                f"{_SUBJECT}: {self} cannot be asked for ({error}); see `aws configure list`"
            ) from error

    def _fault(self, code: str, said: str) -> HeadraceError:
        remedy = _PERMANENT.get(code)
        if remedy is None:
            return TemporaryError(f"{_SUBJECT}: {self} cannot be used now, KMS answers {code} ({said}); run again")
        if code in {"NotFoundException", "InvalidKeyUsageException", "UnsupportedOperationException"}:
            return InputError(_SUBJECT, [f"{self} {remedy}"])
        return PermanentError(f"{_SUBJECT}: {self} {remedy}")

    def __str__(self) -> str:
        return f"the KMS key {self.id} in {self.region}"


class KmsSigner(Signer):
    """Signs as securesystemslib's envelopes want it."""

    def __init__(self, key: KmsKey, client: Any, public: SSlibKey, pem: str) -> None:
        self._key = key
        self._client = client
        self._public = public
        self.public_pem = pem
        """The public half: what another stack must trust."""

    @property
    def public_key(self) -> SSlibKey:
        """The public half, as securesystemslib has it."""
        return self._public

    def sign(self, payload: bytes) -> Signature:
        """The signature. Raises as `KmsKey.signer`."""
        return Signature(self._public.keyid, self._key.signature(self._client, payload).hex())

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: SecretsHandler | None = None
    ) -> "KmsSigner":
        """The signer of that URI; its public half is KMS'. Raises as `KmsKey.of_uri` and `KmsKey.signer`."""
        return KmsKey.of_uri(priv_key_uri).signer()


def _client(region: str) -> Any:
    session = _session()
    from botocore.config import Config  # noqa: PLC0415 -- half a second, for stacks that sign by KMS

    return session.client("kms", region_name=region, config=Config(connect_timeout=5, read_timeout=20))


def _own_region() -> str:
    return str(_session().region_name or os.environ.get("AWS_REGION", ""))


def _session() -> Any:
    try:
        import boto3  # noqa: PLC0415 -- in the extra kms
    except ImportError as error:
        raise PermanentError(
            f"{_SUBJECT}: keys of AWS KMS need boto3; install it by `pip install 'headrace[kms]'`"
        ) from error
    return boto3.Session()
