"""CPU time of everything that takes part, from the kernel's own counters (cgroups and processes of this node)."""

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from headrace.contract import names
from headrace.local import cluster_layout

POP, BALANCER = names.POP_PROXY, names.LOAD_BALANCER
PODS: Final = "pods"
"""All processes of the model's pods, by their cgroups."""
FRONT, WORKER = "front", "worker"
CLUSTER: Final = "cluster"
"""Kubernetes' own programs, but not the containers' shims."""
_ROOTS: Final = (Path("/sys/fs/cgroup/cpuacct"), Path("/sys/fs/cgroup"))
_CLASSES: Final = ("", "burstable", "besteffort")


@dataclass
class Usage:
    """Seconds of CPU since the first look, by role; grows, also when pods and processes end."""

    seconds: dict[str, float] = field(default_factory=dict)
    _looked: bool = False
    """Whether the first look is over: what is new after it began after it."""
    _last: dict[tuple[str, str], float] = field(default_factory=dict)
    _folders: dict[str, Path] = field(default_factory=dict)
    _kinds: dict[str, str] = field(default_factory=dict)

    def look(self, system: Iterable[Mapping[str, Any]], model: Iterable[Mapping[str, Any]]) -> dict[str, float]:
        """Reads everything once. `system`: the platform's pods, `model`: those under load."""
        for pod in system:
            role = pod["metadata"].get("labels", {}).get(names.COMPONENT_LABEL, "")
            if role:
                self._add_pod(role, pod)
        for pod in model:
            folder = self._add_pod(PODS, pod)
            if folder is not None:
                self._add_processes(folder)
        for file in cluster_layout.folders().processes.glob("*.pid"):
            self._add_process(CLUSTER, file.read_text().split()[0])
        return dict(self.seconds)

    def _add_pod(self, role: str, pod: Mapping[str, Any]) -> Path | None:
        uid = pod["metadata"]["uid"]
        folder = self._folders.get(uid) or cgroup(uid)
        if folder is None:
            return None
        self._folders[uid] = folder
        value = spent(folder)
        if value is not None:
            self._add(role, uid, value)
        return folder

    def _add_processes(self, folder: Path) -> None:
        for file in folder.rglob("cgroup.procs"):
            try:
                pids = file.read_text().split()
            except OSError:
                continue  # the container ended meanwhile
            for pid in pids:
                kind = self._kinds.get(pid) or role_of(pid)
                if kind:
                    self._kinds[pid] = kind
                    self._add_process(kind, pid)

    def _add_process(self, role: str, pid: str) -> None:
        try:
            self._add(role, pid, time.clock_gettime((~int(pid) << 3) | 2))  # clock_getcpuclockid(3)
        except (OSError, ValueError):
            return

    def _add(self, role: str, what: str, value: float) -> None:
        before = self._last.get((role, what))
        self._last[role, what] = value
        self.seconds.setdefault(role, 0.0)
        if before is not None or self._looked:
            self.seconds[role] += value - (before or 0.0)

    def begin(self, system: Iterable[Mapping[str, Any]], model: Iterable[Mapping[str, Any]]) -> None:
        """The first look: what was used before it does not count."""
        self.look(system, model)
        self._looked = True
        self.seconds = dict.fromkeys(self.seconds, 0.0)


def cgroup(uid: str) -> Path | None:
    """A pod's cgroup on this node, with the kubelet's driver `cgroupfs`; None when it has none."""
    for root in _ROOTS:
        for kind in _CLASSES:
            folder = root / "kubepods" / kind / f"pod{uid}"
            if folder.exists() and spent(folder) is not None:
                return folder
    return None


def spent(folder: Path) -> float | None:
    """Seconds of CPU that a cgroup has used, of version 1 or 2."""
    try:
        if (folder / "cpuacct.usage").exists():
            return int((folder / "cpuacct.usage").read_text()) / 1e9
        for line in (folder / "cpu.stat").read_text().splitlines():
            if line.startswith("usage_usec"):
                return int(line.split()[1]) / 1e6
    except OSError:
        return None
    return None


def role_of(pid: str) -> str:
    """Front or worker of one of our pods, by its command line; empty for others."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""
    if "runtimes/worker" in command:
        return WORKER
    return FRONT if "headrace.runtimes\0" in command else ""


def own() -> float:
    """Seconds of CPU of this process: whoever watches takes part, too."""
    times = os.times()
    return times.user + times.system
