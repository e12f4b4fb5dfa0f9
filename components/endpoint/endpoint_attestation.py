"""What a version's endpoint says of it to the next stack, and what it takes from the stack before. Pure."""

from collections.abc import Mapping
from typing import Any

import pulumi

from headrace.components.endpoint.model_source import ModelSource
from headrace.contract.attestation import Attestation, unverified
from headrace.contract.codec import encode, read
from headrace.contract.declaration import Style
from headrace.contract.errors import InputError
from headrace.contract.evidence import Proof


def attested_image(envelope: str, source: ModelSource) -> str:
    """The image that the evidence is about: it serves as it is, and none is built.

    Whether a trusted key has signed the evidence is the policy's to judge (headrace-endpoint-evidence). Raises
    InputError where the evidence cannot be read or is about another model than `source`.
    """
    found = unverified(envelope)
    if found.model_identity != source.identity:
        raise InputError(
            "evidence",
            [f"it is about {found.model_uri} with the content {found.model_identity[:12]}, must be about {source.uri} "
             f"with {source.identity[:12]}; promote that version"],
        )  # fmt: skip
    return found.image


def facts(
    status: Any, *, endpoint: str, version: str, source: ModelSource, image: str, project: str, stack: str
) -> Mapping[str, Any]:
    """The encoded Attestation of the version; `status` is that of the endpoint's object."""
    attestation = Attestation(
        endpoint=endpoint,
        version=version,
        model_uri=source.pinned_uri,
        model_identity=source.identity,
        image=image,
        proof=proof_of(status, version=version, image=image),
        project=project,
        stack=stack,
    )
    written: dict[str, Any] = encode(attestation)
    return written


def proof_of(status: Any, *, version: str, image: str) -> Proof | None:
    """What a pod of that version and image has told, as the object's status has it."""
    for data in (status.get("proofs") or ()) if isinstance(status, Mapping) else ():
        proof, _ = read(Proof, data, Style.KUBERNETES)
        if proof is not None and (proof.version, proof.image) == (version, image):
            return proof
    return None


def image_of(envelope: pulumi.Input[str], source: ModelSource) -> pulumi.Output[str]:
    """`attested_image` of evidence that may be known later."""
    return pulumi.Output.from_input(envelope).apply(lambda known: attested_image(known, source))
