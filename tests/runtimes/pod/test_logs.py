"""Logs are JSON, one object a line."""

import asyncio
import json
import logging
import os
import sys
from pathlib import Path

import pytest

from headrace.runtimes.pod.logs import (
    LONGEST_LINE,
    TERMINATION_MESSAGE_LENGTH,
    JsonFormatter,
    Pipe,
    tell_reason,
)


def test_a_record_is_one_line_with_its_fields_and_its_trace() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        record = logging.LogRecord("headrace", logging.ERROR, "x.py", 1, "it %s", ("failed",), sys.exc_info())
    record.fields = {"worker": 3}
    line = JsonFormatter().format(record)
    document = json.loads(line)

    assert "\n" not in line
    assert (document["level"], document["logger"], document["message"]) == ("error", "headrace", "it failed")
    assert document["worker"] == 3
    assert "ValueError: two" in document["trace"]


def test_what_a_worker_prints_is_logged_line_by_line(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        pipe = Pipe(1, "stdout")
        pipe.listen()
        os.write(pipe.write, b"one\n\ntwo \xff half")
        await asyncio.sleep(0.01)
        os.write(pipe.write, b" done\n" + b"x" * (LONGEST_LINE + 5) + b"\n")
        await asyncio.sleep(0.01)

    with caplog.at_level(logging.INFO):
        asyncio.run(run())
    messages = [record.getMessage() for record in caplog.records if record.name == "model"]

    assert messages[:2] == ["one", "two \ufffd half done"]
    assert sum(map(len, messages[2:])) == LONGEST_LINE + 5
    assert all(
        record.fields == {"worker": 1, "stream": "stdout"} for record in caplog.records if record.name == "model"
    )


def test_a_reason_is_logged_and_left_for_the_kubelet_where_it_reads_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read = tmp_path / "termination-log"
    read.touch()
    reason = "the weights are missing" + "." * TERMINATION_MESSAGE_LENGTH
    tell_reason(reason, read)
    tell_reason(reason, tmp_path / "absent")  # outside of Kubernetes
    tell_reason(reason, tmp_path)  # cannot be written

    assert read.read_text() == reason[:TERMINATION_MESSAGE_LENGTH]
    assert not (tmp_path / "absent").exists()
    said = [record.getMessage() for record in caplog.records]
    assert said.count(f"the model cannot be served: {reason}") == 3
    assert said[-1].startswith(f"cannot write {tmp_path}")


def test_a_reason_that_is_no_unicode_reaches_the_kubelet(tmp_path: Path) -> None:
    kept = tmp_path / "termination-log"
    kept.touch()
    tell_reason("no \ud800 text", kept)

    assert kept.read_text() == "no \\ud800 text"
