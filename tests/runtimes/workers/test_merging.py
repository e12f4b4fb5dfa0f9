"""What the front makes of its workers' words on merging."""

import logging
from typing import Any

import pytest

from headrace.runtimes.worker import frames
from headrace.runtimes.worker.frames import Kind
from headrace.runtimes.workers.merging import Merging
from headrace.runtimes.workers.worker_handle import WorkerConnection, WorkerHandle

MERGES: dict[str, Any] = {"merges": True, "merges_not_because": "", "mixes": False}
WAITS: dict[str, Any] = {"merges": False, "merges_not_because": "too few rows", "mixes": False}
MIXES: dict[str, Any] = {"merges": False, "merges_not_because": "it looks at other rows", "mixes": True}


def figure(merging: Merging, name: str) -> float | None:
    return {name: value for name, _, value in merging.figures()}[name]


def test_nothing_is_said_before_a_worker_is_ready_nor_of_an_engine() -> None:
    assert {value for _, _, value in Merging().figures()} == {None}


def test_a_worker_that_learned_of_callers_rows_begins_merging() -> None:
    merging = Merging()
    merging.heard(WAITS)
    assert (figure(merging, "headrace_merging"), merging.reason) == (0, "too few rows")

    merging.heard(MERGES)
    merging.heard(WAITS)  # another one, which has not learned yet

    assert (figure(merging, "headrace_merging"), merging.reason) == (1, "")


def test_one_worker_that_sees_a_mix_ends_it_for_good_and_that_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    merging = Merging()
    merging.heard(MERGES)
    merging.heard(MIXES)
    merging.heard(MERGES)

    assert merging.ended
    assert (figure(merging, "headrace_merging"), merging.reason) == (0, "it looks at other rows")
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage().endswith("any more: it looks at other rows")


def test_checks_are_counted() -> None:
    merging = Merging()
    merging.heard(MERGES)
    merging.count({"call": 1})
    merging.count({"call": 2, "checked": 1, "differed": 0})
    merging.count({"call": 3, "checked": 1, "differed": 1})

    assert figure(merging, "headrace_merged_calls_checked_total") == 2
    assert figure(merging, "headrace_merged_calls_differed_total") == 1


class Sent:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data


def test_a_worker_is_told_once_to_merge_no_more() -> None:
    listener: Any = None
    connection, transport = WorkerConnection(listener), Sent()
    told: Any = transport
    connection.connection_made(told)
    handle = WorkerHandle(0, connection=connection, ready=True, merges=True)
    handle.apart("it looks at other rows")
    handle.apart("it looks at other rows")

    reader = frames.Reader()
    reader.feed(transport.written)
    frame = reader.next()
    assert frame is not None
    assert (frame.kind, frame.head) == (Kind.APART, {"reason": "it looks at other rows"})
    assert reader.next() is None
    assert not handle.merges
