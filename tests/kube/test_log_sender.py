"""A controller's lines get to the Collector, and no controller waits for it."""

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Final

import pytest
from metrics_page import exposed, told
from prometheus_client import generate_latest

from headrace.contract import metrics, telemetry
from headrace.contract.errors import PermanentError, TemporaryError
from headrace.contract.log_receiver import LogReceiver
from headrace.kube import log_sender
from headrace.kube.log_sender import LogSender
from tests.otlp_receiver import Receiver

FIELDS: Final = {"component": "autoscaler", "pod": "autoscaler-a"}
AWAY: Final = "127.0.0.1:1"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """One that nobody else listens to."""
    made = logging.Logger("headrace.autoscaler", logging.INFO)
    yield made
    made.handlers.clear()


def count(name: str, **labels: str) -> float:
    return log_sender.registry.get_sample_value(name, labels) or 0.0


def sent() -> float:
    return count(metrics.LOG_LINES_SENT)


def dropped(reason: str) -> float:
    return count(metrics.LOG_LINES_DROPPED, reason=reason)


def test_lines_are_sent_in_order_with_those_of_others_that_came_meanwhile(
    receiver: Receiver, logger: logging.Logger
) -> None:
    sender, before = LogSender(FIELDS, LogReceiver(receiver.address)), sent()
    logger.addHandler(sender)
    logger.info("%d pods", 3)
    logger.warning("the limit was not set")
    assert sender.send()
    logger.info("4 pods")
    assert sender.send()
    assert not sender.send(), "there is no more"
    assert receiver.bodies == ["3 pods", "the limit was not set", "4 pods"]
    assert sent() - before == 3
    assert count(metrics.LOG_LINES_PENDING) == 0


def test_a_collector_that_is_away_gets_the_lines_when_it_is_back(receiver: Receiver, logger: logging.Logger) -> None:
    receiver.answers = [(503, "later")]
    sender, before = LogSender(FIELDS, LogReceiver(receiver.address)), sent()
    logger.addHandler(sender)
    logger.info("one")
    with pytest.raises(TemporaryError, match="503"):
        sender.send()
    logger.info("two")
    assert count(metrics.LOG_LINES_PENDING) == 2
    assert sender.send()
    assert (receiver.bodies, sent() - before) == (["one", "two"], 2)


def test_what_has_no_room_is_dropped_and_counted_and_the_first_lines_stay(
    receiver: Receiver, logger: logging.Logger
) -> None:
    sender, before = LogSender(FIELDS, LogReceiver(receiver.address), queue_bytes=2000), dropped("queue-full")
    logger.addHandler(sender)
    for number in range(100):
        logger.info("line %d", number)
    lost = int(dropped("queue-full") - before)
    assert 0 < lost < 100
    assert sender.send()
    assert receiver.bodies == [f"line {number}" for number in range(100 - lost)]
    logger.info("there is room again")
    assert sender.send()
    assert receiver.bodies[-1] == "there is room again"


def test_what_is_refused_for_good_is_dropped_counted_and_never_the_cause_of_another_line(
    receiver: Receiver, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.answers = [(400, "no"), (200, '{"partialSuccess": {"rejectedLogRecords": "1"}}')]
    sender, before = LogSender(FIELDS, LogReceiver(receiver.address)), dropped("refused")
    monkeypatch.setattr(log_sender.log, "handlers", [sender])
    logger.addHandler(sender)
    logger.info("one")
    assert sender.send()
    assert not sender.send(), "what is said about the refusal is on stderr alone"
    logger.info("two")
    logger.info("three")
    assert sender.send()
    assert dropped("refused") - before == 2


class Standstill:
    """A Collector that takes a connection and never answers."""

    def __init__(self) -> None:
        self.asked, self.released = threading.Event(), threading.Event()

    def send(self, body: bytes) -> int:
        self.asked.set()
        assert self.released.wait(60)
        raise PermanentError(f"{len(body)} bytes came to nothing")


def test_a_collector_that_stands_still_keeps_no_controller_from_writing_nor_from_ending(
    logger: logging.Logger,
) -> None:
    collector = Standstill()
    sender, before = LogSender(FIELDS, collector, queue_bytes=2000), dropped("queue-full")
    logger.addHandler(sender)
    sender.start()
    logger.info("the first line")
    assert collector.asked.wait(60)
    for number in range(1000):
        logger.info("line %d", number)
    assert dropped("queue-full") > before, "all thousand were written while it stood still"
    sender.stop(seconds=0.01)
    assert not collector.released.is_set(), "the controller ended before the Collector answered"
    collector.released.set()


PROGRAM: Final = """
import logging, os
from headrace.kube import log_sender
log_sender.LAST_LINES_SECONDS = 60.0  # on a busy machine, too
log_sender.configure("autoscaler", os.environ)
logging.getLogger("headrace.autoscaler").info("leading")
raise RuntimeError("out of luck")
"""


def run(address: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "HOSTNAME": "autoscaler-a", telemetry.ENV_LOG_COLLECTOR: address}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], env=variables, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_last_words_of_a_program_that_fails_are_sent_and_are_on_stderr_too(receiver: Receiver) -> None:
    done = run(receiver.address)
    assert receiver.bodies == ["leading", "the program ends"]
    assert [line["body"] for line in map(json.loads, done.stderr.splitlines())] == receiver.bodies
    assert done.returncode == 1


@pytest.mark.parametrize("address", [AWAY, ""])
def test_a_program_writes_and_ends_as_ever_without_a_collector(address: str) -> None:
    done = run(address)
    assert '"body":"leading"' in done.stderr
    assert ('"body":"lines of the log wait' in done.stderr) is bool(address)
    assert done.returncode == 1


def test_controllers_expose_the_metrics_of_the_page_and_no_others() -> None:
    log_sender._dropped.labels("refused").inc(0)
    found = exposed(generate_latest(log_sender.registry).decode())
    assert {name: kind for name, kind in found.items() if not name.endswith("_created")} == told("Logs of controllers")
