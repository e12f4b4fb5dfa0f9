"""The one form of a benchmark's result: machine, versions, measured cells, and bars with whether they hold."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

RESULTS: Final = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One measured value: the median of its runs, with the lowest and highest of them."""

    case: str
    system: str
    metric: str
    value: float
    unit: str
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One promise and whether the measurement keeps it."""

    name: str
    rule: str
    """For example `<= 40 s`."""
    value: float
    holds: bool


def at_most(name: str, value: float, limit: float, unit: str) -> Bar:
    """A bar that the value must not exceed."""
    return Bar(name=name, rule=f"<= {limit:g} {unit}", value=value, holds=value <= limit)


def at_least(name: str, value: float, limit: float, unit: str) -> Bar:
    """A bar that the value must reach."""
    return Bar(name=name, rule=f">= {limit:g} {unit}", value=value, holds=value >= limit)


def single(case: str, metric: str, value: float, unit: str, *, system: str = "headrace") -> Cell:
    """A cell of one run."""
    return Cell(case=case, system=system, metric=metric, value=value, unit=unit, low=value, high=value)


def write(
    name: str, *, versions: Mapping[str, str], cells: Sequence[Cell], bars: Sequence[Bar], folder: Path = RESULTS
) -> Path:
    """Writes bench/results/<name>.json and prints the bars as a table; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    content = {
        "machine": machine(),
        "versions": dict(versions),
        "cells": [asdict(cell) for cell in cells],
        "bars": [asdict(bar) for bar in bars],
    }
    path.write_text(json.dumps(content, indent=1) + "\n")
    print(table(bars))
    return path


def table(bars: Sequence[Bar]) -> str:
    """The bars as aligned text, one a line."""
    width = max((len(bar.name) for bar in bars), default=0)
    return "\n".join(
        f"{'holds ' if bar.holds else 'MISSED'}  {bar.name:{width}}  {bar.value:12.4g}  {bar.rule}" for bar in bars
    )


def machine() -> dict[str, object]:
    """What the numbers were measured on; nothing that names the machine itself."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "architecture": platform.machine(),
        "python": platform.python_version(),
    }
