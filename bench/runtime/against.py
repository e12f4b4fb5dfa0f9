"""`python -m bench.runtime --against CHECKOUT`: our own server beside that of older code, by turns.

CHECKOUT is another work tree of this repository with an environment of its own (`make .venv/installed` there).
"""

import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from bench import report
from bench.runtime import systems
from bench.runtime.measure import Case
from bench.runtime.systems import Model, Served

CALLERS: Final = "64 connections"
"""Rows of a case whose name ends so must become faster."""
FASTER: Final = 1.3
NO_SLOWER: Final = 0.95
"""Of every other row, as two runs of the same code differ by as much."""


def start_both(model: Model, logs: Path, checkout: Path) -> list[Served]:
    """The server of this work tree and, after it, the older one, both on one model."""
    ours = systems.start("headrace", model, logs)
    try:
        older = (checkout / "runtimes" / "front").is_dir()
        module = "headrace.runtimes.front" if older else systems.OUR_MODULE
        before = systems.start("headrace", model, logs, ours=(str(checkout / ".venv" / "bin" / "python"), module))
    except RuntimeError:
        ours.stop()
        raise
    return [ours, replace(before, name="before")]


def commit(checkout: Path) -> str:
    """The commit that is checked out there."""
    command = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def cells(case: Case) -> list[report.Cell]:
    """What both did, and the requests/s of ours over those of the older one, turn by turn."""
    now, before = ([turn["requests_per_second"] for turn in case.results[name]] for name in ("headrace", "before"))
    ratios = [ours / theirs for ours, theirs in zip(now, before, strict=True)]
    ratio = report.Cell(
        case=case.name, system="headrace", metric="ratio", value=statistics.median(ratios), unit="x",
        low=min(ratios), high=max(ratios),
    )  # fmt: skip
    return [*case.cells(), ratio]


def bars(cells: Sequence[report.Cell]) -> list[report.Bar]:
    """How much faster each row is."""
    return [
        report.at_least(cell.case, cell.value, FASTER if cell.case.endswith(CALLERS) else NO_SLOWER, "x")
        for cell in cells
        if cell.metric == "ratio"
    ]
