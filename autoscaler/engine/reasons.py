"""Reasons of a decision: a code, which is a constant word for logs, metrics and conditions, and a sentence."""

from dataclasses import dataclass
from typing import Final

NO_DATA: Final = "NoData"
STALE: Final = "Stale"
CLOCK_SKEW: Final = "ClockSkew"
NOT_FINITE: Final = "NotFinite"
NEGATIVE: Final = "Negative"
IMPLAUSIBLE: Final = "Implausible"
COUNTER_RESET: Final = "CounterReset"
GAP: Final = "Gap"
FAULT_CODES: Final = frozenset({NO_DATA, STALE, CLOCK_SKEW, NOT_FINITE, NEGATIVE, IMPLAUSIBLE, COUNTER_RESET, GAP})
"""Reasons that hold the last decision because the signals cannot be trusted."""

WARMING: Final = "Warming"
STEADY: Final = "Steady"
SCALE_UP: Final = "ScaleUp"
SCALE_DOWN: Final = "ScaleDown"
HOLDING: Final = "Holding"
WOKEN: Final = "Woken"
IDLE: Final = "Idle"
LIMIT_REACHED: Final = "LimitReached"
BUDGET_REACHED: Final = "BudgetReached"
BOUNDS: Final = "Bounds"
SPARE_KEPT: Final = "SpareKept"
STOPPED: Final = "Stopped"
CAPACITY_SHORT: Final = "CapacityShort"
CROWDED: Final = "Crowded"
TRYING: Final = "Trying"
GUESSED: Final = "Guessed"
NOISY: Final = "Noisy"
PODS_FAILING: Final = "PodsFailing"
CONCURRENCY_UP: Final = "ConcurrencyUp"
CONCURRENCY_DOWN: Final = "ConcurrencyDown"
RELEARNING: Final = "Relearning"
BURSTY: Final = "Bursty"


@dataclass(frozen=True, slots=True)
class Reason:
    code: str
    message: str
