"""Attestation: what is known of a version on the stack where it serves, in the form in which it goes to the next.

The form is an in-toto Statement (v1) about the image's digest, https://github.com/in-toto/attestation, in a DSSE
envelope, https://github.com/secure-systems-lab/dsse. Signatures are the business of `headrace.stacks.promotion`.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from headrace.contract.codec import decode, encode
from headrace.contract.declaration import NotEmpty, Text
from headrace.contract.errors import InputError
from headrace.contract.evidence import Proof

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://headrace.dev/attestation/version/v1"

Pinned = Annotated[str, Text(pattern=r"[^@\s]+@sha256:[0-9a-f]{64}", meaning="an image pinned by digest")]


@dataclass(frozen=True, kw_only=True)
class Attestation:
    """One version of one model, as one stack serves it."""

    endpoint: NotEmpty
    """Name of the endpoint there."""
    version: NotEmpty
    """Name of the version, for example v7."""
    model_uri: NotEmpty
    """The model, with its version or id and never an alias: models:/fraud/7."""
    model_identity: NotEmpty
    """What tells one content of the model from another: a digest or the registry's id of the logged model."""
    image: Pinned
    """The image that serves, with the model's whole environment."""
    proof: Proof | None = None
    """What a pod of that image found out before it took requests. Absent: none has told yet."""
    project: str = ""
    """Pulumi project of the stack."""
    stack: str = ""
    """The stack where the version serves."""

    @property
    def digest(self) -> str:
        """Of the image, without the algorithm's name: 64 hexadecimal digits."""
        return self.image.rpartition("@sha256:")[2]

    def statement(self) -> dict[str, Any]:
        """The in-toto Statement."""
        return {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": self.image.rpartition("@")[0], "digest": {"sha256": self.digest}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": encode(self),
        }

    @classmethod
    def of_statement(cls, statement: Any) -> "Attestation":
        """Reads a Statement; raises InputError where it is none of ours, or speaks of an image and means another."""
        kinds = {"_type": STATEMENT_TYPE, "predicateType": PREDICATE_TYPE}
        faults = [
            f"{key} = {_get(statement, key)!r}, must be {kind!r}"
            for key, kind in kinds.items()
            if _get(statement, key) != kind
        ]
        if faults:
            raise InputError("evidence", faults)
        found = decode(cls, statement.get("predicate"), subject="evidence")
        if statement.get("subject") != found.statement()["subject"]:
            raise InputError(
                "evidence",
                [f"subject = {statement.get('subject')!r}, must be the image of its predicate, {found.image}"],
            )
        return found


def unverified(envelope: str) -> Attestation:
    """What a DSSE envelope, JSON, says, whoever signed it. Raises InputError where it cannot be read."""
    try:
        document = json.loads(envelope)
        statement = json.loads(base64.b64decode(document["payload"], validate=True))
    except (ValueError, TypeError, KeyError) as error:
        remedy = "must be the envelope that a stack has as the output `evidence`, as text"
        raise InputError("evidence", [f"{envelope[:40]!r}… cannot be read, {remedy}"]) from error
    return Attestation.of_statement(statement)


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None
