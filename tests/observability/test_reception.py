"""Reception: a pod hears 200 when its rows are in the table, and not before."""

import http.client
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from headrace.contract.errors import TemporaryError
from headrace.observability.tables.batch import Batch
from headrace.observability.tables.callers import Caller, NotAPod, NotTheCollector
from headrace.observability.tables.otlp import OtlpBatch
from headrace.observability.tables.reception import HttpReception, Reception, TelemetryReception
from headrace.runtimes.sidecar.table_writer import Refused, TableWriter
from tests.observability.otlp_bodies import span, spans
from tests.observability.table_rows import lines


def caller(token: str) -> Caller:
    if token != "good":
        raise NotAPod("the token is not valid")
    return Caller("fraud", "pod-1")


def committed(endpoint: str, batch: Batch) -> "Future[int]":
    future: Future[int] = Future()
    if endpoint != "fraud":
        raise TemporaryError("no table")
    future.set_result(batch.last)
    return future


def full(endpoint: str, batch: Batch) -> "Future[int]":
    raise TemporaryError("send yours again later")


@pytest.mark.parametrize(
    ("token", "body", "add", "status"),
    [
        ("Bearer good", lines(1, 3), committed, 200),
        ("Bearer bad", lines(1, 3), committed, 401),
        ("", lines(1, 3), committed, 401),
        ("Bearer good", b"{", committed, 400),
        ("Bearer good", lines(1, 3), full, 503),
        ("Bearer good", lines(1, 3), lambda *_: Future(), 503),
    ],
)
def test_an_answer_says_what_became_of_the_rows(token: str, body: bytes, add: Any, status: int) -> None:
    response = Reception(caller, add, patience_seconds=0.05).respond(token, body)

    assert response.status == status
    assert response.document == {"sequence": 3} if status == 200 else "message" in response.document


def sender(token: str) -> None:
    if token != "collector":
        raise NotTheCollector("the token is not the Collector's")


@pytest.mark.parametrize(
    ("token", "body", "add", "status"),
    [
        ("Bearer collector", spans(span()), None, 200),
        ("Bearer collector", b"{}", None, 200),
        ("Bearer console", spans(span()), None, 401),
        ("Bearer collector", b"no JSON", None, 400),
        ("Bearer collector", spans(span()), full, 503),
        ("Bearer collector", spans(span()), lambda *_: Future(), 503),
    ],
)
def test_the_collector_hears_what_became_of_spans(token: str, body: bytes, add: Any, status: int) -> None:
    came: list[tuple[str, int]] = []

    def kept(table: str, batch: OtlpBatch) -> "Future[int]":
        came.append((table, batch.last))
        future: Future[int] = Future()
        future.set_result(batch.last)
        return future

    response = TelemetryReception(sender, add or kept, patience_seconds=0.05).respond("/v1/traces", token, body)

    assert response.status == status
    assert came == ([("otel_spans", 1)] if status == 200 and body != b"{}" else [])


def test_a_sidecar_hears_it_over_http(tmp_path: Path) -> None:
    token = tmp_path / "token"
    server = HttpReception(0, Reception(caller, committed), longest_bytes=10_000)
    server.start()
    writer = TableWriter(f"127.0.0.1:{server.port}", token)
    try:
        with pytest.raises(TemporaryError, match="No such file"):
            writer.write(lines(1, 2))
        token.write_text("bad\n")
        with pytest.raises(TemporaryError, match="401"):
            writer.write(lines(1, 2))
        token.write_text("good\n")
        assert writer.write(lines(1, 2)) == 2
        assert writer.write(lines(3, 9)) == 9
        with pytest.raises(Refused):
            writer.write(b"{")
        with pytest.raises((Refused, TemporaryError)):
            writer.write(b"x" * 20_000)
        assert writer.write(lines(10, 10)) == 10
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.request("POST", "/elsewhere", body=b"")
        assert connection.getresponse().status == 404
    finally:
        writer.close()
        server.stop()
    with pytest.raises(TemporaryError, match="does not answer"):
        writer.write(lines(1, 2))
