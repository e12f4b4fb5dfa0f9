"""The scaling decision: pure, no clock, network or Kubernetes. Controller, simulator and replay call the same."""

from headrace.autoscaler.engine.decide import Decision, bounds, decide
from headrace.autoscaler.engine.memory.memory import History, Learned, Memory
from headrace.autoscaler.engine.memory.profile import Profile
from headrace.autoscaler.engine.observation import CallCurve, LoadCounters, Observation, PodCounts, Utilisation
from headrace.autoscaler.engine.reasons import Reason
from headrace.contract.codec import decode, encode

__all__ = [
    "CallCurve",
    "Decision",
    "History",
    "Learned",
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
