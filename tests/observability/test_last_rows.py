"""LastRows: the console is told a caller's own last rows, of few bytes, and nobody else is told anything."""

import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from headrace.contract.errors import TemporaryError
from headrace.contract.inference_table import InferenceTable
from headrace.observability.tables.callers import NotTheConsole
from headrace.observability.tables.delta import InferenceDeltaTable
from headrace.observability.tables.last_rows import BYTES_MOST, TEXT_MOST, WINDOWS, LastRows, window
from headrace.observability.tables.reception import HttpReception
from tests.observability.table_rows import batch

BEGAN = datetime.fromtimestamp(1_796_000_000, UTC)
"""When the rows of `table_rows` begin."""
HOSTILE = "' or '1'='1"


def require_reader(token: str) -> None:
    if token != "console's":
        raise NotTheConsole("the token is not the console's")


@pytest.fixture
def rows(tmp_path: Path) -> LastRows:
    table = InferenceDeltaTable(str(tmp_path / "fraud"), {}, volume=PurePosixPath(tmp_path))
    table.append([batch(1, 3, request="x" * (TEXT_MOST + 1)), batch(1, 2, "pod-2", requester="bob")])
    table.append([batch(4, 5)])

    def table_of(endpoint: str) -> InferenceTable:
        if endpoint == "silent":
            raise TemporaryError("the endpoint silent has no inference_table")
        return InferenceTable(uri=str(tmp_path / endpoint))

    now = BEGAN + timedelta(minutes=2)
    return LastRows(require_reader, table_of, dict, volume=PurePosixPath(tmp_path), now=lambda: now)


def test_a_caller_s_own_last_rows_come_with_the_newest_first(rows: LastRows) -> None:
    found = rows.read("fraud", requester="alice", last=4)

    assert [row["databricks_request_id"] for row in found] == ["pod-1-5", "pod-1-4", "pod-1-3", "pod-1-2"]
    assert {row["requester"] for row in found} == {"alice"}
    assert len(found[3]["request"]) == TEXT_MOST
    assert found[0]["request_time"].startswith("2026-11-30T00:53:20.25")


def test_a_subject_that_is_sql_is_a_text(rows: LastRows) -> None:
    assert rows.read("fraud", requester=HOSTILE, last=9) == []


@pytest.mark.parametrize(
    ("token", "target", "status"),
    [
        ("Bearer console's", "/rows/fraud?requester=bob&last=9", 200),
        ("Bearer another's", "/rows/fraud?requester=bob", 401),
        ("", "/rows/fraud?requester=bob", 401),
        ("Bearer console's", "/rows/fraud", 400),
        ("Bearer console's", "/rows/../fraud?requester=bob", 400),
        ("Bearer console's", "/rows/fraud?requester=bob&last=all", 400),
        ("Bearer console's", "/rows/unseen?requester=bob", 404),
        ("Bearer console's", "/rows/silent?requester=bob", 503),
    ],
)
def test_what_is_answered(rows: LastRows, token: str, target: str, status: int) -> None:
    response = rows.respond(token, target)

    assert response.status == status
    if status == 200:
        assert [row["requester"] for row in response.document["rows"]] == ["bob", "bob"]
    else:
        assert response.document["message"]


def test_it_is_served_beside_the_reception(rows: LastRows) -> None:
    reception: Any = None
    server = HttpReception(0, reception, get=rows.respond)
    server.start()
    try:
        asked = urllib.request.Request(
            f"http://127.0.0.1:{server.port}/rows/fraud?requester=alice&last=1",
            headers={"authorization": "Bearer console's"},
        )
        with urllib.request.urlopen(asked, timeout=10) as answer:
            assert b"pod-1-5" in answer.read()
    finally:
        server.stop()


def test_a_look_goes_only_as_far_back_as_the_files_are_small() -> None:
    now = BEGAN
    minutes = [(now - timedelta(minutes=each), BYTES_MOST // 20) for each in range(120)]

    assert window([], now) == WINDOWS[0]
    assert window(minutes[:20], now) == WINDOWS[0]
    assert window(minutes, now) == timedelta(minutes=5)
    assert window([(now, BYTES_MOST + 1)], now) == WINDOWS[-1]
