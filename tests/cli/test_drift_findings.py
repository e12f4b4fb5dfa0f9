"""`headrace drift`: what checks found, for people, as JSON and as a picture."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from headrace.cli.__main__ import app
from headrace.observability.drift.check import check
from tests.observability.drift.recorded_days import FIRST, RecordedDays


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """Two checks of one endpoint: a quiet day, and one with other requests."""
    days = RecordedDays(tmp_path)
    for day in range(3):
        days.add(day, rows=100, shift=2.0 * (day == 2))
        check(days.uri, {}, every_hours=24, now=FIRST + timedelta(days=day + 1))
    return tmp_path


def drift(tables: Path, *arguments: str, endpoint: str = "fraud") -> Result:
    return CliRunner().invoke(app, ["drift", endpoint, "--uri", str(tables), *arguments], env={"COLUMNS": "150"})


def test_the_last_check_is_printed_and_its_drift_is_the_exit_status(tables: Path) -> None:
    done = drift(tables)

    assert done.exit_code == 1
    assert "Requests to fraud from 2026-11-03 00:00 to 2026-11-04 00:00 UTC" in done.stdout
    [x] = [line for line in done.stdout.splitlines() if " x " in line]
    assert "yes" in x
    [colour] = [line for line in done.stdout.splitlines() if " colour " in line]
    assert "yes" not in colour

    rows = [json.loads(line) for line in drift(tables, "--json").stdout.splitlines()]
    assert {row["column"] for row in rows if row["drifted"]} == {"x", "0"}


def test_all_checks_are_drawn(tables: Path) -> None:
    assert drift(tables, "--out", str(tables / "drift.svg")).exit_code == 1

    picture = (tables / "drift.svg").read_text()
    for name in ("v7 input x", "v7 input colour", "v7 prediction 0"):
        assert name in picture


@pytest.mark.parametrize(
    ("endpoint", "arguments", "said"),
    [
        ("nobody", [], "holds no findings yet"),
        ("fraud", ["--out", "picture.exe"], "must end in one of"),
        ("fraud", ["--out", "/nowhere/x.svg"], "cannot be written"),
    ],
)
def test_what_cannot_be_told_is_said_in_a_sentence(
    tables: Path, endpoint: str, arguments: list[str], said: str
) -> None:
    done = drift(tables, *arguments, endpoint=endpoint)

    assert done.exit_code == 2
    assert said in done.output
