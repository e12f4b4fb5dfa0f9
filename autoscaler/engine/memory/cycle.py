"""Cycle: load and utilisation summed over some buckets, from which concurrency and bursts are learned."""

from dataclasses import dataclass

from headrace.autoscaler.engine.observation import Observation, usable_share
from headrace.autoscaler.engine.statistics.buckets import Bucket


@dataclass(frozen=True, kw_only=True, slots=True)
class Cycle:
    seconds: float = 0.0
    arrived: float = 0.0
    completed: float = 0.0
    executing_seconds: float = 0.0
    queued_seconds: float = 0.0
    pod_seconds: float = 0.0
    """Seconds times ready pods."""
    executing: float = 0.0
    """Requests executing at the end of the first bucket."""
    readings: int = 0
    """Observations with a utilisation."""
    cpu: float = 0.0
    memory: float = 0.0
    gpu_memory: float = 0.0
    tensor: float = 0.0
    waiting: float = 0.0
    """The larger of I/O wait and memory bandwidth: what slows requests down without a core being busy."""

    def with_bucket(self, bucket: Bucket, observation: Observation) -> "Cycle":
        """The cycle with one more bucket and the utilisation seen at its end."""
        seen = observation.utilisation
        read = (seen.cpu, seen.memory, seen.gpu_memory, seen.tensor, seen.io_wait, seen.memory_bandwidth)
        shares = [usable_share(value) for value in read]
        cpu, memory, gpu_memory, tensor, io_wait, bandwidth = (0.0 if share is None else share for share in shares)
        return Cycle(
            seconds=self.seconds + bucket.seconds,
            arrived=self.arrived + bucket.arrived,
            completed=self.completed + bucket.completed,
            executing_seconds=self.executing_seconds + bucket.executing_seconds,
            queued_seconds=self.queued_seconds + bucket.queued_seconds,
            pod_seconds=self.pod_seconds + bucket.seconds * observation.pods.ready,
            executing=bucket.executing if self.seconds == 0 else self.executing,
            readings=self.readings + any(share is not None for share in shares),
            cpu=self.cpu + cpu,
            memory=self.memory + memory,
            gpu_memory=self.gpu_memory + gpu_memory,
            tensor=self.tensor + tensor,
            waiting=self.waiting + max(io_wait, bandwidth),
        )
