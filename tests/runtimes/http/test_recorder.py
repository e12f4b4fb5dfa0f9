"""The recorder: one record of each request, off its way, and everything adds up."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from headrace.contract.inference_table import COLUMNS, PAYLOAD_LIMIT_BYTES, REDACTED, Recording, Redaction
from headrace.runtimes.http.exchange import Record
from headrace.runtimes.http.recorder import RING_FILE, Recorder
from headrace.runtimes.records import row
from headrace.runtimes.records.frame import decoded
from headrace.runtimes.records.spool import SpoolReader
from tests.runtimes.http import in_process
from tests.runtimes.http.in_process import answers_in, connect, request, turns


def record(**changed: Any) -> Record:
    known: dict[str, Any] = {
        "predicts": True, "method": "POST", "path": "/invocations", "headers": (), "body": b"{}", "identity": "id",
        "status": 200, "answer": b"{}", "arrived": 1.0, "seconds": 0.1, "version": "v7",
    }  # fmt: skip
    return Record(**{**known, **changed})


def recorder(folder: Path, **changed: Any) -> Recorder:
    return Recorder(Recording(directory=str(folder / "records"), **changed), folder)


def rows(folder: Path) -> list[dict[str, Any]]:
    """What is on the disk, as rows."""
    bodies = SpoolReader(folder / "records").after(0, most_bytes=1 << 30, most_frames=1 << 20)
    return [dict(zip(COLUMNS, row.row(decoded(body), "pod"), strict=True)) for body in bodies]


def adds_up(of: Recorder) -> bool:
    ring = of.ring
    waiting = ring.published - of.spooled - ring.dropped["spool-full"] - ring.dropped["disk"]
    return ring.attempted == ring.sampled_out + sum(ring.dropped.values()) + of.spooled + waiting


def test_a_request_becomes_a_record_on_the_disk_with_what_its_headers_say(tmp_path: Path) -> None:
    of = recorder(tmp_path)
    of.start()
    trace = b"00-" + b"ab" * 16 + b"-" + b"cd" * 8 + b"-01"
    headers = ((b"x-headrace-subject", b"alice"), (b"x-client-request-id", b"mine"), (b"traceparent", trace))
    of.take(record(headers=headers, body=b'{"inputs": [1]}', answer=b'{"predictions": [2]}'))
    of.take(record(predicts=False))  # a probe
    of.stop()

    [found] = rows(tmp_path)
    assert (found["requester"], found["client_request_id"], found["trace_id"]) == ("alice", "mine", "ab" * 16)
    assert (found["request"], found["response"]) == ('{"inputs": [1]}', '{"predictions": [2]}')
    assert of.ring.attempted == of.spooled == 1


def test_what_is_too_large_is_null_with_a_code_and_keeps_its_row(tmp_path: Path) -> None:
    of = recorder(tmp_path)
    of.start()
    for body, answer in ((PAYLOAD_LIMIT_BYTES, 2), (PAYLOAD_LIMIT_BYTES + 1, 2), (2, PAYLOAD_LIMIT_BYTES + 1)):
        of.take(record(body=b"x" * body, answer=b"y" * answer))
    of.stop()

    found = [(one["request"] is None, one["response"] is None, one["logging_error_codes"]) for one in rows(tmp_path)]
    assert found == [
        (False, False, []),
        (True, False, ["MAX_REQUEST_SIZE_EXCEEDED"]),
        (False, True, ["MAX_RESPONSE_SIZE_EXCEEDED"]),
    ]


def test_a_share_is_sampled_and_the_rest_is_counted(tmp_path: Path) -> None:
    of = recorder(tmp_path, sampling_fraction=0.25)
    of.start()
    for _ in range(400):
        of.take(record())
    of.stop()

    assert 50 < of.spooled < 150
    assert of.ring.sampled_out == 400 - of.spooled
    assert {one["sampling_fraction"] for one in rows(tmp_path)} == {0.25}
    assert adds_up(of)


def test_a_queue_without_room_drops_records_and_counts_them(tmp_path: Path) -> None:
    of = recorder(tmp_path)  # whose thread has not started
    for _ in range(20):
        of.take(record(body=b"x" * 1_000_000))
    assert 0 < of.ring.dropped["queue-full"] < 20
    assert adds_up(of)
    of.start()
    of.stop()

    assert of.spooled == 20 - of.ring.dropped["queue-full"] == len(rows(tmp_path))
    assert adds_up(of)


def test_a_full_spool_drops_records_and_counts_them(tmp_path: Path) -> None:
    of = recorder(tmp_path, limit_bytes=100_000)
    of.start()
    for _ in range(10):
        for _ in range(10):
            of.take(record(body=b"x" * 5000))
        of._drain()
    of.stop()

    assert 0 < of.ring.dropped["spool-full"] < 100
    assert len(rows(tmp_path)) == of.spooled == 100 - of.ring.dropped["spool-full"]
    assert adds_up(of)


def test_a_full_disk_drops_records_and_counts_them_and_is_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = recorder(tmp_path)
    of.take(record())
    of._drain()

    def full(frames: bytes, *, last: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(of._spool, "append", full)
    of.take(record())
    of.take(record())
    of._drain()
    monkeypatch.undo()
    of.take(record())
    of._drain()

    assert of.ring.dropped["disk"] == 2
    assert [one["sequence"] for one in rows(tmp_path)] == [1, 4]
    assert of.spooled == 2
    assert adds_up(of)


def test_a_front_that_was_killed_leaves_what_it_had_not_written_to_the_next(tmp_path: Path) -> None:
    before = recorder(tmp_path)
    before.take(record(identity="first"))
    before._drain()
    before.take(record(identity="second"))
    data, _ = before.ring.waiting()
    before._spool.append(data, last=2)  # written, but not yet taken from the ring, when it was killed
    before.take(record(identity="third"))

    after = recorder(tmp_path)
    after.start()
    after.take(record(identity="fourth"))
    after.stop()

    assert [one["databricks_request_id"] for one in rows(tmp_path)] == ["first", "second", "third", "fourth"]
    assert [one["sequence"] for one in rows(tmp_path)] == [1, 2, 3, 4]
    assert after.ring.attempted == after.spooled == 4
    assert adds_up(after)


def test_nothing_that_is_to_be_redacted_touches_the_disk(tmp_path: Path) -> None:
    of = recorder(tmp_path, redact=Redaction(columns=("ssn",), patterns=(r"[\w.]+@[\w.]+",)))
    of.start()
    of.take(record(body=b'{"inputs": {"ssn": ["078-05-1120"], "to": ["eve@example.com"]}}', answer=b"eve@example.com"))
    of.stop()

    held = b"".join(path.read_bytes() for path in (tmp_path / "records").iterdir())
    assert b"078-05-1120" not in held
    assert b"eve@example.com" not in held
    [found] = rows(tmp_path)
    assert orjson.loads(found["request"]) == {"inputs": {"ssn": REDACTED, "to": [REDACTED]}}
    assert found["response"] is None  # no JSON, in which columns are to go
    assert (tmp_path / RING_FILE).exists()  # in the pod's memory


def test_a_front_with_a_recording_keeps_what_it_answers_and_counts_it_among_its_metrics(tmp_path: Path) -> None:
    front = in_process.make_front(
        tmp_path, recording=Recording(directory=str(tmp_path / "records")), version="v7", run_directory=tmp_path
    )
    assert front.recorder is not None
    front.recorder.start()

    async def story() -> None:
        connection, transport = connect(front)
        connection.data_received(request("/invocations", b"{"))
        connection.data_received(request("/ping", method="GET"))
        await turns()
        assert answers_in(transport.written)[0].status == 400
        admin, told = connect(front, admin=True)
        admin.data_received(request("/metrics", method="GET"))
        await turns()
        [answer] = answers_in(told.written)
        lines = dict(line.rpartition(" ")[::2] for line in answer.body.decode().splitlines() if line[0] != "#")
        assert lines['headrace_records_attempted_total{endpoint="model",version="v7"}'] == "1"
        assert lines['headrace_records_dropped_total{endpoint="model",version="v7",reason="queue-full"}'] == "0"

    asyncio.run(story())
    front.recorder.stop()
    assert [one["status_code"] for one in rows(tmp_path)] == [400]


def test_a_pod_without_a_place_for_records_serves_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "records").write_text("a file")
    front = in_process.make_front(tmp_path, recording=Recording(directory=str(tmp_path / "records")))

    assert front.recorder is None
    assert front.on_record is None
