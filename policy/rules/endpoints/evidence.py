"""An endpoint serves an image of which the stack before has signed evidence."""

import base64
import json
from collections.abc import Iterator, Sequence
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import Error
from securesystemslib.signer import SSlibKey

from rules import labels
from rules.rule import Level, ObjectRule, Resource, Setting, Settings

_REQUIRED = Setting(
    name="required",
    meaning="Whether every version must have evidence.",
    default=False,
    type={"type": "boolean"},
)
_KEYS = Setting(
    name="trusted_keys",
    meaning="Public keys, PEM, of the stacks that versions may come from.",
    default=(),
    type={"type": "array", "items": {"type": "string"}},
)


def _judge(resource: Resource, settings: Settings) -> Iterator[str]:
    if resource.kind != "ModelEndpoint" or not settings[_REQUIRED.name]:
        return
    envelope = (resource.metadata.get("annotations") or {}).get(labels.EVIDENCE)
    if not envelope:
        yield "no stack before has signed evidence of what it serves; deploy it with `headrace promote`"
        return
    attested, fault = _attested(envelope, settings[_KEYS.name])
    if fault:
        yield fault
        return
    for version in resource.spec.get("versions") or ():
        digest = str(version.get("image") or "").partition("@sha256:")[2]
        if digest != attested:
            yield (
                f"version {version.get('name')} serves an image with the digest {digest[:12]}, must be that of the "
                f"evidence, {attested[:12]}; deploy it with `headrace promote`"
            )


def _attested(envelope: str, trusted: Sequence[str]) -> tuple[str, str]:
    """The digest that the evidence is about, or what is wrong with the evidence."""
    try:
        found = Envelope.from_dict(json.loads(envelope))
        statement: Any = json.loads(base64.b64decode(json.loads(envelope)["payload"]))
        digest = str(statement["subject"][0]["digest"]["sha256"])
        keys = [SSlibKey.from_crypto(load_pem_public_key(pem.strip().encode())) for pem in trusted]
    except (ValueError, TypeError, KeyError, IndexError, Error) as error:
        return "", f"its evidence or a trusted key cannot be read ({error}); deploy it with `headrace promote`"
    try:
        found.verify(list(keys), 1)
    except (ValueError, Error):
        return "", (
            "no trusted key has signed its evidence; set trusted_keys to the public keys of the stacks before, or "
            "promote from one of them"
        )
    return digest, ""


RULE = ObjectRule(
    name="headrace-endpoint-evidence",
    description="Endpoints serve images of which a trusted stack has signed evidence.",
    level=Level.ADVISORY,
    own_settings=(_REQUIRED, _KEYS),
    judge=_judge,
)
