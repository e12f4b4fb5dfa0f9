"""Endpoints whose image no trusted stack has vouched for."""

import json
import tempfile
from pathlib import Path
from typing import Any

from attestations import IMAGE, attestation
from judging import CUSTOM, Case
from rules.endpoints import evidence
from rules.rule import Resource

from headrace.stacks.promotion.envelope import KeyPair, new_key, signed


def _signed(key: KeyPair) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "key.pem")
        path.write_text(key.private)
        return signed(attestation(), f"file:{path}")


_STAGING, _STRANGER = new_key(), new_key()
_ENVELOPE = _signed(_STAGING)
_PRODUCTION = {"required": True, "trusted_keys": [_STAGING.public]}


def _serving(image: str = IMAGE, envelope: str | None = _ENVELOPE) -> list[Resource]:
    annotations = {} if envelope is None else {"annotations": {"serving.headrace.dev/evidence": envelope}}
    props: dict[str, Any] = {
        "metadata": {"name": "fraud", "namespace": "endpoint-fraud", **annotations},
        "spec": {"versions": [{"name": "v7", "image": image}]},
    }
    return [Resource(type=f"{CUSTOM}:ModelEndpoint", props=props)]


CASES = [
    Case(evidence.RULE, _serving(), config=_PRODUCTION),
    Case(evidence.RULE, _serving(envelope=None)),
    Case(evidence.RULE, _serving(envelope=None), "no stack before has signed evidence", _PRODUCTION),
    Case(
        evidence.RULE,
        _serving("registry.example/models/fraud@sha256:" + "b" * 64),
        "with the digest bbbbbbbbbbbb",
        _PRODUCTION,
    ),
    Case(evidence.RULE, _serving("registry.example/models/fraud:latest"), "with the digest , must be", _PRODUCTION),
    Case(evidence.RULE, _serving(), "no trusted key has signed", {"required": True}),
    Case(evidence.RULE, _serving(), "no trusted key", {"required": True, "trusted_keys": [_STRANGER.public]}),
    Case(evidence.RULE, _serving(envelope=json.dumps({})), "cannot be read", _PRODUCTION),
    Case(evidence.RULE, _serving(), "cannot be read", {"required": True, "trusted_keys": ["no key"]}),
]
