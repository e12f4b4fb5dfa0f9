"""`headrace plot`: what the autoscaler ordered and what the console measured, in numbers and in a picture."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cluster_view import ClusterView, autoscaler, endpoint

from headrace.contract import console
from headrace.observability.console.load_history import History

NOW = datetime.now(UTC).replace(microsecond=0)


def ordered(hours_ago: float, replicas: int, code: str) -> dict[str, object]:
    return {
        "time": (NOW - timedelta(hours=hours_ago)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "replicas": replicas,
        "concurrency": 8,
        "reasons": [f"{code}: so much load"],
        "inputs": {"demand": 4.0 * replicas},
    }


def a_day(view: ClusterView) -> None:
    decisions = [ordered(9, 1, "Bounds"), ordered(3, 2, "ScaleUp"), ordered(1, 5, "ScaleUp")]
    view.has(endpoint(), autoscaler("v7", decisions=decisions))


def remembers(view: ClusterView) -> list[str]:
    """Has the console answer at the API server's address; returns the options that lead there."""
    times = [int(NOW.timestamp()) - 10, int(NOW.timestamp())]
    history = History(times=times, lines={"pods": {"v7": [2.0, 5.0], "v8": [None, 1.0]}})
    view.server.documents[console.history_path("fraud")] = history.document([])
    return ["--token", "hush", "--url", view.server.host]


def test_numbers_are_those_of_the_hours_and_what_was_in_force_before(view: ClusterView) -> None:
    a_day(view)
    found = json.loads(view.run("plot", "fraud", "--json", "--hours", "2", *remembers(view)).stdout)

    assert [order["replicas"] for order in found["orders"]] == [2, 5]
    assert found["orders"][1]["demand"] == 20.0
    assert found["orders"][1]["reasons"] == ["ScaleUp: so much load"]
    assert found["load"]["lines"]["pods"] == {"v7": [2.0, 5.0], "v8": [None, 1.0]}


def test_a_picture_shows_versions_and_reasons_also_without_the_console(
    view: ClusterView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_day(view)
    options = remembers(view)
    drawn = view.run("plot", "fraud", "--out", str(tmp_path / "both.svg"), *options)
    assert drawn.exit_code == 0, drawn.output
    picture = (tmp_path / "both.svg").read_text()
    assert all(f">{word}</text>" in picture for word in ("v7", "v8", "ScaleUp", "Bounds", "pods"))

    view.server.documents.pop(console.history_path("fraud"))
    monkeypatch.chdir(tmp_path)
    drawn = view.run("plot", "fraud", *options)
    assert (drawn.exit_code, drawn.stdout) == (0, "fraud.svg\n")
    assert "The load is left out: " in drawn.stderr
    assert "answered 404, must answer 200" in drawn.stderr
    picture = (tmp_path / "fraud.svg").read_text()
    assert ">v7</text>" in picture
    assert ">v8</text>" not in picture


def test_what_cannot_be_drawn_is_said(view: ClusterView) -> None:
    view.has(endpoint(), autoscaler("v7"))
    nothing = view.run("plot", "fraud")
    assert nothing.exit_code == 1
    assert "has ordered nothing for fraud" in nothing.stderr

    a_day(view)
    refused = view.run("plot", "fraud", "--out", "fraud.xls")
    assert refused.exit_code == 2
    assert "--out = 'fraud.xls', must end in one of ." in refused.stderr
