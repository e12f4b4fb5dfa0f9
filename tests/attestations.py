"""Attestations of a version, as a first stack would sign them."""

from typing import Any

from headrace.contract.attestation import Attestation
from headrace.contract.evidence import Proof

MODEL_URI = "models:/fraud/7"
IMAGE = "registry.example/models/fraud@sha256:" + "a" * 64


def proof(**changes: Any) -> Proof:
    """Of a version that answers its example alike over two protocols."""
    told: dict[str, Any] = {
        "version": "v7",
        "image": IMAGE,
        "time": "2026-11-30T10:00:00Z",
        "load_seconds": 1.5,
        "memory_mib": 210.0,
        "has_example": True,
        "call_milliseconds": 40.0,
        "protocols": ("invocations", "open-inference"),
    }
    return Proof(**{**told, **changes})


def attestation(**changes: Any) -> Attestation:
    """Of version 7 of the model fraud, on the stack staging."""
    known: dict[str, Any] = {
        "endpoint": "fraud",
        "version": "v7",
        "model_uri": MODEL_URI,
        "model_identity": f"content of {MODEL_URI}",
        "image": IMAGE,
        "proof": proof(),
        "project": "headrace",
        "stack": "staging",
    }
    return Attestation(**{**known, **changes})
