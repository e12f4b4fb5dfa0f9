"""How much of its cgroup's CPU, memory and I/O the pod uses; an unknown value is None, never zero."""

import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Ratios:
    """Shares of the pod's limits, 0 to 1, and CPU-seconds used."""

    cpu_ratio: float | None
    memory_ratio: float | None
    io_wait_ratio: float | None
    cpu_seconds: float | None
    """CPU-seconds since the pod was first seen ready."""
    throttled_seconds: float | None
    """Seconds, since the cgroup began, in which its processes were kept from the cores because its quota was used up;
    None without a quota."""
    memory_bytes: float | None
    """The working set: memory less the file pages that nobody uses."""


class Usage:
    """Reads cgroup v2 files, or v1 where those are all there is."""

    def __init__(self, cores: float, memory_bytes: int | None, root: Path = Path("/sys/fs/cgroup")) -> None:
        self._cores = cores
        self._memory_bytes = memory_bytes
        self._root = root
        self._seen: tuple[float, float | None, float | None] | None = None
        self._started: float | None = None
        """CPU-seconds used when the pod was first seen ready."""

    def read(self, *, ready: bool = True) -> Ratios:
        """Ratios since the last read; the first read has no interval and gives None for CPU and I/O. While the pod is
        not `ready` there is no CPU, nor in the first read after: what a start takes is no load."""
        now = time.monotonic()
        cpu = self._cpu_seconds()
        waited = self._io_wait_seconds()
        cpu_ratio = io_ratio = None
        if self._seen is not None and now > self._seen[0]:
            passed = now - self._seen[0]
            if cpu is not None and self._seen[1] is not None and self._started is not None:
                cpu_ratio = min(1.0, max(0.0, (cpu - self._seen[1]) / passed / self._cores))
            if waited is not None and self._seen[2] is not None:
                io_ratio = min(1.0, max(0.0, (waited - self._seen[2]) / passed))
        self._seen = (now, cpu, waited)
        if self._started is None and ready:
            self._started = cpu
        return Ratios(
            cpu_ratio=cpu_ratio,
            memory_ratio=self.memory_ratio(),
            io_wait_ratio=io_ratio,
            cpu_seconds=None if cpu is None or self._started is None else cpu - self._started,
            throttled_seconds=self._throttled_seconds(),
            memory_bytes=self.memory_bytes(),
        )

    def _text(self, name: str) -> str | None:
        try:
            return (self._root / name).read_text()
        except OSError:
            return None

    def _field(self, name: str, key: str) -> float | None:
        for line in (self._text(name) or "").splitlines():
            first, _, rest = line.partition(" ")
            if first == key:
                return float(rest)
        return None

    def _cpu_seconds(self) -> float | None:
        micros = self._field("cpu.stat", "usage_usec")
        if micros is not None:
            return micros / 1e6
        nanos = self._text("cpuacct/cpuacct.usage")
        return None if nanos is None else float(nanos) / 1e9

    def _throttled_seconds(self) -> float | None:
        micros = self._field("cpu.stat", "throttled_usec")
        if micros is not None:
            return micros / 1e6
        nanos = self._field("cpu/cpu.stat", "throttled_time")
        return None if nanos is None else nanos / 1e9

    def memory_ratio(self) -> float | None:
        """Working set over the limit now."""
        used = None if self._memory_bytes is None else self.memory_bytes()
        return None if used is None or self._memory_bytes is None else min(1.0, used / self._memory_bytes)

    def memory_bytes(self) -> float | None:
        """Working set now."""
        used, stat = self._text("memory.current"), "memory.stat"
        key = "inactive_file"
        if used is None:
            used, stat, key = self._text("memory/memory.usage_in_bytes"), "memory/memory.stat", "total_inactive_file"
        if used is None:
            return None
        inactive = self._field(stat, key)
        return max(0.0, float(used) - (0.0 if inactive is None else inactive))

    def _io_wait_seconds(self) -> float | None:
        for line in (self._text("io.pressure") or "").splitlines():
            if line.startswith("some "):
                return float(line.rpartition("total=")[2]) / 1e6
        return None
