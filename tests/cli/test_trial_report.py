"""What is told of a trial."""

import io
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from headrace.cli.trial import CallCost
from headrace.cli.trial_report import TrialReport, requests_of
from headrace.contract.evidence import Proof

PROOF = Proof(
    version="v1",
    image="",
    time="2026-01-01T00:00:00Z",
    load_seconds=1.5,
    memory_mib=210,
    has_example=True,
    protocols=("invocations",),
)


def shown(report: TrialReport, **console: Any) -> str:
    printed = io.StringIO()
    report.write(Console(file=printed, soft_wrap=True, highlight=False, **console))
    return printed.getvalue()


def test_a_proven_model_is_told_with_its_costs() -> None:
    report = TrialReport("models:/m/1", proof=PROOF)
    report.call = CallCost(milliseconds=3.14, cpu_milliseconds=2.0, memory_mib=200.4, calls=20)

    told = shown(report)

    assert "3.1 ms, 2.0 ms of CPU, 200 MiB held (20 measured)" in told
    assert "proven         answers its input example alike over invocations." in told
    assert "\x1b" not in told
    assert report.document()["proven"] is True


def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    report = TrialReport("models:/m/1", proof=PROOF)

    assert "\x1b" in shown(report, force_terminal=True, color_system="standard")
    assert "\x1b" not in shown(report)


def test_brackets_in_a_models_own_words_are_no_colours() -> None:
    report = TrialReport("models:/m/1", note="[red]x[/red] and [/nothing]")

    assert "[red]x[/red] and [/nothing]" in shown(report)


def test_a_model_that_is_not_proven_is_no_success_in_json() -> None:
    report = TrialReport("models:/m/1", proof=PROOF, reason="the protocols differ")

    assert report.document()["proven"] is False
    assert "not proven" in shown(report)
    assert json.dumps(report.document())


@pytest.mark.parametrize("rows", [1, 1000])
def test_requests_are_commands_that_a_shell_takes(tmp_path: Path, rows: int) -> None:
    body = {"inputs": ["it's"] * rows}
    (tmp_path / "MLmodel").write_text("saved_input_example_info: {serving_input_path: example.json}\n")
    (tmp_path / "example.json").write_text(json.dumps(body, indent=2))

    command = requests_of(tmp_path, None, given=None)["invocations"]
    *_, data = shlex.split(command)

    text = Path(data[1:]).read_text() if rows > 1 else data
    assert json.loads(text) == body
