"""What spans are made of: of requests that have any, without a byte of what was asked or answered, or who asked."""

import asyncio
from pathlib import Path
from typing import Any, Final

import pytest

from headrace.contract.inference_table import REDACTED, Recording, Redaction
from headrace.runtimes.http.span_recorder import SpanRecorder
from headrace.runtimes.records.frame import Frame, decoded
from headrace.runtimes.records.spans import spans
from headrace.runtimes.records.spool import SpoolReader
from tests.runtimes.http import in_process
from tests.runtimes.http.in_process import connect, request, turns
from tests.runtimes.http.test_recorder import record

SAMPLED: Final = (b"traceparent", b"00-" + b"ab" * 16 + b"-" + b"cd" * 8 + b"-01")
NOT_SAMPLED: Final = (b"traceparent", b"00-" + b"ab" * 16 + b"-" + b"cd" * 8 + b"-00")
CALLER: Final = ((b"x-headrace-subject", b"alice"), (b"x-client-request-id", b"mine"))


def frames(folder: Path) -> list[Frame]:
    """What is on the disk."""
    return [decoded(body) for body in SpoolReader(folder).after(0, most_bytes=1 << 30, most_frames=1 << 20)]


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


def test_a_traced_request_leaves_its_times_and_ids_and_nothing_that_was_said(tmp_path: Path) -> None:
    of = SpanRecorder(tmp_path / "spans", tmp_path)
    of.start()
    of.take(record(headers=(*CALLER, SAMPLED), body=b'{"ssn": "secret"}', answer=b'{"risk": "secret"}'))
    of.stop()

    [found] = frames(tmp_path / "spans")
    [span] = spans(found, place="pod-1")
    assert (span["traceId"], span["parentSpanId"], span["name"]) == ("ab" * 16, "cd" * 8, "request")
    assert (found.request, found.response, found.meta.requester, found.meta.client_request_id) == (b"", b"", None, None)
    for words in (b"secret", b"alice", b"mine"):
        assert words not in on_disk(tmp_path / "spans")
        assert words not in (tmp_path / "spans.ring").read_bytes()


@pytest.mark.parametrize(
    ("changed", "kept"),
    [
        ({"headers": (SAMPLED,)}, True),
        ({"headers": (NOT_SAMPLED,)}, False),
        ({"headers": (NOT_SAMPLED,), "status": 500}, True),
        ({"headers": (NOT_SAMPLED,), "seconds": 1.5}, True),
        ({"headers": (), "status": 500}, False),
        ({"headers": ((b"traceparent", b"\xff"),)}, False),
        ({"headers": (SAMPLED,), "predicts": False}, False),
    ],
)
def test_only_requests_with_spans_are_kept(tmp_path: Path, changed: dict[str, Any], kept: bool) -> None:
    of = SpanRecorder(tmp_path / "spans", tmp_path)
    of.start()
    of.take(record(**changed))
    of.stop()

    assert [bool(spans(frame, place="pod-1")) for frame in frames(tmp_path / "spans")] == [True] * kept
    assert of.ring.attempted == int(kept)


def test_patterns_that_are_redacted_are_in_no_id_either(tmp_path: Path) -> None:
    redact = Redaction(columns=("ssn",), json_paths=("$.a",), patterns=(r"\d{3}-\d{2}",))
    of = SpanRecorder(tmp_path / "spans", tmp_path, redact=redact)
    of.start()
    of.take(record(headers=(SAMPLED,), identity="of 123-45"))
    of.stop()

    [found] = frames(tmp_path / "spans")
    assert found.meta.identity == f"of {REDACTED}"
    assert b"123-45" not in on_disk(tmp_path / "spans")


@pytest.mark.parametrize("sampling_fraction", [None, 0.0])
def test_a_front_makes_spans_without_a_table_and_of_what_its_table_samples_out(
    tmp_path: Path, sampling_fraction: float | None
) -> None:
    table: dict[str, Any] = {}
    if sampling_fraction is not None:
        table["recording"] = Recording(directory=str(tmp_path / "rows"), sampling_fraction=sampling_fraction)
    front = in_process.make_front(tmp_path, span_spool=tmp_path / "spans", **table)

    async def story() -> None:
        connection, _ = connect(front)
        header = b"traceparent: " + SAMPLED[1]
        connection.data_received(request(body=b"{", headers=(header,)))
        await turns()

    for each in front._recorders:
        each.start()
    asyncio.run(story())
    for each in front._recorders:
        each.stop()

    [found] = frames(tmp_path / "spans")
    assert (found.meta.trace_id, found.request) == ("ab" * 16, b"")
    assert not front.keeps_answers or sampling_fraction is not None, "no piece of a stream is kept for spans"
    if front.recorder is not None:
        assert (front.recorder.ring.sampled_out, front.recorder.spooled) == (1, 0)


def test_a_pod_without_a_place_for_spans_serves_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    front = in_process.make_front(tmp_path, span_spool=tmp_path / "file" / "spans")

    assert (front.span_recorder, front.on_record) == (None, None)
