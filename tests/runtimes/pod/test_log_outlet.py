"""Lines leave the pod by a thread: nothing that is written makes a request wait, and what is lost is counted."""

import contextlib
import json
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.contract import log_line
from headrace.runtimes.pod import log_outlet
from headrace.runtimes.pod.log_outlet import BURST_BYTES, LINE_BYTES, QUEUE_BYTES, RATE_BYTES, Budget, Outlet, of_pod
from headrace.runtimes.records.frame import unwrapped
from headrace.runtimes.records.spool import SpoolReader, SpoolWriter

FIELDS = {"component": "front", "endpoint": "fraud"}


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    root = logging.getLogger()
    kept = list(root.handlers)
    yield
    root.handlers[:] = kept


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def outlet(path: Path, spool: SpoolWriter | None = None, clock: Clock | None = None) -> Outlet:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    return Outlet(FIELDS, descriptor=descriptor, spool=spool, clock=clock or Clock())


def test_lines_of_loggers_and_of_the_model_come_out_in_order(tmp_path: Path) -> None:
    made = outlet(tmp_path / "log")
    made.start()
    logging.getLogger("headrace.front").warning("first")
    made.put(6, "INFO", "second", {"component": "model", "request_id": "r1"})
    made.stop()
    first, second = lines(tmp_path / "log")
    assert (first["body"], first["component"], first["endpoint"]) == ("first", "front", "fraud")
    assert (second["body"], second["component"], second["request_id"]) == ("second", "model", "r1")
    assert made.written == 2


def test_after_its_end_loggers_write_by_themselves(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = outlet(tmp_path / "log")
    made.start()
    made.stop()
    logging.getLogger("headrace.front").error("the serving process failed")
    assert json.loads(capfd.readouterr().err)["body"] == "the serving process failed"


def test_a_reader_that_stands_still_costs_lines_and_nobody_waits() -> None:
    read, write = os.pipe()
    made = Outlet(FIELDS, descriptor=write, clock=Clock())
    thread = threading.Thread(target=made._run, daemon=True)
    thread.start()
    text = "x" * 65536
    for _ in range(2 * QUEUE_BYTES // len(text)):
        made.put(len(text), "INFO", text, {})  # the pipe holds 64 KiB, and nobody reads it
    assert made.dropped["queue-full"] > 0
    made._ending = True
    os.set_blocking(read, False)
    while thread.is_alive():
        with contextlib.suppress(BlockingIOError):
            os.read(read, 1 << 20)
    for descriptor in (read, write):
        os.close(descriptor)


def test_a_budget_is_a_burst_and_a_rate_and_stays_used_up_for_a_while() -> None:
    clock = Clock()
    budget = Budget(clock)
    taken = 0
    while budget.take(0):
        taken += 1
    assert taken == BURST_BYTES // LINE_BYTES
    clock.now += 0.1
    assert budget.used_up
    clock.now += 0.4
    assert not budget.used_up
    clock.now += 60
    again = 0
    while budget.take(744):
        again += 1
    assert again == -(-BURST_BYTES // 1000)
    assert RATE_BYTES * 60 > BURST_BYTES


def test_lines_that_come_too_fast_are_counted_and_told_once(tmp_path: Path) -> None:
    made = outlet(tmp_path / "log")
    made.start()
    while made.allows(100_000):
        pass
    made.leave_out(40)
    made.stop()
    (told,) = lines(tmp_path / "log")
    assert told["body"] == "lines left out of the log: 41; since the start, by reason: rate 41"
    assert made.dropped["rate"] == 41


def test_lines_wait_for_the_sidecar_across_fronts(tmp_path: Path) -> None:
    for body in ("of the first front", "of the next"):
        made = outlet(tmp_path / "log", SpoolWriter(tmp_path / "spool", limit_bytes=1 << 20))
        made.start()
        made.put(10, "INFO", body, {})
        made.stop()
    found = SpoolReader(tmp_path / "spool").after(0, most_bytes=1 << 20, most_frames=10)
    assert [json.loads(unwrapped(body))["body"] for body in found] == ["of the first front", "of the next"]


def test_lines_that_find_no_place_are_on_stderr_all_the_same(tmp_path: Path) -> None:
    made = outlet(tmp_path / "log", SpoolWriter(tmp_path / "spool", limit_bytes=10))
    made.start()
    made.put(10, "INFO", "said", {})
    made.stop()
    assert [line["body"] for line in lines(tmp_path / "log")][:1] == ["said"]
    assert made.dropped["spool-full"] == 2, "the line, and the one that tells of it"


def test_a_line_that_cannot_be_made_stops_no_other(tmp_path: Path) -> None:
    made = outlet(tmp_path / "log")
    made.start()
    made._put(1, lambda: str(1 / 0))
    made.put(1, "INFO", "next", {})
    made.stop()
    assert "next" in (tmp_path / "log").read_text()
    assert made.dropped["queue-full"] == 1


def test_the_rate_leaves_the_kubelet_minutes() -> None:
    assert 50 * 1024 * 1024 / log_outlet.RATE_BYTES >= 180


def test_lines_are_not_sent_on_where_there_is_no_place_for_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    made = of_pod({log_line.ENV_LOG_SPOOL: str(tmp_path / "file" / "logs")})
    assert made._spool is None
    assert "no lines are sent on, there is no place for them" in caplog.text
    assert of_pod({log_line.ENV_LOG_SPOOL: str(tmp_path / "logs")})._spool is not None
