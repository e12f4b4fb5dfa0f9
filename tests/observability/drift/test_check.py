"""Checks of real tables: what a version's requests are compared with, and what becomes of the findings."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable, QueryBuilder

from headrace.cli import request_labels
from headrace.contract.inference_table import DRIFT_COLUMNS, drift_uri, labels_uri
from headrace.observability.drift.check import check
from headrace.observability.drift.results import Outcome
from tests.observability.drift.recorded_days import FIRST, RecordedDays


@pytest.fixture
def days(tmp_path: Path) -> RecordedDays:
    """A baseline and a quiet day."""
    found = RecordedDays(tmp_path)
    found.add(0)
    found.add(1)
    return found


def checked(days: RecordedDays, end: int) -> Outcome | None:
    """A check at the end of that day."""
    return check(days.uri, {}, every_hours=24, now=FIRST + timedelta(days=end + 1))


def findings(days: RecordedDays, where: str = "true") -> list[dict[str, Any]]:
    table = DeltaTable(drift_uri(days.uri))
    assert [field.name for field in table.schema().fields] == list(DRIFT_COLUMNS)
    found = QueryBuilder().register("found", table).execute(f"select * from found where {where}").read_all()
    values = (found[name].to_pylist() for name in found.column_names)
    return [dict(zip(found.column_names, row, strict=True)) for row in zip(*values, strict=True)]


def test_a_quiet_day_is_quiet_and_a_changed_one_is_told_by_its_columns(days: RecordedDays) -> None:
    quiet = checked(days, 1)
    assert quiet is not None
    assert (quiet.columns, quiet.drifted) == (3, {"input": 0, "prediction": 0})

    days.add(2, shift=1.0)
    changed = checked(days, 2)
    assert changed is not None
    assert changed.drifted == {"input": 1, "prediction": 1}
    told = {(row["kind"], row["column"]): row for row in findings(days, "drifted")}
    assert {*told} == {("input", "x"), ("prediction", "0")}
    x = told["input", "x"]
    assert (x["baseline_begin"], x["window_begin"]) == (FIRST, FIRST + timedelta(days=2))
    assert (x["rows"], x["baseline_rows"], x["served_entity_id"]) == (300, 300, "v7")
    assert x["mean"] - x["baseline_mean"] == pytest.approx(1.0, abs=0.3)


def test_a_check_that_is_not_due_is_the_one_before(days: RecordedDays) -> None:
    first = checked(days, 1)
    days.add(2, shift=1.0)
    again = check(days.uri, {}, every_hours=24, now=FIRST + timedelta(days=2, hours=23))

    assert again == first
    assert len(findings(days)) == 3


def test_a_version_is_compared_with_itself_and_not_before_it_has_a_baseline(days: RecordedDays) -> None:
    assert checked(days, 0) is None
    days.add(2, shift=3.0, version="v8")
    days.add(3, shift=3.0, version="v8", rows=200)
    assert checked(days, 2) is None
    assert checked(days, 3) is not None
    assert {row["served_entity_id"] for row in findings(days)} == {"v8"}
    assert findings(days, "drifted") == []


def test_what_was_not_answered_well_is_not_looked_at(days: RecordedDays) -> None:
    days.add(1, shift=9.0, status=500)
    found = checked(days, 1)

    assert found is not None
    assert sum(found.drifted.values()) == 0


def test_labels_that_came_later_tell_whether_predictions_got_worse(days: RecordedDays) -> None:
    wrong = {str(number): str(-5.0 if number > 500 else 0.0) for number in range(1, 601)}
    request_labels.keep(labels_uri(days.uri), wrong, options={}, now=datetime.now(UTC))
    found = checked(days, 1)

    assert found is not None
    assert found.drifted == {"input": 0, "prediction": 0, "quality": 1}
    [quality] = findings(days, "kind = 'quality'")
    assert quality["mean"] > quality["baseline_mean"]


def test_the_program_answers_with_what_it_found_or_a_sentence(tmp_path: Path) -> None:
    def run(**asked: Any) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "headrace.observability.drift"]
        told = json.dumps({"options": {}, "every_hours": 1, "volume": str(tmp_path), **asked})
        return subprocess.run(command, input=told, capture_output=True, text=True, check=False)

    days = RecordedDays(tmp_path)
    days.add(0)
    assert run(uri=days.uri).stdout == "null"  # the last hour had no request
    refused = run(uri="/etc/fraud")
    assert (refused.returncode, "must be a store's address" in refused.stderr) == (1, True)
