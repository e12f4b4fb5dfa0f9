"""The scaling decision: pure, no clock, network or Kubernetes. Controller, simulator and replay call the same."""

from headrace.autoscaler.engine.codec import decode, encode
from headrace.autoscaler.engine.decide import bounds, decide
from headrace.autoscaler.engine.model import (
    CallCurve,
    Decision,
    LoadCounters,
    Memory,
    Observation,
    PodCounts,
    Profile,
    Reason,
    Utilisation,
)

__all__ = [
    "CallCurve",
    "Decision",
    "LoadCounters",
    "Memory",
    "Observation",
    "PodCounts",
    "Profile",
    "Reason",
    "Utilisation",
    "bounds",
    "decide",
    "decode",
    "encode",
]
