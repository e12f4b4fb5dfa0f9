"""Reasons of a decision: a code, which is a constant word for logs, events and conditions, and a sentence."""

from dataclasses import dataclass
from typing import Final

FIRST_VERSION: Final = "FirstVersion"
WAITING_FOR_POD: Final = "WaitingForPod"
NOT_READY: Final = "NotReady"
STEP_STARTED: Final = "StepStarted"
BAKING: Final = "Baking"
TOO_FEW_REQUESTS: Final = "TooFewRequests"
NO_DATA: Final = "NoData"
PAUSED: Final = "Paused"
PASSED: Final = "GatesPassed"
ERRORS: Final = "ErrorRate"
LATENCY: Final = "Latency"
PREDICTIONS: Final = "Predictions"
PODS_LOST: Final = "PodsLost"
FORMER_GONE: Final = "FormerVersionGone"
ABORTED: Final = "Aborted"


@dataclass(frozen=True, slots=True)
class Reason:
    code: str
    message: str
