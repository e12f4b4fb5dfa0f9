"""Checks for drift, as the table writer has them done."""

import sys
from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client import generate_latest

from headrace.contract.errors import TemporaryError
from headrace.contract.inference_table import Drift, InferenceTable
from headrace.observability.drift import payload_values
from headrace.observability.tables import drift_checks, writer_metrics
from headrace.observability.tables.drift_checks import LOOK_SECONDS, DriftChecks, run_process

TABLES = {
    "quiet": InferenceTable(uri="s3://lake/quiet"),
    "away": InferenceTable(uri="s3://lake/away", drift=Drift()),
    "fraud": InferenceTable(uri="s3://lake/fraud", drift=Drift(every_hours=6)),
}


def test_tables_with_drift_are_checked_each_hour_and_one_that_cannot_be_keeps_no_other_from_it() -> None:
    now, asked = [0.0], list[Mapping[str, Any]]()

    def run(question: Mapping[str, Any]) -> Mapping[str, Any] | None:
        asked.append(question)
        if question["uri"] == "s3://lake/away":
            raise TemporaryError("the store is away")
        return {"checked_at": 1_796_000_000.0, "columns": 9, "drifted": {"input": 2}}

    checks = DriftChecks(lambda: [*TABLES], TABLES.__getitem__, lambda: {"key": "1"}, run=run, clock=lambda: now[0])
    checks.check_due()
    checks.check_due()
    assert asked == [
        {"uri": "s3://lake/away", "options": {"key": "1"}, "every_hours": 24},
        {"uri": "s3://lake/fraud", "options": {"key": "1"}, "every_hours": 6},
    ]
    now[0] = LOOK_SECONDS
    checks.look()
    assert checks._thread is not None
    checks._thread.join(60)
    assert len(asked) == 4

    told = generate_latest(writer_metrics.registry).decode()
    assert 'headrace_tables_drifted_columns{endpoint="fraud",kind="input"} 2.0' in told
    assert 'headrace_tables_drifted_columns{endpoint="fraud",kind="prediction"} 0.0' in told
    assert 'headrace_tables_drift_checked_timestamp_seconds{endpoint="fraud"} 1.796e+09' in told


def test_of_an_endpoint_that_is_gone_or_no_longer_checked_nothing_is_told() -> None:
    now, tables = [0.0], {name: InferenceTable(uri="s3://lake/a", drift=Drift()) for name in ("gone", "off")}
    found = {"checked_at": 1.0, "columns": 1, "drifted": {"input": 1}}
    checks = DriftChecks(lambda: [*tables], lambda name: tables[name], dict, run=lambda _: found, clock=lambda: now[0])
    checks.check_due()
    assert '"gone"' in generate_latest(writer_metrics.registry).decode()
    del tables["gone"]
    tables["off"], now[0] = InferenceTable(uri="s3://lake/a"), LOOK_SECONDS
    checks.check_due()

    told = generate_latest(writer_metrics.registry).decode()
    assert '"gone"' not in told
    assert '"off"' not in told


def test_kinds_are_those_of_the_findings() -> None:
    assert drift_checks.KINDS == (payload_values.INPUT, payload_values.PREDICTION, payload_values.QUALITY)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("import sys; print('the store is away', file=sys.stderr); sys.exit(1)", "the store is away"),
        ("import os; os.kill(os.getpid(), 9)", "ended by signal 9"),
        ("import time; time.sleep(60)", "did not end"),
    ],
)
def test_a_process_that_fails_says_why_and_harms_nobody(script: str, said: str) -> None:
    with pytest.raises(TemporaryError, match=said):
        run_process({}, command=[sys.executable, "-Sc", script], longest_seconds=1.0)


def test_its_answer_is_what_it_found() -> None:
    echo = "import json, sys; print(json.dumps({'drifted': json.load(sys.stdin)}))"

    assert run_process({"input": 1}, command=[sys.executable, "-Sc", echo]) == {"drifted": {"input": 1}}
