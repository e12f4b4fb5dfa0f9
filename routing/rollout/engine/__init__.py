"""The decision of a rollout: pure, no clock, network or Kubernetes. Controller, simulator and replay call the same."""

from headrace.routing.rollout.engine.decide import Decision, decide
from headrace.routing.rollout.engine.observation import NOTHING_COMPARED, Compared, Observation, VersionCounters
from headrace.routing.rollout.engine.reasons import Reason
from headrace.routing.rollout.engine.rollout_memory import Memory

__all__ = ["NOTHING_COMPARED", "Compared", "Decision", "Memory", "Observation", "Reason", "VersionCounters", "decide"]
