"""What the benchmark of starts says about what it measured."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # bench/ is a plain folder

from bench import starts
from headrace.runtimes.pod import start


def started(seconds: float, cpu_seconds: float) -> starts.Started:
    share = seconds / len(starts.PHASES)
    return starts.Started(phases={phase: share for phase, _ in starts.PHASES}, cpu_seconds=cpu_seconds)


def test_the_phases_of_a_pod_are_those_that_it_tells() -> None:
    assert starts.IN_POD == start.PHASES
    assert set(starts.IN_POD) < {phase for phase, _ in starts.PHASES}


def test_a_bar_is_held_to_the_median_and_each_cell_keeps_the_extremes() -> None:
    found = [started(2.4, 1.5), started(3.6, 1.8), started(6.0, 2.5)]
    cells, bars = starts.results({"0 to 1 pods": found})

    whole = next(cell for cell in cells if cell.metric == "order to first answer")
    assert [round(value, 6) for value in (whole.low, whole.value, whole.high)] == [2.4, 3.6, 6.0]
    assert [(bar.name, bar.holds) for bar in bars] == [
        ("0 to 1 pods: order to first answer", False),
        ("0 to 1 pods: CPU until Ready", True),
    ]
    assert all(f"| {phase} | 0.30 |" in starts.table(cells) for phase, _ in starts.PHASES)
