"""Lines get from the front's outlet to whoever takes OTLP, and are forgotten when it has."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.contract.errors import TemporaryError
from headrace.contract.log_receiver import LogReceiver
from headrace.runtimes.pod.log_outlet import Outlet
from headrace.runtimes.records.spool import SpoolWriter
from headrace.runtimes.sidecar.__main__ import exposition
from headrace.runtimes.sidecar.log_carrier import LogCarrier
from tests.otlp_receiver import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


def write(directory: Path, *bodies: str) -> None:
    """As a front does."""
    read_by_nobody = directory.parent / "stderr"
    with read_by_nobody.open("ab") as stderr:
        outlet = Outlet(
            {"component": "model"}, descriptor=stderr.fileno(), spool=SpoolWriter(directory, limit_bytes=1 << 20)
        )
        thread = outlet._thread
        thread.start()
        for body in bodies:
            outlet.put(len(body), "INFO", body, {})
        outlet.stop()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "logs"


def test_lines_are_sent_in_order_once_and_counted(receiver: Receiver, spool: Path) -> None:
    write(spool, "one", "two")
    carrier = LogCarrier(spool, LogReceiver(receiver.address))
    assert carrier.pending() == 2
    assert carrier.carry()
    assert not carrier.carry()
    write(spool, "three")
    assert LogCarrier(spool, LogReceiver(receiver.address)).carry(), "a sidecar that was replaced goes on"
    assert receiver.bodies == ["one", "two", "three"]
    told = exposition({"HEADRACE_ENDPOINT": "fraud", "HEADRACE_VERSION": "v7"}, lines=carrier)
    assert 'headrace_log_lines_sent_total{endpoint="fraud",version="v7"} 2\n' in told


@pytest.mark.parametrize("status", [429, 503])
def test_what_may_be_sent_again_waits(receiver: Receiver, spool: Path, status: int) -> None:
    write(spool, "one")
    receiver.answers = [(status, "later")]
    carrier = LogCarrier(spool, LogReceiver(receiver.address))
    with pytest.raises(TemporaryError, match=f"the Collector answered {status}: later"):
        carrier.carry()
    assert carrier.pending() == 1
    assert carrier.carry()
    assert receiver.bodies == ["one"]


def test_a_collector_that_is_away_costs_no_line(receiver: Receiver, spool: Path) -> None:
    write(spool, "one")
    with pytest.raises(TemporaryError, match="the Collector does not answer"):
        LogCarrier(spool, LogReceiver("127.0.0.1:1")).carry()
    assert LogCarrier(spool, LogReceiver(receiver.address)).carry()
    assert receiver.bodies == ["one"]


def test_what_is_refused_for_good_is_dropped_and_counted(receiver: Receiver, spool: Path) -> None:
    write(spool, "one", "two")
    receiver.answers = [(400, "no"), (200, '{"partialSuccess": {"rejectedLogRecords": "1"}}')]
    carrier = LogCarrier(spool, LogReceiver(receiver.address))
    assert carrier.carry()
    assert carrier.settlement.dropped == 2
    write(spool, "three", "four")
    assert carrier.carry()
    assert (carrier.settlement.written, carrier.settlement.dropped, carrier.pending()) == (1, 3, 0)


def test_a_sidecar_that_stops_sends_what_there_is_first(receiver: Receiver, spool: Path) -> None:
    write(spool, *map(str, range(50)))
    stopping = threading.Event()
    stopping.set()
    LogCarrier(spool, LogReceiver(receiver.address)).run(stopping)
    assert receiver.bodies == list(map(str, range(50)))
