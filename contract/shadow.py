"""Shadow: how a version that gets copies of requests differs from the version that serves them."""

from dataclasses import dataclass
from typing import Annotated, Final

from headrace.contract.conditions import Time
from headrace.contract.declaration import Items

DIFFERENCES_KEPT: Final = 10
"""Predictions in `status.shadows[].differences`, newest last."""


@dataclass(frozen=True, kw_only=True)
class DifferingPrediction:
    """One prediction that was another one."""

    time: Time
    """When it was compared."""
    row: int
    """Which prediction of its answer, from 0."""
    serving: str
    """What the version that serves predicted, as JSON, shortened."""
    shadow: str
    """What this version predicted."""


@dataclass(frozen=True, kw_only=True)
class ShadowStatus:
    """What is known of one version with `shadow`. Written by the rollout controller."""

    version: str
    """The version."""
    beside: str
    """The version that serves, with which it is compared; of several the one with the greatest weight."""
    predictions: int
    """Predictions that were compared."""
    differing: int
    """Of those, predictions that differ: a label that is not equal, a number that is not near."""
    differing_percent: float
    """Share of them, in percent."""
    typical_milliseconds: float | None = None
    """Time within which half of its requests are answered, as the balancers' histograms have it. Absent: too few."""
    beside_typical_milliseconds: float | None = None
    """The same of the version that serves."""
    differences: Annotated[tuple[DifferingPrediction, ...], Items(maximum=DIFFERENCES_KEPT)] = ()
    """The last predictions that differ, newest last; none where an inference table redacts. Requests are not kept."""
