"""TableRows: rows as the table writer tells them, or why there are none."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from headrace.contract.errors import TemporaryError
from headrace.observability.console.table_rows import TableRows
from tests.observability.http_stand_in import stand_in


def test_the_writer_is_asked_for_one_requester_with_the_console_s_token(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("the-console's\n")
    answers = iter(
        [
            (200, json.dumps({"rows": [{"path": "/invocations"}]}).encode(), {}),
            (404, b'{"message": "no row yet"}', {}),
            (503, b'{"message": "s3://lake: timed out"}', {}),
            (200, b"<html>", {}),
        ]
    )
    with stand_in(lambda _: next(answers)) as (port, asked):
        rows = TableRows(f"127.0.0.1:{port}", token)
        assert rows.last("fraud", requester="a&last=9", most=20) == [{"path": "/invocations"}]
        assert rows.last("fraud", requester="alice", most=20) == []
        with pytest.raises(TemporaryError, match="timed out"):
            rows.last("fraud", requester="alice", most=20)
        with pytest.raises(TemporaryError, match="cannot be asked"):
            rows.last("fraud", requester="alice", most=20)
        token.unlink()
        with pytest.raises(TemporaryError, match="No such file"):
            rows.last("fraud", requester="alice", most=20)

    _, target, headers, _ = asked[0]
    assert urlsplit(target).path == "/rows/fraud"
    assert parse_qs(urlsplit(target).query) == {"requester": ["a&last=9"], "last": ["20"]}
    assert headers["authorization"] == "Bearer the-console's"
