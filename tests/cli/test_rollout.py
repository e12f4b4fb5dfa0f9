"""`headrace rollout`: what is shown of a rollout, and what is asked of it."""

import json
from typing import Any

import pytest
from cluster_view import ClusterView, endpoint

from headrace.contract.rollout import COMMAND_ANNOTATION

GATE = {
    "name": "errors",
    "verdict": "Failed",
    "requests": 212,
    "percent": 5.19,
    "formerRequests": 4061,
    "formerPercent": 0.05,
    "pValue": 8.4e-06,
}
EVENT = {"time": "2026-11-30T10:00:00Z", "phase": "Progressing", "weight": 5, "reason": "StepStarted", "message": "one"}


def rolling(view: ClusterView, phase: str = "Progressing", **told: Any) -> None:
    item = endpoint()
    item["status"]["rollout"] = {
        "version": "v8",
        "former": "v7",
        "phase": phase,
        "weight": 5,
        "reason": "Baking",
        "message": "25 s of the step are left",
        "gates": [GATE],
        "events": [EVENT],
        "memory": {"phase": phase},
        **told,
    }
    view.has(item)


def test_the_evidence_is_shown(view: ClusterView) -> None:
    rolling(view)
    shown = view.run("rollout", "fraud")

    assert shown.exit_code == 0, shown.output
    assert "fraud: v8 after v7 is Progressing with 5 % of the requests" in shown.stdout
    assert "Baking: 25 s of the step are left" in shown.stdout
    line = next(line for line in shown.stdout.splitlines() if "errors" in line)
    assert line.split() == ["errors", "Failed", "5.19", "%", "of", "212", "0.05", "%", "of", "4061", "8.4e-06"]
    assert "StepStarted: one" in shown.stdout


def test_a_script_is_told_by_the_exit_status_that_it_was_taken_back(view: ClusterView) -> None:
    rolling(view, "RolledBack", weight=0, reason="ErrorRate")
    shown = view.run("rollout", "fraud", "--json")

    assert shown.exit_code == 1
    document = json.loads(shown.stdout)
    assert (document["phase"], document["reason"]) == ("RolledBack", "ErrorRate")
    assert "memory" not in document


@pytest.mark.parametrize(
    ("phase", "verb"),
    [("Progressing", "pause"), ("Paused", "resume"), ("Progressing", "abort"), ("RolledBack", "retry")],
)
def test_what_is_asked_is_written_to_the_object_with_the_version(view: ClusterView, phase: str, verb: str) -> None:
    rolling(view, phase)
    shown = view.run("rollout", "fraud", verb)

    assert shown.exit_code == 0, shown.output
    assert shown.stdout == f"fraud: asked to {verb} the rollout of v8\n"
    ((path, body),) = view.server.patches
    assert path.endswith("/namespaces/endpoint-fraud/modelendpoints/fraud")
    assert body == {"metadata": {"annotations": {COMMAND_ANNOTATION: f"{verb} v8"}}}


def test_what_does_not_fit_is_refused(view: ClusterView) -> None:
    rolling(view, "Completed")
    shown = view.run("rollout", "fraud", "abort")

    assert shown.exit_code == 2
    assert (
        "abort: the rollout of v8 is Completed, must be Waiting or Progressing or Paused; name another" in shown.stderr
    )
    assert view.server.patches == []


def test_an_endpoint_without_one_says_how_to_have_one(view: ClusterView) -> None:
    view.has(endpoint())
    shown = view.run("rollout", "fraud")

    assert shown.exit_code == 2
    assert "endpoint = 'fraud' has no rollout: give its ModelEndpoint the input rollout" in shown.stderr
