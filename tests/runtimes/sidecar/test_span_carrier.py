"""Spans get from the front's files to the Collector, with an inference table and without one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import orjson
import pytest

from headrace.contract import telemetry
from headrace.runtimes.records.frame import Frame, encoded, frames_in, sequence_of
from headrace.runtimes.records.spool import SpoolWriter
from headrace.runtimes.sidecar.span_carrier import SpanCarrier
from tests.runtimes.records.record_frames import frame

TRACED: dict[str, Any] = {"trace_id": "ab" * 16, "parent_span": "cd" * 8, "is_sampled": True}


def leave(folder: Path, *sequences: int) -> None:
    """As a front does."""
    writer = SpoolWriter(folder, limit_bytes=1 << 20)
    for sequence in sequences:
        data = encoded(frame(sequence, b"", b"", **TRACED))
        assert [sequence_of(found.body) for found in frames_in(data)] == [sequence]
        writer.append(data, last=sequence)
    writer.close()


def test_what_the_front_left_is_given_on_once_in_order_and_forgotten(tmp_path: Path) -> None:
    leave(tmp_path, 1, 2)
    given: list[int] = []

    def take(frames: Sequence[Frame]) -> None:
        given.extend(each.sequence for each in frames)

    carrier = SpanCarrier(tmp_path, take)
    assert carrier.pending() == 2
    assert carrier.carry()
    assert not carrier.carry()
    leave(tmp_path, 3)
    assert SpanCarrier(tmp_path, take).carry(), "a sidecar that was replaced goes on"
    assert given == [1, 2, 3]
    assert SpanCarrier(tmp_path, take).pending() == 0


class Collector:
    """Takes spans and lines over HTTP."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.spans: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                document = orjson.loads(self.rfile.read(int(self.headers["content-length"])))
                for resource in document.get("resourceSpans", ()):
                    outer.spans += [span for scope in resource["scopeSpans"] for span in scope["spans"]]
                outer.paths.append(self.path)
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


def sidecar(folder: Path, **variables: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "HEADRACE_RECORDS_DIRECTORY": str(folder), "HEADRACE_SIDECAR_PORT": "0", **variables}
    command = [sys.executable, "-m", "headrace.runtimes", "sidecar"]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def test_a_sidecar_without_a_table_needs_no_writer_and_sends_spans_until_it_is_told_to_go(tmp_path: Path) -> None:
    collector = Collector()
    leave(tmp_path / "spans", 1, 2)
    running = sidecar(tmp_path, **{telemetry.ENV_COLLECTOR: collector.address, "HEADRACE_ENDPOINT": "fraud"})
    try:
        end = time.monotonic() + 120
        while len(collector.spans) < 2 and time.monotonic() < end:
            time.sleep(0.05)
        running.send_signal(signal.SIGTERM)
        _, said = running.communicate(timeout=120)
    finally:
        running.kill()
        collector.server.shutdown()
        collector.server.server_close()

    assert (running.returncode, [span["name"] for span in collector.spans]) == (0, ["request", "request"]), said
    assert set(collector.paths) == {"/v1/traces"}


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "HEADRACE_TABLE_WRITER or HEADRACE_COLLECTOR"),
        ({"HEADRACE_TABLE_WRITER": "127.0.0.1:1"}, "HEADRACE_POD_UID"),
    ],
)
def test_a_sidecar_that_is_not_told_to_whom_ends_and_says_what_it_needs(
    tmp_path: Path, variables: dict[str, str], words: str
) -> None:
    running = sidecar(tmp_path, **variables)
    _, said = running.communicate(timeout=120)

    assert running.returncode == 2
    assert f"the sidecar needs {words}" in said
