"""Runs load against systems that stand side by side, in turns, and keeps what came back."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench import report
from bench.load import generator
from bench.runtime.systems import WARM_UP_SECONDS, Served


@dataclass
class Case:
    """One model under one load."""

    name: str
    rows: list[Any]
    connections: int
    seconds: float = 2.5
    results: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def run(self, system: Served) -> None:
        """One turn."""
        cpu = system.cpu_seconds()
        job = system.job(system.body(self.rows), connections=self.connections, seconds=self.seconds)
        result = generator.run(job)
        # The generator's warm-up is in the CPU time, hence in the divisor too.
        answered = sum(result["statuses"].values()) * (self.seconds + WARM_UP_SECONDS) / self.seconds
        result["generator_cpu_ms_per_request"] = 1e3 * result["client_cpu_seconds"] / max(1.0, answered)
        result["cpu_ms_per_request"] = 1e3 * (system.cpu_seconds() - cpu) / max(1.0, answered)
        self.results.setdefault(system.name, []).append(result)

    def cells(self) -> list[report.Cell]:
        """Medians over turns."""
        units = {
            "requests_per_second": "requests/s",
            "p50_ms": "ms",
            "p99_ms": "ms",
            "cpu_ms_per_request": "ms",
            "generator_cpu_ms_per_request": "ms",
        }
        made = []
        for system, turns in self.results.items():
            for metric, unit in units.items():
                values = [turn[metric] for turn in turns if metric in turn]
                if values:
                    middle = statistics.median(values)
                    made.append(
                        report.Cell(
                            case=self.name, system=system, metric=metric, value=middle, unit=unit,
                            low=min(values), high=max(values),
                        )
                    )  # fmt: skip
        return made


def in_turns(cases: Sequence[Case], systems: Sequence[Served], *, turns: int) -> None:
    """Every case on every system, `turns` times, so that a disturbance of the machine meets all alike."""
    for _ in range(turns):
        for case in cases:
            for system in systems:
                case.run(system)


class Table:
    """Measured cells, looked up by case, system and metric."""

    def __init__(self, cells: Sequence[report.Cell]) -> None:
        self._values = {(cell.case, cell.system, cell.metric): cell.value for cell in cells}

    def value(self, case: str, system: str, metric: str) -> float:
        """One value; NaN when the system has none for the case."""
        return self._values.get((case, system, metric), float("nan"))

    def best_peer(self, case: str, metric: str, *, least: bool = False) -> float:
        """The best value among the peers."""
        values = [v for (c, s, m), v in self._values.items() if c == case and m == metric and s != "headrace"]
        return (min if least else max)(values) if values else float("nan")
