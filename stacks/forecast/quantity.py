"""Quantity: amounts as Kubernetes writes them, 250m or 1Gi, by its own client's parser."""

from decimal import Decimal
from typing import Any

from kubernetes.utils.quantity import parse_quantity


def quantity(written: Any) -> Decimal:
    """The amount in its base unit. Raises ValueError for what is none."""
    return Decimal(parse_quantity(written))  # type: ignore[no-untyped-call]
