"""Promotion: a version goes from one stack to the next with signed evidence of what it was on the first."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pulumi

from headrace.components.endpoint.model_endpoint import ModelEndpoint
from headrace.contract.attestation import Attestation
from headrace.contract.codec import decode


def evidence(endpoints: Mapping[str, ModelEndpoint], key_uri: str) -> dict[str, pulumi.Output[str]]:
    """What the next stack needs, by endpoint, signed with the key of that URI; nothing where that is empty."""
    if not key_uri:
        return {}
    return {name: endpoint.evidence.apply(partial(_signed, key_uri=key_uri)) for name, endpoint in endpoints.items()}


def _signed(facts: Mapping[str, Any], *, key_uri: str) -> str:
    from headrace.stacks.promotion.envelope import signed  # noqa: PLC0415 -- clients of AWS and Google, 1 s

    return signed(decode(Attestation, facts, subject="evidence"), key_uri)
