"""What one load came to, and the cells it makes."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bench import report
from bench.product import usage

OURS: Final = "headrace"
FIXED: Final = "ours fixed"
PATH_ROLES: Final = (usage.POP, usage.BALANCER, usage.PODS)
"""Whose CPU a request of ours costs; of a peer it is its pods alone."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One load on one system."""

    case: str
    system: str
    seconds: float
    """Planned length of the load."""
    load: Mapping[str, Any]
    """What the client said (bench.load)."""
    looks: Sequence[Mapping[str, Any]]
    """One a second, as bench.product.watch.plain makes them."""
    cpu: Mapping[str, float]
    """Seconds by role."""
    room: int = 0
    """Pods of this kind that the node has room for; 0: not asked."""
    pods: int = 0
    """*Ours fixed*: held at so many; 0: not fixed."""
    starts: Mapping[str, float] = field(default_factory=dict)
    decisions: Sequence[Mapping[str, Any]] = ()

    @property
    def during(self) -> list[Mapping[str, Any]]:
        """Looks while the load ran."""
        return [look for look in self.looks if 0 <= look["second"] <= self.seconds + 1]

    @property
    def rate(self) -> float:
        """Answers a second while requests were sent; those that came after the last one are no throughput."""
        return sum(each["answers"] for each in self.load["track"] if each["second"] < self.seconds) / self.seconds

    @property
    def p99_ms(self) -> float:
        return float(self.load["p99_ms"])

    def most(self, what: str) -> int:
        """The most pods ordered, placed, ready or alive."""
        return max((int(look[what]) for look in self.during), default=0)

    @property
    def pod_seconds(self) -> float:
        """Pods that there were, summed over the load's seconds."""
        return statistics.fmean([look["alive"] for look in self.during] or [0]) * self.seconds

    @property
    def busy(self) -> float:
        """Share of their cores that the pods used."""
        ready = sum(look["ready"] for look in self.during)
        return self.cpu.get(usage.PODS, 0.0) / self.seconds * len(self.during) / max(1, ready)

    @property
    def path_cpu_ms(self) -> float:
        """CPU of an answer in proxies and pods."""
        return 1e3 * sum(self.cpu.get(role, 0.0) for role in PATH_ROLES) / max(1, self.load["answers"])

    @property
    def answers_a_cpu_second(self) -> float:
        return 1e3 / self.path_cpu_ms if self.path_cpu_ms else 0.0

    @property
    def cold_start_seconds(self) -> float | None:
        """Median from creation to ready of the pods that came meanwhile."""
        return statistics.median(self.starts.values()) if self.starts else None

    def cells(self) -> list[report.Cell]:
        """All measures."""

        def cell(metric: str, value: float, unit: str) -> report.Cell:
            return report.single(self.case, metric, round(float(value), 4), unit, system=self.system)

        made = [
            cell("answers", self.rate, "1/s"),
            cell("p50", self.load["p50_ms"], "ms"),
            cell("p90", self.load["p90_ms"], "ms"),
            cell("p99", self.p99_ms, "ms"),
            cell("sent", self.load["sent"], "requests"),
            cell("failures", self.load["failures"], "requests"),
            *(cell(f"most pods {what}", self.most(what), "pods") for what in ("ordered", "placed", "ready")),
            cell("pod-seconds", self.pod_seconds, "s"),
            cell("pods' cores in use", self.busy, "of their limit"),
            cell("CPU a request, proxies and pods", self.path_cpu_ms, "ms"),
        ]
        spent = {**self.cpu, "client": self.load["client_cpu_seconds"]}
        for role, seconds in sorted(spent.items()):
            made.append(cell(f"CPU a request, {role}", 1e3 * seconds / max(1, self.load["answers"]), "ms"))
        if self.room:
            made.append(cell("pods that fit", self.room, "pods"))
        if self.cold_start_seconds is not None:
            made.append(cell("start of a pod", self.cold_start_seconds, "s"))
        return made

    def track(self) -> dict[str, Any]:
        """Latency and pods over time, for plots and for whoever simulates the case."""
        answers = self.load["track"]
        names = ("ordered", "placed", "ready", "alive", "concurrency")
        return {
            "case": self.case,
            "system": self.system,
            "answers": [each["answers"] for each in answers],
            "failures": [each["failures"] for each in answers],
            "p50_ms": [round(each["p50_ms"], 2) for each in answers],
            "p99_ms": [round(each["p99_ms"], 2) for each in answers],
            "looks": [look["second"] for look in self.looks],
            **{name: [look[name] for look in self.looks] for name in names},
            "reasons": _changes([(look["second"], look["reason"]) for look in self.looks]),
            "decisions": [
                {key: each[key] for key in ("time", "replicas", "concurrency", "reasons") if key in each}
                for each in self.decisions
            ],
        }


def _changes(told: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """Each reason with the second at which it was first given after another."""
    return [each for before, each in zip([(0.0, ""), *told], told, strict=False) if before[1] != each[1]]
