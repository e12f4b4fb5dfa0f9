"""What moto 5.2.5's KMS does not do: signatures of digests, and refusals of keys that are disabled or do not sign."""

import base64
import io
import json
import re
from collections.abc import Iterable
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from moto.backends import get_backend  # type: ignore[import-untyped]

from stand_in_aws.gaps import App, Environ

_ACCOUNT: Final = "123456789012"
_OPERATIONS: Final = {"TrentService.Sign", "TrentService.GetPublicKey"}
_STATES: Final = {"Disabled": "DisabledException", "PendingDeletion": "KMSInvalidStateException"}
_REGION: Final = re.compile(r"Credential=[^/]+/\d+/([^/]+)/kms/")


class SigningKeys:
    """A WSGI application in front of moto's."""

    def __init__(self, moto: App) -> None:
        self._moto = moto

    def __call__(self, environ: Environ, start: Any) -> Iterable[bytes]:
        """One request, answered here or by moto."""
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        if target not in _OPERATIONS:
            return self._moto(environ, start)
        content = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(content)
        asked = json.loads(content)
        region = _REGION.search(environ.get("HTTP_AUTHORIZATION", ""))
        assert region is not None
        backend = get_backend("kms")[_ACCOUNT][region[1]]
        try:
            key = backend.describe_key(asked["KeyId"])
        except (KeyError, AttributeError):  # the latter for an alias that is none: moto 5.2.5
            missing = {"__type": "NotFoundException", "message": f"{asked['KeyId']} is not found."}
            return _answer(start, "400 Bad Request", missing)
        refusal = _STATES.get(key.key_state)
        if refusal is None and key.key_usage != "SIGN_VERIFY":
            is_public = target.endswith("GetPublicKey")
            refusal = "UnsupportedOperationException" if is_public else "InvalidKeyUsageException"
        if refusal is not None:
            return _answer(start, "400 Bad Request", {"__type": refusal, "message": f"{key.arn} is {key.key_state}."})
        if asked.get("MessageType") == "DIGEST":
            signature = key.private_key.private_key.sign(
                base64.b64decode(asked["Message"]), ec.ECDSA(Prehashed(SHA256()))
            )
            return _answer(start, "200 OK", {"KeyId": key.arn, "Signature": base64.b64encode(signature).decode()})
        return self._moto(environ, start)


def _answer(start: Any, status: str, body: dict[str, Any]) -> Iterable[bytes]:
    start(status, [("Content-Type", "application/x-amz-json-1.1")])
    return [json.dumps(body).encode()]
