"""What a ModelEndpoint's status says of the proofs of its versions. Pure."""

import datetime
import functools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple
from typing import Any, Final, NamedTuple

from headrace.contract.codec import read
from headrace.contract.conditions import Finding
from headrace.contract.declaration import Style
from headrace.contract.evidence import Proof
from headrace.contract.model_endpoint import PROVEN
from headrace.routing.snapshot import Endpoint

LONGEST_TEXT: Final = 1024
"""Most characters of a text in a proof; a model's own code could answer in place of its pod."""

MOST_TEXTS: Final = 32


class Version(NamedTuple):
    """Which proof is meant: a version's of the same name with another image is another one."""

    namespace: str
    name: str
    image: str


def versions_of(namespace: str, endpoint: Endpoint) -> list[Version]:
    """The versions that an object names."""
    return [Version(namespace, version.name, version.image) for version in endpoint.spec.versions]


def proof_in(data: Any, version: Version) -> Proof | None:
    """The proof of a version that an object's status, or a pod, tells; None where that is none of it."""
    proof, faults = read(Proof, data, Style.KUBERNETES)
    if proof is None or faults or (proof.version, proof.image) != (version.name, version.image):
        return None
    values = astuple(proof)
    texts = [value for value in values if isinstance(value, str)] + [*proof.protocols, *proof.differences]
    if any(isinstance(value, float) and not math.isfinite(value) for value in values):
        return None
    if (
        not all(len(text) <= LONGEST_TEXT and text.isprintable() for text in texts)
        or len(proof.protocols) + len(proof.differences) > 32
    ):
        return None
    try:
        datetime.datetime.strptime(proof.time, "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return None
    return proof


def kept(item: Mapping[str, Any], versions: Iterable[Version]) -> dict[str, Proof]:
    """The proofs that the object's status has of these versions, by name."""
    told = {data.get("version"): data for data in (item.get("status") or {}).get("proofs") or ()}
    found = {
        version.name: _known(json.dumps(told[version.name]), version) for version in versions if version.name in told
    }
    return {name: proof for name, proof in found.items() if proof is not None}


@functools.lru_cache(maxsize=16_384)  # every status is looked at with every change in the cluster
def _known(text: str, version: Version) -> Proof | None:
    return proof_in(json.loads(text), version)


def finding(endpoint: Endpoint, proofs: Mapping[str, Proof], failure: tuple[str, str] | None) -> Finding | None:
    """What is to be said of the versions that the object names; None while some of them have told nothing.

    `failure`: reason and message of a pod that does not start, of a version without proof.
    """
    told = [proofs[version.name] for version in endpoint.spec.versions if version.name in proofs]
    against = [proof for proof in told if not proof.holds]
    if against:
        return Finding(type=PROVEN, holds=False, reason="ProtocolsDiffer", message=_sentences(against))
    if failure is not None:
        return Finding(type=PROVEN, holds=False, reason=failure[0], message=failure[1])
    if len(told) < len(endpoint.spec.versions):
        return None
    reason = "ExampleAnswered" if all(proof.has_example for proof in told) else "NoExample"
    return Finding(type=PROVEN, holds=True, reason=reason, message=_sentences(told))


def _sentences(proofs: Sequence[Proof]) -> str:
    text = " ".join(f"Version {proof.version} {proof.sentence()}" for proof in proofs)
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"
