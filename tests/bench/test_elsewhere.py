"""Bars that another command measures: what it found decides, and what was never measured does not hold."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # bench/ is a plain folder

pytest.importorskip("numba", reason="the benchmark's simulator needs the bench extra")

from bench.autoscaler import elsewhere


def _write(folder: Path, name: str, **verdicts: bool) -> None:
    bars = [{"name": bar, "rule": "<= 60 s", "value": 17.25, "holds": holds} for bar, holds in verdicts.items()]
    (folder / f"{name}.json").write_text(json.dumps({"bars": bars}))


def test_a_bar_holds_when_all_that_its_command_found_holds(tmp_path: Path) -> None:
    _write(tmp_path, "autoscaler-scale", capacity=True, memory=True)
    _write(tmp_path, "autoscaler-live", capacity=True, cost=False)
    verdict = {"name": "cases", "rule": "in 3 cases", "value": "7 of 9 cases", "holds": True}
    (tmp_path / "autoscaler-held.json").write_text(json.dumps({"bars": [verdict]}))

    scale, live, held = elsewhere.bars(tmp_path)

    assert (scale.holds, live.holds, held.holds) == (True, False, True)
    assert held.value == "cases: 7 of 9 cases (in 3 cases)"
    assert scale.value == "capacity: 17.2 (<= 60 s); memory: 17.2 (<= 60 s)"


def test_a_bar_that_was_never_measured_does_not_hold(tmp_path: Path) -> None:
    assert [(bar.value, bar.holds) for bar in elsewhere.bars(tmp_path)] == [("not measured", False)] * 3
