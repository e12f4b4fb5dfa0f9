"""Requests with their answers: kept while somebody asks, and never otherwise."""

from typing import Any

import pytest

from headrace.runtimes.http import answer_samples
from headrace.runtimes.http.answer_samples import LARGEST_BYTES, MOST, AnswerSamples
from headrace.runtimes.http.exchange import Record

JSON = ((b"content-type", b"application/json"),)


class Server:
    """Who ends exchanges."""

    def __init__(self) -> None:
        self.on_record: Any = None
        self.keeps_answers = False

    def ends(self, body: bytes = b"{}", answer: bytes = b"[]", **changed: Any) -> None:
        given = {
            "predicts": True,
            "method": "POST",
            "path": "/invocations",
            "headers": JSON,
            "body": body,
            "identity": "x",
            "status": 200,
            "answer": answer,
            "arrived": 0.0,
            "seconds": 0.1,
            "version": "v1",
            **changed,
        }
        if self.on_record is not None:
            self.on_record(Record(**given))


class Clock:
    """Seconds that pass when the test says."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_nothing_is_kept_before_somebody_asks(server: Server, clock: Clock) -> None:
    samples = AnswerSamples(server, clock)
    assert (server.on_record, server.keeps_answers) == (None, False)
    server.ends()
    assert samples.asked() == []
    server.ends(b'{"inputs": [1]}', b'{"predictions": [2]}')
    (found,) = samples.asked()
    assert (found.body, found.answer) == ('{"inputs": [1]}', '{"predictions": [2]}')
    assert samples.asked() == [], "each is told once"


def test_nothing_is_kept_after_who_asked_has_gone(server: Server, clock: Clock) -> None:
    samples = AnswerSamples(server, clock)
    samples.asked()
    server.ends()
    clock.now = answer_samples.PATIENCE_SECONDS + 1
    assert samples.asked() == [], "what was kept for another is not told"
    clock.now += answer_samples.PATIENCE_SECONDS + 1
    server.ends()
    assert (server.on_record, server.keeps_answers) == (None, False)
    assert samples.asked() == []


def test_few_are_kept_of_many_and_the_last_have_the_chance_of_the_first(server: Server, clock: Clock) -> None:
    samples = AnswerSamples(server, clock)
    found: list[int] = []
    for _ in range(100):
        samples.asked()
        for number in range(100):
            server.ends(str(number).encode())
        told = samples.asked()
        assert len(told) == MOST
        found += [int(sample.body) for sample in told]

    assert 35 < sum(found) / len(found) < 65


@pytest.mark.parametrize(
    "other",
    [
        {"path": "/v2/models/fraud/infer"},
        {"status": 400},
        {"headers": ((b"content-type", b"text/csv"),)},
        {"body": b"x" * LARGEST_BYTES},
    ],
)
def test_what_cannot_be_compared_is_passed_over(server: Server, clock: Clock, other: dict[str, Any]) -> None:
    samples = AnswerSamples(server, clock)
    samples.asked()
    server.ends(**other)
    assert samples.asked() == []


def test_who_takes_records_already_goes_on_taking_them(server: Server, clock: Clock) -> None:
    taken: list[Record] = []
    server.on_record = taken.append
    samples = AnswerSamples(server, clock)
    samples.asked()
    server.ends()
    clock.now = answer_samples.PATIENCE_SECONDS + 1
    server.ends()
    server.ends()
    assert len(taken) == 3
    assert server.on_record == taken.append
